from collections.abc import Callable

import keras
import numpy as np
import pytest

from keras_i3d.layers import ShrinkingAveragePooling
from keras_i3d.models import heads


@pytest.mark.parametrize(
    ("shape", "pool_time", "expected"),
    [
        ((None, 9, 4, 3), 2, (None, None, 3, 1, 3)),
        ((4, 7, 7, 3), 2, (None, 3, 1, 1, 3)),
        ((1, 7, 7, 3), 2, (None, 1, 1, 1, 3)),
        ((4, 8, 10, 3), 1, (None, 4, 2, 4, 3)),
        ((7, 7, 3), 2, (None, 1, 1, 3)),
        ((None, 8, 3), 1, (None, None, 2, 3)),
    ],
)
def test_the_pool_is_7x7_in_space_but_no_larger_than_the_map(shape: tuple, pool_time: int, expected: tuple) -> None:
    assert heads.average_pool(keras.Input(shape), pool_time).shape == expected


@pytest.mark.parametrize("shape", [(4, 7, 7, 3), (7, 7, 3)])
def test_known_sizes_need_no_layer_of_this_package(shape: tuple) -> None:
    known = keras.Input(shape)
    pool = keras.Model(known, heads.average_pool(known, 2)).layers[-1]
    assert type(pool) is {4: keras.layers.AveragePooling3D, 3: keras.layers.AveragePooling2D}[len(shape)]
    assert pool.name == {4: "AvgPool3D", 3: "AvgPool2D"}[len(shape)]
    unknown = keras.Input((None, *shape[1:]))
    assert isinstance(keras.Model(unknown, heads.average_pool(unknown, 2)).layers[-1], ShrinkingAveragePooling)


@pytest.mark.parametrize("frames", [4, None])
def test_logits_are_the_mean_over_time_of_logits(frames: int | None, noise: Callable) -> None:
    inputs = keras.Input((frames, 7, 7, 6))
    model = keras.Model(inputs, heads.classifier(inputs, classes=5, pool_time=2, dropout_rate=0.0, activation=None))
    x = noise(2, 4, 7, 7, 6)
    kernel, bias = (variable.numpy() for variable in model.get_layer("Logits__Conv3d_0c_1x1__conv_3d").weights)
    steps = [x[:, t : t + 2].mean((1, 2, 3)) @ kernel[0, 0, 0] + bias for t in range(3)]
    np.testing.assert_allclose(model(x), np.mean(steps, axis=0), atol=1e-5)


def test_of_an_image_larger_than_224_logits_are_the_mean_over_space(noise: Callable) -> None:
    inputs = keras.Input((8, 9, 6))
    model = keras.Model(inputs, heads.classifier(inputs, classes=5, pool_time=1, dropout_rate=0.0, activation=None))
    x = noise(2, 8, 9, 6)
    kernel, bias = (variable.numpy() for variable in model.get_layer("Logits__Conv2d_0c_1x1__conv_2d").weights)
    places = [x[:, top : top + 7, left : left + 7].mean((1, 2)) @ kernel[0, 0] for top in (0, 1) for left in range(3)]
    np.testing.assert_allclose(model(x), np.mean(places, axis=0) + bias, atol=1e-5)


def test_predictions_are_the_softmax_of_the_logits_or_left_out(noise: Callable) -> None:
    inputs = keras.Input((4,))
    model = keras.Model(inputs, heads.predictions(inputs, "softmax"))
    x = noise(3, 4)
    np.testing.assert_allclose(model(x), np.exp(x) / np.exp(x).sum(1, keepdims=True), atol=1e-6)
    assert model.layers[-1].name == "Predictions"
    assert heads.predictions(inputs, None) is inputs


@pytest.mark.parametrize("shape", [(2, 7, 7, 64), (7, 7, 64)])
def test_dropout_drops_in_training_alone(shape: tuple) -> None:
    inputs = keras.Input(shape)
    model = keras.Model(inputs, heads.classifier(inputs, classes=5, pool_time=2, dropout_rate=0.5, activation=None))
    x = np.ones((1, *shape), np.float32)
    assert np.array_equal(model(x, training=False), model(x, training=False))
    assert not np.array_equal(model(x, training=True), model(x, training=True))


def test_logits_and_predictions_are_float32_behind_half_precision() -> None:
    inputs = keras.Input((2, 7, 7, 8), dtype="bfloat16")
    model = keras.Model(
        inputs, heads.classifier(inputs, classes=5, pool_time=2, dropout_rate=0.5, activation="softmax")
    )
    assert {model.get_layer(name).output.dtype for name in ("Logits", "Predictions")} == {"float32"}
    assert model.get_layer("Logits__Conv3d_0c_1x1__conv_3d").compute_dtype == "float32"
