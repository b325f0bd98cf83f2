"""Average precision of each class, from scores and the classes of each video, for videos of any number of classes.

The area under the steps of precision over recall, without interpolation (Manning, Raghavan and Schuetze 2008, section
8.4), as scikit-learn's ``average_precision_score`` and the evaluation of Charades have it. Videos of one score are
taken together, at the precision behind the last of them, so the order of the videos plays no part.
"""

from __future__ import annotations

import numpy as np


def average_precision(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Compute the average precision of each class.

    Charades' own evaluation leaves out videos of no class: ``truth.any(axis=1)`` tells the others.

    Args:
        scores: Float array of shape (videos, classes), greater where the class is more likely: logits or
            probabilities alike, as the order alone counts. -inf and inf are allowed.
        truth: Array of shape (videos, classes), 1 or True for each class of a video, else 0.

    Returns:
        float64 array of shape (classes,) in (0, 1]; NaN for a class that no video has.

    Raises:
        ValueError: The shapes differ or are not (videos, classes), there is no video or no class, a score is NaN,
            or the truth holds something else than 0 and 1.
    """
    scores, truth = np.asarray(scores), np.asarray(truth)
    if scores.shape != truth.shape or scores.ndim != 2 or not scores.size:
        raise ValueError(
            f"scores and truth must be of one shape (videos, classes), got {scores.shape} and {truth.shape}"
        )
    unordered = np.argwhere(np.isnan(scores))
    if len(unordered):
        video, label = unordered[0]
        raise ValueError(f"scores must be numbers, got NaN for video {video}, class {label}")
    if not np.isin(truth, (0, 1)).all():
        raise ValueError(f"truth must be 0 or 1, got {truth[~np.isin(truth, (0, 1))][0]}")
    return np.array([_of_class(*columns) for columns in zip(scores.T, truth.T.astype(bool), strict=True)])


def mean_average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """Compute the mean of `average_precision` over the classes that any video has.

    Args:
        scores: As in `average_precision`.
        truth: Likewise.

    Raises:
        ValueError: As in `average_precision`, or no video has a class.
    """
    of_classes = average_precision(scores, truth)
    occurring = ~np.isnan(of_classes)
    if not occurring.any():
        raise ValueError(f"not one of {len(truth)} videos has a class, so there is no precision to average")
    return float(of_classes[occurring].mean())


def _of_class(scores: np.ndarray, truth: np.ndarray) -> float:
    positives = truth.sum()
    if not positives:
        return np.nan
    order = np.argsort(scores)[::-1]
    descending = scores[order]
    is_last_of_score = np.append(descending[1:] != descending[:-1], True)
    places = np.flatnonzero(is_last_of_score) + 1
    hits = np.cumsum(truth[order])[is_last_of_score]
    gained = np.diff(hits, prepend=0)
    return float((gained * (hits / places)).sum() / positives)
