import keras
import numpy as np
import pytest
from keras import layers

from keras_i3d.models import networks
from keras_i3d.models.positions import positions
from keras_i3d.protocol import Frames


def places(model: keras.Model, **options) -> list[tuple[float, float, int]]:
    return [(axis.first, axis.stride, axis.count) for axis in positions(model, **options)[0]]


@pytest.mark.parametrize(
    ("frames", "layer", "first", "stride"),
    # by hand: 7 wide of stride 2, then pools 3 and 2 wide, each padded as TensorFlow pads
    [(64, "Conv3d_1a_7x7", 1, 2), (64, "Mixed_4f", 3, 4), (64, "Mixed_5c", 5, 8), (250, "Mixed_5c", 3, 8)],
)
def test_the_steps_of_i3d_lie_where_their_padding_puts_them(frames, layer, first, stride) -> None:
    network = networks.build("i3d", modality="rgb", frames=frames, size=224, any_length=False)
    time, height, width = places(keras.Model(network.input, network.get_layer(layer).output))
    assert time == (first, stride, -(-frames // stride))
    assert height == width == {2: (1, 2, 112), 4: (15, 16, 14), 8: (23, 32, 7)}[stride]


@pytest.mark.parametrize("size", [15, 16])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_place_is_the_middle_of_what_the_position_sees(size: int, padding: str) -> None:
    inputs = keras.Input((size, size, size, 1))
    ones = {"kernel_initializer": "ones", "use_bias": False, "padding": padding}
    x = layers.Conv3D(1, 3, strides=2, **ones)(inputs)
    model = keras.Model(inputs, layers.Conv3D(1, (3, 1, 1), **ones)(x))
    time = positions(model)[0][0]
    impulses = np.zeros((size, size, size, size, 1), np.float32)
    impulses[range(size), range(size), size // 2, size // 2] = 1
    response = np.asarray(model(impulses)).sum(axis=(2, 3, 4))  # (moment of the impulse, step)
    for step in range(2, time.count - 2):  # at the ends what is seen is cut
        seen = np.flatnonzero(response[:, step])
        assert time.all()[step] == (seen[0] + seen[-1]) / 2


def test_frames_that_an_input_leaves_out_are_counted() -> None:
    inputs = keras.Input((5, 8, 8, 3), name="rgb")
    model = keras.Model(inputs, layers.Conv3D(2, 1)(inputs))
    assert places(model, taken={"rgb": Frames(step=10, offset=5)})[0] == (5, 10, 5)


def test_behind_what_is_not_known_the_positions_are_spread_evenly() -> None:
    inputs = keras.Input((8, 6, 6, 3), name="rgb")
    model = keras.Model(inputs, layers.Reshape((4, 6, 3, 12))(inputs))
    assert places(model) == [(0.5, 2, 4), (0, 1, 6), (0.5, 2, 3)]
