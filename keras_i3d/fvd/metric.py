"""The Fréchet Video Distance as a Keras metric, which gathers batch by batch, eagerly or in a graph of TensorFlow."""

from __future__ import annotations

import os
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_i3d.fvd import clips
from keras_i3d.fvd.distance import ROUNDING
from keras_i3d.fvd.network import VideoNetwork
from keras_i3d.fvd.seeing import opened_network

SETS = ("real", "generated")


@keras.saving.register_keras_serializable("keras_i3d")
class FrechetVideoDistance(keras.metrics.Metric):
    """The Fréchet Video Distance between all real and all generated videos since the last reset.

    ``update_state(real, generated)`` takes arrays or tensors (videos, time, height, width, 3), uint8 or float of the
    stated range, or None for one of the two. ``result()`` is float64, and NaN while a set has fewer than two videos; it
    is the number of `keras_i3d.frechet_video_distance`. Count, mean and scatter are kept in float64 and merged as Chan
    et al. 1979 do, so that it does not matter how the videos come in batches.

    In ``model.compile(metrics=[...])`` the model's outputs are the generated videos and the targets the real ones. XLA
    leaves out checks of values and lengths: there the result is NaN where it would be an error elsewhere.

    Args:
        model: As in `keras_i3d.frechet_video_distance`.
        endpoint: As there.
        value_range: As there, of both sets; None where both are uint8.
        name: Of the metric.

    Raises:
        ValueError: The endpoint or range is unknown, or the network takes anything but RGB.
        tf.errors.InvalidArgumentError: In ``update_state``: values outside of the range, or NaN; clips of different
            lengths. (A wrong shape or dtype is a ValueError.)
    """

    def __init__(
        self,
        model: str | os.PathLike | keras.Model | VideoNetwork = "kinetics",
        *,
        endpoint: str | None = None,
        value_range: tuple[float, float] | None = None,
        name: str = "frechet_video_distance",
    ) -> None:
        super().__init__(name=name, dtype="float64")
        self._model = model
        self._range = clips.checked_range(value_range)
        self._network = opened_network(model, endpoint)
        width = self._network.width
        shapes = {"count": (), "mean": (width,), "scatter": (width, width)}
        self._sets = {
            which: {
                part: self.add_variable(shape, "zeros", dtype="float64", name=f"{which}_{part}")
                for part, shape in shapes.items()
            }
            for which in SETS
        }
        self._frames = self.add_variable((), "zeros", dtype="float64", name="frames")

    def update_state(self, real: Any, generated: Any, sample_weight: Any = None) -> None:
        """Take in videos of both sets.

        Args:
            real: (videos, time, height, width, 3); None, or no videos, leave the set as it is.
            generated: The same, of as many frames; number and size may differ.
            sample_weight: Must be None.

        Raises:
            ValueError: A shape or dtype is wrong, or weights are given.
        """
        if sample_weight is not None:
            raise ValueError("a Fréchet distance is of whole sets; sample_weight must be None")
        given = zip(SETS, (real, generated), strict=True)
        tensors = {which: tf.convert_to_tensor(videos) for which, videos in given if videos is not None}
        found = {which: self._vectors(which, videos) for which, videos in tensors.items() if 0 not in videos.shape[:1]}
        for which, vectors in found.items():  # of both, or where either is refused, of none
            self._add(which, vectors)

    def result(self) -> Any:
        """Return the distance, a float64 scalar; NaN while a set has fewer than two videos."""
        (mean, root), (other_mean, other_root) = (self._gaussian(which) for which in SETS)
        traces = tf.reduce_sum(tf.square(root)) + tf.reduce_sum(tf.square(other_root))
        cross = tf.reduce_sum(tf.linalg.svd(tf.matmul(root, other_root, transpose_b=True), compute_uv=False))
        distance = tf.reduce_sum(tf.square(mean - other_mean)) + traces - 2 * cross
        distance = tf.where(distance > ROUNDING * self._network.width * traces, distance, 0.0)
        return tf.where(tf.reduce_all([self._is_sound(which) for which in SETS]), distance, np.nan)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments.

        Raises:
            ValueError: The metric was made of a network in memory, which no configuration can hold.
        """
        if not isinstance(self._model, str | os.PathLike):
            raise ValueError(
                "a FrechetVideoDistance of a network in memory cannot be saved; make it of a file or a name"
            )
        return {
            "model": os.fspath(self._model),
            "endpoint": self._network.endpoint,
            "value_range": self._range,
            "name": self.name,
        }

    def _vectors(self, which: str, videos: Any) -> Any:
        """Return the vectors of videos behind checks, float64 (videos, d)."""
        if videos.shape.rank != 5 or videos.shape[-1] != 3:
            raise ValueError(f"{which}: videos must be (videos, time, height, width, 3), got {tuple(videos.shape)}")
        if not (videos.dtype == tf.uint8 or videos.dtype.is_floating):
            raise ValueError(f"{which}: videos must be uint8 or float with value_range, got {videos.dtype.name}")
        scaled = videos if videos.dtype == tf.uint8 else self._scaled(which, videos)
        shape, size = tf.shape(videos), self._network.size
        pictures = clips.resized(tf.reshape(scaled, tf.concat([[-1], shape[2:]], 0)), size)
        batch = tf.reshape(pictures, (shape[0], shape[1], size, size, 3))
        batch = tf.ensure_shape(batch, (videos.shape[0], videos.shape[1], size, size, 3))
        vectors = tf.cast(self._network.vectors(batch), tf.float64)
        return self._of_equal_length(which, vectors, tf.cast(shape[1], tf.float64))

    def _scaled(self, which: str, videos: Any) -> Any:
        """Return floats of the stated range on the scale 0 to 255, behind a check that they are within it."""
        if self._range is None:
            known = ", ".join(map(str, clips.RANGES))
            raise ValueError(f"{which}: float videos may mean any range; state value_range, one of {known}")
        low, high = self._range
        videos, slack = tf.cast(videos, tf.float32), clips.SLACK * (high - low)
        inside = (videos >= low - slack) & (videos <= high + slack)  # NaN is not
        message = f"{which}: values outside of the stated range {low} to {high}, or NaN; lowest and highest are"
        found = [message, tf.reduce_min(videos), tf.reduce_max(videos)]
        with tf.control_dependencies(_assertion(tf.reduce_all(inside), found)):
            return tf.where(inside, (tf.clip_by_value(videos, low, high) - low) * (255 / (high - low)), np.nan)

    def _of_equal_length(self, which: str, vectors: Any, frames: Any) -> Any:
        """Return vectors behind a check that their videos have as many frames as the first, which notes how many."""
        known = tf.where(self._frames.value > 0, self._frames.value, frames)
        self._frames.assign(known)
        message = f"{which}: videos of another number of frames than those before them; these and those have"
        with tf.control_dependencies(_assertion(tf.equal(frames, known), [message, frames, known])):
            return tf.where(tf.equal(frames, known), vectors, np.nan)

    def _is_sound(self, which: str) -> Any:
        """Tell whether a set has enough videos, and nothing but numbers."""
        state = self._sets[which]
        return (state["count"].value >= 2) & tf.reduce_all(tf.math.is_finite(state["scatter"].value))

    def _add(self, which: str, vectors: Any) -> None:
        state = self._sets[which]
        count, seen = tf.cast(tf.shape(vectors)[0], tf.float64), state["count"].value
        total, mean = seen + count, tf.reduce_mean(vectors, axis=0)
        centred, away = vectors - mean, mean - state["mean"].value
        scatter = tf.matmul(centred, centred, transpose_a=True)
        scatter += tf.tensordot(away, away, axes=0) * (seen * count / total)
        state["scatter"].assign_add(scatter)
        state["mean"].assign_add(away * (count / total))
        state["count"].assign_add(count)

    def _gaussian(self, which: str) -> tuple[Any, Any]:
        """Return the mean (d,) and the factor (d, d), as `keras_i3d.fvd.distance.factor` makes it."""
        state = self._sets[which]
        scatter = tf.where(self._is_sound(which), state["scatter"].value, 0.0)  # eigh fails on what are no numbers
        values, vectors = tf.linalg.eigh(scatter / tf.maximum(state["count"].value - 1, 1.0))
        floor = self._network.width * np.finfo(np.float64).eps * tf.maximum(values[-1], 0.0)
        roots = tf.sqrt(tf.where(values > floor, values, 0.0))
        return state["mean"].value, roots[:, tf.newaxis] * tf.transpose(vectors)


def _assertion(condition: Any, found: list[Any]) -> list[Any]:
    """Return what a graph has to wait for, so that a condition holds; nothing eagerly, where it raises at once."""
    check = tf.debugging.Assert(condition, found)
    return [] if check is None else [check]
