"""What one position of a network's maps sees of the input, told from the graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import keras
from keras import layers

from keras_i3d.layers import BatchNormLSTM, SamePadding3D, ShrinkingAveragePooling, StackFrames
from keras_i3d.models.graph import CONVOLUTIONS, Step, Tensor, graph

_POOLS = (
    *(layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D),
    *(layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D),
)
_LOOKS_EVERYWHERE = (
    *(layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D, layers.GlobalAveragePooling3D),
    *(layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D, layers.GlobalMaxPooling3D),
    layers.Flatten,
)
# These give every position what they find there, in one input or in several.
_POINTWISE = (
    *(layers.Activation, layers.ReLU, layers.Softmax, layers.BatchNormalization, layers.Dropout, layers.Rescaling),
    *(layers.Concatenate, layers.Add, layers.Average, layers.Multiply, layers.Dense),
    *(layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D, SamePadding3D),
)


@dataclass(frozen=True)
class Sight:
    """What one position of a map sees of an input.

    Attributes:
        reach: Frames, or pixels, along each axis of the input between batch and channels: (time, height, width)
            of video, (height, width) of an image. None: all of them. Padding counts as seen, so a reach may
            exceed the clip.
        stride: How far the next position's sight is moved along each axis; None behind what sees all.
    """

    reach: tuple[int | None, ...]
    stride: tuple[int | None, ...]

    def behind(self, window: tuple[int, ...], strides: tuple[int, ...]) -> Sight:
        """Return what a window over neighbouring positions sees, along the first axes that it has."""
        reach, stride = list(self.reach), list(self.stride)
        for axis, (size, step) in enumerate(zip(window, strides, strict=True)):
            if reach[axis] is not None:
                reach[axis] += (size - 1) * stride[axis]
            if stride[axis] is not None:
                stride[axis] *= step
        return Sight(tuple(reach), tuple(stride))

    def all_of(self, axes: tuple[int, ...]) -> Sight:
        """Return the sight that has no bound along `axes`."""
        reach = tuple(None if axis in axes else size for axis, size in enumerate(self.reach))
        return Sight(reach, tuple(None if axis in axes else step for axis, step in enumerate(self.stride)))

    def joined(self, other: Sight) -> Sight:
        """Return what two maps see together, position by position."""
        reach = tuple(None if None in pair else max(pair) for pair in zip(self.reach, other.reach, strict=True))
        strides = (
            max((step for step in pair if step is not None), default=None)
            for pair in zip(self.stride, other.stride, strict=True)
        )
        return Sight(reach, tuple(strides))


@dataclass(frozen=True)
class Place:
    """A layer's map.

    Attributes:
        shape: Without the batch.
        sights: What one position sees of every input that it depends on.
    """

    shape: tuple[int, ...]
    sights: dict[str, Sight]


def receptive_fields(model: keras.Model, input_shapes: Mapping[str, tuple[int, ...]] | None = None) -> dict[str, Place]:
    """Return what one position of every layer's map sees of every input that it depends on.

    Args:
        model: A functional model.
        input_shapes: As in `graph`.

    Returns:
        By the names of the layers. Of branches that are joined, the widest sight.

    Raises:
        ValueError: As `graph` does, or a layer is not known here.
    """
    whole = graph(model, input_shapes)
    sights: dict[Tensor, dict[str, Sight]] = {}
    for name, tensor in whole.inputs.items():
        nothing_yet = (1,) * (len(tensor.shape) - 1)
        sights[tensor] = {name: Sight(nothing_yet, nothing_yet)}
    found = {}
    for step in whole.steps:
        joined: dict[str, Sight] = {}
        for tensor in step.inputs:
            for name, sight in sights[tensor].items():
                joined[name] = joined[name].joined(sight) if name in joined else sight
        behind = {name: _sight_behind(step, sight) for name, sight in joined.items()}
        sights.update(dict.fromkeys(step.outputs, behind))
        if isinstance(step.layer, keras.Layer):
            found[step.name] = Place(step.outputs[0].shape, behind)
    return found


def _sight_behind(step: Step, sight: Sight) -> Sight:
    layer = step.layer
    if isinstance(layer, CONVOLUTIONS):
        window = ((size - 1) * rate + 1 for size, rate in zip(layer.kernel_size, layer.dilation_rate, strict=True))
        return sight.behind(tuple(window), layer.strides)
    if isinstance(layer, ShrinkingAveragePooling):
        window = tuple(min(pair) for pair in zip(layer.pool_size, step.inputs[0].shape, strict=False))
        return sight.behind(window, (1,) * len(window))
    if isinstance(layer, _POOLS):
        return sight.behind(layer.pool_size, layer.strides)
    if isinstance(layer, StackFrames):
        return sight.behind((layer.frames,), (layer.frames,))
    if isinstance(layer, BatchNormLSTM):
        return sight.all_of((0,))
    if isinstance(layer, _LOOKS_EVERYWHERE):
        return sight.all_of(tuple(range(len(sight.reach))))
    if type(layer).__name__ in ("Mean", "Max"):  # keras.ops.mean and max, whose classes have no public name
        rank = len(step.inputs[0].shape) + 1
        return sight.all_of(tuple(axis % rank - 1 for axis in (range(rank) if layer.axis is None else layer.axis)))
    if isinstance(layer, _POINTWISE) or not any(sight.reach):  # what sees all cannot see more
        return sight
    raise ValueError(f"the receptive field of layer {step.name!r} ({type(layer).__name__}) is not known")
