"""Write frames as a video file."""

from __future__ import annotations

import os
from fractions import Fraction

import numpy as np

from keras_i3d.extras import import_extra


def write_video(path: str | os.PathLike, frames: np.ndarray, *, fps: float, crf: int = 18) -> None:
    """Encode frames as H.264 with 4:2:0 chroma, single-threaded so that equal frames give an equal file.

    Args:
        path: File to write; the ending chooses the container (``.mp4``).
        frames: uint8 array of shape (time, height, width, 3), RGB; height and width even.
        fps: Frames per second.
        crf: Constant rate factor of x264, 0 (lossless) to 51; 18 is visually near lossless.

    Raises:
        ValueError: The frames have another shape or dtype, or an odd side.
        MissingDependency: PyAV is not installed.
    """
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not len(frames):
        raise ValueError(f"frames must be uint8 (time, height, width, 3), got {frames.dtype} {frames.shape}")
    height, width = frames.shape[1:3]
    if height % 2 or width % 2:
        raise ValueError(f"H.264 needs an even height and width, got {height}x{width}")
    av = import_extra("av")
    with av.open(os.fspath(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.thread_count = 1
        # x264's macroblock tree differs from run to run
        stream.options = {"crf": str(crf), "preset": "medium", "mbtree": "0"}
        for array in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
        container.mux(stream.encode())
