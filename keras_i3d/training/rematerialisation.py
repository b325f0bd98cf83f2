"""Compute the inside of a network's blocks again for the gradients, in place of keeping it: less memory, more time.

A block is a run of layers that takes one value and gives one: a convolution or dense layer with its batch norm, or a
Mixed block, and the activations and pools behind it (Chen et al. 2016, Training Deep Nets with Sublinear Memory Cost).
Keras's own ``RematScope`` fails around batch norm on TensorFlow. Here a block is a function without side effects: it
takes its variables as values and gives the moving statistics as results, which are assigned once, outside of what is
computed again. Layers that draw random numbers stay outside of the blocks, so nothing is drawn twice. The gradients of
batch norms on the largest maps would be what takes the most memory then, so they are computed by `batch_norm`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers, ops, tree

from keras_i3d.models.graph import CONVOLUTIONS
from keras_i3d.training import batch_norm

_KERNELS = (*CONVOLUTIONS, layers.Dense)


@dataclass(frozen=True, eq=False)
class _Piece:
    """Consecutive nodes of a functional model.

    Attributes:
        nodes: In an order in which they can be run.
        given: The one symbol that all of what the nodes take comes from; None where there are several.
        result: The one symbol of theirs that is used outside; None where there are several.
    """

    nodes: tuple[Any, ...]
    given: Any = None
    result: Any = None

    @property
    def operations(self) -> list[Any]:
        return [node.operation for node in self.nodes]

    @property
    def is_between_two_values(self) -> bool:
        return self.given is not None and self.result is not None

    @property
    def can_be_repeated(self) -> bool:
        """Whether nothing but batch norms has a state that calls change."""
        return self.is_between_two_values and not any(_has_state(operation) for operation in self.operations)

    @property
    def begins_a_block(self) -> bool:
        return any(isinstance(operation, _KERNELS) for operation in self.operations)

    @property
    def is_block(self) -> bool:
        """Whether to compute it twice; without a batch norm there is little to save."""
        return self.can_be_repeated and any(isinstance(one, layers.BatchNormalization) for one in self.operations)

    def __add__(self, other: _Piece) -> _Piece:
        return _Piece(self.nodes + other.nodes, self.given, other.result)


def rematerialised(network: keras.Model) -> Callable[..., Any]:
    """Return a function that computes as ``network(inputs, training=...)`` and keeps only what goes between blocks.

    Outputs, gradients and moving statistics are the network's own, gradients to float32's rounding. On TensorFlow it
    runs in and out of a ``tf.function``, and in every replica of a distribution strategy.

    Args:
        network: A functional model; nested ones are walked into.

    Returns:
        A function of the inputs, as the network takes them, and ``training`` (True unless said).

    Raises:
        ValueError: The network is not functional, has no block that can be computed again, or adds losses of its own.
    """
    if not blocks(network):
        raise ValueError(f"{network.name!r} has no block with a batch norm that could be computed again")
    regularised = next((layer for layer in network._flatten_layers(recursive=True) if _adds_losses(layer)), None)
    if regularised is not None:
        raise ValueError(f"layer {regularised.name!r} adds a loss, which rematerialisation would lose")
    return _level(network)


def blocks(network: keras.Model) -> tuple[frozenset[str], ...]:
    """Return the names of the layers of each block, as `graph.graph` spells them.

    Raises:
        ValueError: The network is not functional.
    """
    return tuple(_blocks(network, ""))


def _blocks(network: keras.Model, prefix: str) -> Iterator[frozenset[str]]:
    for piece in _pieces(network):
        if piece.is_block:
            yield frozenset(f"{prefix}{operation.name}" for operation in piece.operations)
            continue
        for operation in piece.operations:
            if _is_nested(operation):
                yield from _blocks(operation, f"{prefix}{operation.name}/")


def _level(network: keras.Model) -> Callable[..., Any]:
    """Return the function of one functional model."""
    steps: list[tuple[_Piece, Callable[..., Any] | None]] = []
    inner: dict[int, Callable[..., Any]] = {}
    for piece in _pieces(network):
        steps.append((piece, _repeated(piece) if piece.is_block else None))
        inner |= {id(operation): _level(operation) for operation in piece.operations if _is_nested(operation)}

    def run(inputs: Any, training: bool = True) -> Any:
        values = _values_of_inputs(network, inputs)
        for piece, block in steps:
            if block is None:
                _run(piece.nodes, values, training, inner)
            else:
                values[id(piece.result)] = block(values[id(piece.given)], training)
        outputs = [values[id(symbol)] for symbol in network.outputs]
        return tree.pack_sequence_as(network.output, outputs)

    return run


def _repeated(piece: _Piece) -> Callable[[Any, bool], Any]:
    """Return the function of a block, which computes it again for its gradients."""
    owners = [operation for operation in piece.operations if isinstance(operation, layers.Layer)]
    variables = list({id(one): one for owner in owners for one in owner.variables}.values())

    def run(given: Any, training: bool) -> Any:
        trainable = [variable for variable in variables if variable.trainable]
        others = [(variable, ops.copy(variable)) for variable in variables if not variable.trainable]
        updated = [variable for owner in owners for variable in _moving(owner, training)]

        def compute(given: Any, *weights: Any) -> tuple[Any, ...]:
            with keras.StatelessScope([*zip(trainable, weights, strict=True), *others]) as scope:
                values = {id(piece.given): given}
                _run(piece.nodes, values, training, {})
                statistics = [scope.get_current_value(variable) for variable in updated]
            return (values[id(piece.result)], *statistics)

        # copies, since TensorFlow would count the gradient of a variable that is passed itself twice outside of graphs
        result, *statistics = keras.remat(compute)(given, *map(ops.copy, trainable))
        for variable, value in zip(updated, statistics, strict=True):
            variable.assign(value)
        return result

    return run


def _run(nodes: Sequence[Any], values: dict[int, Any], training: bool, inner: Mapping[int, Callable[..., Any]]) -> None:
    """Run nodes on the values of symbols, by id, and add the values of their outputs."""
    for node in nodes:
        arguments, options = node.arguments.fill_in(values)
        operation = inner.get(id(node.operation))
        if operation is not None:
            outputs = operation(arguments[0], training)
        elif batch_norm.has_a_formula(node.operation, training):
            outputs = batch_norm.normalised(node.operation, arguments[0])
        elif _knows_training(node.operation):
            outputs = node.operation(*arguments, **options | {"training": training})
        else:
            outputs = node.operation(*arguments, **options)
        outputs = tree.flatten(outputs)
        values.update((id(symbol), value) for symbol, value in zip(node.outputs, outputs, strict=True))


def _pieces(network: keras.Model) -> list[_Piece]:
    """Cut a functional model wherever a single value goes on, and join the cuts to blocks."""
    if not hasattr(network, "_nodes_by_depth"):
        raise ValueError(f"only a functional Keras model can be rematerialised, got {type(network).__name__}")
    pieces: list[_Piece] = []
    for piece in _cuts(network):
        last = pieces[-1] if pieces else None
        joins = last is not None and last.can_be_repeated and piece.can_be_repeated
        if joins and last.begins_a_block and not piece.begins_a_block:
            pieces[-1] = last + piece
        else:
            pieces.append(piece)
    return pieces


def _cuts(network: keras.Model) -> Iterator[_Piece]:
    """Yield the nodes between each two places at which a single value goes on."""
    depths = sorted(network._nodes_by_depth, reverse=True)
    nodes = [node for depth in depths for node in network._nodes_by_depth[depth] if not node.is_input]
    last_use = {id(symbol): place for place, node in enumerate(nodes) for symbol in node.input_tensors}
    last_use |= {id(symbol): len(nodes) for symbol in network.outputs}
    alive = {id(symbol): symbol for symbol in network.inputs}
    begin, given = 0, network.inputs[0] if len(network.inputs) == 1 else None
    for place, node in enumerate(nodes):
        alive |= {id(symbol): symbol for symbol in node.outputs}
        alive = {name: symbol for name, symbol in alive.items() if last_use.get(name, -1) > place}
        if len(alive) == 1 or place == len(nodes) - 1:
            result = next(iter(alive.values())) if len(alive) == 1 else None
            yield _Piece(tuple(nodes[begin : place + 1]), given, result)
            begin, given = place + 1, result


def _values_of_inputs(network: keras.Model, inputs: Any) -> dict[int, Any]:
    """Return the values of the input symbols by their ids, in the dtypes of the Input layers."""
    by_name = isinstance(inputs, Mapping)
    found = [inputs[symbol.name] for symbol in network.inputs] if by_name else tree.flatten(inputs)
    return {
        id(symbol): ops.convert_to_tensor(value, dtype=symbol.dtype)
        for symbol, value in zip(network.inputs, found, strict=True)
    }


def _is_nested(operation: Any) -> bool:
    return hasattr(operation, "_nodes_by_depth")


def _has_state(operation: Any) -> bool:
    """Tell whether calls change more of an operation than a batch norm's statistics, such as a random generator."""
    if _is_nested(operation):
        return True
    if not isinstance(operation, layers.Layer) or isinstance(operation, layers.BatchNormalization):
        return False
    weights = {id(variable) for variable in operation._trainable_variables}  # frozen ones too
    return any(id(variable) not in weights for variable in operation.variables)


def _moving(layer: layers.Layer, training: bool) -> list[keras.Variable]:
    if not isinstance(layer, layers.BatchNormalization) or not (training and layer.trainable):
        return []
    return [layer.moving_mean, layer.moving_variance]


def _adds_losses(layer: Any) -> bool:
    if _is_nested(layer):
        return False  # its layers are asked one by one
    regularised = any(getattr(variable, "regularizer", None) is not None for variable in layer.variables)
    return regularised or getattr(layer, "activity_regularizer", None) is not None


def _knows_training(operation: Any) -> bool:
    return isinstance(operation, layers.Layer) and "training" in inspect.signature(operation.call).parameters
