"""Turn a video file into RGB frames at a constant rate and a given short side.

The preparation is DeepMind's (README and MediaPipe graph of google-deepmind/kinetics-i3d): at every tick of
the wanted rate the frame nearest in presentation time, short side 256, bilinear, aspect kept. The resizer is
FFmpeg's swscale (``SWS_BILINEAR`` with full chroma and accurate rounding) through PyAV. Decoding is sequential,
never by seeking, so it is exact.

What is done with what files hold:

* Interlaced video: frames as they are coded, both fields woven, not deinterlaced (as DeepMind's graph).
* Pixels that are not square: taken as they are coded, the sample aspect ratio is not applied (as DeepMind's graph).
* A display matrix: applied, mirrored or not; angles between quarter turns go to the nearest quarter.
* 10 and more bits, grey, palettes: converted to 8-bit RGB by swscale, with the matrix and range that the file
  names; without one, BT.601 and limited range. High dynamic range is not tone-mapped. Alpha is dropped.
* A size that changes within the stream: every frame is scaled to the size of the result for the first one.
* Several streams: the first of video; cover pictures and thumbnails are none.
* Times: counted from the first frame. A frame without a time follows the one before by a period.
* Packets before the first key frame that cannot be decoded, as at the start of a recorded broadcast: left out.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from keras_i3d.errors import VideoError
from keras_i3d.extras import import_extra
from keras_i3d.video.boxes import find_cut
from keras_i3d.video.container import (
    LimitExceeded,
    Limits,
    OpenVideo,
    Source,
    Stopwatch,
    StorageFailed,
    name_of,
    open_video,
)
from keras_i3d.video.timing import MICROSECONDS, Clock, exact, resampled
from keras_i3d.video.wholeness import Tally, check_whole

__all__ = ["FPS", "SHORT_SIDE", "Limits", "iterate_frames", "read_frames"]

FPS = 25.0
SHORT_SIDE = 256
LOWEST_FPS, HIGHEST_FPS = 1e-3, 1e3
# swscale's SWS_BILINEAR | SWS_FULL_CHR_H_INT | SWS_ACCURATE_RND | SWS_BITEXACT, not all of which PyAV names; without
# the others pictures of an even width come out up to three levels darker than those of an odd one
RESIZER = 0x2 | 0x2000 | 0x40000 | 0x80000


def read_frames(
    source: Source,
    *,
    fps: float | None = FPS,
    short_side: int | None = SHORT_SIDE,
    start_s: float = 0.0,
    end_s: float | None = None,
    limits: Limits = Limits(),  # noqa: B008  (frozen)
    threads: int | None = None,
    on_damage: Callable[[str], None] | None = None,
) -> np.ndarray:
    """Decode a video, or a stretch of it, into memory.

    Args:
        source: Path of a file of any video format that FFmpeg reads, the bytes of one, or a binary file object that
            can seek (read from its beginning, left open). The file can name no other file and no address.
        fps: Frames per second of the result; None keeps the file's own frames.
        short_side: Pixels of the shorter side of the result; None keeps the file's own size.
        start_s: Start in seconds after the first frame.
        end_s: End in seconds after the first frame, itself excluded; None is the end of the video.
        limits: What the file may ask for.
        threads: Threads of the decoder; None is FFmpeg's choice. The result is the same.
        on_damage: Called with the reason, one line, where the file turns out to be cut or damaged; the result then
            has the frames up to there. None raises the error. Exceeded limits are errors in either case.

    Returns:
        uint8 array of shape (time, height, width, 3), RGB.

    Raises:
        VideoError: The file is no video, is damaged, exceeds a limit, or has no frame in the stretch.
        TruncatedVideo: It ends before its container says.
        MissingDependency: PyAV is not installed.
        ValueError: An option is out of range.
    """
    options = {"fps": fps, "short_side": short_side, "start_s": start_s, "end_s": end_s}
    frames = iterate_frames(source, **options, limits=limits, threads=threads, on_damage=on_damage)
    return np.stack(list(frames))


def iterate_frames(
    source: Source,
    *,
    fps: float | None = FPS,
    short_side: int | None = SHORT_SIDE,
    start_s: float = 0.0,
    end_s: float | None = None,
    limits: Limits = Limits(),  # noqa: B008  (frozen)
    threads: int | None = None,
    on_damage: Callable[[str], None] | None = None,
) -> Iterator[np.ndarray]:
    """Decode a video frame by frame, in the memory of one; arguments and errors as in `read_frames`.

    Yields:
        uint8 arrays of shape (height, width, 3), RGB; at least one.
    """
    if fps is not None and not LOWEST_FPS <= fps <= HIGHEST_FPS:
        raise ValueError(f"fps must be above 0 and at most 1000, or None for the file's own frames; got {fps}")
    if short_side is not None and short_side < 1:
        raise ValueError(f"short_side must be at least 1, or None for the file's own size; got {short_side}")
    if not 0 <= start_s < math.inf or (end_s is not None and not start_s < end_s < math.inf):
        raise ValueError(f"a stretch needs 0 <= start_s < end_s, got start_s={start_s}, end_s={end_s}")

    watch, start, end = Stopwatch(), exact(start_s), None if end_s is None else exact(end_s)
    damage = _Damage(on_damage)
    found = 0
    with open_video(source, limits, threads) as video:
        painter = _Painter(video, short_side)
        for frame in resampled(_decoded(video, end, watch, damage), fps, start, end):
            try:
                array = painter.paint(frame)
            except VideoError as error:
                damage.meet(error)
                break
            found += 1
            if found > limits.frames:
                raise limits.exceeded(video.name, "frames", f"{found:,} frames at {fps or 'its own'} per second")
            _check_seconds(video, watch, found)
            watch.pause()
            yield array
            watch.resume()
    if not found:
        stretch = f" between {start_s:g} s and {'its end' if end_s is None else f'{end_s:g} s'}"
        within = stretch if start_s or end_s is not None else ""
        raise damage.error or VideoError(f"{name_of(source)}: no video frame{within}")


def expected_frames(source: Source, *, fps: float = FPS) -> int | None:
    """Return about how many frames a video has at a rate, by what its container says of its length.

    None where it says nothing, or cannot be opened: whoever decodes it will say why.
    """
    try:
        with open_video(source, Limits(), None) as video:
            microseconds = video.container.duration or 0
    except VideoError:
        return None
    return max(1, round(microseconds / MICROSECONDS * fps)) if microseconds > 0 else None


class _Damage:
    """Raises what a file suffers from, or tells it and lets decoding end."""

    def __init__(self, on_damage: Callable[[str], None] | None) -> None:
        self._on_damage, self.error = on_damage, None

    def meet(self, error: VideoError) -> None:
        if self._on_damage is None or isinstance(error, (LimitExceeded, StorageFailed)):
            raise error
        self.error = error
        self._on_damage(str(error))


def _decoded(
    video: OpenVideo, end: Fraction | None, watch: Stopwatch, damage: _Damage
) -> Iterator[tuple[Fraction, Any]]:
    """Yield (seconds after the first frame, PyAV frame) up to the first one at `end`; check that none is missing."""
    stream = video.stream
    clock, tally = Clock(stream.average_rate or stream.guessed_rate), Tally()
    try:
        for frame in _frames(video, watch, tally):
            try:
                seconds = clock.time_of(frame)
            except VideoError as error:
                raise VideoError(f"{video.name}: {error} after {tally.frames} frames") from None
            tally.add_frame(frame, seconds)
            if tally.frames > video.limits.frames:
                raise video.limits.exceeded(video.name, "frames", f"{tally.frames:,} frames were decoded")
            yield seconds, frame
            if end is not None and seconds >= end:
                return
        if tally.frames:
            check_whole(video, tally)
    except VideoError as error:
        damage.meet(error)


def _frames(video: OpenVideo, watch: Stopwatch, tally: Tally) -> Iterator[Any]:
    """Yield the decoded frames of the stream; errors of FFmpeg become ours."""
    av = import_extra("av")
    name, limits = video.name, video.limits
    refused, key_frame_met = None, False
    try:
        for packet in _packets(video):
            _check_seconds(video, watch, tally.frames)
            tally.add_packet(packet)
            try:
                frames = packet.decode()
            except av.error.InvalidDataError as error:
                if key_frame_met or tally.frames:
                    raise
                refused = refused or error
                continue
            key_frame_met |= packet.is_keyframe
            for frame in frames:
                _check_pixels(video, frame, tally)
                yield frame
        if refused is not None and not tally.frames:
            raise refused
    except av.error.ExitError as error:
        received = f"reading was given up after {tally.frames:,} frames"
        raise limits.exceeded(name, "seconds", received) from error
    except av.error.FFmpegError as error:
        _check_pixels(video, video.stream.codec_context, tally)
        if tally.frames and find_cut(video.file) is not None:
            check_whole(video, tally)  # tells more
        where = f"damaged after {tally.frames} frames" if tally.frames else "cannot be read as video"
        raise VideoError(f"{name}: {where} ({error.strerror})") from error


def _packets(video: OpenVideo) -> Iterator[Any]:
    try:
        yield from video.container.demux(video.stream)
    except IndexError:  # PyAV's, behind the last packet, where a stream began in mid-file that it does not know
        return


def _check_seconds(video: OpenVideo, watch: Stopwatch, frames: int) -> None:
    if (spent := watch.seconds()) > video.limits.seconds:
        raise video.limits.exceeded(video.name, "seconds", f"{spent:.1f} s for {frames:,} frames")


def _check_pixels(video: OpenVideo, frame: Any, tally: Tally) -> None:
    if frame.width * frame.height > video.limits.pixels:
        received = f"a frame of {frame.width}x{frame.height} after {tally.frames:,} frames"
        raise video.limits.exceeded(video.name, "pixels", received)


class _Painter:
    """Turns PyAV's frames into RGB arrays of one size, upright as phones mean them by their display matrix."""

    def __init__(self, video: OpenVideo, short_side: int | None) -> None:
        self._av = import_extra("av")
        self._video, self._short_side = video, short_side
        self._reformatter = self._av.video.reformatter.VideoReformatter()
        self._size: tuple[int, int] | None = None
        self._frame = self._scaled = self._rotation = None
        self._turn = (0, False)

    def paint(self, frame: Any) -> np.ndarray:
        """Return a frame as uint8 (height, width, 3), an array of its own also where a frame comes again."""
        if frame is not self._frame:
            self._frame, self._scaled = frame, self._scale(frame)
        if frame.rotation != self._rotation:  # the matrix itself takes longer to look at
            self._rotation, self._turn = frame.rotation, _turn(frame)
        quarters, mirrored = self._turn
        array = self._scaled.to_ndarray()
        return np.ascontiguousarray(np.rot90(array[:, ::-1] if mirrored else array, quarters))

    def _scale(self, frame: Any) -> Any:
        self._size = self._size or scaled_size(frame.width, frame.height, self._short_side)
        (width, height), limits, name = self._size, self._video.limits, self._video.name
        if width * height > limits.pixels:
            raise limits.exceeded(name, "pixels", f"{frame.width}x{frame.height} would be made {width}x{height}")
        try:
            # to planes, which swscale has vector code for; slices cost more than they bring on such small pictures
            return self._reformatter.reformat(frame, width, height, format="gbrp", interpolation=RESIZER, threads=1)
        except self._av.error.FFmpegError as error:
            raise VideoError(
                f"{name}: a frame of {frame.width}x{frame.height}, {frame.format.name}, cannot be made RGB of "
                f"{width}x{height} ({error.strerror})"
            ) from error


def scaled_size(width: int, height: int, short_side: int | None) -> tuple[int, int]:
    """Return (width, height) with the given short side, the other rounded to the nearest pixel."""
    if short_side is None:
        return width, height
    if width <= height:
        return short_side, max(1, math.floor(height * short_side / width + 0.5))
    return max(1, math.floor(width * short_side / height + 0.5)), short_side


def _turn(frame: Any) -> tuple[int, bool]:
    """Read a frame's display matrix: quarter turns against the clock, and whether it is mirrored before."""
    matrix = next((data for data in frame.side_data if data.type.name == "DISPLAYMATRIX"), None)
    if matrix is None:
        return 0, False
    a, b, _, c, d = struct.unpack("=5i", bytes(matrix)[:20])
    mirrored = a * d < b * c
    if mirrored:
        a, b = -a, -b
    return round(-math.degrees(math.atan2(b, a)) / 90), mirrored
