"""What decides the content of records: one frozen dataclass, whose fields are the options of ``make-tfrecords``."""

from __future__ import annotations

import math
from dataclasses import dataclass

from keras_i3d.video import flow
from keras_i3d.video.decode import FPS, HIGHEST_FPS, LOWEST_FPS, SHORT_SIDE, Limits

STORES = ("frames", "video")
VIDEO_CODINGS = ("h264", "untouched")
FLOW_DEVICES = ("cpu", "gpu")
_LIMITS = Limits()


@dataclass(frozen=True)
class RecordSettings:
    """What decides the content of the records.

    Attributes:
        fps: Frames per second.
        short_side: Pixels of the shorter side.
        flow: ``"none"``; ``"tvl1"``, which the published flow weights need, or OpenCV's slower ``"opencv"`` of the
            same; ``"farneback"`` or ``"dis"``, which are faster and another thing.
        flow_device: Where ``"tvl1"`` is computed: ``"cpu"``, or ``"gpu"`` by Keras's backend, the same but for
            rounding.
        store: ``"frames"`` for a JPEG of each frame, ``"video"`` for the bytes of a video, which readers decode.
        video_coding: Of a stored video: ``"h264"`` for the prepared frames encoded anew, ``"untouched"`` for the
            bytes of the file as it is, from which readers prepare the frames each time.
        jpeg_quality: 1 to 100.
        crf: Constant rate factor of a video that is encoded anew, 0 (lossless) to 51.
        record_s: Most seconds of a record. A longer video becomes several, of which the last takes what remains;
            readers take each for a video.
        clips_per_shard: Most clips of one shard.
        seed: Of the order in which clips are dealt to shards.
        keep_truncated: Whether a video that ends early or is damaged is kept up to there, and reported, or skipped.
        max_frames: Most frames that are decoded of one file.
        max_pixels: Most pixels of one frame of a file.
        max_seconds: Most seconds spent on decoding one file.

    Raises:
        ValueError: A value is out of range.
    """

    fps: float = FPS
    short_side: int = SHORT_SIDE
    flow: str = "none"
    flow_device: str = "cpu"
    store: str = "frames"
    video_coding: str = "h264"
    jpeg_quality: int = 95
    crf: int = 18
    record_s: float = 80.0
    clips_per_shard: int = 64
    seed: int = 0
    keep_truncated: bool = False
    max_frames: int = _LIMITS.frames
    max_pixels: int = _LIMITS.pixels
    max_seconds: float = _LIMITS.seconds

    def __post_init__(self) -> None:
        choices = {"flow": flow.KINDS, "flow_device": FLOW_DEVICES, "store": STORES, "video_coding": VIDEO_CODINGS}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ValueError(f"unknown {name} {getattr(self, name)!r}; known: {', '.join(known)}")
        if self.flow_device == "gpu" and self.flow != "tvl1":
            raise ValueError(f"flow_device 'gpu' computes flow 'tvl1', got flow {self.flow!r}")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, got {self.seed}")
        if not LOWEST_FPS <= self.fps <= HIGHEST_FPS:
            raise ValueError(f"fps must be above 0 and at most {HIGHEST_FPS:g}, got {self.fps}")
        for name in ("record_s", "max_seconds", "max_frames", "max_pixels"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        if not 0 <= self.crf <= 51:
            raise ValueError(f"crf must be 0 to 51, got {self.crf}")
        if self.video_coding == "untouched" and self.store != "video":
            raise ValueError("video_coding 'untouched' is one of stored videos: it wants store 'video', got 'frames'")
        for name, most in (("short_side", 4096), ("jpeg_quality", 100), ("clips_per_shard", 1_000_000)):
            value = getattr(self, name)
            if not 1 <= value <= most:
                raise ValueError(f"{name} must be 1 to {most}, got {value}")

    @property
    def limits(self) -> Limits:
        """What decoding one file may cost."""
        return Limits(frames=self.max_frames, pixels=self.max_pixels, seconds=self.max_seconds)
