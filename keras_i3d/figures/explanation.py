"""What a network looks at in a clip, as pictures: frames of a video with heat over them, and a strip of some of them.

Beneath stands how the evidence runs over time. The heat lies where the network saw the frame, a thin line around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from keras_i3d.extras import import_extra
from keras_i3d.figures import heat
from keras_i3d.figures.pen import Pen, rgb
from keras_i3d.figures.style import FAINT, GRID, INK, run_colour

COLUMNS = 8  # frames of a strip

_GAP, _MARGIN = 4, 16
_CELL = 176  # most pixels of a frame on the strip, in either direction
_SHORT, _LONG = 320, 640  # pixels of a frame of the video: its shorter side, unless the longer one is too long then
_NARROWEST = 460
_TITLE, _WORDS, _SMALL = 22, 14, 13  # font sizes, pixels
_CURVE = 44
_KEY = 200  # pixels of the heat's legend


@dataclass(frozen=True, eq=False)
class Picture:
    """What is drawn.

    Attributes:
        title: What stands largest, such as class and probability.
        subtitle: A smaller line beneath.
        frames: uint8 (time, height, width, 3), RGB.
        seconds: float (time,): when in the video they are.
        corner: (top, left) of the heat in a frame.
        heat: By the names of the streams, float (time, h, w) in [0, 1].
        over_time: By the names of the streams, float (time,), at least 0.
    """

    title: str
    subtitle: str
    frames: np.ndarray
    seconds: np.ndarray
    corner: tuple[int, int]
    heat: dict[str, np.ndarray]
    over_time: dict[str, np.ndarray]

    def overlaid(self, stream: str, index: int) -> np.ndarray:
        """Return a frame with the heat of a stream over it, and a line around what the network saw."""
        return heat.over(self.frames[index], self.heat[stream][index], *self.corner)

    def seen(self, stream: str, scale: float) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the corners (x, y) of what the network saw, in a frame that is drawn so much larger."""
        (top, left), (height, width) = self.corner, self.heat[stream].shape[1:]
        ends = (left, top), (left + width, top + height)
        return tuple(tuple(round(place * scale) - number for place in end) for number, end in enumerate(ends))


def video_frames(picture: Picture) -> Iterator[np.ndarray]:
    """Draw the frames of a video.

    Yields:
        uint8 arrays of shape (height, width, 3), RGB, all of one shape with even sides.
    """
    height, width = picture.frames.shape[1:3]
    scale = min(_SHORT / min(height, width), _LONG / max(height, width))
    across, down = max(1, round(width * scale)), max(1, round(height * scale))
    streams = list(picture.heat)
    needed = len(streams) * (across + _GAP) - _GAP
    whole = _even(max(needed, _NARROWEST) + 2 * _MARGIN)
    captions = 20 if len(streams) > 1 else 0
    footer = captions + _TITLE + _WORDS + _CURVE + 62
    ground = np.full((_even(_MARGIN + down + footer), whole, 3), 255, np.uint8)
    left = (whole - needed) // 2
    curve = (_MARGIN, ground.shape[0] - _CURVE - 28, whole - 2 * _MARGIN)
    _write_footer(ground, picture, _MARGIN + down + captions)
    _draw_curves(ground, picture, *curve)
    if captions:
        for number, stream in enumerate(streams):
            place = left + number * (across + _GAP)
            Pen(ground).write(stream, place, _MARGIN + down + 17, across, size=_SMALL, weight=700)
    for index in range(len(picture.frames)):
        canvas = ground.copy()
        for number, stream in enumerate(streams):
            panel = _resized(picture.overlaid(stream, index), down, across)
            _frame_line(panel, picture.seen(stream, scale))
            place = left + number * (across + _GAP)
            canvas[_MARGIN : _MARGIN + down, place : place + across] = panel
        _draw_cursor(canvas, picture, index, *curve)
        yield canvas


def strip(picture: Picture) -> np.ndarray:
    """Draw some frames from the first to the last, the heat beneath them, and the evidence over time.

    Returns:
        uint8 array of shape (height, width, 3), RGB.
    """
    count = len(picture.frames)
    shown = np.unique(np.linspace(0, count - 1, min(COLUMNS, count)).round().astype(int))
    height, width = picture.frames.shape[1:3]
    scale = _CELL / max(height, width)
    across, down = max(1, round(width * scale)), max(1, round(height * scale))
    streams = list(picture.heat)
    names = 58  # pixels for the names of the rows
    whole = max(names + len(shown) * (across + _GAP) - _GAP + 2 * _MARGIN, 720)
    head = _MARGIN + _TITLE + _WORDS + 26
    rows = (1 + len(streams)) * (down + _GAP)
    canvas = np.full((head + rows + 22 + _CURVE + 34 + _MARGIN, whole, 3), 255, np.uint8)
    pen = Pen(canvas)
    _write_head(canvas, picture)
    lefts = [_MARGIN + names + column * (across + _GAP) for column in range(len(shown))]
    for left, index in zip(lefts, shown, strict=True):
        canvas[head : head + down, left : left + across] = _resized(picture.frames[index], down, across)
        for number, stream in enumerate(streams):
            top = head + (number + 1) * (down + _GAP)
            panel = _resized(picture.overlaid(stream, index), down, across)
            _frame_line(panel, picture.seen(stream, scale))
            canvas[top : top + down, left : left + across] = panel
        time = f"{picture.seconds[index]:.2f} s"
        place = left + (across - pen.width(time, _SMALL, 400)) // 2
        pen.write(time, max(place, left), head + rows + 13, across + 30, size=_SMALL, colour=FAINT)
    for row, name in enumerate(["frames", *streams]):
        pen.write(name, _MARGIN, head + row * (down + _GAP) + 13, names - 4, size=_SMALL, weight=700)
    # the curve runs from the middle of the first frame to that of the last, each of which stands above its time
    start = lefts[0] + across // 2
    _draw_curves(canvas, picture, start, head + rows + 24, max(lefts[-1] - lefts[0], 1))
    return canvas


def _write_footer(canvas: np.ndarray, picture: Picture, top: int) -> None:
    pen, width = Pen(canvas), canvas.shape[1]
    room = width - 2 * _MARGIN
    pen.write(picture.title, _MARGIN, top + _TITLE + 6, room, size=_TITLE, weight=700)
    pen.write(picture.subtitle, _MARGIN, top + _TITLE + _WORDS + 14, room, size=_WORDS, colour=FAINT)
    _draw_key(canvas, width - _MARGIN - _KEY, canvas.shape[0] - 25)


def _write_head(canvas: np.ndarray, picture: Picture) -> None:
    pen, width = Pen(canvas), canvas.shape[1]
    room = width - 2 * _MARGIN
    pen.write(picture.title, _MARGIN, _MARGIN + _TITLE - 4, room - _KEY - 16, size=_TITLE, weight=700)
    pen.write(picture.subtitle, _MARGIN, _MARGIN + _TITLE + _WORDS + 6, room, size=_WORDS, colour=FAINT)
    _draw_key(canvas, width - _MARGIN - _KEY, _MARGIN + 2)


def _draw_key(canvas: np.ndarray, left: int, top: int) -> None:
    """Draw the heat's legend, `_KEY` pixels wide: over a middling grey, as on frames."""
    pen, bar = Pen(canvas), 96
    words = "evidence  0"
    pen.write(words, left, top + 12, 90, size=_SMALL, colour=FAINT)
    start = left + _KEY - bar - 30
    grey = np.full((14, bar, 3), 128, np.uint8)
    canvas[top : top + 14, start : start + bar] = heat.over(grey, np.tile(np.linspace(0, 1, bar), (14, 1)))
    pen.write("max", start + bar + 5, top + 12, 30, size=_SMALL, colour=FAINT)


def _draw_curves(canvas: np.ndarray, picture: Picture, left: int, top: int, width: int) -> None:
    """Draw the evidence over time into a field of `_CURVE` pixels' height."""
    cv2, pen = import_extra("cv2"), Pen(canvas)
    most = max(max(float(values.max()) for values in picture.over_time.values()), 1e-9)
    base = top + _CURVE
    canvas[base : base + 1, left : left + width] = rgb(FAINT)
    for number, values in enumerate(picture.over_time.values()):
        colour = rgb(run_colour(number))
        x = _places(len(values), left, width)
        y = base - np.asarray(values, np.float64) / most * (_CURVE - 2)
        line = np.rint(np.stack([x, y], axis=-1) * 16).astype(np.int32)  # in sixteenths of a pixel
        if len(picture.over_time) == 1:
            area = np.rint(np.concatenate([[[x[0], base]], np.stack([x, y], -1), [[x[-1], base]]])).astype(np.int32)
            cv2.fillPoly(canvas, [area], tuple((255 * 3 + level) // 4 for level in colour))
        cv2.polylines(canvas, [line], False, colour, 2, cv2.LINE_AA, shift=4)
        if len(values) == 1:
            cv2.circle(canvas, tuple(line[0]), 3 * 16, colour, -1, cv2.LINE_AA, shift=4)
    words = "evidence over time" if len(picture.over_time) == 1 else "evidence over time:"
    place = left
    pen.write(words, place, base + 17, canvas.shape[1] - place, size=_SMALL, colour=FAINT)
    if len(picture.over_time) > 1:
        place += pen.width(words, _SMALL, 400) + 8
        for number, name in enumerate(picture.over_time):
            pen.write(
                name, place, base + 17, canvas.shape[1] - place, size=_SMALL, weight=700, colour=run_colour(number)
            )
            place += pen.width(name, _SMALL, 700) + 10


def _draw_cursor(canvas: np.ndarray, picture: Picture, index: int, left: int, top: int, width: int) -> None:
    place = round(float(_places(len(picture.frames), left, width)[index]))
    canvas[top - 4 : top + _CURVE + 4, max(place - 1, left) : place + 1] = rgb(INK)


def _places(count: int, left: int, width: int) -> np.ndarray:
    """Return where the frames stand on a line from the first to the last; a single one in its middle."""
    return np.linspace(left, left + width, count) if count > 1 else np.array([left + width / 2])


def _frame_line(panel: np.ndarray, ends: tuple[tuple[int, int], tuple[int, int]]) -> None:
    cv2 = import_extra("cv2")
    (left, top), (right, bottom) = ends
    cv2.rectangle(panel, (left, top), (right, bottom), rgb("#000000"), 1)
    cv2.rectangle(panel, (left + 1, top + 1), (right - 1, bottom - 1), rgb(GRID), 1)


def _resized(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    cv2 = import_extra("cv2")
    way = cv2.INTER_AREA if height < picture.shape[0] else cv2.INTER_CUBIC
    return cv2.resize(picture, (width, height), interpolation=way)


def _even(count: int) -> int:
    return count + count % 2
