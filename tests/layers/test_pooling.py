from collections.abc import Callable

import keras
import numpy as np
import pytest

from keras_i3d.layers import ShrinkingAveragePooling


def literal_pool(x: np.ndarray, window: tuple[int, ...]) -> np.ndarray:
    """Average every whole window, shrunk to the map, one by one."""
    sizes = x.shape[1:-1]
    window = tuple(min(pair) for pair in zip(window, sizes, strict=True))
    counts = [size - extent + 1 for size, extent in zip(sizes, window, strict=True)]
    result = np.empty((x.shape[0], *counts, x.shape[-1]), x.dtype)
    for place in np.ndindex(*counts):
        part = tuple(slice(start, start + extent) for start, extent in zip(place, window, strict=True))
        result[(slice(None), *place)] = x[(slice(None), *part)].mean(tuple(range(1, x.ndim - 1)))
    return result


@pytest.mark.parametrize("sizes", [(1, 1, 1), (1, 7, 7), (2, 7, 7), (3, 6, 5), (5, 8, 10), (1, 2, 9), (32, 3, 7)])
@pytest.mark.parametrize("window", [(2, 7, 7), (1, 7, 7)])
def test_the_pool_shrinks_to_a_smaller_map_also_where_sizes_are_unknown(
    sizes: tuple, window: tuple, noise: Callable
) -> None:
    x = noise(2, *sizes, 3)
    expected = literal_pool(x, window)
    inputs = keras.Input((None, None, None, 3))
    traced = keras.Model(inputs, ShrinkingAveragePooling(window)(inputs))
    # float32 sums of up to 98 terms
    np.testing.assert_allclose(traced.predict(x, verbose=0), expected, atol=1e-6)
    np.testing.assert_allclose(ShrinkingAveragePooling(window)(x), expected, atol=1e-6)


@pytest.mark.parametrize("sizes", [(1, 1), (7, 7), (6, 9), (8, 3)])
def test_the_pool_takes_images_too(sizes: tuple, noise: Callable) -> None:
    x = noise(2, *sizes, 3)
    inputs = keras.Input((None, None, 3))
    traced = keras.Model(inputs, ShrinkingAveragePooling((7, 7))(inputs))
    np.testing.assert_allclose(traced.predict(x, verbose=0), literal_pool(x, (7, 7)), atol=1e-6)
