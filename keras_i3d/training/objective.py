"""What a network is trained to do: name the class of a clip, or all classes that it shows.

ConvNet+LSTM is trained on the cross-entropy at every step and tested at its last one (Carreira & Zisserman 2017,
section 2.1); every other network on the cross-entropy of its one answer. Clips of several classes (Charades) are
trained by a sigmoid for each class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from keras_i3d.models.networks import inputs_of

ANSWER, STEPS = "Logits", "StepLogits"  # layers


@dataclass(frozen=True)
class Objective:
    """The loss of a run.

    Attributes:
        classes: Number of classes.
        at_every_step: Whether the class is asked for at every step, of a network with a layer ``StepLogits``.
        multi_label: Whether a clip may show several classes; labels are then float32 (batch, classes) of 0 and 1,
            otherwise int64 (batch,).
        label_smoothing: Share of the target that all classes share.
    """

    classes: int
    at_every_step: bool = False
    multi_label: bool = False
    label_smoothing: float = 0.0

    def model(self, network: keras.Model) -> keras.Model:
        """Return the part of a network that is trained: from its inputs to the logits.

        Args:
            network: Has a layer ``Logits``, and ``StepLogits`` where the class is asked for at every step.

        Returns:
            A model that shares the network's layers; its output is float32 (batch, classes), or (batch, steps,
            classes).
        """
        output = network.get_layer(STEPS if self.at_every_step else ANSWER).output
        return keras.Model(inputs_of(network), output, name=network.name)

    def answers(self, outputs: Any) -> Any:
        """Return the logits that tests take, float32 (batch, classes): those of the last step."""
        outputs = tf.cast(outputs, tf.float32)
        return outputs[:, -1] if self.at_every_step else outputs

    def losses(self, outputs: Any, labels: Any) -> Any:
        """Return the loss of each clip, float32 (batch,).

        Args:
            outputs: What the model gives.
            labels: As in the attributes.
        """
        targets = labels if self.multi_label else tf.one_hot(labels, self.classes)
        share = self.label_smoothing
        if self.multi_label:
            losses = self._sigmoid_losses(tf.cast(outputs, tf.float32), targets * (1 - share) + share / 2)
        else:
            targets = targets * (1 - share) + share / self.classes
            if self.at_every_step:
                targets = tf.repeat(targets[:, tf.newaxis], tf.shape(outputs)[1], axis=1)
            losses = tf.nn.softmax_cross_entropy_with_logits(targets, tf.cast(outputs, tf.float32))
        return tf.reduce_mean(losses, axis=1) if self.at_every_step else losses

    def _sigmoid_losses(self, outputs: Any, targets: Any) -> Any:
        if self.at_every_step:
            targets = tf.repeat(targets[:, tf.newaxis], tf.shape(outputs)[1], axis=1)
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(targets, outputs), axis=-1)

    def right(self, outputs: Any, labels: Any) -> Any:
        """Return for each clip 1 where its best class is right (is one of its classes), else 0, float32 (batch,)."""
        best = tf.argmax(self.answers(outputs), axis=1)
        if self.multi_label:
            return tf.gather(labels, best, batch_dims=1)
        return tf.cast(tf.equal(best, labels), tf.float32)
