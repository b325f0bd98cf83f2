"""Coarse maps onto every frame and pixel: straight lines between the places of their positions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def lines_between(places: Sequence[float], wanted: np.ndarray) -> np.ndarray:
    """Return the weights of straight lines between values; before the first and after the last they stay.

    Args:
        places: Where the values lie, rising; at least one.
        wanted: float (count,): where they are wanted.

    Returns:
        float32 (count, places): the rows sum to 1.
    """
    eye = np.eye(len(places))
    return np.stack([np.interp(wanted, places, eye[index]) for index in range(len(places))], axis=1).astype(np.float32)


def folded(weights: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return the mean of the rows that belong to each frame.

    Args:
        weights: float (span, places).
        order: int (span,): the frame of each row; each of 0 to its maximum at least once.
    """
    sums = np.zeros((order.max() + 1, weights.shape[1]), weights.dtype)
    np.add.at(sums, order, weights)
    return sums / np.bincount(order)[:, np.newaxis].astype(weights.dtype)
