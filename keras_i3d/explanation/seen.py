"""What of a video a network sees in a test: the middle of it, the centre of its frames, cut into windows."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from keras_i3d.clips import sampling, transforms
from keras_i3d.finished_model import FinishedModel
from keras_i3d.protocol import short_side_for
from keras_i3d.video import decode, flow

MOST_FRAMES = 1000


@dataclass(frozen=True)
class Part:
    """Which part of a video is looked at.

    Attributes:
        frames: The most frames; of a longer stretch its middle is taken. None for as many as the network's test takes
            (250 for I3D, ten seconds).
        start_s: Start of the stretch, in seconds after the first frame.
        end_s: Its end, itself excluded; None for the end of the video.

    Raises:
        ValueError: The number of frames is not 1 to `MOST_FRAMES`.
    """

    frames: int | None = None
    start_s: float = 0.0
    end_s: float | None = None

    def __post_init__(self) -> None:
        if self.frames is not None and not 1 <= self.frames <= MOST_FRAMES:
            raise ValueError(f"frames must be 1 to {MOST_FRAMES}, got {self.frames}")


@dataclass(frozen=True)
class Box:
    """A rectangle of a frame, in pixels."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True, eq=False)
class Seen:
    """What a network sees of a video.

    Attributes:
        frames: uint8 (time, height, width, 3), RGB, at the rate and short side of the network.
        start_s: Of the first of them, in seconds after the first frame of the video.
        fps: Their rate.
        box: The part of each frame that the network sees.
        clips: Its input, by stream, float32 (windows, steps, size, size, channels) in [-1, 1].
        order: int (span,): which of the frames stands where in the windows, put end to end; a short video starts over.
    """

    frames: np.ndarray
    start_s: float
    fps: float
    box: Box
    clips: dict[str, np.ndarray]
    order: np.ndarray


def see(video: str | os.PathLike, finished: FinishedModel, part: Part) -> Seen:
    """Decode what a network sees of a video.

    Raises:
        VideoError: The file cannot be decoded, or has no frame in the stretch.
    """
    preparation, protocol = finished.preparation, finished.protocol
    most = part.frames or min(protocol.test_frames, MOST_FRAMES)
    options = {"fps": preparation.fps, "short_side": preparation.short_side}
    frames, first = middle(video, most, **options, start_s=part.start_s, end_s=part.end_s)
    order = sampling.whole_video(len(frames), len(frames), finished.window or protocol.period).numpy()
    frames, first, order = frames[order.min() : order.max() + 1], first + int(order.min()), order - order.min()
    given = {"rgb": frames}
    if "flow" in protocol.streams:
        given["flow"] = flow.as_stored(flow.tvl1(frames))
    window = finished.window or len(order)
    clips = {}
    for stream, taken in protocol.streams.items():
        windows = [window_of[taken.offset :: taken.step] for window_of in order.reshape(-1, window)]
        pictures = tf.constant(given[stream][np.concatenate(windows)])
        views = transforms.testing_view(pictures, preparation.size, stream).numpy()
        clips[stream] = views.reshape(len(windows), -1, *views.shape[1:])
    start_s = part.start_s + first / preparation.fps
    return Seen(frames, start_s, preparation.fps, box_of(*frames.shape[1:3], preparation.size), clips, order)


def box_of(height: int, width: int, size: int) -> Box:
    """Return the centre crop of `keras_i3d.clips.transforms.testing_view` on frames of a height and width."""
    ratio = short_side_for(size) / min(height, width)
    new = np.maximum(np.floor(np.array([height, width]) * ratio + 0.5), 1)
    corner = np.floor((new - size) * 0.5 + 0.5)
    back = np.array([height, width]) / new
    top, left = np.rint(corner * back).astype(int)
    bottom, right = np.rint((corner + size) * back).astype(int)
    return Box(int(top), int(left), int(bottom - top), int(right - left))


def middle(video: str | os.PathLike, most: int, **options: float | None) -> tuple[np.ndarray, int]:
    """Return the middle frames of a stretch, and the number of the first of them."""
    reading = decode.iterate_frames(video, **options)
    frames = list(itertools.islice(reading, most))
    more = sum(1 for _ in reading)
    if not more:
        return np.stack(frames), 0
    del frames  # a long video is read twice rather than kept
    first = more // 2
    return np.stack(list(itertools.islice(decode.iterate_frames(video, **options), first, first + most))), first
