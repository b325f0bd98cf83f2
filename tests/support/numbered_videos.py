"""Videos whose frames tell their index, in any container, whole or cut."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np


def brightness(index: np.ndarray) -> np.ndarray:
    """Return the grey of frames, at most 101: two levels of limited-range YUV apart, each exactly a level."""
    return np.rint((17 + 2 * index) * 255 / 219).astype(np.uint8)


def numbered(count: int, height: int = 32, width: int = 48) -> np.ndarray:
    """Return frames whose brightness tells their index."""
    return np.broadcast_to(brightness(np.arange(count))[:, None, None, None], (count, height, width, 3)).copy()


def indices(frames: Iterable[np.ndarray]) -> list[int]:
    return [round((float(frame.mean()) * 219 / 255 - 17) / 2) for frame in frames]


def write_at(
    path: Path | BinaryIO,
    codec: str,
    times_ms: Iterable[int],
    *,
    options: dict | None = None,
    audio_s: float = 0.0,
    container: str | None = None,
    **settings,
) -> Path:
    """Write numbered frames at any times, in any container; with `audio_s` also a silent sound track.

    `settings` are attributes of PyAV's stream: height, width, pix_fmt, sample_aspect_ratio, options, ...
    """
    times = list(times_ms)
    file = str(path) if isinstance(path, Path) else path
    with av.open(file, "w", format=container, options=options or {}) as muxer:
        video = muxer.add_stream(codec, rate=25)
        pix_fmt = "rgb24" if codec == "png" else "yuv420p"
        for name, value in ({"width": 48, "height": 32, "thread_count": 1, "pix_fmt": pix_fmt} | settings).items():
            setattr(video, name, value)
        if codec in ("mpeg4", "mpeg2video", "wmv2"):
            video.codec_context.qmin = video.codec_context.qmax = 1  # or neighbours in brightness become one
        if codec not in ("mpeg4", "mpeg2video", "libvpx-vp9", "rawvideo"):  # those take no rate but their own
            video.codec_context.time_base = Fraction(1, 1000)
        is_flv = isinstance(path, Path) and path.suffix == ".flv"
        audio = muxer.add_stream("mp3" if is_flv else "mp2", rate=44100) if audio_s else None
        for time, array in zip(times, numbered(len(times), video.height, video.width), strict=True):
            frame = av.VideoFrame.from_ndarray(array, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            muxer.mux(video.encode(frame))
        muxer.mux(video.encode())
        for index in range(int(audio_s * 44100) // 1152):
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.int16), format="s16p", layout="mono")
            sound.sample_rate, sound.pts = 44100, index * 1152
            muxer.mux(audio.encode(sound))
        if audio is not None:
            muxer.mux(audio.encode())
    return path


def cut(path: Path, share: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path
