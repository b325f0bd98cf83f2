"""Which frames of a video a network sees in training and in testing, and how large. Imports no part of the package.

All numbers count frames of a video at 25 per second. Source: Carreira & Zisserman 2017 (arXiv v3), section 2 and
table 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

FPS = 25.0
WHOLE_VIDEO_FRAMES = 250  # ten seconds, the span of the paper's tests


@dataclass(frozen=True)
class Frames:
    """Which frames of a clip a stream takes: every `step`-th, from `offset` on."""

    step: int = 1
    offset: int = 0

    def count(self, span: int) -> int:
        """Return how many frames the stream takes of a clip of `span` frames."""
        return len(range(self.offset, span, self.step))


@dataclass(frozen=True)
class Protocol:
    """How clips are cut out of a video.

    Attributes:
        streams: What each stream takes, by modality (``"rgb"``, ``"flow"``).
        train_frames: Consecutive frames of the video that a training clip covers.
        test_frames: The most that a test covers, from the middle of the video.
        window: A test is cut into windows of so many frames, whose logits are averaged; None for a network
            that takes the whole test at once.
        size: Height and width of the input.
        loss_at_every_step: Whether training asks for the class at every step, and not at the last alone.
    """

    streams: Mapping[str, Frames]
    train_frames: int
    test_frames: int
    window: int | None = None
    size: int = 224
    loss_at_every_step: bool = False

    @property
    def modalities(self) -> tuple[str, ...]:
        """The names of the streams."""
        return tuple(self.streams)

    @property
    def period(self) -> int:
        """Frames of the video after which all streams begin anew: what a clip of whole frames is a multiple of."""
        return math.lcm(*(frames.step for frames in self.streams.values()))


def short_side_for(size: int) -> int:
    """Return the short side that frames are resized to before a crop of `size`: size x 256 / 224, as in the paper."""
    return int(size * 256 / 224 + 0.5)
