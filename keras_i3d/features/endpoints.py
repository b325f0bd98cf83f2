"""A finished model and the name of an end point into a function: views of windows in, features out."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_i3d import __version__, finished_model, streams
from keras_i3d.clips import transforms
from keras_i3d.errors import PredictionError, first_line
from keras_i3d.extras import import_extra
from keras_i3d.features.settings import MEAN, WINDOW, FeatureSettings
from keras_i3d.finished_model import FinishedModel
from keras_i3d.models import copies, endpoints
from keras_i3d.video import flow
from keras_i3d.video.windows import Sliding

_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


class Endpoint:
    """What a network gives of windows at one of its layers.

    Attributes:
        settings: As given, with the window that they leave open.
        preparation: How a video becomes what the network sees.
        sliding: How windows lie over a video.
        taken: Which frames of a window each input takes, by stream.
        facts: What the features are made with, as JSON values.

    Args:
        finished: Of any network.
        settings: What is wanted of it.
        asked_as: The model as the user names it, for `facts`.

    Raises:
        ValueError: The network has no such end point, or does not take such windows.
    """

    def __init__(self, finished: FinishedModel, settings: FeatureSettings | None = None, *, asked_as: str = "") -> None:
        self._finished = finished
        self.settings = _with_window(settings or FeatureSettings(), finished)
        self.preparation = finished.preparation
        self.sliding = Sliding(self.settings.window, self.settings.stride, self.settings.fill)
        self.taken = {tensor.name: finished.protocol.streams[tensor.name] for tensor in finished.network.inputs}
        self._body = endpoints.until(_computing_in(finished, self.settings.precision), self.settings.endpoint)
        self._traced = tf.function(self._answers)
        self.widths = self._tried()
        self.facts = self._facts(asked_as)

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams that the network is given."""
        return tuple(self.taken)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of the views of one window, by stream: (time, size, size, channels)."""
        size = self.preparation.size
        return {
            stream: (part.count(self.settings.window), size, size, streams.channels(stream))
            for stream, part in self.taken.items()
        }

    def __call__(self, views: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return what the network gives of a batch of windows.

        Args:
            views: By stream, (batch, time, size, size, channels): uint8, flow in the eight bits of records, or float32
                in [-1, 1]. Every other batch size than the one before is traced anew.

        Returns:
            By stream float32 (batch, channels), or unpooled (batch, ...) as the layer gives it. What both streams have
            a part in is named ``"both"``.

        Raises:
            PredictionError: The network fails on them, as where memory is short.
        """
        given = {stream: tf.convert_to_tensor(array) for stream, array in views.items()}
        try:
            return {stream: array.numpy() for stream, array in self._traced(given).items()}
        except tf.errors.OpError as error:
            windows = len(next(iter(views.values())))
            is_memory = isinstance(error, tf.errors.ResourceExhaustedError)
            raise PredictionError(
                f"the network fails on {windows} windows of {self.settings.window} frames at once ({first_line(error)})"
                + ("; a smaller batch size needs less memory" if is_memory else "")
            ) from error

    def _answers(self, views: dict[str, Any]) -> dict[str, Any]:
        clips = {stream: _scaled(array, stream) for stream, array in views.items()}
        found = self._body(clips if len(clips) > 1 else next(iter(clips.values())), training=False)
        return {stream: self._pooled(tf.cast(array, tf.float32)) for stream, array in found.items()}

    def _pooled(self, array: Any) -> Any:
        axes = list(range(1, array.shape.rank - 1))
        return tf.reduce_mean(array, axis=axes) if axes and self.settings.pooling == MEAN else array

    def _tried(self) -> dict[str, tuple[int, ...]]:
        """Trace one batch; returns the shape of what is given of one window, by stream."""
        shapes, batch = self.shapes(), self.settings.batch_size
        specs = {stream: tf.TensorSpec((batch, *shape), tf.uint8) for stream, shape in shapes.items()}
        try:
            outputs = self._traced.get_concrete_function(specs).structured_outputs
        except ValueError as error:
            raise ValueError(
                f"network {self.preparation.network!r} does not take windows of {self.settings.window} frames of "
                f"{self.preparation.size}x{self.preparation.size} ({first_line(error)})"
            ) from error
        return {stream: tuple(output.shape[1:]) for stream, output in outputs.items()}

    def _facts(self, asked_as: str) -> dict[str, Any]:
        preparation = self.preparation
        versions = {"keras_i3d": __version__, "keras": keras.__version__, "tensorflow": tf.__version__}
        versions["av"] = import_extra("av").__version__
        if "flow" in self.taken:
            versions["opencv"] = flow.opencv_version()
        return {
            "versions": versions,
            "model": asked_as,
            **_digest(asked_as, self._finished.network),
            "network": preparation.network,
            "modality": preparation.modality,
            **{name: getattr(self.settings, name) for name in ("endpoint", "pooling", "window", "stride", "fill")},
            "batch_size": self.settings.batch_size,
            "precision": self.settings.precision,
            "fps": preparation.fps,
            "short_side": preparation.short_side,
            "size": preparation.size,
            "flow": "tvl1" if "flow" in self.taken else None,
            "input_range": [-1, 1],
        }


def _scaled(views: Any, stream: str) -> Any:
    if views.dtype != tf.uint8:
        return views
    values = tf.cast(views, tf.float32)
    return transforms.scale(flow.from_stored(values) if stream == "flow" else values, stream)


def _with_window(settings: FeatureSettings, finished: FinishedModel) -> FeatureSettings:
    """Return the settings with a window that the network takes."""
    fixed, name = finished.window, finished.preparation.network
    period = finished.protocol.period
    window = settings.window or fixed or WINDOW // period * period
    if fixed is not None and window != fixed:
        raise ValueError(f"network {name!r} takes windows of {fixed} frames and no other, got {window}")
    if window % period:
        raise ValueError(f"network {name!r} takes windows of a multiple of {period} frames, got {window}")
    return replace(settings, window=window)


def _computing_in(finished: FinishedModel, precision: str) -> keras.Model:
    network, policy = finished.network, _POLICIES[precision]
    if all(layer.dtype_policy.name == policy for layer in network._flatten_layers()):
        return network
    return copies.under_policy(network, policy, finished.clip_shapes())


def _digest(asked_as: str, network: keras.Model) -> dict[str, str]:
    """Return the SHA-256 of a model's file; of published weights and of networks in memory that of their values."""
    if asked_as and not finished_model.is_published(asked_as) and Path(asked_as).is_file():
        with Path(asked_as).open("rb") as file:
            return {"model_sha256": hashlib.file_digest(file, "sha256").hexdigest()}
    digest = hashlib.sha256()
    for variable in network.weights:
        digest.update(f"{variable.path} {variable.dtype} {tuple(variable.shape)}\n".encode())
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(variable.value)))
    return {"weights_sha256": digest.hexdigest()}


def load(model: str | os.PathLike, settings: FeatureSettings | None = None, *, modality: str | None = None) -> Endpoint:
    """Load a finished model for its features; arguments and errors as in `keras_i3d.finished_model.load`.

    Raises:
        ValueError: As in `Endpoint`.
    """
    return Endpoint(finished_model.load(model, modality=modality), settings, asked_as=os.fspath(model))
