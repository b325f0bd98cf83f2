from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import layers

from keras_i3d.layers import SamePadding3D


def same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return what TensorFlow's SAME adds before and after an axis."""
    missing = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return missing // 2, missing - missing // 2


def literal_convolution(x: np.ndarray, kernel: np.ndarray, strides: tuple[int, int, int]) -> np.ndarray:
    """Pad time by its first and last step and space by zeros, and correlate place by place."""
    (before, after), *space = (same(*numbers) for numbers in zip(x.shape[1:4], kernel.shape[:3], strides, strict=True))
    first, last = x[:, :1], x[:, -1:]
    x = np.concatenate([first] * before + [x] + [last] * after, axis=1)
    x = np.pad(x, [(0, 0), (0, 0), *space, (0, 0)])
    counts = [(n - k) // s + 1 for n, k, s in zip(x.shape[1:4], kernel.shape[:3], strides, strict=True)]
    result = np.empty((x.shape[0], *counts, kernel.shape[-1]))
    for place in np.ndindex(*counts):
        part = tuple(slice(p * s, p * s + k) for p, s, k in zip(place, strides, kernel.shape[:3], strict=True))
        result[(slice(None), *place)] = np.tensordot(x[(slice(None), *part)], kernel, 4)
    return result


def convolution(kernel: tuple[int, int, int], strides: tuple[int, int, int], time: str = "edge") -> keras.Sequential:
    """Return a convolution of three channels behind its padding."""
    padding = SamePadding3D(kernel, strides, time)
    model = keras.Sequential([padding, layers.Conv3D(2, kernel, strides=strides, use_bias=False)])
    model.build((None, None, None, None, 3))
    return model


def kernel_of(layer: keras.Sequential) -> np.ndarray:
    return layer.layers[-1].kernel.numpy()


@pytest.mark.parametrize("kernel", [(3, 1, 1), (3, 3, 3), (5, 3, 1), (7, 7, 7)])
@pytest.mark.parametrize("strides", [(1, 1, 1), (2, 2, 2), (2, 1, 1)])
@pytest.mark.parametrize("sizes", [(1, 5, 4), (2, 4, 5), (5, 6, 6), (8, 7, 5)])
def test_time_is_padded_by_its_edges_and_space_by_zeros(
    kernel: tuple, strides: tuple, sizes: tuple, noise: Callable
) -> None:
    x = noise(2, *sizes, 3)
    layer = convolution(kernel, strides)
    known = np.asarray(layer(x))
    expected = literal_convolution(x, kernel_of(layer).astype(np.float64), strides)
    assert known.shape == (2, *(-(-size // stride) for size, stride in zip(sizes, strides, strict=True)), 2)
    # float32 sums of up to 1,029 terms
    np.testing.assert_allclose(known, expected, atol=2e-6)
    inputs = keras.Input((None, None, None, 3))
    unknown = keras.Model(inputs, layer(inputs))
    assert unknown.output.shape == (None, None, None, None, 2)
    np.testing.assert_allclose(unknown(x), expected, atol=2e-6)


def test_on_a_traced_graph_with_unknown_axes_the_edges_are_the_same(noise: Callable) -> None:
    layer = convolution((7, 3, 3), (2, 2, 2))
    inputs = keras.Input((None, None, None, 3))
    model = keras.Model(inputs, layer(inputs))
    for sizes in ((5, 6, 7), (8, 7, 6), (1, 1, 1)):
        x = noise(1, *sizes, 3)
        np.testing.assert_allclose(model.predict(x, verbose=0), layer(x), atol=1e-6)


@pytest.mark.parametrize("strides", [(1, 1, 1), (2, 2, 2)])
@pytest.mark.parametrize("frames", [15, 16])
def test_away_from_the_edges_of_time_it_is_kerass_convolution(strides: tuple, frames: int, noise: Callable) -> None:
    x = noise(1, frames, 6, 5, 3)
    layer = convolution((7, 3, 3), strides)
    zeros = layers.Conv3D(2, (7, 3, 3), strides=strides, padding="same", use_bias=False)
    found = np.asarray(layer(x))
    zeros.build(x.shape)
    zeros.kernel.assign(kernel_of(layer))
    expected = np.asarray(zeros(x))
    interior = slice(3, -3) if strides[0] == 1 else slice(2, -2)
    np.testing.assert_allclose(found[:, interior], expected[:, interior], atol=1e-6)
    assert np.abs(found[:, 0] - expected[:, 0]).max() > 0.01
    assert np.abs(found[:, -1] - expected[:, -1]).max() > 0.01


@pytest.mark.parametrize("strides", [(1, 1, 1), (2, 2, 2)])
def test_padding_with_zeros_is_kerass_same(strides: tuple, noise: Callable) -> None:
    x = noise(1, 7, 6, 5, 3)
    layer = convolution((4, 3, 3), strides, "zeros")
    zeros = layers.Conv3D(2, (4, 3, 3), strides=strides, padding="same", use_bias=False)
    zeros.build(x.shape)
    zeros.kernel.assign(kernel_of(layer))
    np.testing.assert_allclose(layer(x), zeros(x), atol=1e-6)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (7, 2), (5, 3)])
@pytest.mark.parametrize("frames", [1, 2, 9, 10])
def test_a_still_video_gives_at_every_step_what_the_summed_kernel_gives(
    kernel: int, stride: int, frames: int, noise: Callable
) -> None:
    still = np.repeat(noise(1, 1, 6, 6, 3), frames, axis=1)
    layer = convolution((kernel, 3, 3), (stride, 2, 2))
    found = np.asarray(layer(still))
    flat = layers.Conv2D(2, 3, strides=2, padding="same", use_bias=False)
    flat.build((1, 6, 6, 3))
    flat.kernel.assign(kernel_of(layer).sum(axis=0))
    np.testing.assert_allclose(found, np.repeat(np.asarray(flat(still[:, 0]))[:, None], found.shape[1], 1), atol=1e-6)
