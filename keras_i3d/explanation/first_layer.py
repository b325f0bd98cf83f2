"""The kernels that see a network's input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_i3d import streams


def first_kernels(network: keras.Model) -> dict[str, np.ndarray]:
    """Return the kernel of the first convolution of each stream.

    Args:
        network: Of one stream, or of several, nested models (``rgb_stream``) or not.

    Returns:
        By stream, float32 (time, height, width, channels, filters), or without time.

    Raises:
        ValueError: A stream has no 2-D or 3-D convolution.
    """
    nested = [layer for layer in network.layers if isinstance(layer, keras.Model)]
    if nested:
        return {stream.name.removesuffix("_stream"): _first(stream.layers, stream.name) for stream in nested}
    if len(network.inputs) == 1:
        return {network.inputs[0].name: _first(network.layers, network.name)}
    return {
        tensor.name: _first(network.layers, tensor.name, streams.channels(tensor.name)) for tensor in network.inputs
    }


def _first(layers: Sequence[Any], name: str, channels: int | None = None) -> np.ndarray:
    for layer in layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Conv3D) and layer.kernel.shape[-2] in (
            channels or layer.kernel.shape[-2],
        ):
            return keras.ops.convert_to_numpy(layer.kernel).astype(np.float32)
    raise ValueError(f"{name!r} has no 2-D or 3-D convolution whose filters could be shown")
