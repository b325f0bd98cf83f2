"""Turn a video file into RGB frames at a constant rate and a given short side.

The preparation is DeepMind's (README and MediaPipe graph of google-deepmind/kinetics-i3d): at every tick of
the wanted rate the frame nearest in presentation time, short side 256, bilinear, aspect kept. The resizer is
FFmpeg's swscale (``SWS_BILINEAR``) through PyAV. Decoding is sequential, never by seeking, so it is exact.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from keras_i3d.errors import TruncatedVideo, VideoError
from keras_i3d.extras import import_extra

FPS = 25.0
SHORT_SIDE = 256
LOWEST_FPS, HIGHEST_FPS = 1e-3, 1e3
LONGEST_GAP_S = 60  # between two frames; a damaged time stamp could ask for hours of one frame
MICROSECONDS = 1_000_000
# Containers count a few frames that decoders rightly drop (edit lists, a last empty packet), so a file counts
# as cut short only when more than this share of the frames, or of the time, that it promises is absent.
COUNT_TOLERANCE = 0.02
TIME_TOLERANCE = 0.1


def read_frames(
    path: str | os.PathLike,
    *,
    fps: float | None = FPS,
    short_side: int | None = SHORT_SIDE,
    start_s: float = 0.0,
    end_s: float | None = None,
) -> np.ndarray:
    """Decode a video, or a stretch of it, into memory.

    Args:
        path: Video file of any format that FFmpeg reads.
        fps: Frames per second of the result; None keeps the file's own frames.
        short_side: Pixels of the shorter side of the result; None keeps the file's own size.
        start_s: Start in seconds after the first frame.
        end_s: End in seconds after the first frame, itself excluded; None is the end of the video.

    Returns:
        uint8 array of shape (time, height, width, 3), RGB.

    Raises:
        VideoError: The file is no video, is damaged, or has no frame in the stretch.
        TruncatedVideo: It ends before its container says.
        MissingDependency: PyAV is not installed.
        ValueError: An option is out of range.
    """
    frames = list(iterate_frames(path, fps=fps, short_side=short_side, start_s=start_s, end_s=end_s))
    return np.stack(frames)


def iterate_frames(
    path: str | os.PathLike,
    *,
    fps: float | None = FPS,
    short_side: int | None = SHORT_SIDE,
    start_s: float = 0.0,
    end_s: float | None = None,
) -> Iterator[np.ndarray]:
    """Decode a video frame by frame, in the memory of one; arguments and errors as in `read_frames`.

    Yields:
        uint8 arrays of shape (height, width, 3), RGB; at least one.
    """
    if fps is not None and not LOWEST_FPS <= fps <= HIGHEST_FPS:
        raise ValueError(f"fps must be above 0 and at most 1000, or None for the file's own frames; got {fps}")
    if short_side is not None and short_side < 1:
        raise ValueError(f"short_side must be at least 1, or None for the file's own size; got {short_side}")
    if not 0 <= start_s < math.inf or (end_s is not None and not start_s < end_s < math.inf):
        raise ValueError(f"a stretch needs 0 <= start_s < end_s, got start_s={start_s}, end_s={end_s}")

    size, found = None, 0
    start, end = _exact(start_s), None if end_s is None else _exact(end_s)
    for frame in _resampled(_decoded(path, end), fps, start, end):
        size = size or _resized(frame.width, frame.height, short_side)
        found += 1
        array = frame.to_ndarray(format="rgb24", width=size[0], height=size[1], interpolation="BILINEAR")
        yield np.ascontiguousarray(np.rot90(array, round(frame.rotation / 90)))  # phones write turned pictures
    if not found:
        stretch = f" between {start_s:g} s and {'its end' if end_s is None else f'{end_s:g} s'}"
        raise VideoError(f"{path}: no video frame{stretch if start_s or end_s is not None else ''}")


def _exact(seconds: float) -> Fraction:
    """Take a decimal at its word: 0.2 is one fifth, not the binary number next to it."""
    return Fraction(seconds).limit_denominator(MICROSECONDS)


def _resized(width: int, height: int, short_side: int | None) -> tuple[int, int]:
    """Return (width, height) with the given short side, the other rounded to the nearest pixel."""
    if short_side is None:
        return width, height
    if width <= height:
        return short_side, max(1, math.floor(height * short_side / width + 0.5))
    return max(1, math.floor(width * short_side / height + 0.5)), short_side


def _decoded(path: str | os.PathLike, end: Fraction | None) -> Iterator[tuple[Fraction, Any]]:
    """Yield (seconds after the first frame, PyAV frame) up to the first one at `end`; check that none is missing."""
    av = import_extra("av")
    count, seconds, first = 0, Fraction(0), None
    try:
        if os.path.isfile(path) and not os.path.getsize(path):  # noqa: PTH113, PTH202  (pathlib's fail on long names)
            raise VideoError(f"{path}: the file is empty; a video is wanted")
        with av.open(os.path.abspath(path)) as container:  # noqa: PTH100  (a name like 12:30.mp4 is no protocol)
            if not container.streams.video:
                raise VideoError(f"{path}: holds no video stream")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for frame in container.decode(stream):
                if frame.pts is None:
                    seconds = Fraction(count) / (stream.average_rate or stream.guessed_rate or Fraction(FPS))
                else:
                    first = frame.pts if first is None else first
                    before, seconds = seconds, (frame.pts - first) * frame.time_base
                    if seconds - before > LONGEST_GAP_S:
                        raise VideoError(f"{path}: no frame for {float(seconds - before):.0f} s after {count} frames")
                count += 1
                yield seconds, frame
                if end is not None and seconds >= end:
                    return
            if count:
                _check_promise(path, container, stream, count, seconds)
    except av.error.FFmpegError as error:
        where = f"damaged after {count} frames" if count else "cannot be read as video"
        raise VideoError(f"{path}: {where} ({error.strerror})") from error


def _check_promise(path: str | os.PathLike, container: Any, stream: Any, count: int, seconds: Fraction) -> None:
    """Raise TruncatedVideo where much less was decoded than the container says it holds."""
    if stream.frames:
        if count < stream.frames * (1 - COUNT_TOLERANCE) - 1:
            raise TruncatedVideo(f"{path}: cut short, {count} frames where the file promises {stream.frames}")
        return
    promised = _promised_seconds(container, stream)
    last_frame = 1 / (stream.average_rate or Fraction(1))
    if seconds + last_frame < promised * Fraction(1 - TIME_TOLERANCE):
        raise TruncatedVideo(
            f"{path}: cut short at {float(seconds):.2f} s where the file promises {float(promised):.2f} s"
        )


def _promised_seconds(container: Any, stream: Any) -> Fraction:
    """Return the length of the video stream as the container tells it, 0 where it does not."""
    if stream.duration:
        return stream.duration * stream.time_base
    start = Fraction(max(container.start_time or 0, 0), MICROSECONDS)
    if tag := stream.metadata.get("DURATION"):  # Matroska's, HH:MM:SS.fraction
        hours, minutes, rest = (Fraction(part) for part in tag.split(":"))
        return hours * 3600 + minutes * 60 + rest - start
    if len(container.streams) == 1 and container.duration:  # of several streams another may last longer
        return Fraction(container.duration, MICROSECONDS) - start
    return Fraction(0)


def _resampled(
    frames: Iterator[tuple[Fraction, Any]], fps: float | None, start: Fraction, end: Fraction | None
) -> Iterator[Any]:
    """Yield for every tick ``start + k / fps`` before the end the frame that is nearest in time.

    The last tick is the last one that has the last frame within half a period, so a video that has the
    wanted rate already passes unchanged.
    """
    if fps is None:
        yield from (f for time, f in frames if time >= start and (end is None or time < end))
        return
    period = 1 / Fraction(fps).limit_denominator(1_000_000)
    tick, previous = start, None
    for time, frame in frames:
        if previous is not None:
            middle = (previous[0] + time) / 2
            while tick < middle and (end is None or tick < end):
                yield previous[1]
                tick += period
        previous = (time, frame)
    if previous is None:
        return
    while tick <= previous[0] + period / 2 and (end is None or tick < end):
        yield previous[1]
        tick += period
