"""Numbers of a classification, from logits and labels, in numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Metrics:
    """What an evaluation says.

    Attributes:
        videos: Number of videos.
        top1: Share whose best class is right.
        top5: Share whose class is among the five best (or all, where there are fewer).
        mean_class_accuracy: Mean over the classes that occur of their top-1 share.
        confusion: int array of shape (classes, classes): true class by row, best class by column.
    """

    videos: int
    top1: float
    top5: float
    mean_class_accuracy: float
    confusion: np.ndarray


def measure(logits: np.ndarray, truth: np.ndarray) -> Metrics:
    """Compute the metrics of an evaluation.

    Args:
        logits: Float array of shape (videos, classes).
        truth: int array of shape (videos,), each in [0, classes).

    Raises:
        ValueError: There is no video, or a label outside the classes.
    """
    videos, classes = logits.shape
    if not videos:
        raise ValueError("there is no video to measure")
    if truth.min() < 0 or truth.max() >= classes:
        raise ValueError(f"labels must be 0 to {classes - 1}, got {truth.min()} to {truth.max()}")
    order = np.argsort(-logits, axis=1, kind="stable")
    confusion = np.zeros((classes, classes), int)
    np.add.at(confusion, (truth, order[:, 0]), 1)
    occurring = confusion.sum(1) > 0
    per_class = confusion.diagonal()[occurring] / confusion.sum(1)[occurring]
    return Metrics(
        videos=videos,
        top1=float((order[:, 0] == truth).mean()),
        top5=float((order[:, :5] == truth[:, None]).any(1).mean()),
        mean_class_accuracy=float(per_class.mean()),
        confusion=confusion,
    )
