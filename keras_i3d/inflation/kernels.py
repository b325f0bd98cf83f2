"""2-D kernels into 3-D ones, and RGB's first kernel into flow's.

Carreira & Zisserman 2017 (Quo Vadis, Action Recognition?), section 2.4: an N x N filter becomes N x N x N by
repeating its weights N times along time and dividing by N.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

METHODS = ("repeat", "centre")
DEFAULT_EXTENT = 3

Extent = int | Mapping[str, int] | Callable[[keras.layers.Layer], int]


def inflate_kernel(kernel: Any, extent: int, method: str = "repeat") -> np.ndarray:
    """Stretch a 2-D kernel along time; the sum over time is the 2-D kernel.

    Args:
        kernel: Array of shape (height, width, in, out).
        extent: Steps in time, at least 1, odd or even.
        method: ``"repeat"``: the kernel divided by `extent` in every frame. ``"centre"``: the kernel in the
            middle frame and zeros elsewhere. The middle of an even extent is the earlier of the two, index
            (extent - 1) // 2: that is how many steps SAME padding puts before the first one, so that at a
            temporal stride of 1 every output step sees its own input step.

    Returns:
        float32 array of shape (extent, height, width, in, out).

    Raises:
        ValueError: The kernel has another number of axes, `extent` is no integer of at least 1, or the method
            is unknown.
    """
    kernel = np.asarray(kernel, np.float32)
    if kernel.ndim != 4:
        raise ValueError(f"a 2-D kernel has shape (height, width, in, out), got {kernel.shape}")
    check_extent(extent)
    check_method(method)
    if method == "repeat":
        return np.repeat(kernel[np.newaxis] / np.float32(extent), extent, axis=0)
    inflated = np.zeros((extent, *kernel.shape), np.float32)
    inflated[(extent - 1) // 2] = kernel
    return inflated


def flow_stem(kernel: Any, channels: int) -> np.ndarray:
    """Make the first kernel of a flow network out of an RGB network's: the mean over RGB, repeated.

    DeepMind does not document how its flow stream began; this is the practice of Temporal Segment Networks
    (Wang et al. 2016, section 3.3, cross-modality pre-training).

    Args:
        kernel: Array of shape (..., in, out), such as (7, 7, 3, 64).
        channels: Input channels wanted: 2 for one field of flow, 20 for ten.

    Returns:
        float32 array of shape (..., channels, out).

    Raises:
        ValueError: The array has less than two axes, or `channels` is no integer of at least 1.
    """
    kernel = np.asarray(kernel, np.float32)
    if kernel.ndim < 2:
        raise ValueError(f"a kernel has shape (..., in, out), got {kernel.shape}")
    if not _is_count(channels):
        raise ValueError(f"channels must be an integer of at least 1, got {channels!r}")
    return np.repeat(kernel.mean(axis=-2, keepdims=True, dtype=np.float64).astype(np.float32), channels, axis=-2)


def check_method(method: str) -> None:
    """Raise ValueError unless `method` is one of `METHODS`."""
    if method not in METHODS:
        raise ValueError(f"method must be {' or '.join(map(repr, METHODS))}, got {method!r}")


def check_extent(extent: Any, name: str = "extent") -> None:
    """Raise ValueError unless `extent` is an integer of at least 1."""
    if not _is_count(extent):
        raise ValueError(f"{name} must be an integer of at least 1, got {extent!r}")


def _is_count(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= 1
