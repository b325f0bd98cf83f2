"""A contact sheet as one picture file: a row for each clip, some of its frames, and beneath them the flow as colours.

Flow is drawn by `keras_i3d.figures.flow_colours`. Each clip has a scale of its own, which its row states: most motion
in videos is far below what records can hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from keras_i3d.extras import import_extra
from keras_i3d.figures import flow_colours
from keras_i3d.figures.pen import Pen, rgb
from keras_i3d.figures.style import FAINT, GRID
from keras_i3d.whole_file import replacing

SUFFIXES = (".png", ".jpg", ".jpeg")
MOST_ROWS = 100
MOST_COLUMNS = 40

_CELL = 176  # most pixels of a frame on the sheet, in either direction
_GAP, _MARGIN, _WORDS = 4, 28, 268
_TITLE, _LABEL, _SMALL, _TINY = 26, 18, 14, 12  # font sizes, pixels
_WHEEL = 72
_JPEG_QUALITY = 90


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


def _head(title: str, subtitle: str, width: int, has_flow: bool) -> np.ndarray:
    height = _MARGIN + (_WHEEL + 22 if has_flow else 68)
    head = np.full((height, width, 3), 255, np.uint8)
    pen = Pen(head)
    legend_width = 330 if has_flow else 0
    room = width - 2 * _MARGIN - legend_width
    pen.write(title, _MARGIN, _MARGIN + _TITLE - 4, room, size=_TITLE, weight=700)
    pen.write(subtitle, _MARGIN, _MARGIN + _TITLE + 24, room, size=_SMALL + 1, colour=FAINT)
    if has_flow:
        left = width - _MARGIN - legend_width + 16
        head[_MARGIN - 6 : _MARGIN - 6 + _WHEEL, left : left + _WHEEL] = flow_colours.wheel(_WHEEL)
        pen.write("Flow", left + _WHEEL + 14, _MARGIN + 9, 240, size=_SMALL, weight=700)
        words = ("hue: direction, as on the wheel", "strength: speed, white is still", "scale: its own for each clip")
        for line, text in enumerate(words):
            pen.write(text, left + _WHEEL + 14, _MARGIN + 28 + 18 * line, 240, size=_SMALL - 1, colour=FAINT)
    return head


def _row(row: Row, width: int) -> np.ndarray:
    frames = [_fitted(frame) for frame in row.frames]
    lines = list(row.lines)
    flow = []
    if row.flow is not None:
        scale = flow_colours.scale_of(row.flow)
        flow = [_fitted(flow_colours.paint(field, scale)) for field in row.flow]
        lines.append(f"full colour of flow: {scale:.1f} px/frame")
    frame_height = max(frame.shape[0] for frame in frames)
    flow_height = max((field.shape[0] for field in flow), default=0)
    pictures = frame_height + (flow_height + _GAP if flow else 0)
    top, caption = 16, 22
    height = top + max(pictures + caption, 24 + 20 * (len(lines) + 2)) + 10
    canvas = np.full((height, width, 3), 255, np.uint8)
    pen = Pen(canvas)
    canvas[0, _MARGIN : width - _MARGIN] = rgb(GRID)
    _words(pen, row.title, lines, top)
    for column, (frame, text) in enumerate(zip(frames, row.captions, strict=True)):
        left = _MARGIN + _WORDS + column * (_CELL + _GAP)
        _put(canvas, frame, left, top)
        if flow:
            _put(canvas, flow[column], left, top + frame_height + _GAP, framed=True)
        pen.write(text, left + 1, top + pictures + 16, _CELL, size=_TINY, colour=FAINT)
    return canvas


def _words(pen: Pen, title: str, lines: Sequence[str], top: int) -> None:
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
        canvas[top - 1 : top + height + 1, left - 1 : left + width + 1] = rgb(GRID)
    canvas[top : top + height, left : left + width] = picture
