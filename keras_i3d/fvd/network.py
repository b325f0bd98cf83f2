"""The network that looks at the videos: prepared clips into one vector for each."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_i3d import finished_model
from keras_i3d.errors import PredictionError, first_line
from keras_i3d.models import features, networks
from keras_i3d.models.i3d import SIZE

ENDPOINTS = ("logits", "features")


class VideoNetwork:
    """A network up to an endpoint, averaged over time.

    Attributes:
        name: As it was asked for.
        endpoint: ``"logits"``, DeepMind's ``Mean:0``, or ``"features"``, what lies in front of the dropout.
        digest: SHA-256 of its weights and its kinds of layers.
        size: Height and width of the frames that it takes; 224 where it takes any.
        frames: That it takes; None where it takes any number.
        width: Of a vector.

    Args:
        model: A name of published weights, the ``.keras`` file of a finished model, or a network of this package.
        endpoint: One of `ENDPOINTS`.

    Raises:
        ValueError: The endpoint is unknown, or the network does not have it or takes anything but RGB.
        ModelFileError: The file cannot be loaded.
        WeightsUnavailable: Published weights can be neither found nor fetched.
    """

    def __init__(self, model: str | os.PathLike | keras.Model, endpoint: str = "logits") -> None:
        if endpoint not in ENDPOINTS:
            raise ValueError(f"unknown endpoint {endpoint!r}; known: {', '.join(ENDPOINTS)}")
        is_network = isinstance(model, keras.Model)
        network = model if is_network else finished_model.load(model).network
        self.name = network.name if is_network else os.fspath(model)
        self.endpoint = endpoint
        _, time, self.size, width, _ = _input_shape(network, self.name)
        self.size, self.frames = self.size or SIZE, time
        if width not in (None, self.size):
            raise ValueError(f"{self.name}: takes frames of {width}x{self.size}; only square ones are resized to")
        self._cut = _cut(network, endpoint, self.name)
        self.width = self._cut.output.shape[-1]
        self.digest = _digest(self._cut)
        self._run = tf.function(self.vectors, input_signature=[tf.TensorSpec((None, time, self.size, self.size, 3))])

    def vectors(self, clips: Any) -> Any:
        """Return the float32 vectors (batch, width) of clips (batch, time, size, size, 3) in [-1, 1]; traceable."""
        found = self._cut(clips, training=False)
        return tf.cast(tf.reduce_mean(found, axis=list(range(1, found.shape.rank - 1))), tf.float32)

    def __call__(self, clips: np.ndarray, batch_size: int) -> np.ndarray:
        """Return the vectors of at most `batch_size` clips, in batches that are always as large.

        Raises:
            PredictionError: The network cannot compute them, or gives values that are no finite numbers.
        """
        padded = np.zeros((batch_size, *clips.shape[1:]), np.float32)
        padded[: len(clips)] = clips
        try:
            vectors = self._run(tf.constant(padded)).numpy()[: len(clips)]
        except (tf.errors.OpError, ValueError, TypeError) as error:
            raise PredictionError(
                f"{self.name}: fails on clips of shape {clips.shape} ({first_line(error)})"
            ) from error
        if not np.isfinite(vectors).all():
            raise PredictionError(f"{self.name}: gives {self.endpoint} that are no finite numbers")
        return vectors


def _input_shape(network: keras.Model, name: str) -> tuple[int | None, ...]:
    inputs = {tensor.name: tuple(tensor.shape) for tensor in network.inputs}
    (own, shape), *others = inputs.items()
    if others or own == "flow" or shape[-1] == 2:
        raise ValueError(
            f"{name}: takes {' and '.join(sorted(inputs))}; this distance is of a network that takes rgb alone"
        )
    if len(shape) != 5 or shape[-1] != 3:
        raise ValueError(f"{name}: takes {shape}; a network of clips (batch, time, height, width, 3) is wanted")
    return shape


def _cut(network: keras.Model, endpoint: str, name: str) -> keras.Model:
    if endpoint == "features":
        try:
            return features.split(network)[0]
        except ValueError as error:
            raise ValueError(f"{name}: has no endpoint 'features' ({error})") from error
    if not any(layer.name == "Logits" for layer in network.layers):
        raise ValueError(f"{name}: has no endpoint 'logits', which is a layer named Logits")
    return keras.Model(networks.inputs_of(network), network.get_layer("Logits").output)


def _digest(network: keras.Model) -> str:
    """Return a SHA-256 that does not depend on where a network came from, nor on the names of its layers."""
    digest = hashlib.sha256()
    for layer in network._flatten_layers(include_self=False):
        digest.update(f"{type(layer).__name__} {layer.compute_dtype}\n".encode())
        for variable in layer.weights if not hasattr(layer, "layers") else ():
            if variable.path.endswith("seed_generator_state"):
                continue
            value = np.ascontiguousarray(keras.ops.convert_to_numpy(variable))
            digest.update(f"{value.dtype} {value.shape}\n".encode() + value.tobytes())
    return digest.hexdigest()
