"""Frames of a video beside their optical flow as colours, with the wheel that tells the colours' meaning."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_i3d.extras import import_extra
from keras_i3d.figures import flow_colours
from keras_i3d.figures.pen import Pen, rgb
from keras_i3d.figures.style import FAINT, GRID

_SHORT, _LONG = 288, 640  # pixels of a frame: its shorter side, unless the longer one is too long then
_MARGIN, _GAP, _WHEEL, _NARROWEST = 16, 6, 80, 480


def flow_frames(
    frames: np.ndarray, flow: np.ndarray, *, title: str, fps: float, start_s: float = 0.0
) -> Iterator[np.ndarray]:
    """Draw the frames of a video.

    Args:
        frames: uint8 (time, height, width, 3), RGB.
        flow: float (time, height, width, 2), x then y, pixels per frame.
        title: What stands beneath.
        fps: Frames per second, by which the time is told.
        start_s: Of the first frame.

    Yields:
        uint8 arrays of shape (height, width, 3), RGB, all of one shape with even sides. All have one scale: what one
        pixel in a hundred of the clip exceeds.

    Raises:
        ValueError: The flow holds what is no finite number.
    """
    cv2 = import_extra("cv2")
    height, width = frames.shape[1:3]
    scale = min(_SHORT / min(height, width), _LONG / max(height, width))
    across, down = max(1, round(width * scale)), max(1, round(height * scale))
    whole = max(2 * across + _GAP, _NARROWEST) + 2 * _MARGIN
    whole, tall = whole + whole % 2, _MARGIN + down + 14 + _WHEEL + _MARGIN
    ground = np.full((tall + tall % 2, whole, 3), 255, np.uint8)
    full = flow_colours.scale_of([flow])
    top, left = _MARGIN + down + 14, (whole - 2 * across - _GAP) // 2
    ground[top : top + _WHEEL, whole - _MARGIN - _WHEEL : whole - _MARGIN] = flow_colours.wheel(_WHEEL)
    pen, room = Pen(ground), whole - 3 * _MARGIN - _WHEEL
    pen.write(title, _MARGIN, top + 20, room, size=18, weight=700)
    words = f"colour: direction, as on the wheel; full colour: {full:.1f} px/frame; white: still"
    for number, line in enumerate(pen.wrapped(words, room, size=14, weight=400, most=2)):
        pen.write(line, _MARGIN, top + 44 + 18 * number, room, size=14, colour=FAINT)
    border = left + across + _GAP  # a still field is white on white
    ground[_MARGIN - 1 : _MARGIN + down + 1, border - 1 : border + across + 1] = rgb(GRID)
    for index, (frame, field) in enumerate(zip(frames, flow, strict=True)):
        canvas = ground.copy()
        for number, picture in enumerate((frame, flow_colours.paint(field, full))):
            place = left + number * (across + _GAP)
            canvas[_MARGIN : _MARGIN + down, place : place + across] = cv2.resize(picture, (across, down))
        Pen(canvas).write(f"{start_s + index / fps:.2f} s", _MARGIN, top + 80, 80, size=13, colour=FAINT)
        yield canvas
