"""Optical flow as colours: the hue is the direction, the strength of the colour the speed, white is still.

The palette ``"safe"`` goes from vermilion (right) over yellow (down) and sky blue (left) to indigo (up) and back: near
the usual wheel, but its four corners differ in lightness and along blue to yellow, which people without red or green
cones see too (Machado, Oliveira & Fernandes 2009 simulate what they see; the tests measure by it). Between them it goes
straight in Oklab (Ottosson 2020), and so it does to white. ``"middlebury"`` is the wheel of Baker et al. 2011, "A
Database and Evaluation Methodology for Optical Flow", which papers use.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_i3d.figures.oklab import from_oklab, to_oklab

PALETTES = ("safe", "middlebury")
LEAST_SCALE = 1.0  # pixels per frame: noise of a still clip is no motion

_CORNERS = ("#d55e00", "#f0e442", "#56b4e9", "#2d2a8c")  # right, down, left, up
_SECTORS = (15, 6, 4, 11, 13, 6)  # of Baker et al.: how many colours from red to yellow, to green, ... to red
_DEGREES, _STRENGTHS = 360, 256
_FINE = 4  # the wheel is drawn larger and made smaller, for a smooth edge


def paint(flow: np.ndarray, scale: float, *, palette: str = PALETTES[0]) -> np.ndarray:
    """Draw flow as colours.

    Args:
        flow: float array of shape (..., 2), x (right) then y (down), in pixels per frame.
        scale: Speed of the full colour, pixels per frame, above 0; what is faster has the same colour.
        palette: One of `PALETTES`.

    Returns:
        uint8 array of shape (..., 3), RGB.

    Raises:
        ValueError: The flow has another shape, or holds what is no finite number; the scale or palette is none.
    """
    flow = np.asarray(flow, np.float32)
    if flow.ndim < 1 or flow.shape[-1] != 2:
        raise ValueError(f"flow must be of shape (..., 2), x then y; got {flow.shape}")
    if not 0 < scale < np.inf:
        raise ValueError(f"scale must be a speed above 0, in pixels per frame; got {scale}")
    speed = np.hypot(flow[..., 0], flow[..., 1])
    if not np.isfinite(speed).all():
        raise ValueError(f"flow holds {np.count_nonzero(~np.isfinite(speed))} vectors that are no finite numbers")
    degrees = np.rint(np.degrees(np.arctan2(flow[..., 1], flow[..., 0]))).astype(np.int16) % _DEGREES
    strength = np.rint(np.minimum(speed / np.float32(scale), 1) * (_STRENGTHS - 1)).astype(np.int16)
    return _table(palette)[degrees, strength]


def scale_of(fields: Sequence[np.ndarray]) -> float:
    """Choose the speed of the full colour: what one pixel in a hundred exceeds, and at least 1 pixel per frame.

    Args:
        fields: float arrays of shape (..., 2), pixels per frame; one or more.
    """
    speeds = np.concatenate([np.hypot(field[..., 0], field[..., 1]).ravel() for field in fields])
    return max(LEAST_SCALE, float(np.percentile(speeds, 99)))


def wheel(size: int, *, palette: str = PALETTES[0], ground: int = 255) -> np.ndarray:
    """Draw each direction's colour where that direction points to, from the middle (still) outwards (full speed).

    Args:
        size: Pixels of the diameter, at least 1.
        palette: One of `PALETTES`.
        ground: Grey level around the wheel.

    Returns:
        uint8 array of shape (size, size, 3), RGB.
    """
    row, column = np.mgrid[: _FINE * size, : _FINE * size].astype(np.float32)
    radius = _FINE * size / 2
    field = np.stack([column + 0.5 - radius, row + 0.5 - radius], axis=-1) / radius
    disc = paint(field, 1.0, palette=palette).astype(np.float32)
    disc[np.hypot(field[..., 0], field[..., 1]) > 1] = ground
    return np.rint(disc.reshape(size, _FINE, size, _FINE, 3).mean(axis=(1, 3))).astype(np.uint8)


def _table(palette: str) -> np.ndarray:
    """Return the colour of every degree and strength, uint8 (360, 256, 3)."""
    if palette not in PALETTES:
        raise ValueError(f"unknown palette {palette!r}; known: {', '.join(PALETTES)}")
    strength = np.linspace(0, 1, _STRENGTHS)[:, np.newaxis]
    if palette == "middlebury":
        full = _middlebury()[:, np.newaxis]
        return np.rint(255 * (1 - strength * (1 - full))).astype(np.uint8)
    corners = to_oklab(_CORNERS)
    place = np.arange(_DEGREES) / 90
    full = np.stack([np.interp(place, np.arange(5), [*corners[:, axis], corners[0, axis]]) for axis in range(3)], -1)
    white = to_oklab(["#ffffff"])[0]
    return from_oklab(white + strength * (full[:, np.newaxis] - white))


def _middlebury() -> np.ndarray:
    """Return the full colour of every degree, clockwise from right, in [0, 1]; as ``colorcode.cpp`` of Baker et al."""
    ends = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1], [1, 0, 0]], np.float64)
    colours = np.concatenate(
        [
            one + np.arange(count)[:, np.newaxis] / count * (other - one)
            for one, other, count in zip(ends[:-1], ends[1:], _SECTORS, strict=True)
        ]
    )
    place = np.arange(_DEGREES) / _DEGREES * (len(colours) - 1)
    return np.stack([np.interp(place, np.arange(len(colours)), colours[:, channel]) for channel in range(3)], axis=-1)
