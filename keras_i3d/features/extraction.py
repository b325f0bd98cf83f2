"""From videos to features: decoders, batches and the network, each waiting for the next; what becomes of each video."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np

from keras_i3d import storage
from keras_i3d.errors import PredictionError, VideoError
from keras_i3d.features.endpoints import Endpoint
from keras_i3d.features.files import Sink
from keras_i3d.features.gathering import Batch, Ended, Gathering, Place
from keras_i3d.features.views import View, Views, need_only_a_cut
from keras_i3d.records.clip_file import opened
from keras_i3d.video import decode
from keras_i3d.workers import cores

MOST_DECODERS = 8


class Source(Protocol):
    """A video: a file, or frames in memory."""

    def facts(self) -> dict[str, Any]:
        """Return what tells the video apart, as JSON values."""

    def short_side(self, prepared: int) -> int:
        """Return the shorter side of its frames, where files are decoded to `prepared`."""

    def frames(self, endpoint: Endpoint, *, threads: int, on_damage: Callable[[str], None]) -> Iterator[np.ndarray]:
        """Yield its frames, uint8 (height, width, 3), at the rate that the network wants."""


@dataclass(frozen=True)
class FileSource:
    """A video file, or the URL of one."""

    path: str

    def facts(self) -> dict[str, Any]:
        """Return path and size."""
        return {"video": self.path, "video_bytes": storage.size(self.path)}

    def short_side(self, prepared: int) -> int:
        """Return the side that files are decoded to."""
        return prepared

    def frames(self, endpoint: Endpoint, *, threads: int, on_damage: Callable[[str], None]) -> Iterator[np.ndarray]:
        """Decode the file."""
        preparation = endpoint.preparation
        with opened(self.path) as source:
            yield from decode.iterate_frames(
                source,
                fps=preparation.fps,
                short_side=preparation.short_side,
                threads=threads,
                on_damage=on_damage if endpoint.settings.keep_truncated else None,
            )


@dataclass(frozen=True)
class ArraySource:
    """Frames in memory, uint8 (time, height, width, 3), at the rate that the network wants.

    Raises:
        ValueError: They are none.
    """

    array: np.ndarray

    def __post_init__(self) -> None:
        shape = self.array.shape
        if self.array.dtype != np.uint8 or len(shape) != 4 or shape[-1] != 3 or not all(shape):
            raise ValueError(
                f"frames must be uint8 of shape (time, height, width, 3), none of them 0; got {self.array.dtype} of "
                f"shape {shape}"
            )

    def facts(self) -> dict[str, Any]:
        """Return that it has no file."""
        return {"video": None, "video_bytes": None}

    def short_side(self, prepared: int) -> int:
        """Return the side that the frames have."""
        return min(self.array.shape[1:3])

    def frames(self, endpoint: Endpoint, *, threads: int, on_damage: Callable[[str], None]) -> Iterator[np.ndarray]:
        """Yield the frames."""
        yield from self.array


@dataclass(frozen=True)
class Outcome:
    """What became of a video.

    Attributes:
        video: Its number.
        frames: That were decoded.
        windows: That there are features of.
        damage: What is wrong with it although it was kept, otherwise None.
        error: Why there are none, otherwise None.
    """

    video: int
    frames: int
    windows: int
    damage: str | None = None
    error: VideoError | PredictionError | None = None


@dataclass
class _Started:
    """A video some of whose windows are answered."""

    sink: Sink
    places: list[Place] = field(default_factory=list)
    error: PredictionError | None = None


def extract(
    endpoint: Endpoint,
    sources: Sequence[Source],
    sinks: Callable[[int], Sink],
    *,
    decoders: int | None = None,
    on_windows: Callable[[int], None] = lambda windows: None,
) -> Iterator[Outcome]:
    """Compute the features of videos; the network runs in the caller's thread.

    Args:
        endpoint: What computes.
        sources: The videos.
        sinks: Gives where the features of a video go, by its number.
        decoders: Videos that are decoded at once; by default one for each core, at most `MOST_DECODERS`.
        on_windows: Called with the number of windows of each batch.

    Yields:
        What became of each video, in the order in which they end.

    Raises:
        StorageError: A video's storage cannot be reached, or the features cannot be written.
        PredictionError: The network fails.
    """
    decoders = decoders or max(1, min(cores(), MOST_DECODERS, len(sources)))
    threads = max(1, cores() // decoders)
    preparation = endpoint.preparation
    as_bytes = all(need_only_a_cut(one.short_side(preparation.short_side), preparation.size) for one in sources)
    views = Views(endpoint.streams, preparation.size, as_bytes)
    videos = (partial(_views, endpoint, views, source, threads) for source in sources)
    started: dict[int, _Started] = {}
    gathering = Gathering(
        videos, endpoint.sliding, endpoint.taken, batch_size=endpoint.settings.batch_size, decoders=decoders
    )
    with _discarded(started), gathering:
        for batch in gathering.batches():
            if batch.places:
                _give_out(batch, endpoint(batch.views), started, sinks)
                on_windows(len(batch.places))
            for ended in batch.ended:
                yield _finished(endpoint, sources[ended.video], ended, started)


def _views(endpoint: Endpoint, views: Views, source: Source, threads: int, damages: list[str]) -> Iterator[View]:
    frames = source.frames(endpoint, threads=threads, on_damage=damages.append)
    return views.over(frames, flow_threads=threads)


def _give_out(
    batch: Batch, answers: dict[str, np.ndarray], started: dict[int, _Started], sinks: Callable[[int], Sink]
) -> None:
    """Hand the rows of a batch to the videos that they are of."""
    rows: dict[int, list[int]] = {}
    for row, place in enumerate(batch.places):
        rows.setdefault(place.video, []).append(row)
    for video, own in rows.items():
        if video not in started:
            started[video] = _Started(sinks(video))
        state = started[video]
        if state.error is not None:
            continue
        state.places += [batch.places[row] for row in own]
        arrays = {stream: array[own] for stream, array in answers.items()}
        if not all(np.isfinite(array).all() for array in arrays.values()):
            first = next(row for row in own if not all(np.isfinite(array[row]).all() for array in answers.values()))
            state.error = PredictionError(
                f"the network's features of the window at frame {batch.places[first].first} are no finite numbers"
            )
            continue
        state.sink.add(arrays)


def _finished(endpoint: Endpoint, source: Source, ended: Ended, started: dict[int, _Started]) -> Outcome:
    """Close what was made of a video, or discard it."""
    state = started.get(ended.video)
    error = ended.error or (state.error if state else None)
    if state is None:
        return Outcome(ended.video, ended.frames, 0, ended.damage, error or VideoError("no video frame"))
    if error is not None:
        started.pop(ended.video).sink.discard()
        return Outcome(ended.video, ended.frames, 0, ended.damage, error)
    fps = endpoint.preparation.fps
    times = np.array([(place.first / fps, (place.first + place.count) / fps) for place in state.places])
    facts = {"frames": ended.frames, "windows": len(times), "damage": ended.damage}
    state.sink.close(times, endpoint.facts | source.facts() | facts)
    del started[ended.video]
    return Outcome(ended.video, ended.frames, len(times), ended.damage)


@contextmanager
def _discarded(started: dict[int, _Started]) -> Iterator[None]:
    """Discard what is not finished when the block ends, however it does."""
    try:
        yield
    finally:
        with ExitStack() as stack:  # of all, also where one fails
            for state in started.values():
                stack.callback(state.sink.discard)
