import keras
import numpy as np
import pytest

from keras_i3d.models import heads


def literal_pool(x: np.ndarray, window: tuple[int, int, int]) -> np.ndarray:
    """Average every whole window, shrunk to the map, one by one."""
    sizes = x.shape[1:4]
    window = tuple(min(pair) for pair in zip(window, sizes, strict=True))
    counts = [size - extent + 1 for size, extent in zip(sizes, window, strict=True)]
    result = np.empty((x.shape[0], *counts, x.shape[4]), x.dtype)
    for place in np.ndindex(*counts):
        part = tuple(slice(start, start + extent) for start, extent in zip(place, window, strict=True))
        result[(slice(None), *place)] = x[(slice(None), *part)].mean((1, 2, 3))
    return result


@pytest.mark.parametrize("sizes", [(1, 1, 1), (1, 7, 7), (2, 7, 7), (3, 6, 5), (5, 8, 10), (1, 2, 9), (32, 3, 7)])
@pytest.mark.parametrize("window", [(2, 7, 7), (1, 7, 7)])
def test_the_pool_shrinks_to_a_smaller_map_also_where_sizes_are_unknown(sizes: tuple, window: tuple) -> None:
    x = np.random.default_rng(0).normal(size=(2, *sizes, 3)).astype(np.float32)
    expected = literal_pool(x, window)
    inputs = keras.Input((None, None, None, 3))
    traced = keras.Model(inputs, heads.ShrinkingAveragePooling3D(window)(inputs))
    # float32 sums of up to 98 terms
    np.testing.assert_allclose(traced.predict(x, verbose=0), expected, atol=1e-6)
    np.testing.assert_allclose(heads.ShrinkingAveragePooling3D(window)(x), expected, atol=1e-6)
    inputs = keras.Input((*sizes, 3))
    np.testing.assert_allclose(keras.Model(inputs, heads.average_pool(inputs, window[0]))(x), expected, atol=1e-6)


def test_unknown_axes_stay_unknown_and_known_ones_known() -> None:
    inputs = keras.Input((None, 9, 4, 3))
    assert heads.average_pool(inputs, 2).shape == (None, None, 3, 1, 3)


def test_known_sizes_need_no_layer_of_this_package() -> None:
    inputs = keras.Input((4, 7, 7, 3))
    model = keras.Model(inputs, heads.average_pool(inputs, 2))
    assert isinstance(model.layers[-1], keras.layers.AveragePooling3D)


def test_logits_are_the_mean_over_time_of_logits() -> None:
    inputs = keras.Input((4, 7, 7, 6))
    outputs = heads.classifier(inputs, classes=5, pool_time=2, dropout_rate=0.0, activation=None)
    model = keras.Model(inputs, outputs)
    x = np.random.default_rng(0).normal(size=(2, 4, 7, 7, 6)).astype(np.float32)
    kernel, bias = (variable.numpy() for variable in model.get_layer("Logits__Conv3d_0c_1x1__conv_3d").weights)
    steps = [x[:, t : t + 2].mean((1, 2, 3)) @ kernel[0, 0, 0] + bias for t in range(3)]
    np.testing.assert_allclose(model(x), np.mean(steps, axis=0), atol=1e-5)


def test_dropout_drops_in_training_alone() -> None:
    inputs = keras.Input((2, 7, 7, 64))
    model = keras.Model(inputs, heads.classifier(inputs, classes=5, pool_time=2, dropout_rate=0.5, activation=None))
    x = np.ones((1, 2, 7, 7, 64), np.float32)
    assert np.array_equal(model(x, training=False), model(x, training=False))
    assert not np.array_equal(model(x, training=True), model(x, training=True))
