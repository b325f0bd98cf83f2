"""Colours in Oklab, where a straight line looks even (Björn Ottosson 2020, "A perceptual color space")."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# linear sRGB to the responses of the cones, and their cube roots to lightness, green to red, blue to yellow
_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_AXES = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def to_oklab(colours: Sequence[str]) -> np.ndarray:
    """Return colours of the form ``#rrggbb`` as float64 (count, 3): lightness in [0, 1], green-red, blue-yellow."""
    levels = np.array([list(bytes.fromhex(colour.removeprefix("#"))) for colour in colours]) / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    return np.cbrt(linear @ _CONES.T) @ _AXES.T


def from_oklab(colours: np.ndarray) -> np.ndarray:
    """Return Oklab colours, float (..., 3), as uint8 sRGB of the same shape; what sRGB has not is cut."""
    linear = np.clip((colours @ np.linalg.inv(_AXES).T) ** 3 @ np.linalg.inv(_CONES).T, 0, 1)
    levels = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(levels * 255).astype(np.uint8)
