"""Tell whether all frames of a file were decoded, from what its container promises.

Two things are asked at the end of a file. Do the lengths in its container run past its end (`boxes`)? Then it was
cut, and only a table of frames of which none is missing shows that no picture was lost. Are there much fewer frames,
or much less time, than its header says? Then it was damaged or was never finished.

MPEG transport streams, bare streams of a codec, and Matroska and MP4 written to a pipe in fragments promise
nothing: a cut in the middle of a frame is seen, one exactly between two frames is not, for such a file is as whole as
any.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from keras_i3d.errors import TruncatedVideo
from keras_i3d.video.boxes import find_cut
from keras_i3d.video.container import OpenVideo

# Containers count a few frames that decoders rightly drop (edit lists, a last empty packet), so a file that has its
# full length lacks frames only when more than this share of the frames, or of the time, that it promises is absent.
COUNT_TOLERANCE = 0.02
TIME_TOLERANCE = 0.1
# Of other containers FFmpeg estimates a length, from the last time in the file or from the rate of bits.
CONTAINERS_WITH_LENGTH = ("mov", "matroska", "flv", "asf", "nut", "mxf", "wtv", "rm")
UNKNOWN_IN_AVI = 1 << 30  # frames, in the header of an AVI that was written to a pipe
MICROSECONDS = 1_000_000


@dataclass
class Tally:
    """What was met of a stream so far.

    Attributes:
        frames: Decoded.
        seconds: Time of the last of them after the first.
        packets: Read in full.
        unseen: Packets that are not to be shown, by an edit list.
        end: Where the last packet ends, in the stream's unit of time; for AVI the number of its chunks.
        last_is_partial: The last packet ends early, or its frame was decoded with errors.
    """

    frames: int = 0
    seconds: Fraction = Fraction(0)
    packets: int = 0
    unseen: int = 0
    end: int = 0
    last_is_partial: bool = False
    _last_pts: int | None = None
    _last_dts: int | None = None

    def add_packet(self, packet: Any) -> None:
        """Count a packet of PyAV; the empty ones that end a stream do not count."""
        if not packet.size:
            return
        self.last_is_partial, self._last_pts = packet.is_corrupt, packet.pts
        self.packets += not packet.is_corrupt
        self.unseen += packet.is_discard
        if packet.dts is not None:
            # the last one is taken to last as long as the one before
            length = max(packet.duration or 0, 1, 0 if self._last_dts is None else packet.dts - self._last_dts)
            self.end, self._last_dts = max(self.end, packet.dts + length), packet.dts

    def add_frame(self, frame: Any, seconds: Fraction) -> None:
        """Count a frame of PyAV."""
        self.frames += 1
        self.seconds = seconds
        if frame.is_corrupt and frame.pts is not None and frame.pts == self._last_pts:
            self.last_is_partial = True


def check_whole(video: OpenVideo, tally: Tally) -> None:
    """Check, after the last frame, that none is missing.

    Raises:
        TruncatedVideo: The file was cut short, or holds much less than it says.
    """
    frames = _promised_frames(video.container, video.stream)
    seconds = Fraction(0) if frames else _promised_seconds(video.container, video.stream)
    cut = find_cut(video.file)
    was_cut = cut is not None and cut.loses_pictures and not (cut.counted and 0 < frames <= tally.packets)
    if tally.last_is_partial and not was_cut:
        raise TruncatedVideo(f"{video.name}: cut short, the last of {tally.frames} frames is incomplete")
    if not was_cut and not _lacks_much(video, tally, frames, seconds):
        return
    if frames > tally.frames:
        lack = f", {tally.frames} frames where the file promises {frames}"
    elif seconds > tally.seconds:
        lack = f" at {float(tally.seconds):.2f} s where the file promises {float(seconds):.2f} s"
    else:
        lack = f" after {tally.frames} frames, inside its part {cut.part}"
    raise TruncatedVideo(f"{video.name}: cut short{lack}")


def _lacks_much(video: OpenVideo, tally: Tally, frames: int, seconds: Fraction) -> bool:
    if frames:
        chunks = tally.end if video.container.format.name == "avi" else 0  # it counts dropped frames as empty chunks
        return max(tally.frames + tally.unseen, chunks) < frames * (1 - COUNT_TOLERANCE) - 1
    rate = video.stream.average_rate
    last_frame = 1 / rate if rate is not None and rate > 0 else Fraction(1)
    return tally.seconds + last_frame < seconds * Fraction(1 - TIME_TOLERANCE)


def _promised_frames(container: Any, stream: Any) -> int:
    """Return the number of packets that the container says a stream has, 0 where it does not."""
    if container.format.name == "avi" and stream.frames == UNKNOWN_IN_AVI:
        return 0
    if "mp4" in container.format.name:
        return min(stream.frames, len(stream.index_entries))  # an edit list takes away what it does not show
    return stream.frames


def _promised_seconds(container: Any, stream: Any) -> Fraction:
    """Return the length of the video stream as the container tells it, 0 where it does not."""
    if container.format.name.split(",")[0] not in CONTAINERS_WITH_LENGTH:
        return Fraction(0)
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    start = Fraction(max(container.start_time or 0, 0), MICROSECONDS)
    if tagged := _tagged_seconds(stream.metadata.get("DURATION", "")):
        return tagged - start
    if len(container.streams) == 1 and container.duration:  # of several streams another may last longer
        return Fraction(container.duration, MICROSECONDS) - start
    return Fraction(0)


def _tagged_seconds(tag: str) -> Fraction:
    """Read Matroska's HH:MM:SS.fraction; 0 where it says anything else."""
    hours, _, rest = tag.partition(":")
    minutes, _, seconds = rest.partition(":")
    if not (hours.isdecimal() and minutes.isdecimal() and seconds.replace(".", "", 1).isdecimal()):
        return Fraction(0)
    return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
