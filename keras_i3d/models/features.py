"""Cut a network in two where its features are: in front of the dropout before the classifier.

With the first half kept as it is and the second trained anew, a network becomes the fixed feature extractor of
Carreira & Zisserman 2017, table 4.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from keras_i3d.models.networks import inputs_of


def split(network: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Return the two halves of a network of this package, which share its layers.

    Args:
        network: Ends in a classifier behind a dropout; of two-stream networks each stream may.

    Returns:
        The body, from the network's inputs to its features, and the head, from the features to the network's
        outputs. Where the streams have a classifier each, the features are a dict by stream.

    Raises:
        ValueError: There is no dropout to cut at.
    """
    dropouts = [layer for layer in network.layers if isinstance(layer, layers.Dropout)]
    if dropouts:
        features = dropouts[-1].input
        body = keras.Model(inputs_of(network), features, name=f"{network.name}_body")
        return body, keras.Model(features, network.output, name=f"{network.name}_head")
    streams = [layer for layer in network.layers if isinstance(layer, keras.Model)]
    if not streams:
        raise ValueError(f"network {network.name!r} has no dropout, which its features would lie in front of")
    halves = {stream.name: split(stream) for stream in streams}
    calls = {stream.name: call_of(network, stream) for stream in streams}
    features = {name: body(calls[name].input_tensors[0]) for name, (body, _) in halves.items()}
    inputs = {name: layers.Input(tensor.shape[1:], name=name) for name, tensor in features.items()}
    answers = [head(inputs[name]) for name, (_, head) in halves.items()]
    rest = keras.Model([call.outputs[0] for call in calls.values()], network.output, name=f"{network.name}_sum")
    return (
        keras.Model(inputs_of(network), features, name=f"{network.name}_body"),
        keras.Model(inputs, rest(answers), name=f"{network.name}_head"),
    )


def call_of(network: keras.Model, layer: Any) -> Any:
    """Return the application of a layer that belongs to a network: a nested model has one of its own too."""
    nodes = (node for same_depth in network._nodes_by_depth.values() for node in same_depth)
    return next(node for node in nodes if node.operation is layer)
