"""Let the network look at a set of videos: files are decoded and resized by threads, ahead of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_i3d.errors import VideoError
from keras_i3d.fvd import clips
from keras_i3d.fvd import videos as reading
from keras_i3d.fvd.clips import Clip, TooShort
from keras_i3d.fvd.network import VideoNetwork
from keras_i3d.fvd.options import DEFAULT_ENDPOINT, FvdOptions
from keras_i3d.fvd.statistics import LEAST_VIDEOS, Gathering, Making, VideoStatistics
from keras_i3d.workers import cores

MOST_THREADS = 8


def video_statistics(
    videos: Any,
    *,
    model: str | os.PathLike | keras.Model | VideoNetwork = "kinetics",
    value_range: tuple[float, float] | None = None,
    frames: int | None = None,
    options: FvdOptions = FvdOptions(),  # noqa: B008  (frozen)
    name: str = "videos",
    like: Making | None = None,
    on_video: Callable[[], None] = lambda: None,
) -> VideoStatistics:
    """Return the statistics of a set of videos, to be compared with others now or, saved, later.

    Args:
        videos: A set, as in `keras_i3d.frechet_video_distance`.
        model: As there, up to its logits; or a `keras_i3d.fvd.network.VideoNetwork`, up to its own endpoint.
        value_range: As there.
        frames: As there.
        options: As there.
        name: What messages call a set that has no path.
        like: How the set was made that this one is to be compared with; a difference is then told at the first video.
        on_video: Called after each video.

    Raises:
        ValueError, DatasetError, VideoError, ModelFileError, WeightsUnavailable, PredictionError: As there.
    """
    value_range = clips.checked_range(value_range)
    if frames is not None and frames < 1:
        raise ValueError(f"frames must be at least 1, or None for all; got {frames}")
    source = reading.open_set(videos, name=name, fps=options.fps)
    network = opened_network(model, None)
    if frames is not None and network.frames not in (None, frames):
        raise ValueError(f"{network.name}: takes clips of {network.frames} frames, not of {frames}")

    def prepare(video: reading.Video) -> Clip:
        return clips.prepare(video, size=network.size, frames=frames, value_range=value_range)

    looking = _Looking(network, options.batch_size, source.fps, like)
    for video, outcome in clips.ahead(prepare, source.videos, options.threads or min(cores(), MOST_THREADS)):
        on_video()
        if isinstance(outcome, Exception):
            looking.gathering.skip(video.name, _reason(outcome, options))
        else:
            looking.add(outcome)
    return looking.result(name)


def opened_network(model: Any, endpoint: str | None) -> VideoNetwork:
    """Return a network up to an endpoint, by default its logits; one that is there already stays as it is.

    Raises:
        ValueError: It is there already, up to another endpoint.
    """
    if not isinstance(model, VideoNetwork):
        return VideoNetwork(model, endpoint or DEFAULT_ENDPOINT)
    if endpoint not in (None, model.endpoint):
        raise ValueError(f"{model.name}: a VideoNetwork up to its {model.endpoint}, got endpoint={endpoint!r}")
    return model


class _Looking:
    """Lets a network look at clips of one length, a batch at a time."""

    def __init__(self, network: VideoNetwork, batch_size: int, fps: float | None, like: Making | None) -> None:
        self.gathering = Gathering(network.width)
        self._network, self._batch_size, self._fps, self._like = network, batch_size, fps, like
        self._making: Making | None = None
        self._batch: list[Clip] = []

    def add(self, clip: Clip) -> None:
        self._making = self._making or self._made(clip)
        have, wanted = len(clip.frames), self._making.frames
        if have != wanted:
            raise ValueError(
                f"{clip.name}: has {have} frames, those before it {wanted}; all videos must have as many: "
                f"frames={min(have, wanted)} takes the first of each"
            )
        self._batch.append(clip)
        if len(self._batch) == self._batch_size:
            self._look()

    def result(self, name: str) -> VideoStatistics:
        if self._batch:
            self._look()
        if self.gathering.count < LEAST_VIDEOS or self._making is None:
            left_out = f" ({self.gathering.skipped} left out)" if self.gathering.skipped else ""
            raise ValueError(f"{name}: a set needs at least two videos, got {self.gathering.count}{left_out}")
        return self.gathering.result(self._making)

    def _made(self, clip: Clip) -> Making:
        """Return how a set is made whose first video is at hand."""
        network, frames = self._network, len(clip.frames)
        if network.frames not in (None, frames):
            raise ValueError(
                f"{clip.name}: has {frames} frames, {network.name} takes {network.frames}; frames={network.frames} "
                "takes the first of longer videos"
            )
        making = Making(network.name, network.digest, network.endpoint, frames, network.size, self._fps)
        if self._like is not None and (differences := self._like.differences(making)):
            hint = f" (frames={self._like.frames} takes the first of each)" if self._like.frames < frames else ""
            raise ValueError(
                f"{clip.name}: cannot be compared with the other set, they differ in: {'; '.join(differences)}{hint}"
            )
        return making

    def _look(self) -> None:
        vectors = self._network(np.stack([clip.frames for clip in self._batch]), self._batch_size)
        self.gathering.add(vectors, [clip.size for clip in self._batch], [clip.values for clip in self._batch])
        self._batch = []


def _reason(error: Exception, options: FvdOptions) -> str:
    """Return why a video is left out, or raise its error where it is not to be."""
    choices = {VideoError: options.on_damage, TooShort: options.on_short}
    if not any(isinstance(error, kind) and choice == "skip" for kind, choice in choices.items()):
        raise error
    return " ".join(str(error).split())
