"""Write frames as an animated PNG: without loss, in true colour, and shown by browsers wherever they show a PNG.

What knows no animations shows the first frame.
"""

from __future__ import annotations

import io

import numpy as np

from keras_i3d.extras import import_extra
from keras_i3d.video.timing import exact

FOR_EVER = "0"


def encode_animation(frames: np.ndarray, *, fps: float) -> bytes:
    """Encode frames as an animated PNG that starts over for ever.

    Args:
        frames: uint8 (time, height, width, 3), RGB; at least one.
        fps: Frames per second, 0.1 to 100.

    Returns:
        The bytes of the file; its name should end in ``.png``.

    Raises:
        ValueError: The frames have another shape or dtype, or the rate is out of range.
        MissingDependency: PyAV is not installed.
    """
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or 0 in frames.shape:
        raise ValueError(f"frames must be uint8 (time, height, width, 3), got {frames.dtype} {frames.shape}")
    if not 0.1 <= fps <= 100:
        raise ValueError(f"fps must be 0.1 to 100, got {fps}")
    av = import_extra("av")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="apng", options={"plays": FOR_EVER}) as container:
        stream = container.add_stream("apng", rate=exact(fps))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "rgb24"
        stream.options = {"pred": "mixed", "compression_level": "9"}
        for array in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(array), format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()
