"""Slide a window over a video that comes frame by frame: no frame is decoded twice, and few are held.

Windows begin every `stride` frames, the first with the video, as long as each brings a frame that none before it held.
So a video gives 1 + ceil((frames - window) / stride) of them, and none is dropped, however short it is: the one that
it does not fill is looped, as in training (Carreira & Zisserman 2017, section 2.5), or padded with its last frame.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

LOOP, PAD = "loop", "pad"
FILLS = (LOOP, PAD)

Frame = TypeVar("Frame")


@dataclass(frozen=True)
class Window(Generic[Frame]):
    """Consecutive frames of a video.

    Attributes:
        first: Index of its first frame in the video.
        count: Frames of the video in it; at the video's end it may be less than its length.
        frames: As long as windows are.
    """

    first: int
    count: int
    frames: tuple[Frame, ...]

    def times(self, fps: float) -> tuple[float, float]:
        """Return where it begins and ends in the video, in seconds; what fills it up does not count."""
        return self.first / fps, (self.first + self.count) / fps


@dataclass(frozen=True)
class Sliding:
    """How windows lie over a video.

    Attributes:
        window: Frames of a window, at least 1.
        stride: Frames from the begin of one to that of the next, at least 1; above `window`, some are not seen.
        fill: What a window is filled up with that the video does not fill: ``"loop"`` starts over with the window's
            first frame, ``"pad"`` repeats its last one.

    Raises:
        ValueError: A number is below 1, or the fill is none of these.
    """

    window: int
    stride: int
    fill: str = LOOP

    def __post_init__(self) -> None:
        for name in ("window", "stride"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is a number of frames, at least 1; got {value!r}")
        if self.fill not in FILLS:
            raise ValueError(f"fill must be {' or '.join(map(repr, FILLS))}, got {self.fill!r}")

    def count(self, frames: int) -> int:
        """Return how many windows a video of so many frames gives."""
        if frames < 1:
            return 0
        wanted = 1 + max(0, -(-(frames - self.window) // self.stride))
        return min(wanted, -(-frames // self.stride))  # a stride above the window may step over the end

    def over(self, frames: Iterable[Frame]) -> Iterator[Window[Frame]]:
        """Yield the windows of a video; at most `window` frames of it are held.

        Args:
            frames: The video's, one by one; without any there is no window.
        """
        coming, held, first = iter(frames), [], 0
        while True:
            fresh = list(itertools.islice(coming, self.window - len(held)))
            if not fresh:
                return
            held += fresh
            yield Window(first, len(held), self._filled(held))
            if len(held) < self.window:
                return
            held = held[self.stride :]
            skipped = self.stride - self.window
            if skipped > 0:
                next(itertools.islice(coming, skipped - 1, None), None)
            first += self.stride

    def _filled(self, held: list[Frame]) -> tuple[Frame, ...]:
        missing = self.window - len(held)
        if self.fill == PAD:
            return (*held, *[held[-1]] * missing)
        return tuple(itertools.islice(itertools.cycle(held), self.window))
