"""Where `predict` writes classes over time: a table for people, lines for programs, files for both.

No command of its own: ``keras-i3d predict --timeline``, and ``keras-i3d predict -`` for a pipe of frames.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from keras_i3d.errors import VideoError
from keras_i3d.figures.style import clock, percent, shorten
from keras_i3d.serving import prediction, windowed
from keras_i3d.serving.prediction import Answering, Failure
from keras_i3d.serving.stream import WindowPrediction, predict_stream
from keras_i3d.serving.timeline import (
    ENDINGS,
    Segment,
    Timeline,
    check_smoothing,
    check_threshold,
    expected_windows,
    timeline_with,
)
from keras_i3d.video.windows import FILLS, LOOP

OF_TIMELINES = ("window", "stride", "smoothing_s", "threshold", "fill", "output")
OF_PIPES = ("frame_size", "fps")
MOST_LINES = 40  # of a table
_NAME_LENGTH, _BAR_LENGTH = 32, 10
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of timelines and of pipes."""
    group = parser.add_argument_group("classes over time")
    group.add_argument("--timeline", action="store_true", help="tell the classes over time, for long videos")
    group.add_argument(
        "--window", type=int, metavar="FRAMES", help="of a window, at the model's rate (default: the model's, or 64)"
    )
    group.add_argument(
        "--stride", type=int, metavar="FRAMES", help=f"from one window to the next (default: {windowed.STRIDE})"
    )
    group.add_argument(
        "--smoothing-s", type=float, metavar="S", help="average probabilities over S seconds (default: 0)"
    )
    group.add_argument("--threshold", type=float, metavar="P", help="name no class below this probability (default: 0)")
    group.add_argument("--fill", choices=FILLS, help=f"what fills the last window up (default: {LOOP})")
    group.add_argument("--output", metavar="DIR", help="write NAME.csv, NAME.json and NAME.svg of each video there")
    group = parser.add_argument_group("a pipe of raw frames (VIDEO is -)")
    group.add_argument("--frame-size", metavar="WxH", help="width and height of the frames, such as 640x480")
    group.add_argument("--fps", type=float, help="frames per second that come (default: 25)")


def check_arguments(arguments: argparse.Namespace) -> None:
    """Raise ValueError where options do not go together, before anything is opened."""
    piped = "-" in arguments.videos
    if piped and len(arguments.videos) > 1:
        raise ValueError("- is standard input, which is read alone; give files in another call")
    if piped and arguments.frame_size is None:
        raise ValueError("frames from standard input are rgb24 without a header: tell their size by --frame-size WxH")
    unfit = [name for name in OF_PIPES if not piped and getattr(arguments, name) is not None]
    if unfit:
        raise ValueError(f"{_option(unfit[0])} is of frames from standard input, VIDEO is then -")
    if piped:
        frame_size(arguments.frame_size)
        unfit = [name for name in ("smoothing_s", "threshold", "output") if getattr(arguments, name) is not None]
        if unfit:
            raise ValueError(
                f"{_option(unfit[0])} wants a whole video; frames from standard input are told as they come"
            )
        return
    unfit = [name for name in OF_TIMELINES if not arguments.timeline and getattr(arguments, name) is not None]
    if unfit:
        raise ValueError(f"{_option(unfit[0])} is an option of --timeline")
    check_smoothing(arguments.smoothing_s or 0.0)
    check_threshold(arguments.threshold or 0.0)


def frame_size(text: str) -> tuple[int, int]:
    """Read ``WxH``.

    Raises:
        ValueError: It is not that.
    """
    found = re.fullmatch(r"([1-9]\d*)[x:]([1-9]\d*)", text)
    if not found:
        raise ValueError(f"--frame-size is width x height in pixels, such as 640x480; got {text!r}")
    return int(found[1]), int(found[2])


class Timelines:
    """Asks for the timelines of videos, prints and writes them, as the command's options want it.

    Raises:
        ValueError: An option does not fit the model, or two videos would be written to one file.
    """

    def __init__(self, arguments: argparse.Namespace, answering: Answering, model: str, many: bool) -> None:
        self._arguments, self._answering, self._model, self._many = arguments, answering, model, many
        self._sliding = windowed.sliding_for(answering, **_windows(arguments))

    def each(
        self, videos: Sequence[str], *, in_flight: int, on_window: Callable[[], None]
    ) -> Iterator[Timeline | Failure]:
        """Yield the timeline of each video, or why there is none."""

        def ask(video: str | os.PathLike, each_window: Callable[[], None]) -> Timeline:
            smoothing_s = self._arguments.smoothing_s or 0.0
            options = {"model": self._model, "smoothing_s": smoothing_s, "on_window": each_window}
            return timeline_with(self._answering, video, self._sliding, **options)

        return prediction.ask_each(ask, videos, in_flight=in_flight, on_window=on_window)

    def expected_windows(self, video: str) -> int | None:
        """Return about how many windows a video has, None where that is not known."""
        return expected_windows(self._answering, video, self._sliding)

    def written(self, found: Timeline) -> str:
        """Return what is printed of a timeline; of many, tables have an empty line between them."""
        threshold = self._arguments.threshold or 0.0
        if self._arguments.json:
            return json.dumps(found.to_json(threshold=threshold, top=self._arguments.top))
        return table(found, threshold=threshold) + "\n" * self._many

    def save(self, found: Timeline, name: str) -> None:
        """Write the files of a timeline, where the output folder is asked for."""
        if self._arguments.output is None:
            return
        target = Path(self._arguments.output, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        for ending in ENDINGS:
            path = target.with_name(target.name + ending)
            found.save(path, threshold=self._arguments.threshold or 0.0, top=self._arguments.top)


def _windows(arguments: argparse.Namespace) -> dict[str, Any]:
    given = {name: getattr(arguments, name) for name in ("window", "stride", "fill")}
    return {name: value for name, value in given.items() if value is not None}


def table(found: Timeline, *, threshold: float = 0.0) -> str:
    """Write a timeline for a terminal: a line for each stretch with one class on top, at most 40 of them."""
    segments = found.segments(threshold=threshold, top=2)
    count, length = len(found.times), found.sliding.window / found.fps
    head = f"{found.video}: {clock(found.duration_s, digits=1)}, {count} window{'s' * (count > 1)} of {length:.4g} s"
    longest = sorted(segments, key=lambda segment: segment.start_s - segment.end_s)[:MOST_LINES]
    shown = [segment for segment in segments if segment in longest]
    width = min(_NAME_LENGTH, max(len(segment.class_name or "-") for segment in shown))
    wide = len(clock(found.duration_s, digits=1))
    lines = [head, *(_line(segment, width, wide) for segment in shown)]
    if len(shown) < len(segments):
        lines.append(
            f"  and {len(segments) - len(shown)} shorter stretches; --smoothing-s and --threshold make fewer of them, "
            "--json and --output tell all"
        )
    return "\n".join(lines)


def _line(segment: Segment, width: int, wide: int) -> str:
    start, end = (clock(time_s, digits=1) for time_s in (segment.start_s, segment.end_s))
    name = shorten(segment.class_name or "-", width)
    others = segment.top[1:] if segment.class_name else segment.top[:1]
    others = ", ".join(f"{shorten(other, _NAME_LENGTH)} {percent(share, digits=0)}" for other, share in others)
    share = segment.probability if segment.class_name else 0.0
    number = f"{share:4.0%}" if segment.class_name else "    "
    return f"  {start:>{wide}} - {end:>{wide}}  {name:{width}}  {number} {_bar(share)}  {others}".rstrip()


def _bar(share: float) -> str:
    eighths = round(share * _BAR_LENGTH * 8)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()).ljust(_BAR_LENGTH)


def answer_pipe(arguments: argparse.Namespace, answering: Answering, file: BinaryIO) -> Iterator[str]:
    """Yield a line for each window of the raw frames in a file, as soon as it is seen."""
    width, height = frame_size(arguments.frame_size)
    frames = raw_frames(file, width, height)
    rate = {} if arguments.fps is None else {"fps": arguments.fps}
    found = predict_stream(frames, model=answering, top=arguments.top, **rate, **_windows(arguments))
    for one in found:
        yield json.dumps(one.to_json()) if arguments.json else _window_line(one)


def _window_line(one: WindowPrediction) -> str:
    classes = "  ".join(f"{name} {probability:.1%}" for name, probability in one.top)
    return f"{clock(one.start_s, digits=1):>7} - {clock(one.end_s, digits=1):>7}  {classes}"


def raw_frames(file: BinaryIO, width: int, height: int) -> Iterator[np.ndarray]:
    """Yield the frames of a file of ``rgb24``, uint8 (height, width, 3), until it ends.

    Raises:
        VideoError: It ends within a frame, or is empty.
    """
    size, count = width * height * 3, 0
    while raw := file.read(size):
        if len(raw) < size:
            raise VideoError(
                f"standard input ends within frame {count}, after {len(raw)} of {size} bytes; are the frames rgb24 of "
                f"{width}x{height}?"
            )
        yield np.frombuffer(raw, np.uint8).reshape(height, width, 3)
        count += 1
    if not count:
        raise VideoError("standard input is empty; raw frames (rgb24) are wanted")


def standard_input() -> BinaryIO:
    """Return standard input as bytes."""
    return sys.stdin.buffer


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
