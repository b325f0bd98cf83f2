"""Videos whose frames tell their index, in any container, whole or cut."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def numbered(count: int, height: int = 32, width: int = 48) -> np.ndarray:
    """Return frames whose brightness tells their index."""
    brightness = 20 + 2 * np.arange(count, dtype=np.uint8)
    return np.broadcast_to(brightness[:, None, None, None], (count, height, width, 3)).copy()


def indices(frames: Iterable[np.ndarray]) -> list[int]:
    # limited-range YUV lowers grey by up to one level: half of the half step of two
    return [round((float(frame.mean()) - 19.5) / 2) for frame in frames]


def write_at(
    path: Path, codec: str, times_ms: Iterable[int], *, options: dict | None = None, audio_s: float = 0.0
) -> Path:
    """Write numbered frames at any times, in any container; with `audio_s` also a silent sound track."""
    times = list(times_ms)
    with av.open(str(path), "w", options=options or {}) as container:
        video = container.add_stream(codec, rate=25)
        video.width, video.height, video.thread_count = 48, 32, 1
        video.pix_fmt = "rgb24" if codec == "png" else "yuv420p"
        if codec == "mpeg4":
            video.codec_context.qmin = video.codec_context.qmax = 1  # or neighbours in brightness become one
        else:
            video.codec_context.time_base = Fraction(1, 1000)
        audio = container.add_stream("mp3" if path.suffix == ".flv" else "mp2", rate=44100) if audio_s else None
        for time, array in zip(times, numbered(len(times)), strict=True):
            frame = av.VideoFrame.from_ndarray(array, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        for index in range(int(audio_s * 44100) // 1152):
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.int16), format="s16p", layout="mono")
            sound.sample_rate, sound.pts = 44100, index * 1152
            container.mux(audio.encode(sound))
        if audio is not None:
            container.mux(audio.encode())
    return path


def cut(path: Path, share: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path
