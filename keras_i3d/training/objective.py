"""What a network is trained to do: name the class of a clip, at its end or at every step of it.

ConvNet+LSTM is trained on the cross-entropy at every step and tested at its last one (Carreira & Zisserman 2017,
section 2.1); every other network on the cross-entropy of its one answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from keras_i3d.models.networks import inputs_of
from keras_i3d.protocol import Protocol

ANSWER, STEPS = "Predictions", "StepLogits"  # layers


def compiled(network: keras.Model, optimiser: keras.Optimizer, protocol: Protocol) -> keras.Model:
    """Return the network ready for Keras's ``fit``.

    Args:
        network: Ends in the layer ``Predictions``; has a layer ``StepLogits`` where the protocol asks for a
            class at every step.
        optimiser: Of this run.
        protocol: Of the network.
    """
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="top1")
    if not protocol.loss_at_every_step:
        network.compile(optimiser, keras.losses.SparseCategoricalCrossentropy(), metrics=[accuracy])
        return network
    outputs = {name: network.get_layer(name).output for name in (ANSWER, STEPS)}
    model = keras.Model(inputs_of(network), outputs, name=network.name)
    loss = {ANSWER: None, STEPS: keras.losses.SparseCategoricalCrossentropy(from_logits=True)}
    model.compile(optimiser, loss, metrics={ANSWER: [accuracy], STEPS: []})
    return model


def finished(model: keras.Model) -> keras.Model:
    """Return the network of a model that `compiled` made, without its optimiser and with one output."""
    names = [layer.name for layer in model.layers]
    output = model.get_layer(ANSWER).output if STEPS in names else model.outputs[0]
    return keras.Model(inputs_of(model), output, name=model.name)


def targets(labels: Any, protocol: Protocol, frames: int) -> Any:
    """Return what the outputs of a compiled model are compared with.

    Args:
        labels: int tensor of shape (batch,).
        protocol: Of the network.
        frames: Consecutive frames of the video that a clip covers.
    """
    if not protocol.loss_at_every_step:
        return labels
    (stream,) = protocol.streams.values()
    steps = tf.repeat(labels[:, tf.newaxis], stream.count(frames), axis=1)
    return {ANSWER: labels, STEPS: steps}


def numbers(logs: Mapping[str, Any] | None) -> dict[str, float]:
    """Return the loss and the accuracy of Keras's logs, by the names that they have for every network."""
    values = {}
    for name, value in (logs or {}).items():
        plain = name.replace(f"{ANSWER}_", "")
        if plain.removeprefix("val_") in ("loss", "top1"):
            values[plain] = float(value)
    return values
