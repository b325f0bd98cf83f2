"""Frames as PNGs, without loss, by PyAV: what a client sends over REST in place of numbers in JSON."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from keras_i3d.extras import import_extra

LEAST_WORK = "1"  # of zlib's nine levels; the others take up to five times as long for a tenth


def to_png(frames: np.ndarray) -> np.ndarray:
    """Code every frame by itself.

    Args:
        frames: uint8 RGB of shape (..., height, width, 3), neither side 0.

    Returns:
        Array of objects, each the ``bytes`` of a PNG, of shape (...).

    Raises:
        ValueError: The frames have another shape or dtype.
        MissingDependency: PyAV is not installed.
    """
    if frames.dtype != np.uint8 or frames.ndim < 3 or frames.shape[-1] != 3 or 0 in frames.shape[-3:-1]:
        raise ValueError(f"frames must be uint8 (..., height, width, 3), got {frames.dtype} {frames.shape}")
    av = import_extra("av")
    *leading, height, width, _ = frames.shape
    coder = av.CodecContext.create("png", "w")
    coder.width, coder.height, coder.pix_fmt, coder.time_base = width, height, "rgb24", Fraction(1, 25)
    coder.thread_count = 1  # each frame comes out as it goes in
    coder.options = {"compression_level": LEAST_WORK, "pred": "paeth"}
    coded = np.empty(leading, object)
    for index in np.ndindex(*leading):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(frames[index]), format="rgb24")
        (packet,) = coder.encode(frame)
        coded[index] = bytes(packet)
    return coded
