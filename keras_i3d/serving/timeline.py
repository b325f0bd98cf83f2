"""The classes of a long, untrimmed video over time: a model's answers on windows that slide over it."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from keras_i3d import progress, whole_file
from keras_i3d.figures.timeline import Curves, timeline_figure
from keras_i3d.serving import prediction, windowed
from keras_i3d.serving.prediction import TOP, Answering
from keras_i3d.serving.windowed import STRIDE, Model
from keras_i3d.video import decode
from keras_i3d.video.stills import Stills
from keras_i3d.video.windows import LOOP, Sliding

ENDINGS = (".csv", ".json", ".svg")
_ROUNDING_S = 1e-9


@dataclass(frozen=True)
class Segment:
    """A stretch of a video in which the same class is on top.

    Attributes:
        start_s: In seconds.
        end_s: In seconds; where the next one starts.
        class_name: None where no class reaches the threshold.
        top: (class name, mean probability over its windows), best first.
        windows: How many.
    """

    start_s: float
    end_s: float
    class_name: str | None
    top: tuple[tuple[str, float], ...]
    windows: int

    @property
    def probability(self) -> float:
        """The mean of the best class."""
        return self.top[0][1]

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        found = {"start_s": _seconds(self.start_s), "end_s": _seconds(self.end_s), "class": self.class_name}
        return found | {"windows": self.windows, "top": _named(self.top)}


@dataclass(frozen=True, eq=False)
class Timeline:
    """What a model says of a video, window by window.

    ``dataclasses.replace(timeline, smoothing_s=2.0)`` smooths it anew, without the model.

    Attributes:
        video: Path of the video file.
        model: As it was asked for; of a server its address and the model's name.
        class_names: In the order of the columns.
        activation: ``"softmax"``, or ``"sigmoid"`` where several classes may hold at once.
        fps: Of the frames that the model saw.
        frames: Of the whole video, at that rate.
        sliding: How windows lie.
        times: float64 (windows, 2), where each begins and ends, in seconds.
        logits: float32 (windows, classes), unsmoothed.
        smoothing_s: Seconds over which probabilities are averaged; 0 for not at all.
        stills: (seconds, uint8 (height, width, 3)), at most 64 small pictures.
    """

    video: str
    model: str
    class_names: tuple[str, ...]
    activation: str
    fps: float
    frames: int
    sliding: Sliding
    times: np.ndarray
    logits: np.ndarray
    smoothing_s: float = 0.0
    stills: tuple[tuple[float, np.ndarray], ...] = ()

    def __post_init__(self) -> None:
        check_smoothing(self.smoothing_s)

    @property
    def duration_s(self) -> float:
        """Of the video, in seconds."""
        return self.frames / self.fps

    @property
    def middles(self) -> np.ndarray:
        """float64 (windows,), the middle of each window in seconds: the time that its answer is about."""
        return self.times.mean(axis=1)

    @property
    def edges(self) -> np.ndarray:
        """float64 (windows + 1,) seconds: a window speaks for the time that is nearer to its middle than to others."""
        middles = self.middles
        between = (middles[1:] + middles[:-1]) / 2
        return np.concatenate([self.times[:1, 0], between, [self.duration_s]])

    @cached_property
    def probabilities(self) -> np.ndarray:
        """float32 (windows, classes), smoothed.

        Probabilities are averaged and not logits, so that each window has an equal say; a mean of logits would let
        one that is very sure silence the others.
        """
        raw = prediction.probabilities(self.logits.astype(float), self.activation)
        return smoothed(raw, self.middles, self.smoothing_s).astype(np.float32)

    def segments(self, *, threshold: float = 0.0, top: int = TOP) -> tuple[Segment, ...]:
        """Return the stretches in which one class is on top; together they are the whole video.

        Args:
            threshold: Windows whose best class is less probable belong to no class.
            top: How many classes each tells, at least 1.

        Raises:
            ValueError: `threshold` is outside of [0, 1], or `top` is less than 1.
        """
        check_threshold(threshold)
        prediction.check_top(top)
        best = self.probabilities.argmax(axis=1)
        best[self.probabilities.max(axis=1) < threshold] = -1
        starts = np.flatnonzero(np.diff(best, prepend=-2))
        ends, edges = [*starts[1:], len(best)], self.edges
        found = []
        for start, end in zip(starts, ends, strict=True):
            means = self.probabilities[start:end].astype(float).mean(axis=0)
            name = None if best[start] < 0 else self.class_names[best[start]]
            classes = prediction.best_of(means, self.class_names, top)
            found.append(Segment(float(edges[start]), float(edges[end]), name, classes, int(end - start)))
        return tuple(found)

    def to_json(self, *, threshold: float = 0.0, top: int = TOP) -> dict[str, Any]:
        """Return JSON values: the settings, the segments, and of each window its best classes."""
        segments = [segment.to_json() for segment in self.segments(threshold=threshold, top=top)]
        windows = [
            {
                "start_s": _seconds(start_s),
                "end_s": _seconds(end_s),
                "top": _named(prediction.best_of(shares, self.class_names, top)),
            }
            for (start_s, end_s), shares in zip(self.times, self.probabilities, strict=True)
        ]
        facts = {name: getattr(self, name) for name in ("video", "model", "activation", "fps", "frames")}
        settings = asdict(self.sliding) | {"smoothing_s": self.smoothing_s, "threshold": threshold}
        return facts | {"duration_s": self.duration_s, **settings, "segments": segments, "windows": windows}

    def csv_rows(self) -> Iterator[list[str]]:
        """Yield the header, ``start_s``, ``end_s`` and all classes, and a row for each window."""
        yield ["start_s", "end_s", *self.class_names]
        for (start_s, end_s), shares in zip(self.times, self.probabilities, strict=True):
            yield [_written(start_s), _written(end_s), *(f"{share:.6g}" for share in shares)]

    def to_svg(self, *, most: int = 6) -> str:
        """Return the picture: a film strip, the class on top, and the curves of the `most` (1 to 6) notable classes.

        Raises:
            ValueError: `most` is out of range.
            MissingDependency: OpenCV is not installed.
        """
        smoothing = f", smoothed over {self.smoothing_s:g} s" if self.smoothing_s else ""
        count, length = len(self.times), self.sliding.window / self.fps
        every = f", every {self.sliding.stride / self.fps:.4g} s{smoothing}"
        windows = f"{count} windows of {length:.4g} s{every}" if count > 1 else f"one window of {length:.4g} s"
        curves = Curves(self.class_names, self.probabilities, self.middles, self.edges)
        return timeline_figure(
            curves, self.stills, title=Path(self.video).name, note=f"{windows} · {self.model}", most=most
        )

    def save(self, path: str | os.PathLike, *, threshold: float = 0.0, top: int = TOP) -> None:
        """Write a file, whole or not at all: ``.csv``, ``.json`` or the picture as ``.svg``, by its ending.

        Raises:
            ValueError: The ending is none of these.
        """
        path = Path(path)
        if path.suffix.lower() not in ENDINGS:
            raise ValueError(f"{path}: a timeline is written as {', '.join(ENDINGS)}, by the ending of the file's name")
        if path.suffix.lower() == ".csv":
            with whole_file.replacing(path) as aside, aside.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows(self.csv_rows())
        elif path.suffix.lower() == ".json":
            whole_file.write_text(path, json.dumps(self.to_json(threshold=threshold, top=top)) + "\n")
        else:
            whole_file.write_text(path, self.to_svg())


def timeline(
    video: str | os.PathLike,
    *,
    model: Model | None = None,
    server: str | Answering | None = None,
    window: int | None = None,
    stride: int = STRIDE,
    smoothing_s: float = 0.0,
    fill: str = LOOP,
) -> Timeline:
    """Tell the classes of a video over time, by a window that slides over it.

    Every frame is decoded once, and the flow from it to the next computed once, however much windows overlap. Memory
    does not grow with the video, but for 4 bytes a class and window: an hour's 11,248 windows of 400 classes are 18 MB.

    Args:
        video: Video file of any format that FFmpeg reads.
        model: As in `keras_i3d.predict`, or one that `keras_i3d.serving.classifier.open_classifier` opened, for
            several videos.
        server: In place of a model: a server's address, or a client by `keras_i3d.serving.client.connect`.
        window: Frames of a window, at the model's rate (25 per second, most often); None for as many as the model
            takes, or 64.
        stride: Frames from one window to the next.
        smoothing_s: Seconds over which probabilities are averaged: those of the windows whose middles are at most
            half of it away; fewer at the video's ends. By default not at all, since windows overlap already.
        fill: What the last window is filled up with, ``"loop"`` or ``"pad"``, where the video ends within it.

    Raises:
        VideoError: The file cannot be decoded to its end.
        ModelFileError: The model cannot be loaded.
        PredictionError: The model refuses a window.
        ServerError: The server cannot be reached, or has no such model.
        ValueError: An option is out of range, or the model takes no such window.
    """
    check_smoothing(smoothing_s)
    with windowed.opened(model, server) as (answering, name):
        sliding = windowed.sliding_for(answering, window=window, stride=stride, fill=fill)
        with progress.bar("windows of the video", expected_windows(answering, video, sliding)) as bar:
            return timeline_with(answering, video, sliding, model=name, smoothing_s=smoothing_s, on_window=bar.advance)


def expected_windows(answering: Answering, video: str | os.PathLike, sliding: Sliding) -> int | None:
    """Return about how many windows a video has, by what its container says; None where it says nothing."""
    frames = decode.expected_frames(video, fps=answering.preparation.fps)
    return None if frames is None else sliding.count(frames)


def timeline_with(
    answering: Answering,
    video: str | os.PathLike,
    sliding: Sliding,
    *,
    model: str,
    smoothing_s: float = 0.0,
    on_window: Callable[[], None] = lambda: None,
) -> Timeline:
    """Tell the classes of a video over time; `timeline` says the rest.

    Args:
        answering: What answers on its windows.
        video: Video file of any format that FFmpeg reads.
        sliding: How windows lie, as `keras_i3d.serving.windowed.sliding_for` chose it.
        model: What the result calls the model.
        smoothing_s: Seconds over which probabilities are averaged.
        on_window: Called after each window.
    """
    wanted, stills = answering.preparation, Stills()
    decoded = decode.iterate_frames(video, fps=wanted.fps, short_side=wanted.short_side)
    times, logits = [], []
    for window, answer in windowed.answers(answering, stills.over(decoded), sliding):
        times.append(window.times(wanted.fps))
        logits.append(answer)
        on_window()
    return Timeline(
        os.fspath(video),
        model,
        tuple(answering.class_names),
        answering.activation,
        wanted.fps,
        stills.passed,
        sliding,
        np.array(times),
        np.stack(logits),
        smoothing_s,
        stills.at(wanted.fps),
    )


def check_smoothing(smoothing_s: float) -> None:
    """Raise ValueError unless it is a number of seconds, 0 or more."""
    if not 0 <= smoothing_s < math.inf:
        raise ValueError(f"smoothing_s must be a number of seconds, 0 or more; got {smoothing_s}")


def check_threshold(threshold: float) -> None:
    """Raise ValueError unless it is a probability."""
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold must be a probability in [0, 1], got {threshold}")


def smoothed(values: np.ndarray, middles: np.ndarray, smoothing_s: float) -> np.ndarray:
    """Average each row with those at most half of `smoothing_s` away from it.

    Args:
        values: float64 (windows, classes).
        middles: float64 (windows,) seconds, increasing.
        smoothing_s: Seconds, 0 or more.

    Returns:
        float64 (windows, classes). Near the ends fewer rows are averaged; none counts twice.
    """
    reach = smoothing_s / 2 + _ROUNDING_S
    first = np.searchsorted(middles, middles - reach, "left")
    behind = np.searchsorted(middles, middles + reach, "right")
    sums = np.concatenate([np.zeros_like(values[:1]), values.cumsum(axis=0)])
    means = (sums[behind] - sums[first]) / (behind - first)[:, np.newaxis]
    return np.where((behind - first)[:, np.newaxis] == 1, values, means).clip(0, 1)


def _written(time_s: float) -> str:
    return f"{time_s:.6f}".rstrip("0").rstrip(".")


def _seconds(time_s: float) -> float:
    return round(float(time_s), 6)


def _named(top: tuple[tuple[str, float], ...]) -> list[dict[str, Any]]:
    return [{"class": name, "probability": probability} for name, probability in top]
