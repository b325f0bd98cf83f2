"""Frames to network input: resize, crop, flip, scale; one draw for both streams of a video.

Carreira & Zisserman 2017, section 2.5: short side 256, crop 224, values in [-1, 1]; smaller networks keep the
ratio of 256 to 224. The same functions serve training, evaluation and the exported model.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from keras_i3d import streams
from keras_i3d.streams import FLOW_BOUND


def short_side_for(size: int) -> int:
    """Return the short side that frames are resized to before a crop of `size`: size x 256 / 224."""
    return int(size * 256 / 224 + 0.5)


def size_for(short_side: int) -> int:
    """Return the crop that belongs to a short side: the inverse of `short_side_for`."""
    return max(1, int(short_side * 224 / 256 + 0.5))


def resize_short_side(frames: Any, short_side: int, modality: str) -> Any:
    """Resize frames, keeping their aspect; frames that have the short side already pass unchanged.

    Bilinear with antialiasing. Flow vectors are scaled with the picture they lie in.

    Args:
        frames: float32 tensor of shape (time, height, width, channels); flow in pixels.
        short_side: Pixels of the shorter side of the result.
        modality: ``"rgb"`` or ``"flow"``.

    Returns:
        float32 tensor of shape (time, height', width', channels).
    """
    height, width = tf.shape(frames)[1], tf.shape(frames)[2]
    shorter = tf.minimum(height, width)

    def resized() -> Any:
        ratio = short_side / shorter
        new = tf.maximum(tf.cast(tf.floor(tf.cast([height, width], tf.float64) * ratio + 0.5), tf.int32), 1)
        result = tf.image.resize(frames, new, antialias=True)
        if modality == "flow":
            result *= tf.cast(new[::-1] / [width, height], tf.float32)
        return result

    return tf.cond(shorter == short_side, lambda: frames, resized)


def crop(frames: Any, size: int, place: Any) -> Any:
    """Cut a square out of frames.

    Args:
        frames: Tensor of shape (time, height, width, channels), no side shorter than `size`.
        size: Height and width of the square.
        place: float tensor of shape (2,), each in [0, 1]: where between top and bottom, left and right.

    Returns:
        Tensor of shape (time, size, size, channels).
    """
    room = tf.shape(frames)[1:3] - size
    offset = tf.cast(tf.floor(tf.cast(room, tf.float32) * place + 0.5), tf.int32)
    cut = frames[:, offset[0] : offset[0] + size, offset[1] : offset[1] + size]
    return tf.ensure_shape(cut, (None, size, size, frames.shape[-1]))


def flip(frames: Any, modality: str) -> Any:
    """Mirror frames left to right; the horizontal part of flow changes its sign.

    Args:
        frames: float32 tensor of shape (time, height, width, channels); flow symmetric about zero.
        modality: ``"rgb"`` or ``"flow"``.
    """
    mirrored = tf.reverse(frames, axis=[2])
    return mirrored * [-1.0, 1.0] if modality == "flow" else mirrored


def scale(frames: Any, modality: str) -> Any:
    """Bring values to [-1, 1].

    Args:
        frames: float32 tensor; rgb in [0, 255], flow in pixels, cut at +-20.
        modality: ``"rgb"`` or ``"flow"``.
    """
    streams.channels(modality)
    if modality == "rgb":
        return frames / 127.5 - 1.0
    return tf.clip_by_value(frames, -FLOW_BOUND, FLOW_BOUND) / FLOW_BOUND


def testing_view(frames: Any, size: int, modality: str) -> Any:
    """Prepare frames as in the paper's tests: resize, centre crop, scale.

    Args:
        frames: Tensor of shape (time, height, width, channels); rgb in [0, 255], flow in pixels.
        size: Height and width of the result.
        modality: ``"rgb"`` or ``"flow"``.

    Returns:
        float32 tensor of shape (time, size, size, channels) in [-1, 1].
    """
    frames = resize_short_side(tf.cast(frames, tf.float32), short_side_for(size), modality)
    return scale(crop(frames, size, tf.constant([0.5, 0.5])), modality)


def training_view(frames: Any, size: int, modality: str, *, place: Any, mirrored: Any) -> Any:
    """Prepare frames for training: resize, crop where told, flip where told, scale.

    Args:
        frames: As in `testing_view`.
        size: Height and width of the result.
        modality: ``"rgb"`` or ``"flow"``.
        place: As in `crop`.
        mirrored: bool scalar.

    Returns:
        As in `testing_view`.
    """
    frames = resize_short_side(tf.cast(frames, tf.float32), short_side_for(size), modality)
    frames = scale(crop(frames, size, place), modality)
    return tf.cond(mirrored, lambda: flip(frames, modality), lambda: frames)
