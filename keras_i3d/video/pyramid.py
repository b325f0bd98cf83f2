"""The pictures that TV-L1 flow works on: smaller and smaller ones, and their gradients.

Arrays are C-contiguous. Where a product and a sum are rounded once (`fma`), and where twice, is as in OpenCV 5.0.
"""

from __future__ import annotations

import numpy as np

from keras_i3d.tvl1_parameters import DEFAULTS, SMALLEST_SIDE, Parameters
from keras_i3d.video.compiled import compiled, fma

FRAME = 4  # zeros around a picture that cubic interpolation just outside of it reads


def pictures(picture: np.ndarray, parameters: Parameters = DEFAULTS) -> list[np.ndarray]:
    """Return a picture in all scales, the largest first.

    Args:
        picture: (height, width) of any real dtype.
        parameters: Of the algorithm.

    Returns:
        float32 arrays of shape (height, width), of the values given. Sides are rounded half to even; no side but the
        first's is below 16 pixels.
    """
    pictures = [np.ascontiguousarray(picture, np.float32)]
    while len(pictures) < parameters.scales:
        height, width = (round(side * parameters.step) for side in pictures[-1].shape)
        if min(height, width) < SMALLEST_SIDE:
            break
        pictures.append(_resized(pictures[-1], height, width, 1 / parameters.step, 1 / parameters.step))
    return pictures


def enlarged(u: np.ndarray, shape: tuple[int, int], parameters: Parameters) -> np.ndarray:
    """Return a component of the flow, float32 (height, width), at the next larger scale.

    Positions go by the sizes, values by the step.
    """
    larger = _resized(u, *shape, u.shape[0] / shape[0], u.shape[1] / shape[1])
    return larger * np.float32(1 / parameters.step)


@compiled
def _resized(source: np.ndarray, height: int, width: int, by_y: float, by_x: float) -> np.ndarray:
    """Return a field in another size, bilinearly: pixel x lies at (x + .5) * by_x - .5 of the source."""
    target = np.empty((height, width), np.float32)
    for y in range(height):
        top, below, part_y = _between(y, by_y, source.shape[0])
        for x in range(width):
            left, right, part_x = _between(x, by_x, source.shape[1])
            upper = fma(source[top, right] - source[top, left], part_x, source[top, left])
            lower = fma(source[below, right] - source[below, left], part_x, source[below, left])
            target[y, x] = fma(lower - upper, part_y, upper)
    return target


@compiled
def _between(place: int, ratio: float, size: int) -> tuple[int, int, float]:
    """Return the two source pixels around a target's, and how far it lies from the first to the second."""
    position = (place + 0.5) * ratio - 0.5
    first = int(np.floor(position))
    part = np.float32(position - first)
    if first < 0:
        return 0, 0, np.float32(0)
    if first >= size - 1:
        # the last pixel; where pictures shrink, OpenCV comes to it from the one before, which rounds otherwise
        return (max(size - 2, 0), size - 1, np.float32(1)) if ratio > 1 else (size - 1, size - 1, np.float32(0))
    return first, first + 1, part


@compiled
def with_gradients(picture: np.ndarray) -> np.ndarray:
    """Return a picture, float32 (height, width), with its gradients, in a frame of zeros four pixels wide or more.

    Returns:
        float32 (height + 9, width + 9, 4): the picture, its centred gradients in x and y, and nothing. At the borders
        the one-sided gradients are halved too, as in OpenCV.
    """
    height, width = picture.shape
    stack = np.zeros((height + 2 * FRAME + 1, width + 2 * FRAME + 1, 4), np.float32)
    half = np.float32(0.5)
    for y in range(height):
        above, below = max(y - 1, 0), min(y + 1, height - 1)
        for x in range(width):
            left, right = max(x - 1, 0), min(x + 1, width - 1)
            stack[y + FRAME, x + FRAME, 0] = picture[y, x]
            stack[y + FRAME, x + FRAME, 1] = half * (picture[y, right] - picture[y, left])
            stack[y + FRAME, x + FRAME, 2] = half * (picture[below, x] - picture[above, x])
    return stack
