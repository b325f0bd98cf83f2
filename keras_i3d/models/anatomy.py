"""What a network costs and what it sees: parameters, FLOPs, memory of a training step, receptive fields.

All is told from the graph and its shapes; nothing is run. Any Keras functional model will do that is made of this
package's layers and Keras's usual ones; nested models are walked into, and their layers are named
``outer/inner``, such as ``rgb_stream/Mixed_3b``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from keras_i3d.models.layers import BatchNormLSTM, SamePadding3D, ShrinkingAveragePooling, StackFrames

FLOAT32 = 4  # bytes
# Maps of the largest kind that the backward pass holds at once, beside what it keeps of the forward pass: the
# gradient of a batch norm needs several. Fitted to measurements, see `training_memory`.
IN_FLIGHT = 4.5
OPTIMISER_SLOTS = {"sgd": 1, "adam": 2}  # values that training keeps beside each weight; sgd with momentum

_CONVOLUTIONS = (
    *(layers.Conv1D, layers.Conv2D, layers.Conv3D),
    *(layers.DepthwiseConv1D, layers.DepthwiseConv2D, layers.SeparableConv1D, layers.SeparableConv2D),
)
_MAX_POOLS = (layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D)
_POOLS = (*_MAX_POOLS, layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D)
_MULTIPLYING = (*_CONVOLUTIONS, layers.Dense, BatchNormLSTM)
_MATRICES = ("kernel", "depthwise_kernel", "pointwise_kernel", "recurrent_kernel")
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


@dataclass(frozen=True, eq=False)
class Tensor:
    """A value of the graph; two of them are the same only if they are one object.

    Attributes:
        shape: Without the batch.
    """

    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of values of one clip."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Step:
    """One application of a layer.

    Attributes:
        name: Of the layer, behind those of the models that it is nested in.
        layer: The layer, or another operation of Keras.
        inputs: What it takes.
        outputs: What it gives.
    """

    name: str
    layer: Any
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


@dataclass(frozen=True)
class Graph:
    """A functional model, flattened.

    Attributes:
        inputs: By the names of the Input layers.
        steps: In an order in which they can be run.
    """

    inputs: Mapping[str, Tensor]
    steps: tuple[Step, ...]


def graph(model: keras.Model, input_shapes: Mapping[str, tuple[int, ...]] | None = None) -> Graph:
    """Return the layers of a functional model with the shapes of what flows between them.

    Args:
        model: A functional model; nested ones are taken apart.
        input_shapes: By the names of the Input layers, without the batch; needed where the model leaves an axis
            open.

    Raises:
        ValueError: The model is not functional, an axis is unknown, or an input has another name or shape.
    """
    if not isinstance(model, keras.Model) or not hasattr(model, "_nodes_by_depth"):
        raise ValueError(f"only a functional Keras model can be taken apart, got {type(model).__name__}")
    for layer in model._flatten_layers(include_self=False):
        if getattr(layer, "data_format", None) == "channels_first":
            raise ValueError(f"layer {layer.name!r} has its channels first; only channels last can be taken apart")
    own = {tensor.name: tuple(tensor.shape[1:]) for tensor in model.inputs}
    shapes = own | dict(input_shapes or {})
    for name, shape in shapes.items():
        if name not in own:
            raise ValueError(f"the model has no input {name!r}; its inputs are {', '.join(own)}")
        fits = len(shape) == len(own[name]) and all(
            wanted in (None, size) for wanted, size in zip(own[name], shape, strict=True)
        )
        if None in shape or not fits:
            raise ValueError(
                f"input {name!r} of shape {own[name]} needs a shape that fits it, all axes known; got {tuple(shape)}"
            )
    inputs = {name: Tensor(tuple(shape)) for name, shape in shapes.items()}
    steps: list[Step] = []
    _walk(model, list(inputs.values()), "", steps)
    return Graph(inputs, tuple(steps))


def _walk(model: keras.Model, given: list[Tensor], prefix: str, steps: list[Step]) -> list[Tensor]:
    """Append the steps of a model that is applied to `given`, and return what it gives."""
    known = {id(symbol): tensor for symbol, tensor in zip(model.inputs, given, strict=True)}
    nodes = model._nodes_by_depth
    for node in (node for depth in sorted(nodes, reverse=True) for node in nodes[depth] if not node.is_input):
        inputs = [known[id(symbol)] for symbol in node.input_tensors]
        name = f"{prefix}{node.operation.name}"
        if hasattr(node.operation, "_nodes_by_depth"):
            outputs = _walk(node.operation, inputs, f"{name}/", steps)
        else:
            specs = {
                id(symbol): keras.KerasTensor((1, *tensor.shape), dtype=symbol.dtype)
                for symbol, tensor in zip(node.input_tensors, inputs, strict=True)
            }
            arguments, options = node.arguments.fill_in(specs)
            given_back = keras.tree.flatten(node.operation.compute_output_spec(*arguments, **options))
            outputs = [Tensor(tuple(spec.shape[1:])) for spec in given_back]
            steps.append(Step(name, node.operation, tuple(inputs), tuple(outputs)))
        known.update((id(symbol), tensor) for symbol, tensor in zip(node.outputs, outputs, strict=True))
    return [known[id(symbol)] for symbol in model.outputs]


def parameters(model: keras.Model) -> tuple[int, int]:
    """Return the numbers of trainable and of all parameters (states of random generators are none)."""
    trainable = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    return trainable, trainable + sum(math.prod(weight.shape) for weight in model.non_trainable_weights)


def flops(model: keras.Model, input_shapes: Mapping[str, tuple[int, ...]] | None = None) -> int:
    """Return the floating-point operations of one clip, or image.

    Those of convolutions, dense layers and the matrices of the LSTM; a multiply-add counts as two. Papers that
    count it as one, such as Xie et al. 2018, give half of this. Padding is multiplied too, as implementations do.

    Args:
        model: A functional model.
        input_shapes: As in `graph`.

    Raises:
        ValueError: As `graph` does, or the model holds a layer that is not known here.
    """
    return sum(_flops(step) for step in graph(model, input_shapes).steps)


def _flops(step: Step) -> int:
    layer = step.layer
    positions = math.prod(step.outputs[0].shape[:-1])
    if isinstance(layer, _MULTIPLYING):
        matrices = [getattr(layer, name).shape for name in _MATRICES if hasattr(layer, name)]
        return 2 * positions * sum(math.prod(shape) for shape in matrices)
    unknown = [weight.path for weight in getattr(layer, "weights", ()) if len(weight.shape) > 1]
    if unknown:
        raise ValueError(f"the FLOPs of layer {step.name!r} ({type(layer).__name__}, with {unknown[0]}) are not known")
    return 0


@dataclass(frozen=True)
class TrainingMemory:
    """The estimated memory of a training step in float32, in bytes.

    Attributes:
        fixed: Of the weights, their gradients and what the optimiser keeps of each.
        per_clip: Of a clip, what the backward pass needs of its forward pass, and the gradients in flight.
    """

    fixed: int
    per_clip: int

    def total(self, clips: int) -> int:
        """Return the bytes of a step of so many clips."""
        return self.fixed + clips * self.per_clip


def training_memory(
    model: keras.Model, input_shapes: Mapping[str, tuple[int, ...]] | None = None, *, optimiser: str = "sgd"
) -> TrainingMemory:
    """Estimate the memory of a training step in float32 from the shapes.

    Kept for the backward pass are the inputs of the network, of its convolutions, dense layers and batch norms, the
    outputs of its activations, and both of its max pools; gradients in flight are taken as `IN_FLIGHT` times the
    largest of these. Not counted: what the program takes without training (TensorFlow about .6 GB when imported, .3
    to .5 more with a compiled step), and the workspace of a GPU's convolutions.

    On TensorFlow 2.21's CPU the peak resident memory rose by a clip as follows, in MB (estimated): I3D 16x112x112
    107 (91), I3D 32x224x224 680 (728), 3D-ConvNet 399 (387), Two-Stream 93 (96), Inception-v1 on images 56 (51).

    Args:
        model: A functional model.
        input_shapes: As in `graph`.
        optimiser: ``"sgd"`` (with momentum) or ``"adam"``.

    Raises:
        ValueError: As `graph` does, or the optimiser is unknown.
    """
    if optimiser not in OPTIMISER_SLOTS:
        raise ValueError(f"unknown optimiser {optimiser!r}; known: {', '.join(OPTIMISER_SLOTS)}")
    trainable, total = parameters(model)
    whole = graph(model, input_shapes)
    kept = set(whole.inputs.values())
    for step in whole.steps:
        kept.update(_kept(step))
    fixed = total + trainable * (1 + OPTIMISER_SLOTS[optimiser])
    sizes = [tensor.size for tensor in kept]
    return TrainingMemory(FLOAT32 * fixed, round(FLOAT32 * (sum(sizes) + IN_FLIGHT * max(sizes))))


def _kept(step: Step) -> tuple[Tensor, ...]:
    """Return what the backward pass of a layer needs."""
    layer = step.layer
    if isinstance(layer, (*_MULTIPLYING, layers.BatchNormalization, layers.Multiply)):
        return step.inputs
    if isinstance(layer, _MAX_POOLS):
        return (*step.inputs, *step.outputs)
    if isinstance(layer, layers.Activation | layers.ReLU | layers.Dropout):
        return step.outputs
    return ()


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

    def behind(self, window: tuple[int, ...], strides: tuple[int, ...], *, first_axis: int = 0) -> Sight:
        """Return what a window over neighbouring positions sees, for the axes from `first_axis` on."""
        reach, stride = list(self.reach), list(self.stride)
        for axis, (size, step) in enumerate(zip(window, strides, strict=True), start=first_axis):
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
    layer, first_axis = step.layer, 0
    if isinstance(layer, layers.TimeDistributed):
        layer, first_axis = layer.layer, 1
    if isinstance(layer, _CONVOLUTIONS):
        window = ((size - 1) * rate + 1 for size, rate in zip(layer.kernel_size, layer.dilation_rate, strict=True))
        return sight.behind(tuple(window), layer.strides, first_axis=first_axis)
    if isinstance(layer, ShrinkingAveragePooling):
        window = tuple(min(pair) for pair in zip(layer.pool_size, step.inputs[0].shape, strict=False))
        return sight.behind(window, (1,) * len(window), first_axis=first_axis)
    if isinstance(layer, _POOLS):
        return sight.behind(layer.pool_size, layer.strides, first_axis=first_axis)
    if isinstance(layer, StackFrames):
        return sight.behind((layer.frames,), (layer.frames,))
    if isinstance(layer, BatchNormLSTM):
        return sight.all_of((0,))
    if isinstance(layer, _LOOKS_EVERYWHERE):
        return sight.all_of(tuple(range(first_axis, len(sight.reach))))
    if type(layer).__name__ in ("Mean", "Max"):  # keras.ops.mean and max, whose classes have no public name
        rank = len(step.inputs[0].shape) + 1
        return sight.all_of(tuple(axis % rank - 1 for axis in (range(rank) if layer.axis is None else layer.axis)))
    if isinstance(layer, _POINTWISE) or not any(sight.reach):  # what sees all cannot see more
        return sight
    raise ValueError(f"the receptive field of layer {step.name!r} ({type(layer).__name__}) is not known")
