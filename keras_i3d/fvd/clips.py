"""A video of any size and stated range into what the network is given, frame by frame as the original does.

Source: `preprocess` of google-research/frechet_video_distance: TF1's ``tf.image.resize_bilinear``, without aligned
corners or half-pixel centres, to the whole size of the network, in floats; then 2 x / 255 - 1.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf

from keras_i3d.fvd.videos import Video

RANGES = ((0, 1), (-1, 1), (0, 255))
SLACK = 1e-5  # of a range's span: what rounding of float32 leaves outside, and is cut off
Item = TypeVar("Item")
Result = TypeVar("Result")
Range = tuple[float, float]


class TooShort(ValueError):
    """A video has fewer frames than are wanted."""


@dataclass(frozen=True, eq=False)
class Clip:
    """A video as the network is given it.

    Attributes:
        name: Of the video.
        frames: float32 (time, size, size, 3) in [-1, 1].
        size: The video's own, such as ``"320x240"``, width first.
        values: Lowest and highest value of the video on the scale 0 to 255.
    """

    name: str
    frames: np.ndarray
    size: str
    values: Range


def checked_range(value_range: Any) -> Range | None:
    """Return a stated range of values as one of `RANGES`, or None.

    Raises:
        ValueError: It is another one.
    """
    if value_range is None:
        return None
    try:
        return RANGES[RANGES.index(tuple(value_range))]
    except (TypeError, ValueError):
        known = ", ".join(map(str, RANGES))
        raise ValueError(f"value_range must be one of {known}, or None of uint8; got {value_range!r}") from None


def prepare(video: Video, *, size: int, frames: int | None, value_range: Range | None) -> Clip:
    """Read a video and resize it.

    Args:
        video: Of any length and size.
        size: Height and width of the result.
        frames: How many of its frames are taken, from its start; None takes all.
        value_range: Of floats, one of `RANGES`; uint8 is always 0 to 255.

    Raises:
        TooShort: It has fewer frames.
        ValueError: Its array is of another shape or dtype, or holds values outside of the range.
        VideoError: The file cannot be decoded up to the last frame wanted.
    """
    parts, count, own, values = [], 0, "", (255.0, 0.0)
    for chunk in video.chunks(frames):
        if chunk.ndim != 4 or chunk.shape[-1] != 3 or 0 in chunk.shape:
            raise ValueError(f"{video.name}: a video is (time, height, width, 3), got frames of {chunk.shape[1:]}")
        scaled = on_byte_scale(chunk, video.name, value_range)
        values = min(values[0], float(scaled.min())), max(values[1], float(scaled.max()))
        with tf.device("CPU:0"):
            parts.append(resized(scaled, size).numpy())
        count, own = count + len(chunk), f"{chunk.shape[2]}x{chunk.shape[1]}"
    if not count or (frames is not None and count < frames):
        raise TooShort(f"{video.name}: has {count} frames, {frames or 'at least 1'} are wanted")
    return Clip(video.name, np.concatenate(parts), own, values)


def on_byte_scale(frames: np.ndarray, name: str, value_range: Range | None) -> np.ndarray:
    """Return frames on the scale 0 to 255: uint8 as they are, floats of a stated range as float32.

    Raises:
        ValueError: Floats without a stated range, values outside of it or that are no numbers, another dtype.
    """
    if frames.dtype == np.uint8:
        return frames
    if frames.dtype.kind != "f" and frames.dtype.name != "bfloat16":
        raise ValueError(f"{name}: frames must be uint8, 0 to 255, or float with value_range; got {frames.dtype}")
    if value_range is None:
        raise ValueError(
            f"{name}: {frames.dtype} frames may mean any range; state value_range as "
            f"{' or '.join(map(str, RANGES))} (their values are {frames.min():.4g} to {frames.max():.4g})"
        )
    low, high = value_range
    frames = frames.astype(np.float32)
    slack = SLACK * (high - low)
    wrong = ~((frames >= low - slack) & (frames <= high + slack))  # NaN is no less and no more than anything
    if wrong.any():
        raise ValueError(f"{name}: has the value {frames[wrong][0]:.6g}, outside of the stated range {low} to {high}")
    return (np.clip(frames, low, high) - low) * np.float32(255 / (high - low))


def resized(frames: Any, size: int) -> Any:
    """Return frames (n, height, width, 3) on the scale 0 to 255 as float32 (n, size, size, 3) in [-1, 1]."""
    # TF2's tf.image.resize has half-pixel centres, and TF1's warns that it is old
    pictures = tf.raw_ops.ResizeBilinear(
        images=frames, size=(size, size), align_corners=False, half_pixel_centers=False
    )
    return 2.0 * pictures / 255.0 - 1.0


def ahead(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int
) -> Iterator[tuple[Item, Result | Exception]]:
    """Yield each item, in order, with ``function(item)`` or the error that it ended in, computed ahead by threads.

    At most one result more than there are threads is waited for or waiting. Items are drawn by the caller's thread.
    """
    pool = ThreadPoolExecutor(threads, "fvd")
    pending: deque[tuple[Item, Future]] = deque()
    try:
        for item in items:
            pending.append((item, pool.submit(function, item)))
            if len(pending) > threads:
                yield _outcome(*pending.popleft())
        while pending:
            yield _outcome(*pending.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _outcome(item: Item, future: Future) -> tuple[Item, Any]:
    error = future.exception()
    if error is not None and not isinstance(error, Exception):
        raise error
    return item, future.result() if error is None else error
