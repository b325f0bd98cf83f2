"""Frames and flow fields as the pictures that records hold: JPEG and PNG, by OpenCV."""

from __future__ import annotations

import numpy as np

from keras_i3d.extras import import_extra

LONGEST_JPEG_SIDE = 65500


def encode_jpeg(frame: np.ndarray, quality: int) -> bytes:
    """Encode a frame.

    Args:
        frame: uint8 array of shape (height, width, 3), RGB.
        quality: 1 to 100.

    Raises:
        ValueError: A side is longer than a JPEG's may be.
    """
    if max(frame.shape[:2]) > LONGEST_JPEG_SIDE:
        raise ValueError(
            f"a JPEG has sides of at most {LONGEST_JPEG_SIDE} pixels, got {frame.shape[1]}x{frame.shape[0]}"
        )
    cv2 = import_extra("cv2")
    return cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def encode_png(field: np.ndarray) -> bytes:
    """Encode a flow field without loss, x in red, y in green, blue zero.

    Args:
        field: uint8 array of shape (height, width, 2), coded by `keras_i3d.video.flow.to_stored`.
    """
    cv2 = import_extra("cv2")
    blue = np.zeros(field.shape[:2], np.uint8)
    return cv2.imencode(".png", np.stack([blue, field[..., 1], field[..., 0]], axis=-1))[1].tobytes()
