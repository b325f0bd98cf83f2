"""Where on a video the positions of a network's maps lie, told from the graph.

SAME padding is not symmetric, so that the middle of what a position sees is not the middle of the cell that the map
would have if it were stretched over the input: of 64 frames through I3D, the first of Mixed_5c's eight steps looks at
frame 5, not 3.5, and of 224 pixels its first column at 23, not 15.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import keras
from keras import layers

from keras_i3d.layers import SamePadding3D, ShrinkingAveragePooling, StackFrames
from keras_i3d.models.graph import CONVOLUTIONS, Step, Tensor, graph
from keras_i3d.protocol import Frames

_POOLS = (
    *(layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D),
    *(layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D),
)
_ZEROS = (layers.ZeroPadding2D, layers.ZeroPadding3D)


@dataclass(frozen=True)
class Positions:
    """Where the positions along one axis of a map lie: the middle of what each sees.

    Attributes:
        first: Of the first position, in frames or pixels from the middle of the input's first one.
        stride: From one to the next.
        count: How many there are.
    """

    first: float
    stride: float
    count: int

    def all(self) -> list[float]:
        """Return the place of every position."""
        return [self.first + self.stride * index for index in range(self.count)]


Axes = tuple[Positions, ...]


def positions(
    model: keras.Model,
    input_shapes: Mapping[str, tuple[int, ...]] | None = None,
    taken: Mapping[str, Frames] | None = None,
) -> list[tuple[Positions, ...]]:
    """Return where the positions of a model's outputs lie, for each axis between batch and channels.

    Args:
        model: A functional model.
        input_shapes: As in `keras_i3d.models.graph.graph`.
        taken: Which frames of the video the inputs are, by name, so that places in time are frames of the video; by
            default every frame.

    Returns:
        In the order of the outputs. Where branches are joined, the branch with the larger map tells. Behind a layer
        that is not known here the positions are spread evenly over the input.

    Raises:
        ValueError: As `graph` does.
    """
    whole = graph(model, input_shapes)
    known: dict[Tensor, Axes | None] = {
        tensor: _every_one(tensor, (taken or {}).get(name, Frames())) for name, tensor in whole.inputs.items()
    }
    for step in whole.steps:
        places = [known[tensor] for tensor in step.inputs]
        behind = _behind(step, max(zip(places, step.inputs, strict=True), key=lambda pair: pair[1].size)[0])
        known.update(dict.fromkeys(step.outputs, behind))
    largest = max(whole.inputs.values(), key=lambda tensor: tensor.size)
    return [known[tensor] or _spread(tensor, known[largest]) for tensor in whole.outputs]


def _every_one(tensor: Tensor, frames: Frames) -> Axes:
    time, *space = tensor.shape[:-1]
    return (Positions(frames.offset, frames.step, time), *(Positions(0, 1, count) for count in space))


def _spread(tensor: Tensor, over: Axes) -> Axes:
    found = []
    for count, axis in zip(tensor.shape[:-1], over, strict=False):
        stride = axis.stride * axis.count / count
        found.append(Positions(axis.first + (stride - axis.stride) / 2, stride, count))
    return tuple(found)


def _behind(step: Step, axes: Axes | None) -> Axes | None:
    """Return where the positions of a step's output lie, None where that is not known."""
    layer, shape = step.layer, step.outputs[0].shape
    if axes is None or len(shape) != len(axes) + 1:
        return None
    windows, strides, before = (1,) * len(axes), (1,) * len(axes), (0,) * len(axes)
    if isinstance(layer, CONVOLUTIONS):
        windows = tuple(
            (size - 1) * rate + 1 for size, rate in zip(layer.kernel_size, layer.dilation_rate, strict=True)
        )
        strides = layer.strides
    elif isinstance(layer, _POOLS):
        windows, strides = layer.pool_size, layer.strides
    elif isinstance(layer, ShrinkingAveragePooling):
        windows = tuple(min(pair) for pair in zip(layer.pool_size, step.inputs[0].shape, strict=False))
    elif isinstance(layer, StackFrames):
        windows = strides = (layer.frames, *windows[1:])
    elif isinstance(layer, SamePadding3D):
        before = tuple((size - axis.count) // 2 for size, axis in zip(shape, axes, strict=False))
    elif isinstance(layer, _ZEROS):
        before = tuple(sides[0] for sides in layer.padding)
    elif shape[:-1] != tuple(axis.count for axis in axes):
        return None
    if getattr(layer, "padding", None) == "same":
        before = tuple(
            max((count - 1) * stride + window - axis.count, 0) // 2
            for count, stride, window, axis in zip(shape, strides, windows, axes, strict=False)
        )
    return tuple(
        Positions(axis.first + axis.stride * ((window - 1) / 2 - left), axis.stride * stride, count)
        for axis, window, stride, left, count in zip(axes, windows, strides, before, shape, strict=False)
    )
