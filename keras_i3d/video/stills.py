"""Keep a few small pictures of a video while its frames pass, evenly spread however long it turns out to be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

MOST = 64  # pictures, an even number
LONGER_SIDE = 240  # pixels at most: 64 pictures of 240x180 are 8 MB


class Stills:
    """What is kept of one video.

    Every `step`-th frame is kept; when there are `MOST`, every second of them goes, and the step doubles. So there
    are 32 to 64, or all frames of a video that has no more.

    Attributes:
        passed: Frames so far.
    """

    def __init__(self) -> None:
        self.passed = 0
        self._step = 1
        self._kept: list[tuple[int, np.ndarray]] = []

    def over(self, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Hand on frames, uint8 (height, width, 3), as they come."""
        for frame in frames:
            if self.passed % self._step == 0 and len(self._kept) == MOST:
                del self._kept[1::2]
                self._step *= 2
            if self.passed % self._step == 0:
                self._kept.append((self.passed, _shrunk(frame)))
            self.passed += 1
            yield frame

    def at(self, fps: float) -> tuple[tuple[float, np.ndarray], ...]:
        """Return (seconds, uint8 (height, width, 3)) of each picture, in order; all are of one shape."""
        return tuple((index / fps, picture) for index, picture in self._kept)


def _shrunk(frame: np.ndarray) -> np.ndarray:
    """Return the means of whole blocks of pixels, for which no OpenCV is needed."""
    height, width = frame.shape[:2]
    factor = -(-max(height, width) // LONGER_SIDE)
    down, across = min(factor, height), min(factor, width)
    rows, columns = height // down, width // across
    blocks = frame[: rows * down, : columns * across].reshape(rows, down, columns, across, 3)
    return (blocks.mean(axis=(1, 3)) + 0.5).astype(np.uint8)
