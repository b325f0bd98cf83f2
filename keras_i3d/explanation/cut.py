"""Cut a network in two at the map of a layer, so that gradients of its classes by that map can be taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras

from keras_i3d.models.features import call_of
from keras_i3d.models.networks import inputs_of
from keras_i3d.streams import BOTH

MAP_RANK = 5  # batch, time, height, width, channels


def cut(network: keras.Model, layer: str) -> tuple[keras.Model, keras.Model, tuple[str, ...]]:
    """Return the two halves of a network at a layer, and the streams whose maps lie between them.

    Args:
        network: A functional model that ends in the layers ``Logits`` and, usually, ``Predictions``; where its streams
            are nested models, named such as ``rgb_stream``, the layer is looked for in each.
        layer: Whose output is a map (batch, time, height, width, channels) that all evidence passes through, such as
            ``"Mixed_5c"``.

    Returns:
        The body, from the network's inputs to a list of maps; the head, from that list to the logits; and for each map
        the name of its stream: ``"rgb"``, ``"flow"``, or ``"both"`` behind where two streams were joined.

    Raises:
        ValueError: There is no such layer, or part of the evidence goes around it; the message names those that fit.
    """
    halves = _at(network, layer)
    if halves is None:
        fitting = [name for name in end_points(network) if _at(network, name) is not None]
        raise ValueError(
            f"network {network.name!r} has no layer {layer!r} with a map over time and space that all evidence passes "
            f"through; it has {', '.join(fitting) or 'none'}"
        )
    return halves


def end_points(network: keras.Model) -> list[str]:
    """Return the layers with a map over time and space, nested ones too, but for those inside of blocks (``a__b``)."""
    found = (layer.name for layer in _layers(network) if _has_map(layer) and "__" not in layer.name)
    return list(dict.fromkeys(found))


def _layers(network: keras.Model) -> Iterator[Any]:
    for layer in network.layers:
        yield from _layers(layer) if isinstance(layer, keras.Model) else (layer,)


def _has_map(layer: Any) -> bool:
    is_called = bool(layer._inbound_nodes) and not isinstance(layer, keras.layers.InputLayer)
    return is_called and isinstance(layer.output, keras.KerasTensor) and len(layer.output.shape) == MAP_RANK


def _map_of(network: keras.Model, name: str) -> Any:
    """Return the map of a layer of the network itself, None where there is none."""
    return next((layer.output for layer in network.layers if layer.name == name and _has_map(layer)), None)


def _at(network: keras.Model, layer: str) -> tuple[keras.Model, keras.Model, tuple[str, ...]] | None:
    logits = network.get_layer("Logits").output
    try:
        if (own := _map_of(network, layer)) is not None:
            stream = network.inputs[0].name if len(network.inputs) == 1 else BOTH
            body = keras.Model(inputs_of(network), [own], name=f"{network.name}_body")
            return body, keras.Model([own], logits, name=f"{network.name}_head"), (stream,)
        streams = [part for part in network.layers if isinstance(part, keras.Model)]
        maps = [_map_of(stream, layer) for stream in streams]
        if not streams or any(found is None for found in maps):
            return None
        return _at_nested(network, logits, streams, maps)
    except ValueError:  # Keras says that the graph is disconnected
        return None


def _at_nested(
    network: keras.Model, logits: Any, streams: list[keras.Model], maps: list[Any]
) -> tuple[keras.Model, keras.Model, tuple[str, ...]]:
    calls = [call_of(network, stream) for stream in streams]
    pairs = list(zip(streams, maps, strict=True))
    bodies = [keras.Model(stream.inputs, found, name=f"{stream.name}_body") for stream, found in pairs]
    heads = [_rest_of(stream, found) for stream, found in pairs]
    inputs = [keras.Input(found.shape[1:], name=stream.name) for stream, found in pairs]
    rest = keras.Model([call.outputs[0] for call in calls], logits, name=f"{network.name}_sum")
    outputs = [body(call.input_tensors[0]) for body, call in zip(bodies, calls, strict=True)]
    return (
        keras.Model(inputs_of(network), outputs, name=f"{network.name}_body"),
        keras.Model(
            inputs, rest([head(x) for head, x in zip(heads, inputs, strict=True)]), name=f"{network.name}_head"
        ),
        tuple(stream.name.removesuffix("_stream") for stream in streams),
    )


def _rest_of(stream: keras.Model, found: Any) -> Callable[[Any], Any]:
    """Return what a stream does behind a map, which may be nothing."""
    if found is stream.output:
        return lambda x: x
    return keras.Model(found, stream.output, name=f"{stream.name}_head")
