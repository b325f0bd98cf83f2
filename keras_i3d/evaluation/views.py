"""Which views of a video a test takes, as others report them: ``10x3`` is ten windows in time, three crops of each.

The windows lie evenly from the first to the last frame, the square crops evenly along the longer side (Wang et al.
2018, "Non-local Neural Networks", section 4; Feichtenhofer et al. 2019, "SlowFast Networks", section 4).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST = 100  # windows, and crops


@dataclass(frozen=True)
class Views:
    """How many windows in time, how many crops of each, and how long a window is.

    Attributes:
        windows: 1 to 100.
        crops: 1 to 100.
        frames: Of the video that a window covers; None for as many as the network was trained on.

    Raises:
        ValueError: One of them is out of range.
    """

    windows: int
    crops: int
    frames: int | None = None

    def __post_init__(self) -> None:
        if not (1 <= self.windows <= MOST and 1 <= self.crops <= MOST):
            raise ValueError(f"views must be windows x crops, each 1 to {MOST}, such as 10x3; got {self}")
        if self.frames is not None and self.frames < 1:
            raise ValueError(f"view_frames must be at least 1, got {self.frames}")

    def __str__(self) -> str:
        return f"{self.windows}x{self.crops}" + ("" if self.frames is None else f", {self.frames} frames each")

    @classmethod
    def parse(cls, text: str, frames: int | None = None) -> Views:
        """Read ``10x3``.

        Args:
            text: Windows x crops.
            frames: Of a window.

        Raises:
            ValueError: It is spelt otherwise, or out of range.
        """
        match = re.fullmatch(r"(\d{1,6})x(\d{1,6})", str(text))
        if not match:
            raise ValueError(f"views must be windows x crops, each 1 to {MOST}, such as 10x3; got {text!r}")
        return cls(int(match[1]), int(match[2]), frames)
