"""Cut a network behind any of its layers, or where its features are; two-stream networks behind that of each stream.

``"features"`` is what the classifier sees: the map in front of the dropout, 1024 channels in the networks of this
package that are built on Inception-v1. Every other end point is the name of a layer.
"""

from __future__ import annotations

import difflib
from typing import Any

import keras

from keras_i3d.models import architecture
from keras_i3d.models.features import call_of, split
from keras_i3d.models.networks import inputs_of
from keras_i3d.streams import BOTH, CHANNELS

FEATURES = "features"
SHOWN = 24  # names of layers that a message lists


def until(network: keras.Model, endpoint: str = FEATURES) -> keras.Model:
    """Return the part of a network up to an end point; it shares the network's layers.

    Args:
        network: A functional model whose inputs are named after their streams.
        endpoint: ``"features"``, or the name of a layer. Of a network with nested streams, a layer that these have is
            taken of each of them, and one that only the whole has is taken of that.

    Returns:
        A model of the same inputs whose outputs are a dict by stream, ``"both"`` for what is of both.

    Raises:
        ValueError: The network has no such end point; the message has those that it has.
    """
    if not isinstance(endpoint, str) or endpoint in CHANNELS:  # those are the inputs
        raise ValueError(_unknown(network, endpoint))
    if endpoint == FEATURES:
        found = split(network)[0].output
    else:
        found = _of_streams(network, endpoint) or _of_whole(network, endpoint)
    if not isinstance(found, dict):
        found = {_stream_of(network): found}
    outputs = {name.removesuffix("_stream"): tensor for name, tensor in found.items()}
    return keras.Model(inputs_of(network), outputs, name=f"{network.name}_until_{endpoint}")


def names(network: keras.Model) -> tuple[str, ...]:
    """Return the end points that a network has: ``"features"`` first where it has a classifier behind a dropout."""
    found: dict[str, None] = {}
    for layer in [layer for stream in _nested(network) for layer in stream.layers] + network.layers:
        if not isinstance(layer, keras.Model) and layer.name not in CHANNELS:
            found[layer.name] = None
    try:
        split(network)
    except ValueError:
        return tuple(found)
    return (FEATURES, *found)


def _of_streams(network: keras.Model, endpoint: str) -> dict[str, Any]:
    """Return the tensors of a layer that nested streams have, by their names."""
    having = [stream for stream in _nested(network) if any(layer.name == endpoint for layer in stream.layers)]
    return {
        stream.name: keras.Model(stream.inputs, stream.get_layer(endpoint).output)(
            call_of(network, stream).input_tensors[0]
        )
        for stream in having
    }


def _of_whole(network: keras.Model, endpoint: str) -> Any:
    if all(layer.name != endpoint for layer in network.layers):
        raise ValueError(_unknown(network, endpoint))
    output = network.get_layer(endpoint).output
    if isinstance(output, list | tuple | dict):
        raise ValueError(f"layer {endpoint!r} gives several arrays; an end point gives one")
    return output


def _nested(network: keras.Model) -> list[keras.Model]:
    return [layer for layer in network.layers if isinstance(layer, keras.Model)]


def _stream_of(network: keras.Model) -> str:
    return BOTH if _nested(network) or len(network.inputs) > 1 else network.inputs[0].name


def _unknown(network: keras.Model, endpoint: str) -> str:
    known = names(network)
    usual = [name for name in known if name in (FEATURES, *architecture.END_POINTS)] or list(known)
    more = len(known) - len(usual[:SHOWN])
    listed = ", ".join(usual[:SHOWN]) + (f", and the names of {more} more layers" if more else "")
    close = difflib.get_close_matches(str(endpoint), known, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"network {network.name!r} has no end point {endpoint!r}{hint}; it has {listed}"
