"""The first layer's filters as pictures, over time: as figure 4 of Carreira & Zisserman 2017.

Filters of RGB are drawn in RGB, mid-grey where they are zero, each stretched by its own largest value; filters of flow
as the motion that they answer to, in the colours of `keras_i3d.figures.flow_colours`, white where they are zero.
"""

from __future__ import annotations

import math

import numpy as np

from keras_i3d.figures import flow_colours
from keras_i3d.figures.pen import Pen
from keras_i3d.figures.style import FAINT

_MARGIN, _HEAD, _WHEEL = 20, 66, 56
_LARGE, _SMALL = 8, 4  # pixels of a weight, in the animation and on the still sheet
_GAP, _TILE_GAP, _COLUMN_GAP = 6, 2, 22
_COLUMNS = 4  # of the still sheet
_NARROWEST = 520


def over_time(kernel: np.ndarray) -> np.ndarray:
    """Return a kernel with its steps in time first.

    Args:
        kernel: float (time, height, width, channels, filters) of a 3-D convolution, or without time of a 2-D one; 3
            channels (RGB), 1 (grey) or 2 (flow, x then y). Of a 2-D one, more flow: x and y of several frames by turns.

    Returns:
        float32 (filters, steps, height, width, channels), 1, 2 or 3 channels.

    Raises:
        ValueError: It has another shape.
    """
    kernel = np.asarray(kernel, np.float32)
    kernel = kernel[np.newaxis] if kernel.ndim == 4 else kernel
    if kernel.ndim == 5 and len(kernel) == 1 and kernel.shape[3] > 3 and kernel.shape[3] % 2 == 0:
        _, height, width, channels, filters = kernel.shape
        kernel = np.moveaxis(kernel.reshape(height, width, channels // 2, 2, filters), 2, 0)
    if kernel.ndim != 5 or kernel.shape[3] not in (1, 2, 3) or 0 in kernel.shape:
        raise ValueError(
            "a kernel that can be drawn is (time, height, width, channels, filters) or (height, width, channels, "
            f"filters) with 3 channels of RGB, 1 of grey or 2 of flow; got {np.shape(kernel)}"
        )
    return np.moveaxis(kernel, -1, 0)


def pictures(filters: np.ndarray) -> np.ndarray:
    """Draw filters, each stretched by its own largest value over all steps.

    Args:
        filters: As `over_time` returns it, finite.

    Returns:
        uint8 (filters, steps, height, width, 3), RGB: 127.5 + 127.5 v / max|v|, of flow colours of v / max|v|. A filter
        of zeros is all grey, or white.
    """
    if filters.shape[-1] == 2:
        most = np.hypot(filters[..., 0], filters[..., 1]).max(axis=(1, 2, 3))
        return flow_colours.paint(filters / np.where(most > 0, most, 1).reshape(-1, 1, 1, 1, 1), 1.0)
    most = np.abs(filters).max(axis=(1, 2, 3, 4), keepdims=True)
    levels = np.rint(127.5 + 127.5 * filters / np.where(most > 0, most, 1)).astype(np.uint8)
    return np.repeat(levels, 3, axis=-1) if filters.shape[-1] == 1 else levels


def animation(kernel: np.ndarray, *, title: str, subtitle: str = "") -> np.ndarray:
    """Draw the filters in a grid, one picture for each step in time.

    Args:
        kernel: As in `over_time`.
        title: The heading.
        subtitle: A line beneath it.

    Returns:
        uint8 (steps, height, width, 3), RGB.
    """
    drawn = pictures(over_time(kernel))
    tiles = drawn.repeat(_LARGE, axis=2).repeat(_LARGE, axis=3)
    columns = math.ceil(math.sqrt(len(tiles)))
    rows, (height, width) = math.ceil(len(tiles) / columns), tiles.shape[2:4]
    across, down = columns * (width + _GAP) - _GAP, rows * (height + _GAP) - _GAP
    whole = max(across, _NARROWEST) + 2 * _MARGIN
    canvas = np.full((tiles.shape[1], _MARGIN + _HEAD + down + _MARGIN, whole, 3), 255, np.uint8)
    for step, picture in enumerate(canvas):
        _write_head(picture, title, f"step {step + 1} of {len(canvas)}   {subtitle}", has_wheel=_is_flow(kernel))
        for number, tile in enumerate(tiles[:, step]):
            row, column = divmod(number, columns)
            top, left = _MARGIN + _HEAD + row * (height + _GAP), (whole - across) // 2 + column * (width + _GAP)
            picture[top : top + height, left : left + width] = tile
    return canvas


def sheet(kernel: np.ndarray, *, title: str, subtitle: str = "") -> np.ndarray:
    """Draw every filter as a row of its steps in time; arguments as in `animation`.

    Returns:
        uint8 (height, width, 3), RGB.
    """
    tiles = pictures(over_time(kernel)).repeat(_SMALL, axis=2).repeat(_SMALL, axis=3)
    count, steps, height, width = tiles.shape[:4]
    columns = min(_COLUMNS if steps > 1 else 2 * _COLUMNS, count)
    rows, across = math.ceil(count / columns), steps * (width + _TILE_GAP) - _TILE_GAP
    needed = columns * (across + _COLUMN_GAP) - _COLUMN_GAP
    whole = max(needed, _NARROWEST) + 2 * _MARGIN
    canvas = np.full((_MARGIN + _HEAD + rows * (height + _GAP) - _GAP + _MARGIN, whole, 3), 255, np.uint8)
    words = f"each row: {steps} steps in time, from left to right   {subtitle}" if steps > 1 else subtitle
    _write_head(canvas, title, words, has_wheel=_is_flow(kernel))
    for number in range(count):
        column, row = divmod(number, rows)
        for step in range(steps):
            left = _MARGIN + column * (across + _COLUMN_GAP) + step * (width + _TILE_GAP)
            top = _MARGIN + _HEAD + row * (height + _GAP)
            canvas[top : top + height, left : left + width] = tiles[number, step]
    return canvas


def _is_flow(kernel: np.ndarray) -> bool:
    return over_time(kernel).shape[-1] == 2


def _write_head(canvas: np.ndarray, title: str, subtitle: str, *, has_wheel: bool) -> None:
    room = canvas.shape[1] - 2 * _MARGIN - (_WHEEL + 12 if has_wheel else 0)
    pen = Pen(canvas)
    pen.write(title, _MARGIN, _MARGIN + 18, room, size=20, weight=700)
    pen.write(subtitle, _MARGIN, _MARGIN + 42, room, size=14, colour=FAINT)
    if has_wheel:
        left = canvas.shape[1] - _MARGIN - _WHEEL
        canvas[_MARGIN - 8 : _MARGIN - 8 + _WHEEL, left : left + _WHEEL] = flow_colours.wheel(_WHEEL)
