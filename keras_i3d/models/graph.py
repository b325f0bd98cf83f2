"""A Keras functional model as steps with shapes, nested models walked into.

All is told from the graph; nothing is run. Layers of nested models are named ``outer/inner``, such as
``rgb_stream/Mixed_3b``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

CONVOLUTIONS = (
    *(layers.Conv1D, layers.Conv2D, layers.Conv3D),
    *(layers.DepthwiseConv1D, layers.DepthwiseConv2D, layers.SeparableConv1D, layers.SeparableConv2D),
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
        outputs: What the model gives.
    """

    inputs: Mapping[str, Tensor]
    steps: tuple[Step, ...]
    outputs: tuple[Tensor, ...]


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
    outputs = _walk(model, list(inputs.values()), "", steps)
    return Graph(inputs, tuple(steps), tuple(outputs))


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
