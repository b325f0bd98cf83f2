import keras
import pytest

from keras_i3d.models import costs
from keras_i3d.models.graph import graph
from keras_i3d.models.i3d import I3D
from keras_i3d.models.receptive_field import receptive_fields
from keras_i3d.models.two_stream_i3d import TwoStreamI3D


def small(*more: keras.Layer) -> keras.Model:
    x = inputs = keras.Input((8, 8, 3), name="rgb")
    for layer in more:
        x = layer(x)
    return keras.Model(inputs, x)


def test_axes_left_open_are_filled_in() -> None:
    open_model = I3D(weights=None, input_shape=(None, None, None, 3))
    shapes = {"rgb": (17, 64, 63, 3)}
    model = I3D(weights=None, input_shape=shapes["rgb"])
    assert costs.flops(open_model, shapes) == costs.flops(model)
    assert costs.training_memory(open_model, shapes) == costs.training_memory(model)
    assert receptive_fields(open_model, shapes) == receptive_fields(model)


def test_nested_models_are_walked_into() -> None:
    both = TwoStreamI3D(weights=None, input_shape=(9, 32, 32))
    streams = [both.get_layer(name) for name in ("rgb_stream", "flow_stream")]
    assert costs.flops(both) == sum(costs.flops(stream) for stream in streams)
    found, alone = receptive_fields(both), receptive_fields(streams[1])
    assert found["flow_stream/Mixed_4f"] == alone["Mixed_4f"]


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: graph(keras.Layer()), "only a functional Keras model can be taken apart, got Layer"),
        (lambda: graph(small(), {"flow": (8, 8, 3)}), "no input 'flow'; its inputs are rgb"),
        (lambda: graph(small(), {"rgb": (9, 8, 3)}), r"'rgb' of shape \(8, 8, 3\) .*got \(9, 8, 3\)"),
        (
            lambda: costs.flops(I3D(weights=None, input_shape=(None, 32, 32, 3))),
            r"'rgb' of shape \(None, 32, 32, 3\) needs a shape that fits it, all axes known",
        ),
        (
            lambda: graph(small(keras.layers.MaxPooling2D(2, data_format="channels_first", name="pool"))),
            "layer 'pool' has its channels first",
        ),
    ],
)
def test_what_cannot_be_told_is_refused(ask, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ask()
