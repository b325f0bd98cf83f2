"""Open a file of video without letting it reach beyond itself: no other file, no address, no endless work.

A hostile file can be a playlist or a script that names other files and addresses, claim pictures of any size, or
keep a decoder busy for ever. So only containers that hold their own frames are opened, through no protocol but
that of the file itself, and `Limits` bounds the work.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, BinaryIO

from keras_i3d.errors import VideoError
from keras_i3d.extras import import_extra

Source = str | os.PathLike | bytes | BinaryIO

# FFmpeg's names of the containers and bare streams that hold their frames themselves. Playlists, scripts and session
# descriptions (hls, dash, concat, imf, sdp, ...) and still pictures are not among them.
CONTAINERS = (
    "3g2,3gp,amv,apng,asf,av1,avi,avs2,avs3,cavsvideo,dhav,dirac,dv,evc,flv,gif,gxf,h261,h263,h264,hevc,ivf,kux,"
    "live_flv,m4v,matroska,mjpeg,mov,mp4,mpeg,mpegts,mpegvideo,mpjpeg,mxf,nsv,nut,obu,ogg,pva,rm,vc1,vc1test,vvc,"
    "webm,wtv,yuv4mpegpipe"
)
READ_BYTES = 1 << 18  # per call of a file object
PADDING = 64 << 16  # pixels that FFmpeg may add to a frame before it compares it with a limit: 64 in each row
NO_PROTOCOL = "none"  # the name of none of FFmpeg's protocols


class LimitExceeded(VideoError):
    """A file asks for more than `Limits` allow; never kept as damage."""


class StorageFailed(VideoError):
    """A file could not be read from where it lies; never kept as damage, for it may be whole."""


@dataclass(frozen=True)
class Limits:
    """What one file may ask for; each default lets a ten-hour video and a frame of 8K (7680x4320) pass.

    Attributes:
        frames: Frames decoded, and frames returned, of one file.
        pixels: Pixels of one frame, as coded in the file and as returned.
        seconds: Seconds spent decoding and resizing one file, checked between packets; the time that the reader
            of the frames takes does not count.
    """

    frames: int = 5_000_000
    pixels: int = 1 << 26
    seconds: float = 2 * 3600

    def __post_init__(self) -> None:
        for field in fields(self):
            if not (value := getattr(self, field.name)) > 0:
                raise ValueError(f"the limit of {field.name} must be above 0, got {value}")

    def exceeded(self, name: str, kind: str, received: str) -> LimitExceeded:
        """Return the error of a file that asks for more than the limit named `kind`."""
        allowed = f"{getattr(self, kind):,}"
        return LimitExceeded(
            f"{name}: {received}, the limit is {allowed} {kind} (raise it by Limits.{kind}, or --max-{kind})"
        )


class Stopwatch:
    """Counts the seconds spent on one file, but for those in which it is paused."""

    def __init__(self) -> None:
        self._spent, self._since = 0.0, time.monotonic()

    def pause(self) -> None:
        """Stop counting."""
        self._spent += time.monotonic() - self._since

    def resume(self) -> None:
        """Count on."""
        self._since = time.monotonic()

    def seconds(self) -> float:
        """Return the seconds so far, of a watch that runs."""
        return self._spent + time.monotonic() - self._since


@dataclass(frozen=True)
class OpenVideo:
    """An open file: `container` and `stream` are PyAV's, `file` its bytes, `name` what messages call it."""

    name: str
    container: Any
    stream: Any
    file: BinaryIO
    limits: Limits


def name_of(source: Source) -> str:
    """Return what messages call a source: its path, or the number of its bytes."""
    if isinstance(source, bytes):
        return f"<{len(source)} bytes>"
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    return str(getattr(source, "name", None) or getattr(source, "path", None) or f"<{type(source).__name__}>")


@contextmanager
def open_video(source: Source, limits: Limits, threads: int | None) -> Iterator[OpenVideo]:
    """Open a source and choose its first stream of video; covers and thumbnails are none.

    Raises:
        VideoError: It cannot be opened, holds no video, or its frames are above the limit of pixels.
        MissingDependency: PyAV is not installed.
        ValueError: The source is none, or `threads` is out of range.
    """
    av = import_extra("av")
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be at least 1, or None for FFmpeg's choice; got {threads}")
    name = name_of(source)
    with _as_file(source, name) as file:
        try:
            container = _open(av, source, file, limits)
        except av.error.ArgumentError as error:
            reason = "of no format of video that holds its own frames, or damaged in its header"
            raise VideoError(f"{name}: cannot be read as video ({reason})") from error
        except av.error.ExitError as error:
            raise limits.exceeded(name, "seconds", "opening it was given up") from error
        except av.error.FFmpegError as error:
            raise VideoError(f"{name}: cannot be read as video ({error.strerror})") from error
        with container:
            stream = _first_video(container, name)
            context = stream.codec_context
            if context.width * context.height > limits.pixels:
                raise limits.exceeded(name, "pixels", f"frames of {context.width}x{context.height}")
            context.thread_type, context.thread_count = "AUTO", threads or 0
            context.options = {"max_pixels": str(limits.pixels + PADDING)}
            yield OpenVideo(name, container, stream, file, limits)


def _open(av: Any, source: Source, file: BinaryIO, limits: Limits) -> Any:
    local = isinstance(source, (str, os.PathLike))
    return av.open(
        # a name like 12:30.mp4 is no protocol, and FFmpeg is quicker at reading files than we
        os.path.abspath(source) if local else file,  # noqa: PTH100
        "r",
        # for the frames that FFmpeg decodes to know the stream; before 18 PyAV crashes where streams appear later
        options={"max_pixels": str(limits.pixels + PADDING)} if int(av.__version__.split(".")[0]) >= 18 else {},
        container_options={
            "format_whitelist": CONTAINERS,
            "protocol_whitelist": "file" if local else NO_PROTOCOL,
        },
        metadata_errors="replace",
        buffer_size=READ_BYTES,
        timeout=float(limits.seconds),
    )


def _first_video(container: Any, name: str) -> Any:
    av = import_extra("av")
    picture = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    streams = [stream for stream in container.streams.video if not stream.disposition & picture]
    if not streams:
        raise VideoError(f"{name}: holds no video stream")
    stream = next((stream for stream in streams if stream.codec_context is not None), None)
    if stream is None:
        raise VideoError(f"{name}: holds no video that FFmpeg has a decoder for")
    return stream


@contextmanager
def _as_file(source: Source, name: str) -> Iterator[BinaryIO]:
    """Yield a source's bytes as a file, at its beginning; a file of the caller's is left open."""
    if isinstance(source, bytes):
        if not source:
            raise VideoError(f"{name}: there are no bytes; a video is wanted")
        yield io.BytesIO(source)
    elif isinstance(source, (str, os.PathLike)):
        with _open_path(source, name) as opened:
            yield _GuardedFile(opened, name)
    elif all(hasattr(source, method) for method in ("read", "seek", "tell")):
        file = _GuardedFile(source, name)
        file.seek(0)
        yield file
    else:
        raise ValueError(f"a video is a path, bytes, or a binary file that can seek; got {type(source).__name__}")


def _open_path(source: str | os.PathLike, name: str) -> BinaryIO:
    try:
        if os.path.exists(source) and not (os.path.isfile(source) or os.path.isdir(source)):  # noqa: PTH110, PTH112, PTH113
            raise VideoError(f"{name}: is no file but a pipe or a device; they may never end")
        file = open(source, "rb")  # noqa: PTH123, SIM115  (pathlib's fail on long names; the caller closes it)
    except (OSError, ValueError) as error:
        raise VideoError(f"{name}: cannot be read as video ({getattr(error, 'strerror', None) or error})") from error
    if os.fstat(file.fileno()).st_size == 0:
        file.close()
        raise VideoError(f"{name}: the file is empty; a video is wanted")
    return file


class _GuardedFile:
    """A file whose failures, of whatever kind its storage has, are ours; without its `close`."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self.name = file, name

    def _call(self, method: str, *arguments: int) -> Any:
        try:
            return getattr(self._file, method)(*arguments)
        except Exception as error:
            raise StorageFailed(f"{self.name}: cannot be read ({str(error) or type(error).__name__})") from error

    def read(self, size: int = -1) -> bytes:
        data = self._call("read", size)
        if not isinstance(data, bytes) or len(data) > size >= 0:
            raise StorageFailed(f"{self.name}: reading {size} bytes gave {type(data).__name__} of {len(data)}")
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._call("seek", offset, whence)

    def tell(self) -> int:
        return self._call("tell")
