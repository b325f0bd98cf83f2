"""Videos as ``data:`` URIs: a few frames side by side as one PNG, or the mp4 file itself.

Both go into the page's ``src`` attributes, so that one HTML file needs nothing beside it.
"""

import base64
from os import PathLike
from pathlib import Path

import numpy as np

from keras_i3d.errors import VideoError
from keras_i3d.extras import import_extra

GAP = 2
"""Transparent pixels between two frames."""


def film_strip(frames: np.ndarray, *, count: int = 8, height: int = 72) -> str:
    """Draw frames side by side, from the first to the last at even distances.

    Args:
        frames: uint8 (time, height, width, 3), RGB in [0, 255].
        count: How many frames to show; a shorter video shows all that it has. One frame is the middle one.
        height: Height of the strip in pixels; the frames keep their proportions.

    Returns:
        A PNG (RGBA, transparent gaps of `GAP` pixels) as ``data:image/png;base64,...``.

    Raises:
        ValueError: `frames` has another shape or type, or `count` or `height` is below 1.
        MissingDependency: OpenCV is not installed.
    """
    frames = np.asarray(frames)
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise ValueError(
            f"frames must be uint8 (time, height, width, 3) with at least one frame; "
            f"received {frames.dtype} {frames.shape}"
        )
    if count < 1 or height < 1:
        raise ValueError(f"count and height must be at least 1; received count={count}, height={height}")
    cv2 = import_extra("cv2")
    pictures = [_with_height(frames[index], height) for index in _even_indices(len(frames), count)]
    width = pictures[0].shape[1]
    strip = np.zeros((height, len(pictures) * (width + GAP) - GAP, 4), np.uint8)
    for position, picture in enumerate(pictures):
        left = position * (width + GAP)
        strip[:, left : left + width, :3] = picture[..., ::-1]
        strip[:, left : left + width, 3] = 255
    _, png = cv2.imencode(".png", strip)
    return _uri("image/png", png.tobytes())


def video_uri(path: str | PathLike[str]) -> str:
    """Read an mp4 file into a ``data:video/mp4;base64,...`` URI.

    Browsers play H.264 with yuv420p pixels in it; the codec is not checked here.

    Raises:
        FileNotFoundError: There is no such file.
        VideoError: The file does not begin as an mp4 file does.
    """
    content = Path(path).read_bytes()
    if content[4:8] != b"ftyp":
        raise VideoError(f"{path} is no mp4 file: it begins with {content[:8]!r}, an mp4 has 'ftyp' at byte 4")
    return _uri("video/mp4", content)


def _even_indices(frame_count: int, count: int) -> np.ndarray:
    if count == 1:
        return np.array([frame_count // 2])
    return np.linspace(0, frame_count - 1, min(count, frame_count)).round().astype(int)


def _with_height(frame: np.ndarray, height: int) -> np.ndarray:
    if frame.shape[0] == height:
        return frame
    cv2 = import_extra("cv2")
    width = max(1, round(frame.shape[1] * height / frame.shape[0]))
    shrinking = height < frame.shape[0]
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR)


def _uri(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
