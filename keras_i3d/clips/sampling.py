"""Which frames of a video make a clip: index arithmetic alone, on TensorFlow scalars.

Carreira & Zisserman 2017, section 2.5: training takes a random start early enough for the wanted frames, and
loops a video that is too short as often as needed; testing takes the whole video.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from keras_i3d.protocol import WHOLE_VIDEO_FRAMES


def random_clip(available: Any, frames: int, seed: Any) -> Any:
    """Return the indices of consecutive frames from a random start.

    Args:
        available: int32 scalar, frames in the video, at least 1.
        frames: Frames of the clip.
        seed: int tensor of shape (2,), for stateless random numbers.

    Returns:
        int32 tensor of shape (frames,), each in [0, available). Short videos start over from their first frame.
    """
    latest = tf.maximum(available - frames, 0)
    start = tf.random.stateless_uniform([], seed, 0, latest + 1, tf.int32)
    return _looped(start, available, frames)


def centre_clip(available: Any, frames: int) -> Any:
    """Return the indices of the middle frames; arguments and result as in `random_clip`."""
    return _looped(tf.maximum(available - frames, 0) // 2, available, frames)


def whole_video(available: Any, most: int = WHOLE_VIDEO_FRAMES, multiple: int = 1) -> Any:
    """Return the indices of all frames, or of the middle ones where there are more than wanted.

    Args:
        available: int32 scalar, frames in the video, at least 1.
        most: Longest clip.
        multiple: The clip's length is a multiple of it; a video with fewer frames starts over.

    Returns:
        int32 tensor of min(available, most) frames, rounded down to a multiple, but at least one.
    """
    length = tf.maximum(tf.minimum(available, most) // multiple, 1) * multiple
    return _looped(tf.maximum(available - length, 0) // 2, available, length)


def spread_clip(available: Any, frames: int, number: Any, count: int, most: int | None = None) -> Any:
    """Return the indices of one of several clips that lie evenly over a video, from its first to its last frame.

    Args:
        available: int32 scalar, frames in the video, at least 1.
        frames: Frames of the clip.
        number: Integer scalar in [0, count), which of the clips.
        count: How many clips there are; of one alone it is the middle one.
        most: Frames of the middle of the video that are seen at most; None for all.

    Returns:
        int32 tensor of shape (frames,), each in [0, available). Short videos start over from their first frame.
    """
    span = available if most is None else tf.minimum(available, most)
    room = tf.maximum(span - frames, 0)
    place = room // 2 if count == 1 else room * tf.cast(number, tf.int32) // (count - 1)
    start = (available - span) // 2 + place
    return _looped(start, available, frames)


def _looped(start: Any, available: Any, frames: Any) -> Any:
    return (start + tf.range(frames)) % available
