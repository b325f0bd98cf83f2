"""Heat on frames: from nothing over violet and orange to pale yellow, ever lighter, on a frame without colours.

The lightness rises evenly (in Oklab), so the order is seen without colours, and by colour-blind people.
"""

from __future__ import annotations

import functools

import numpy as np

from keras_i3d.figures.oklab import from_oklab, to_oklab

_ANCHORS = ("#3b1466", "#8c2981", "#d8456c", "#f98e4a", "#fdf0a6")
_LEVELS = 256
_COVER = 0.85  # of the frame, by the strongest heat
_DIM = 0.8  # of the grey frame beneath, so that light heat stands out of light frames
_GREY = np.array([0.299, 0.587, 0.114], np.float32)  # BT.601


def colours(heat: np.ndarray) -> np.ndarray:
    """Return the colour of heat.

    Args:
        heat: float array of any shape (...) in [0, 1].

    Returns:
        uint8 array of shape (..., 3), RGB.
    """
    return _table()[np.rint(np.clip(heat, 0, 1) * (_LEVELS - 1)).astype(np.int16)]


def over(frame: np.ndarray, heat: np.ndarray, top: int = 0, left: int = 0) -> np.ndarray:
    """Lay heat over a part of a frame, which loses its colours there; the rest stays as it is.

    Args:
        frame: uint8 (height, width, 3), RGB.
        heat: float (h, w) in [0, 1], no larger than the frame; where it is 0 the grey frame shows alone.
        top: Where in the frame the heat begins.
        left: Likewise.

    Returns:
        uint8 array of the frame's shape.
    """
    result = frame.copy()
    part = result[top : top + heat.shape[0], left : left + heat.shape[1]]
    cover = (_COVER * np.clip(heat, 0, 1))[..., np.newaxis]
    grey = (part.astype(np.float32) @ _GREY)[..., np.newaxis] * _DIM
    part[:] = np.rint(grey * (1 - cover) + colours(heat) * cover)
    return result


@functools.cache
def _table() -> np.ndarray:
    anchors = to_oklab(_ANCHORS)
    place = np.linspace(0, 1, _LEVELS)
    anchors[:, 0] = np.linspace(anchors[0, 0], anchors[-1, 0], len(anchors))
    along = np.linspace(0, 1, len(anchors))
    return from_oklab(np.stack([np.interp(place, along, anchors[:, axis]) for axis in range(3)], axis=-1))
