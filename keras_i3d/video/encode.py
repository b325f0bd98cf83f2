"""Write frames as H.264 video: into a file, or into bytes that a record can hold."""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from keras_i3d.extras import import_extra
from keras_i3d.video.timing import exact

KEY_FRAME_INTERVAL = 32  # a reader that jumps into the middle decodes at most 31 frames in vain
EXACTLY = 0x2 | 0x4000 | 0x40000 | 0x80000  # SWS_BILINEAR, _FULL_CHR_H_INP, _ACCURATE_RND, _BITEXACT of swscale
BT601 = 6  # FFmpeg's AVCOL_SPC_SMPTE170M and its primaries and transfer, all with one number
LIMITED_RANGE = 1


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
        stream = _add_stream(container, height, width, fps, crf)
        for array in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
        container.mux(stream.encode())


def encode_video(frames: Iterable[np.ndarray], *, fps: float, crf: int = 18) -> bytes:
    """Encode frames as an H.264 MP4, one by one, in the memory of a few frames and the result.

    Equal frames give equal bytes, in every process and on every kind of processor: one thread, x264's
    ``cpu-independent`` and without its macroblock tree, which differs from run to run. The first frame and at least
    every 32nd is a key frame. Colours are BT.601 of limited range and marked so. Chroma is 4:2:0 where height and
    width are even, and 4:4:4 where one is odd, which 4:2:0 of H.264 cannot be: the decoded frames have
    exactly the size of the given ones, and there are as many.

    Args:
        frames: uint8 arrays of shape (height, width, 3), RGB, all of one shape; at least one.
        fps: Frames per second, 0.001 to 1000.
        crf: Constant rate factor of x264, 0 (without loss but for the change of colours) to 51.

    Returns:
        The bytes of an MP4 file, which `keras_i3d.video.decode.read_frames` takes.

    Raises:
        ValueError: The frames have another shape or dtype, or an option is out of range.
        MissingDependency: PyAV is not installed.
    """
    if not 0 <= crf <= 51:
        raise ValueError(f"crf must be 0 to 51, got {crf}")
    if not 1e-3 <= fps <= 1e3:
        raise ValueError(f"fps must be 0.001 to 1000, got {fps}")
    remaining = iter(frames)
    first = next(remaining, None)
    if first is None:
        raise ValueError("frames must be at least one, got none")
    _check_frame(first, np.shape(first))
    av = import_extra("av")
    buffer = io.BytesIO()
    reformatter = av.video.reformatter.VideoReformatter()
    with av.open(buffer, "w", format="mp4") as container:
        stream = _add_stream(container, *first.shape[:2], fps, crf)
        options = {"g": str(KEY_FRAME_INTERVAL), "x264-params": "cpu-independent=1"}
        stream.options = stream.options | options
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = BT601
        context.color_range = LIMITED_RANGE
        for array in itertools.chain([first], remaining):
            _check_frame(array, first.shape)
            rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(array), format="rgb24")
            frame = reformatter.reformat(
                rgb,
                format=stream.pix_fmt,
                interpolation=EXACTLY,
                dst_colorspace="ITU601",
                dst_color_range="MPEG",
                threads=1,
            )
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return buffer.getvalue()


def _check_frame(frame: np.ndarray, shape: tuple[int, ...]) -> None:
    dtype = getattr(frame, "dtype", type(frame).__name__)
    if dtype != np.uint8 or frame.ndim != 3 or frame.shape[-1] != 3 or 0 in frame.shape or frame.shape != shape:
        raise ValueError(f"frames must be uint8 (height, width, 3) of one shape, got {dtype} {np.shape(frame)}")


def _add_stream(container: Any, height: int, width: int, fps: float, crf: int) -> Any:
    stream = container.add_stream("libx264", rate=exact(fps))
    stream.width, stream.height = width, height
    stream.pix_fmt = "yuv444p" if height % 2 or width % 2 else "yuv420p"
    stream.thread_count = 1
    # x264's macroblock tree differs from run to run
    stream.options = {"crf": str(crf), "preset": "medium", "mbtree": "0"}
    return stream
