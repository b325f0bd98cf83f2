"""Grad-CAM over time and space: which parts of a clip speak for a class.

Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", equations 1
and 2, with time as a third axis: the map is relu(sum_c a_c A_c) of the map A of a layer, where a_c is the mean over
time and space of the gradient of the class's logit by A_c.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_i3d.explanation.cut import cut
from keras_i3d.models import positions
from keras_i3d.models.networks import inputs_of
from keras_i3d.protocol import Frames


@dataclass(frozen=True, eq=False)
class Activations:
    """What a network makes of clips.

    Attributes:
        logits: float32 (clips, classes).
        maps: Of the layer, by stream, tensors (clips, steps, height, width, channels).
    """

    logits: np.ndarray
    maps: dict[str, Any]


class GradCam:
    """The two halves of a network, with a layer's map between them.

    The map is computed without gradients, in the memory of a prediction; they are taken in the second half alone.

    Attributes:
        streams: Whose maps there are: ``"rgb"``, ``"flow"``, or ``"both"`` behind where two streams were joined.

    Args:
        network: As in `keras_i3d.explanation.cut.cut`.
        layer: Likewise.

    Raises:
        ValueError: The network has no such layer.
    """

    def __init__(self, network: keras.Model, layer: str) -> None:
        self._body, self._head, self.streams = cut(network, layer)

    def activations(self, clips: Mapping[str, np.ndarray]) -> Activations:
        """Run the network.

        Args:
            clips: By the names of the inputs, float32 (clips, time, height, width, channels) in [-1, 1].
        """
        given = [tf.convert_to_tensor(clips[tensor.name]) for tensor in self._body.inputs]
        maps, logits = self._run(given)
        return Activations(logits.numpy(), dict(zip(self.streams, maps, strict=True)))

    def evidence(self, found: Activations, class_index: int) -> dict[str, np.ndarray]:
        """Return what speaks for a class, each clip by its own logit.

        Args:
            found: As `activations` returns it.
            class_index: In [0, classes).

        Returns:
            By stream, float32 (clips, steps, height, width), at least 0, in units of the logit per position and unit
            of the gradient's mean. All zeros where nothing speaks for the class.
        """
        maps = [found.maps[stream] for stream in self.streams]
        evidence = self._weigh(maps, tf.constant(class_index))
        return {stream: array.numpy() for stream, array in zip(self.streams, evidence, strict=True)}

    def positions(
        self, clips: Mapping[str, np.ndarray], taken: Mapping[str, Frames]
    ) -> dict[str, tuple[positions.Positions, ...]]:
        """Return where in clips of such a shape the positions of the maps lie, by stream: time, height, width.

        Args:
            clips: As in `activations`.
            taken: Which frames of the video the inputs are, by name.
        """
        shapes = {tensor.name: clips[tensor.name].shape[1:] for tensor in self._body.inputs}
        return dict(zip(self.streams, positions.positions(self._body, shapes, taken), strict=True))

    @cached_property
    def _run(self) -> Any:
        names = [tensor.name for tensor in self._body.inputs]
        specs = [tf.TensorSpec(tensor.shape, tf.float32) for tensor in self._body.inputs]
        is_one = not isinstance(inputs_of(self._body), dict)

        @tf.function(input_signature=[specs])
        def run(clips: list[Any]) -> tuple[list[Any], Any]:
            given = clips[0] if is_one else dict(zip(names, clips, strict=True))
            maps = keras.tree.flatten(self._body(given, training=False))  # Keras gives a list of one as the one
            return maps, self._head(maps, training=False)

        return run

    @cached_property
    def _weigh(self) -> Any:
        @tf.function(reduce_retracing=True)
        def weigh(maps: list[Any], class_index: Any) -> list[Any]:
            with tf.GradientTape() as tape:
                tape.watch(maps)
                logit = tf.reduce_sum(tf.gather(self._head(maps, training=False), class_index, axis=1))
            gradients = tape.gradient(logit, maps, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            return [_weighted(one, gradient) for one, gradient in zip(maps, gradients, strict=True)]

        return weigh


def _weighted(activations: Any, gradients: Any) -> Any:
    weights = tf.reduce_mean(tf.cast(gradients, tf.float32), axis=(1, 2, 3), keepdims=True)
    return tf.nn.relu(tf.reduce_sum(weights * tf.cast(activations, tf.float32), axis=-1))
