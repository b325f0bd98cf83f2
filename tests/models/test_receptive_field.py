import dataclasses
import math

import keras
import numpy as np
import pytest

from keras_i3d.models.architecture import END_POINTS
from keras_i3d.models.c3d import C3D
from keras_i3d.models.i3d import I3D
from keras_i3d.models.inception_v1 import InceptionV1
from keras_i3d.models.networks import NETWORKS
from keras_i3d.models.receptive_field import Sight, receptive_fields
from keras_i3d.models.time_plan import I3D_PLAN


def small(*more: keras.Layer) -> keras.Model:
    x = inputs = keras.Input((8, 8, 3), name="rgb")
    for layer in more:
        x = layer(x)
    return keras.Model(inputs, x)


def test_every_end_point_has_a_receptive_field(built) -> None:
    name, model = built
    found = receptive_fields(model)
    trunks = {"i3d": [""], "convnet_lstm": [""], "c3d": []}.get(name, ["rgb_stream/", "flow_stream/"])
    for trunk in trunks:
        for end_point in END_POINTS[: END_POINTS.index("Logits")]:
            assert None not in next(iter(found[trunk + end_point].sights.values())).reach
    whole = Sight((None, None, None), (None, None, None))
    assert set(found["Logits"].sights.values()) == {whole}
    assert set(found["Logits"].sights) == {tensor.name for tensor in model.inputs}
    assert found["Predictions"].shape == (400,)


PAPER = {"MaxPool3d_2a_3x3": (7, 11, 11), "MaxPool3d_3a_3x3": (11, 27, 27), "MaxPool3d_4a_3x3": (23, 75, 75)}


def test_receptive_fields_are_those_of_figure_3() -> None:
    """The figure's last two count one Mixed block too few of the five before the last max pool."""
    found = receptive_fields(I3D(weights=None, input_shape=(16, 224, 224, 3)))
    for name, reach in PAPER.items():
        assert found[name].sights["rgb"].reach == reach
    stride = np.array(found["Mixed_4f"].sights["rgb"].stride)
    assert tuple(stride) == (4, 16, 16)
    one_block = 2 * stride  # a 3x3x3 convolution
    for name, reach in (("MaxPool3d_5a_2x2", (59, 219, 219)), ("AvgPool3D", (99, 539, 539))):
        assert found[name].sights["rgb"].reach == tuple(np.array(reach) + one_block)


def live_everywhere(model: keras.Model) -> keras.Model:
    """Make all weights positive, so that nothing is cut off or cancels: what is seen makes a zero positive."""
    for variable in model.trainable_variables:
        if variable.path.endswith("kernel"):
            fan_in = math.prod(variable.shape[:-1])
            variable.assign(np.full(variable.shape, 1 / fan_in, "float32"))
    return model


def seen(model: keras.Model, names: list[str], shape: tuple[int, ...], axis: int) -> dict[str, list[np.ndarray]]:
    """Return where along an axis a spark lights the middle position of each layer's map, and the one behind it."""
    sparks = np.zeros((shape[axis], *shape), "float32")
    for place in range(shape[axis]):
        sparks[(place, *(slice(None),) * axis, place)] = 1e6
    maps = keras.Model(model.inputs, {name: model.get_layer(name).output for name in names}).predict(
        sparks, batch_size=32, verbose=0
    )
    found = {}
    for name, values in maps.items():
        lit = np.moveaxis(values.max(axis=-1), 1 + axis, 1).max(axis=(2, 3)) > 0
        middle = lit.shape[1] // 2
        found[name] = [np.flatnonzero(lit[:, position]) for position in (middle, middle + 1)]
    return found


SPLIT = dataclasses.replace(I3D_PLAN, conv={"1a": 5, "2c": 1, "3b": 3, "5b": 7}, separable=("3b",))


@pytest.mark.parametrize(
    ("builder", "options", "shape", "axis", "names"),
    [
        (I3D, {}, (136, 8, 8, 3), 0, [*END_POINTS[:-2], "AvgPool3D"]),
        (I3D, {"time_plan": "s3d"}, (96, 8, 8, 3), 0, ["Conv3d_2c_3x3", "Mixed_4e"]),
        (I3D, {"time_plan": SPLIT}, (96, 8, 8, 3), 0, ["Mixed_3b", "MaxPool3d_4a_3x3"]),
        (I3D, {}, (2, 160, 8, 3), 1, ["Conv3d_2c_3x3", "Mixed_3c", "MaxPool3d_4a_3x3"]),
        (C3D, {}, (96, 4, 4, 3), 0, ["conv1a", "pool1", "conv2a", "pool2", "conv3b", "pool3"]),
    ],
    ids=["i3d-time", "s3d-time", "own-plan-time", "i3d-height", "c3d-time"],
)
def test_receptive_fields_are_what_sparks_show(builder, options, shape, axis, names) -> None:
    model = live_everywhere(builder(weights=None, input_shape=shape, **options))
    told = receptive_fields(model)
    for name, (middle, behind) in seen(model, names, shape, axis).items():
        sight = told[name].sights["rgb"]
        assert len(middle) == sight.reach[axis] < shape[axis], name
        assert np.array_equal(middle, np.arange(middle[0], middle[-1] + 1)), name
        assert behind[0] - middle[0] == sight.stride[axis], name


def test_gates_see_everything_and_keep_the_stride() -> None:
    found = receptive_fields(I3D(weights=None, input_shape=(16, 32, 32, 3), time_plan="s3d_g"))
    assert found["MaxPool3d_3a_3x3"].sights["rgb"].reach == (11, 27, 27)
    assert found["Mixed_3b"].sights["rgb"] == Sight((None, None, None), (2, 8, 8))


def test_snapshots_see_the_frames_they_stack_and_an_lstm_all_of_them() -> None:
    fused = receptive_fields(NETWORKS["fused_two_stream"].function()(weights=None, input_shape=(5, 129, 129)))
    assert fused["Joined"].sights == {
        "rgb": Sight((1, 379, 379), (1, 32, 32)),
        "flow": Sight((10, 379, 379), (10, 32, 32)),
    }
    assert [fused["FusionPool"].sights[name].reach[0] for name in ("rgb", "flow")] == [5, 50]
    lstm = receptive_fields(NETWORKS["convnet_lstm"].function()(weights=None, input_shape=(3, 224, 224, 3)))
    assert lstm["AvgPool3D"].sights["rgb"].reach == (1, 571, 571)
    assert lstm["Features"].sights["rgb"].reach == (1, None, None)
    assert lstm["LSTM"].sights["rgb"].reach == (None, None, None)


def test_means_over_axes_see_all_of_them() -> None:
    inputs = keras.Input((4, 6, 6, 3), name="rgb")
    x = keras.layers.Conv3D(2, 3, padding="same")(inputs)
    for axes, reach in (((2, 3), (3, None, None)), ((1,), (None, 3, 3)), ((-2,), (3, 3, None)), (None, (None,) * 3)):
        y = keras.ops.mean(x, axis=axes, keepdims=True)
        model = keras.Model(inputs, keras.layers.Activation("linear", name="end")(y))
        assert receptive_fields(model)["end"].sights["rgb"].reach == reach


def test_images_have_two_axes() -> None:
    found = receptive_fields(InceptionV1(weights=None))
    assert found["AvgPool2D"].sights["rgb"].reach == (571, 571)
    assert found["Mixed_4f"].shape == (14, 14, 832)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda: receptive_fields(small(keras.layers.UpSampling2D(name="up"))),
            r"the receptive field of layer 'up' \(UpSampling2D\) is not known",
        ),
    ],
)
def test_what_cannot_be_told_is_refused(ask, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ask()
