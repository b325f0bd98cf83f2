"""Resize frames that no file brought, such as a camera's, by the resizer that files are decoded with."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_i3d.errors import VideoError
from keras_i3d.extras import import_extra
from keras_i3d.video.decode import RESIZER, scaled_size


class Resizer:
    """Brings frames to a short side, aspect kept, bilinear.

    Args:
        short_side: Pixels of the shorter side of the result.

    Raises:
        MissingDependency: PyAV is not installed.
        ValueError: `short_side` is less than 1.
    """

    def __init__(self, short_side: int) -> None:
        if short_side < 1:
            raise ValueError(f"short_side must be at least 1; got {short_side}")
        self._short_side = short_side
        self._av = import_extra("av")
        self._reformatter: Any = self._av.video.reformatter.VideoReformatter()

    def resize(self, frame: np.ndarray) -> np.ndarray:
        """Return a frame, uint8 (height, width, 3), as an array of its own; one of the wanted size is copied.

        Raises:
            VideoError: FFmpeg cannot resize it, as where a side would become too long.
        """
        height, width = frame.shape[:2]
        wanted = scaled_size(width, height, self._short_side)
        if wanted == (width, height):
            return frame.copy()
        try:
            coming = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            scaled = self._reformatter.reformat(coming, *wanted, format="gbrp", interpolation=RESIZER, threads=1)
        except self._av.error.FFmpegError as error:
            wide, high = wanted
            raise VideoError(f"a frame of {width}x{height} cannot be made {wide}x{high} ({error.strerror})") from error
        return scaled.to_ndarray()
