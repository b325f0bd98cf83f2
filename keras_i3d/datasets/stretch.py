"""Read the two cells of a table that bound a stretch of a video."""

from __future__ import annotations

import math

from keras_i3d.errors import DatasetError


def read_stretch(where: str, start: tuple[str, str], end: tuple[str, str]) -> tuple[float, float | None]:
    """Read the start and the end of a stretch of a video, in seconds.

    Args:
        where: What names the line, for the message.
        start: Name of the column and the cell; an empty one is 0.
        end: The same; an empty one, None, is the end of the video.

    Raises:
        DatasetError: They are no stretch; the message begins with `where`.
    """
    start_s = _seconds(where, *start) or 0.0
    end_s = _seconds(where, *end)
    if end_s is not None and end_s <= start_s:
        raise DatasetError(f"{where}: {end[0]} must be after {start[0]}, got {start_s:g} to {end_s:g}")
    return start_s, end_s


def _seconds(where: str, name: str, text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise DatasetError(f"{where}: {name} must be seconds of at least 0, got {text!r}")
    return value
