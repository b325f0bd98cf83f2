"""Copies of a network that compute otherwise: with the same layer names and the same values.

Keras fixes what a layer computes in when it is made, so a network in another dtype policy is a copy of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import layers

from keras_i3d.layers import BatchNormLSTM
from keras_i3d.models.graph import Graph, graph

RANDOM_STATE = "seed_generator_state"


def with_settings(network: keras.Model, changes: Mapping[int, Mapping[str, Any]]) -> keras.Model:
    """Return a copy of a network, nested ones too, with some layers of other settings.

    Args:
        network: A functional model.
        changes: What of the configuration of a layer is another, by the layer's id; not what its variables are.
    """
    copy = cloned(network, lambda layer: type(layer).from_config(layer.get_config() | dict(changes.get(id(layer), {}))))
    copy_values(network, copy)
    return copy


def cloned(network: keras.Model, replaced: Callable[[layers.Layer], layers.Layer]) -> keras.Model:
    """Return a network of other layers, nested ones too, whose weights are new; plain functions of tensors stay.

    Args:
        network: A functional model.
        replaced: Returns the layer in the place of another.
    """

    def copied(operation: Any) -> Any:
        return replaced(operation) if isinstance(operation, layers.Layer) else operation

    def called(operation: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(operation, layers.Identity):
            options.pop("mask", None)  # which batch norm, in whose place one may stand, takes
        return operation(*arguments, **options)

    return keras.models.clone_model(network, clone_function=copied, call_function=called, recursive=True)


def under_policy(
    network: keras.Model, policy: str, input_shapes: Mapping[str, tuple[int, ...]] | None = None
) -> keras.Model:
    """Return a copy of a network that computes by a dtype policy, but for those `kept_in_float32`.

    Args:
        network: A functional model, built in float32.
        policy: Of Keras, such as ``"mixed_bfloat16"``.
        input_shapes: By the names of the inputs, without the batch; needed where the network leaves an axis open.

    Raises:
        ValueError: The network is not functional; a shape is missing or wrong.
    """
    whole = graph(network, input_shapes)
    exact = kept_in_float32(whole)
    chosen = (
        step.layer for step in whole.steps if isinstance(step.layer, layers.Layer) and id(step.layer) not in exact
    )
    return with_settings(network, {id(layer): {"dtype": policy} for layer in chosen})


def copy_values(source: keras.Model, target: keras.Model) -> None:
    """Copy the values of all variables, the states of random generators too, into a copy of a network.

    Raises:
        ValueError: The variables differ in number, name or shape; nothing is copied.
    """
    pairs = list(zip(source.variables, target.variables, strict=False))
    if len(source.variables) != len(target.variables):
        raise ValueError(
            f"{target.name!r} has {len(target.variables)} variables, {source.name!r} has {len(source.variables)}; only "
            "copies of one network have each other's values"
        )
    for theirs, ours in pairs:
        if (_name(theirs), tuple(theirs.shape)) != (_name(ours), tuple(ours.shape)):
            raise ValueError(
                f"variable {ours.path} of shape {tuple(ours.shape)} cannot take the value of {theirs.path} of shape "
                f"{tuple(theirs.shape)}"
            )
    for theirs, ours in pairs:
        ours.assign(theirs.value)


def _name(variable: keras.Variable) -> str:
    """Return the path of a variable; Keras numbers random generators anew in every network."""
    return RANDOM_STATE if variable.path.endswith(RANDOM_STATE) else variable.path


def kept_in_float32(whole: Graph) -> set[int]:
    """Return the ids of the layers that no dtype policy changes: LSTM, classifier, and what follows them."""
    consumed = {id(tensor) for step in whole.steps for tensor in step.inputs}
    wanted = {id(tensor) for step in whole.steps for tensor in step.outputs} - consumed
    exact: set[int] = set()
    for step in reversed(whole.steps):
        if wanted.isdisjoint(id(tensor) for tensor in step.outputs):
            continue
        exact.add(id(step.layer))
        if not getattr(step.layer, "weights", ()):
            wanted.update(id(tensor) for tensor in step.inputs)
    given: set[int] = set()  # by an LSTM, or by what only follows one
    for step in whole.steps:
        follows = not getattr(step.layer, "weights", ()) and given.issuperset(id(tensor) for tensor in step.inputs)
        if isinstance(step.layer, BatchNormLSTM) or follows:
            exact.add(id(step.layer))
            given.update(id(tensor) for tensor in step.outputs)
    return exact
