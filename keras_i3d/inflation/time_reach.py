"""Which time steps of a 3-D network's maps the zeros beyond the clip's two ends do not reach.

Reckoned from the graph: every step of every tensor is clean or not. The input is clean; a step that looks at a zero
put before the first or after the last step, or at a step that is not clean, is not. Pools disregard their padding,
and edge padding repeats what is there, so both leave clean what is clean. A layer of a kind that is not listed
makes no step clean.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers

from keras_i3d.inflation import network as networks
from keras_i3d.layers import SamePadding3D, ShrinkingAveragePooling

_POOLS = (layers.MaxPooling3D, layers.AveragePooling3D)
_GLOBAL_POOLS = (layers.GlobalAveragePooling3D, layers.GlobalMaxPooling3D)
_STEP_BY_STEP = (
    *(*networks.POINTWISE, *networks.BY_AXIS, layers.SpatialDropout3D),
    *(layers.ZeroPadding3D, layers.Cropping3D, layers.UpSampling3D, layers.Reshape),
)


def clean_steps(model: keras.Model, frames: int) -> dict[str, np.ndarray]:
    """Tell for each layer of a network of one input which of its time steps are clean.

    Args:
        model: A functional network of videos.
        frames: Length of the clip, at least 1.

    Returns:
        By layer name, a bool array of shape (steps,); of one step for a layer without a time axis, whose step is
        clean where all that it is made of is. Layers behind one of an unknown kind are left out.
    """
    return {name: steps for name, steps in _walk(model, np.ones(frames, bool)).items() if steps is not None}


def _walk(model: keras.Model, clip: np.ndarray) -> dict[str, np.ndarray | None]:
    known: dict[int, np.ndarray | None] = {id(tensor): clip for tensor in model.inputs}
    found: dict[str, np.ndarray | None] = {}
    for operation in model.operations:
        for node in operation._inbound_nodes:  # keras has no public way to walk a graph
            if not node.input_tensors:
                found[operation.name] = clip
            elif all(id(tensor) in known for tensor in node.input_tensors):
                inputs = [known[id(tensor)] for tensor in node.input_tensors]
                result = None if any(steps is None for steps in inputs) else _after(operation, inputs)
                known |= {id(tensor): result for tensor in node.outputs}
                found[operation.name] = result
    return found


def _after(layer: Any, inputs: list[np.ndarray]) -> np.ndarray | None:
    """Return the clean steps of a layer's output, or None where they are not known."""
    steps = _together(inputs)
    if steps is None:
        return None
    if isinstance(layer, keras.Model):
        return _walk(layer, steps).get(layer.outputs[0]._keras_history.operation.name)
    if isinstance(layer, layers.Conv3D):
        return _windows(steps, layer, "zeros" if layer.padding == "same" else "none")
    if isinstance(layer, _POOLS):
        return _windows(steps, layer, "edge" if layer.padding == "same" else "none")
    if isinstance(layer, ShrinkingAveragePooling):
        window = min(layer.pool_size[0], len(steps))
        return _all_in_windows(steps, window, 1)
    if isinstance(layer, SamePadding3D):
        return _padded(steps, layer.window[0], layer.strides[0], layer.time)
    if isinstance(layer, _GLOBAL_POOLS):
        return steps.all(keepdims=True)
    if isinstance(layer, _STEP_BY_STEP):
        return _cut_or_stretched(layer, steps)
    return None


def _together(inputs: list[np.ndarray]) -> np.ndarray | None:
    """Return the steps that are clean in all inputs; one step goes with any number, as in a gate."""
    if len({len(steps) for steps in inputs} - {1}) > 1:
        return None
    return np.logical_and.reduce(np.broadcast_arrays(*inputs))


def _windows(steps: np.ndarray, layer: layers.Layer, padding: str) -> np.ndarray:
    size = layer.kernel_size if isinstance(layer, layers.Conv3D) else layer.pool_size
    window = (size[0] - 1) * getattr(layer, "dilation_rate", (1,))[0] + 1
    return _all_in_windows(_padded(steps, window, layer.strides[0], padding), window, layer.strides[0])


def _padded(steps: np.ndarray, window: int, stride: int, padding: str) -> np.ndarray:
    """Pad as SAME does: ``"zeros"`` are not clean, ``"edge"`` is as the first and the last step."""
    if padding == "none":
        return steps
    missing = max((-(-len(steps) // stride) - 1) * stride + window - len(steps), 0)
    pads = (missing // 2, missing - missing // 2)
    return np.pad(steps, pads, mode="edge") if padding == "edge" else np.pad(steps, pads, constant_values=False)


def _all_in_windows(steps: np.ndarray, window: int, stride: int) -> np.ndarray:
    return np.array([steps[i : i + window].all() for i in range(0, len(steps) - window + 1, stride)], bool)


def _cut_or_stretched(layer: layers.Layer, steps: np.ndarray) -> np.ndarray:
    if isinstance(layer, layers.ZeroPadding3D):
        return np.pad(steps, layer.padding[0], constant_values=False)
    if isinstance(layer, layers.Cropping3D):
        before, after = layer.cropping[0]
        return steps[before : len(steps) - after]
    if isinstance(layer, layers.UpSampling3D):
        return np.repeat(steps, layer.size[0])
    return steps
