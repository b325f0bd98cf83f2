"""Frames to network input: resize, crop, flip, scale; one draw for both streams of a video.

Carreira & Zisserman 2017, section 2.5: short side 256, crop 224, values in [-1, 1]; smaller networks keep the
ratio of 256 to 224. The same functions serve training, evaluation and the exported model.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from keras_i3d import streams
from keras_i3d.protocol import short_side_for
from keras_i3d.streams import FLOW_BOUND

CENTRE = (0.5, 0.5)  # place of the crop in tests


def cut(frames: Any, size: int, modality: str, place: Any, short_side: Any) -> Any:
    """Resize frames, keeping their aspect, and cut a square out of them.

    Frames that have the short side already are cut alone. Others are resized bilinearly with antialiasing, no more
    of them than the square, and flow vectors are scaled with the picture they lie in.

    Args:
        frames: float32 tensor of shape (time, height, width, channels); rgb in [0, 255], flow in pixels.
        size: Height and width of the square.
        modality: ``"rgb"`` or ``"flow"``.
        place: float tensor of shape (2,), each in [0, 1]: where between top and bottom, left and right.
        short_side: int32 scalar, pixels of the shorter side before the cut, no fewer than `size`.

    Returns:
        float32 tensor of shape (time, size, size, channels).
    """
    shorter = tf.reduce_min(tf.shape(frames)[1:3])
    return tf.cond(
        tf.equal(shorter, short_side),
        lambda: crop(frames, size, place),
        lambda: resize_and_crop(frames, size, modality, place, short_side),
    )


def resize_and_crop(frames: Any, size: int, modality: str, place: Any, short_side: Any) -> Any:
    """Do as `cut` does with frames that have another short side."""
    new, factors = _resized_sides(frames, short_side)
    resized = _resized(frames, [size, size], factors, -tf.cast(corner(new, size, place), tf.float32))
    return resized * factors[::-1] if modality == "flow" else resized


def resize(frames: Any, short_side: Any) -> Any:
    """Resize whole frames as `cut` does, keeping their aspect; those that have the short side already stay.

    Args:
        frames: Tensor of shape (time, height, width, 3), rgb in [0, 255].
        short_side: int32 scalar, pixels of the shorter side of the result.

    Returns:
        float32 tensor of shape (time, height, width, 3).
    """
    frames = tf.cast(frames, tf.float32)
    new, factors = _resized_sides(frames, short_side)
    return tf.cond(
        tf.reduce_all(tf.equal(new, tf.shape(frames)[1:3])),
        lambda: frames,
        lambda: _resized(frames, new, factors, [0.0, 0.0]),
    )


def _resized_sides(frames: Any, short_side: Any) -> tuple[Any, Any]:
    """Return height and width of frames whose shorter side is to be so long, and their ratios to what they are."""
    sides = tf.shape(frames)[1:3]
    ratio = short_side / tf.reduce_min(sides)
    new = tf.maximum(tf.cast(tf.floor(tf.cast(sides, tf.float64) * ratio + 0.5), tf.int32), 1)
    return new, tf.cast(new, tf.float32) / tf.cast(sides, tf.float32)


def _resized(frames: Any, sides: Any, factors: Any, translation: Any) -> Any:
    return tf.raw_ops.ScaleAndTranslate(
        images=frames,
        size=sides,
        scale=factors,
        translation=translation,
        kernel_type="triangle",
        antialias=True,
    )


def crop(frames: Any, size: int, place: Any) -> Any:
    """Cut a square out of frames.

    Args:
        frames: Tensor of shape (time, height, width, channels), no side shorter than `size`.
        size: Height and width of the square.
        place: As in `cut`.

    Returns:
        Tensor of shape (time, size, size, channels).
    """
    top_left = corner(tf.shape(frames)[1:3], size, place)
    square = frames[:, top_left[0] : top_left[0] + size, top_left[1] : top_left[1] + size]
    return tf.ensure_shape(square, (None, size, size, frames.shape[-1]))


def corner(sides: Any, size: int, place: Any) -> Any:
    """Return top and left of a square in a picture.

    Args:
        sides: int32 tensor of shape (2,), height and width of the picture.
        size: Of the square.
        place: As in `cut`.

    Returns:
        int32 tensor of shape (2,).
    """
    return tf.cast(tf.floor(tf.cast(sides - size, tf.float32) * place + 0.5), tf.int32)


def flip(frames: Any, modality: str) -> Any:
    """Mirror frames left to right; the horizontal part of flow changes its sign.

    Args:
        frames: float32 tensor of shape (time, height, width, channels); flow symmetric about zero.
        modality: ``"rgb"`` or ``"flow"``.

    Returns:
        Tensor of the same shape.
    """
    shape = tf.shape(frames)
    rows = tf.reshape(frames, (-1, shape[2], frames.shape[3]))  # TensorFlow mirrors three axes faster than four
    mirrored = tf.ensure_shape(tf.reshape(tf.reverse(rows, axis=[1]), shape), frames.shape)
    return mirrored * [-1.0, 1.0] if modality == "flow" else mirrored


def scale(frames: Any, modality: str) -> Any:
    """Bring values to [-1, 1].

    Args:
        frames: Tensor; rgb in [0, 255], float32 or uint8, flow in pixels, float32, cut at +-20.
        modality: ``"rgb"`` or ``"flow"``.

    Returns:
        float32 tensor of the same shape.
    """
    streams.channels(modality)
    if modality == "flow":
        return tf.clip_by_value(frames, -FLOW_BOUND, FLOW_BOUND) / FLOW_BOUND
    if frames.dtype != tf.uint8:
        return frames / 127.5 - 1.0
    # the same in one pass through the memory of a clip instead of three
    bounds = {"min_range": -1.0, "max_range": 1.0, "mode": "MIN_COMBINED"}
    return tf.raw_ops.Dequantize(input=tf.bitcast(frames, tf.quint8), **bounds)


def testing_view(frames: Any, size: int, modality: str) -> Any:
    """Prepare frames as in the paper's tests: resize, centre crop, scale.

    Args:
        frames: Tensor of shape (time, height, width, channels); rgb in [0, 255], flow in pixels.
        size: Height and width of the result.
        modality: ``"rgb"`` or ``"flow"``.

    Returns:
        float32 tensor of shape (time, size, size, channels) in [-1, 1].
    """
    return scale(cut(tf.cast(frames, tf.float32), size, modality, CENTRE, short_side_for(size)), modality)


def testing_views(frames: Any, size: int, modality: str, count: int) -> Any:
    """Prepare frames as in `testing_view`, but with several crops, evenly spread along the longer side.

    Args:
        frames: As in `testing_view`.
        size: Height and width of the result.
        modality: ``"rgb"`` or ``"flow"``.
        count: How many crops; of one it is the centre.

    Returns:
        float32 tensor of shape (time, count, size, size, channels) in [-1, 1].
    """
    frames = tf.cast(frames, tf.float32)
    is_wide = tf.shape(frames)[2] >= tf.shape(frames)[1]
    shares = [number / (count - 1) for number in range(count)] if count > 1 else [0.5]
    places = [tf.where(is_wide, [0.5, share], [share, 0.5]) for share in shares]
    crops = [cut(frames, size, modality, place, short_side_for(size)) for place in places]
    return scale(tf.stack(crops, axis=1), modality)
