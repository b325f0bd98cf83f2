import keras
import numpy as np
import pytest
from keras import layers

from keras_i3d.inflation.time_reach import clean_steps
from keras_i3d.layers import SamePadding3D, ShrinkingAveragePooling
from keras_i3d.models.i3d import I3D


def after(*chain: layers.Layer, frames: int = 10) -> str | None:
    """Return the clean steps behind layers in a row: 1 for a clean one, 0 for one that zeros reach."""
    inputs = x = keras.Input((None, 6, 6, 2))
    for layer in chain:
        x = layer(x)
    steps = clean_steps(keras.Model(inputs, x), frames).get(chain[-1].name)
    return None if steps is None else "".join("01"[int(step)] for step in steps)


def edge_padded(extent: int) -> list[layers.Layer]:
    return [SamePadding3D((extent, 1, 1), (1, 1, 1), "edge"), layers.Conv3D(2, (extent, 1, 1))]


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        (lambda: [layers.Conv3D(2, (3, 1, 1), padding="same")], "0111111110"),
        (lambda: [layers.Conv3D(2, (2, 1, 1), padding="same")], "1111111110"),
        (lambda: [layers.Conv3D(2, (7, 1, 1), strides=(2, 1, 1), padding="same")], "01100"),
        (lambda: [layers.Conv3D(2, (3, 1, 1), dilation_rate=(2, 1, 1), padding="same")], "0011111100"),
        (lambda: [layers.Conv3D(2, (3, 1, 1))], "11111111"),
        (lambda: [layers.Conv3D(2, (1, 3, 3), padding="same")], "1111111111"),
        (lambda: [layers.MaxPooling3D((3, 1, 1), 1, padding="same")], "1111111111"),
        (
            lambda: [
                layers.Conv3D(2, (3, 1, 1), padding="same"),
                layers.MaxPooling3D((3, 1, 1), (2, 1, 1), padding="same"),
            ],
            "01110",
        ),
        (lambda: [layers.Conv3D(2, (3, 1, 1), padding="same"), *edge_padded(3)], "0011111100"),
        (lambda: [layers.Conv3D(2, (3, 1, 1), padding="same"), layers.Cropping3D((2, 0, 0))], "111111"),
        (lambda: [layers.ZeroPadding3D((1, 0, 0))], "011111111110"),
        (lambda: [layers.ZeroPadding3D((1, 0, 0)), ShrinkingAveragePooling((2, 6, 6))], "01111111110"),
        (lambda: [layers.ZeroPadding3D((1, 0, 0)), layers.GlobalAveragePooling3D()], "0"),
        (lambda: [*edge_padded(3), layers.GlobalMaxPooling3D()], "1"),
        (lambda: [layers.UpSampling3D((2, 1, 1))], "1" * 20),
        (lambda: [layers.ConvLSTM2D(2, 1)], None),
    ],
)
def test_zeros_reach_as_far_as_the_windows_do(chain, expected) -> None:
    assert after(*chain()) == expected


def test_branches_are_clean_together() -> None:
    inputs = keras.Input((None, 4, 4, 2))
    wide = layers.Conv3D(2, (5, 1, 1), padding="same")(inputs)
    narrow = layers.Conv3D(2, (3, 1, 1), padding="same")(inputs)
    gate = layers.GlobalAveragePooling3D(keepdims=True)(inputs)
    joined = layers.Concatenate(name="joined")([wide, narrow])
    gated = layers.Multiply(name="gated")([narrow, gate])
    clean = clean_steps(keras.Model(inputs, [joined, gated]), 6)
    assert clean["joined"].tolist() == [False, False, True, True, False, False]
    assert clean["gated"].tolist() == [False, True, True, True, True, False]


@pytest.mark.parametrize("frames", [120, 129])
def test_the_clean_steps_of_i3d_are_those_that_longer_clips_do_not_change(golden, frames) -> None:
    """A still video's clean steps are equal to each other; those that zeros reach are not."""
    model = I3D(False, None, input_shape=(None, 16, 16, 3))
    for variable in model.weights:
        variable.assign(golden.weight("/".join(variable.path.split("/")[-2:]), tuple(variable.shape), "reach"))
    names = ["Conv3d_1a_7x7", "Conv3d_2c_3x3", "Mixed_3c", "MaxPool3d_4a_3x3", "Mixed_4d"]
    image = golden.clip((1, 1, 16, 16, 3), "still")
    outputs = keras.Model(model.input, [model.get_layer(name).output for name in names])(np.repeat(image, frames, 1))
    clean = clean_steps(model, frames)
    for name, output in zip(names, outputs, strict=True):
        steps = np.array(output)[0]
        middle = steps[len(steps) // 2]
        differs = np.abs(steps - middle).max(axis=(1, 2, 3)) > 1e-5 * np.abs(middle).max()
        assert np.array_equal(clean[name], ~differs), name
