"""Words on pictures, cut and broken to the room that they have."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_i3d.extras import import_extra
from keras_i3d.figures.style import INK

_MOST_CHARACTERS = 300  # of a line that is measured; records of others may hold anything
_THIN = 18  # font size, pixels, up to which strokes are of one pixel in any weight


def rgb(colour: str) -> tuple[int, int, int]:
    """Return the levels of a colour of the form ``#rrggbb``."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


class Pen:
    """Writes on a picture: OpenCV 5 in its own typeface with all of Unicode, OpenCV 4 in strokes and ASCII."""

    def __init__(self, canvas: np.ndarray) -> None:
        self._cv2: Any = import_extra("cv2")
        self._canvas = canvas
        self._face = self._cv2.FontFace("sans") if hasattr(self._cv2, "FontFace") else None

    def width(self, text: str, size: int, weight: int) -> int:
        """Measure a text in pixels."""
        if self._face is not None:
            left, _, width, _ = self._cv2.getTextSize((0, 0), text, (0, 0), self._face, size, weight)
            return left + width
        return self._cv2.getTextSize(_ascii(text), *self._strokes(size, weight))[0][0]

    def write(
        self, text: str, left: int, baseline: int, room: int, *, size: int, weight: int = 400, colour: str = INK
    ) -> None:
        """Write a line, cut to the room that it has, the last character then an ellipsis."""
        text = self.fitting(text, room, size=size, weight=weight)
        if not text:
            return
        if self._face is not None:
            self._cv2.putText(self._canvas, text, (left, baseline), rgb(colour), self._face, size, weight)
            return
        face, scale, thickness = self._strokes(size, weight)
        place = (left, baseline)
        self._cv2.putText(self._canvas, _ascii(text), place, face, scale, rgb(colour), thickness, self._cv2.LINE_AA)

    def fitting(self, text: str, room: int, *, size: int, weight: int) -> str:
        """Cut a text to the room that it has."""
        text = text.strip()[:_MOST_CHARACTERS]
        if self.width(text, size, weight) <= room:
            return text
        while text and self.width(f"{text}…", size, weight) > room:
            text = text[:-1]
        return f"{text.rstrip()}…"

    def wrapped(self, text: str, room: int, *, size: int, weight: int, most: int) -> list[str]:
        """Break a text into at most so many lines, at spaces and behind slashes and underscores where it can be."""
        lines, text = [], text[: most * _MOST_CHARACTERS]
        while len(lines) < most - 1 and self.width(text, size, weight) > room:
            fits = next(end for end in range(len(text) - 1, 0, -1) if self.width(text[:end], size, weight) <= room)
            breaks = [place + 1 for place in range(fits) if text[place] in " /_-"]
            end = breaks[-1] if breaks and breaks[-1] > fits // 3 else fits
            lines.append(text[:end])
            text = text[end:]
        return [*lines, text]

    def _strokes(self, size: int, weight: int) -> tuple[int, float, int]:
        return self._cv2.FONT_HERSHEY_SIMPLEX, size / 31, 2 if weight > 500 and size > _THIN else 1


def _ascii(text: str) -> str:
    return text.replace("…", "...").encode("ascii", "replace").decode("ascii")
