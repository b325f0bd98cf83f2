"""A contact sheet as one picture file: a row for each clip, some of its frames, and beneath them the flow as colours.

Flow is drawn as usual (Baker et al., "A Database and Evaluation Methodology for Optical Flow", 2011): the hue is
the direction, the strength of the colour the speed, white is still. Each clip has a scale of its own, which its row
states: most motion in videos is far below what records can hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from keras_i3d.extras import import_extra
from keras_i3d.figures.style import FAINT, GRID, INK
from keras_i3d.whole_file import replacing

SUFFIXES = (".png", ".jpg", ".jpeg")
MOST_ROWS = 100
MOST_COLUMNS = 40

_CELL = 176  # most pixels of a frame on the sheet, in either direction
_GAP, _MARGIN, _WORDS = 4, 28, 268
_TITLE, _LABEL, _SMALL, _TINY = 26, 18, 14, 12  # font sizes, pixels
_WHEEL = 72
_JPEG_QUALITY = 90
_MOST_CHARACTERS = 300  # of a line that is measured; records of others may hold anything
_LEAST_SCALE = 1.0  # pixels per frame: noise of a still clip is no motion


@dataclass(frozen=True, eq=False)
class Row:
    """One clip.

    Attributes:
        title: What stands largest, such as the label.
        lines: Smaller lines beneath it.
        frames: uint8 arrays of shape (height, width, 3), RGB; one or more.
        captions: What stands beneath each frame, such as its time.
        flow: float arrays of shape (height, width, 2), x then y, pixels per frame, one for each frame; or None.

    Raises:
        ValueError: There are no frames, or not as many captions or fields.
    """

    title: str
    lines: Sequence[str]
    frames: Sequence[np.ndarray]
    captions: Sequence[str]
    flow: Sequence[np.ndarray] | None = None

    def __post_init__(self) -> None:
        counts = [len(self.frames), len(self.captions), *([] if self.flow is None else [len(self.flow)])]
        if not counts[0] or len(set(counts)) > 1:
            raise ValueError(f"a row needs frames, and a caption and, with flow, a field for each; got {counts}")


def check_path(path: str | PathLike) -> None:
    """Check, before any work is done, that a sheet can be written to a place.

    Raises:
        ValueError: Its suffix is none of `SUFFIXES`, or its folder is absent.
    """
    if Path(path).suffix.lower() not in SUFFIXES:
        raise ValueError(f"a contact sheet is a file {', '.join(SUFFIXES)}; got {str(path)!r}")
    if not Path(path).parent.is_dir():
        raise ValueError(f"{path}: there is no folder {Path(path).parent} for the contact sheet")


def write(path: str | PathLike, rows: Sequence[Row], *, title: str, subtitle: str = "") -> None:
    """Write a contact sheet; the file appears when it is whole.

    Args:
        path: ``.png``, ``.jpg`` or ``.jpeg``; the folder must exist.
        rows: The clips, 1 to `MOST_ROWS`.
        title: The heading.
        subtitle: A line beneath it.

    Raises:
        ValueError: The suffix is another one, the folder is absent, or the number of rows is out of range.
        MissingDependency: OpenCV is not installed.
    """
    check_path(path)
    path = Path(path)
    cv2 = import_extra("cv2")
    sheet = draw(rows, title=title, subtitle=subtitle)
    options = [] if path.suffix.lower() == ".png" else [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    _, encoded = cv2.imencode(path.suffix.lower(), sheet[..., ::-1], options)
    with replacing(path) as aside:
        aside.write_bytes(encoded.tobytes())


def draw(rows: Sequence[Row], *, title: str, subtitle: str = "") -> np.ndarray:
    """Draw a contact sheet; arguments and errors as in `write`.

    Returns:
        uint8 array of shape (height, width, 3), RGB.
    """
    if not 1 <= len(rows) <= MOST_ROWS:
        raise ValueError(f"a contact sheet has 1 to {MOST_ROWS} rows, got {len(rows)}")
    has_flow = any(row.flow is not None for row in rows)
    columns = max(len(row.frames) for row in rows)
    width = max(2 * _MARGIN + _WORDS + columns * (_CELL + _GAP) - _GAP, 900)
    parts = [_head(title, subtitle, width, has_flow), *(_row(row, width) for row in rows)]
    return np.vstack([*parts, np.full((_MARGIN, width, 3), 255, np.uint8)])


def flow_colours(field: np.ndarray, scale: float) -> np.ndarray:
    """Draw a flow field as colours: right is red, down yellow-green, left cyan, up violet; white is still.

    Args:
        field: float array of shape (height, width, 2), x then y.
        scale: Speed of the full colour, above 0.

    Returns:
        uint8 array of shape (height, width, 3), RGB.
    """
    cv2 = import_extra("cv2")
    x, y = np.ascontiguousarray(np.moveaxis(field.astype(np.float32), -1, 0))
    speed, angle = cv2.cartToPolar(x, y, angleInDegrees=True)
    strength = np.clip(speed / np.float32(scale), 0, 1)
    hsv = np.stack([angle % 360, strength, np.ones_like(strength)], axis=-1)
    return np.rint(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * 255).astype(np.uint8)


def flow_scale(fields: Sequence[np.ndarray]) -> float:
    """Choose the speed of the full colour: what one pixel in a hundred exceeds, and at least 1 pixel per frame."""
    speeds = np.concatenate([np.hypot(field[..., 0], field[..., 1]).ravel() for field in fields])
    return max(_LEAST_SCALE, float(np.percentile(speeds, 99)))


def _head(title: str, subtitle: str, width: int, has_flow: bool) -> np.ndarray:
    height = _MARGIN + (_WHEEL + 22 if has_flow else 68)
    head = np.full((height, width, 3), 255, np.uint8)
    pen = _Pen(head)
    legend_width = 330 if has_flow else 0
    room = width - 2 * _MARGIN - legend_width
    pen.write(title, _MARGIN, _MARGIN + _TITLE - 4, room, size=_TITLE, weight=700)
    pen.write(subtitle, _MARGIN, _MARGIN + _TITLE + 24, room, size=_SMALL + 1, colour=FAINT)
    if has_flow:
        left = width - _MARGIN - legend_width + 16
        head[_MARGIN - 6 : _MARGIN - 6 + _WHEEL, left : left + _WHEEL] = _wheel()
        pen.write("Flow", left + _WHEEL + 14, _MARGIN + 9, 240, size=_SMALL, weight=700)
        words = ("hue: direction, as on the wheel", "strength: speed, white is still", "scale: its own for each clip")
        for line, text in enumerate(words):
            pen.write(text, left + _WHEEL + 14, _MARGIN + 28 + 18 * line, 240, size=_SMALL - 1, colour=FAINT)
    return head


def _wheel() -> np.ndarray:
    """Draw each direction's colour where that direction points to, from the middle outwards."""
    fine = 4  # drawn larger and made smaller, for a smooth edge
    row, column = np.mgrid[: fine * _WHEEL, : fine * _WHEEL].astype(np.float32)
    radius = fine * _WHEEL / 2
    field = np.stack([column + 0.5 - radius, row + 0.5 - radius], axis=-1) / radius
    disc = flow_colours(field, 1.0)
    disc[np.hypot(field[..., 0], field[..., 1]) > 1] = 255
    return _resized(disc, _WHEEL, _WHEEL)


def _row(row: Row, width: int) -> np.ndarray:
    frames = [_fitted(frame) for frame in row.frames]
    lines = list(row.lines)
    flow = []
    if row.flow is not None:
        scale = flow_scale(row.flow)
        flow = [_fitted(flow_colours(field, scale)) for field in row.flow]
        lines.append(f"full colour of flow: {scale:.1f} px/frame")
    frame_height = max(frame.shape[0] for frame in frames)
    flow_height = max((field.shape[0] for field in flow), default=0)
    pictures = frame_height + (flow_height + _GAP if flow else 0)
    top, caption = 16, 22
    height = top + max(pictures + caption, 24 + 20 * (len(lines) + 2)) + 10
    canvas = np.full((height, width, 3), 255, np.uint8)
    pen = _Pen(canvas)
    canvas[0, _MARGIN : width - _MARGIN] = _rgb(GRID)
    _words(pen, row.title, lines, top)
    for column, (frame, text) in enumerate(zip(frames, row.captions, strict=True)):
        left = _MARGIN + _WORDS + column * (_CELL + _GAP)
        _put(canvas, frame, left, top)
        if flow:
            _put(canvas, flow[column], left, top + frame_height + _GAP, framed=True)
        pen.write(text, left + 1, top + pictures + 16, _CELL, size=_TINY, colour=FAINT)
    return canvas


def _words(pen: _Pen, title: str, lines: Sequence[str], top: int) -> None:
    room, baseline = _WORDS - 20, top + 14
    for part in pen.wrapped(title, room, size=_LABEL, weight=700, most=2):
        pen.write(part, _MARGIN, baseline, room, size=_LABEL, weight=700)
        baseline += 22
    for index, line in enumerate(lines):
        for part in pen.wrapped(line, room, size=_SMALL, weight=400, most=2 if index == 0 else 1):
            pen.write(part, _MARGIN, baseline, room, size=_SMALL, colour=FAINT)
            baseline += 19


def _fitted(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    share = _CELL / max(height, width)
    return _resized(picture, max(1, round(height * share)), max(1, round(width * share)))


def _resized(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    cv2 = import_extra("cv2")
    way = cv2.INTER_AREA if height < picture.shape[0] else cv2.INTER_LINEAR
    return cv2.resize(picture, (width, height), interpolation=way)


def _put(canvas: np.ndarray, picture: np.ndarray, left: int, top: int, *, framed: bool = False) -> None:
    height, width = picture.shape[:2]
    if framed:  # a still field is white on white
        canvas[top - 1 : top + height + 1, left - 1 : left + width + 1] = _rgb(GRID)
    canvas[top : top + height, left : left + width] = picture


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


class _Pen:
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
            self._cv2.putText(self._canvas, text, (left, baseline), _rgb(colour), self._face, size, weight)
            return
        face, scale, thickness = self._strokes(size, weight)
        place = (left, baseline)
        self._cv2.putText(self._canvas, _ascii(text), place, face, scale, _rgb(colour), thickness, self._cv2.LINE_AA)

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
        return self._cv2.FONT_HERSHEY_SIMPLEX, size / 31, 2 if weight > 500 and size > _LABEL else 1


def _ascii(text: str) -> str:
    return text.replace("…", "...").encode("ascii", "replace").decode("ascii")
