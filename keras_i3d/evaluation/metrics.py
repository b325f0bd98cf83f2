"""Numbers of a classification, from logits and labels, in numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_i3d.evaluation.average_precision import average_precision

TITLES = {
    "top1": "top-1",
    "top5": "top-5",
    "mean_class_accuracy": "mean class accuracy",
    "mean_average_precision": "mean average precision",
}


@dataclass(frozen=True, eq=False)
class Metrics:
    """What an evaluation says where every video has one class.

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

    @property
    def numbers(self) -> dict[str, float]:
        """The shares by their names in `TITLES`, the most telling first."""
        return {"top1": self.top1, "top5": self.top5, "mean_class_accuracy": self.mean_class_accuracy}


@dataclass(frozen=True, eq=False)
class MultiLabelMetrics:
    """What an evaluation says where a video may have any number of classes.

    Attributes:
        videos: Number of videos; those of no class are left out of the numbers, as in Charades' own evaluation.
        mean_average_precision: Mean over the classes that occur of their average precision.
        average_precision: float array of shape (classes,); NaN for a class that does not occur.
        videos_of_class: int array of shape (classes,).
    """

    videos: int
    mean_average_precision: float
    average_precision: np.ndarray
    videos_of_class: np.ndarray

    @property
    def numbers(self) -> dict[str, float]:
        """The share by its name in `TITLES`."""
        return {"mean_average_precision": self.mean_average_precision}


@dataclass(frozen=True)
class ClassResult:
    """What became of the videos of one class.

    Attributes:
        index: The class.
        videos: How many there are of it; at least 1.
        right: How many of them were named rightly.
        taken_for: The wrong class that they are most taken for, or None where all are right.
        taken: How many of them are.
    """

    index: int
    videos: int
    right: int
    taken_for: int | None
    taken: int

    @property
    def top1(self) -> float:
        """Share of its videos that were named rightly."""
        return self.right / self.videos


def measure(logits: np.ndarray, truth: np.ndarray) -> Metrics | MultiLabelMetrics:
    """Compute the metrics of an evaluation.

    Args:
        logits: Float array of shape (videos, classes).
        truth: int array of shape (videos,), each in [0, classes); or, where a video may have any number of classes,
            an array of shape (videos, classes) of 0 and 1.

    Raises:
        ValueError: There is no video, or a label outside the classes; with any number of classes: no video has one.
    """
    videos, classes = logits.shape
    if not videos:
        raise ValueError("there is no video to measure")
    if np.ndim(truth) == 2:
        return _measure_multi_label(logits, truth)
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


def _measure_multi_label(logits: np.ndarray, truth: np.ndarray) -> MultiLabelMetrics:
    has_class = truth.any(axis=1)
    if not has_class.any():
        raise ValueError(f"not one of {len(truth)} videos has a class, so there is nothing to measure")
    of_classes = average_precision(logits[has_class], truth[has_class])
    counts = truth.sum(axis=0).astype(int)
    return MultiLabelMetrics(len(truth), float(of_classes[counts > 0].mean()), of_classes, counts)


def mean(splits: Sequence[Metrics | MultiLabelMetrics]) -> Metrics | MultiLabelMetrics:
    """Average the metrics of several splits, as the paper's tables do; videos and confusions are added up.

    Args:
        splits: One or more, all of one kind and of the same classes.
    """
    first = splits[0]
    if len(splits) == 1:
        return first
    videos = sum(split.videos for split in splits)
    numbers = {name: float(np.mean([split.numbers[name] for split in splits])) for name in first.numbers}
    if isinstance(first, Metrics):
        return Metrics(videos=videos, confusion=np.sum([split.confusion for split in splits], axis=0), **numbers)
    counts = np.array([split.videos_of_class for split in splits])
    sums = np.nansum([split.average_precision for split in splits], axis=0)
    times = (counts > 0).sum(axis=0)
    of_classes = np.divide(sums, times, out=np.full(len(sums), np.nan), where=times > 0)
    return MultiLabelMetrics(videos, average_precision=of_classes, videos_of_class=counts.sum(axis=0), **numbers)


def by_class(confusion: np.ndarray) -> list[ClassResult]:
    """Tell of each class that occurs how many videos are right, and what the others are taken for, hardest first.

    Args:
        confusion: As in `Metrics`.

    Returns:
        Sorted by the share that is right, of equal ones the more numerous first.
    """
    results = []
    for index, row in enumerate(confusion):
        if not row.sum():
            continue
        wrong = row.copy()
        wrong[index] = 0
        worst = int(wrong.argmax())
        taken = int(wrong[worst])
        results.append(ClassResult(index, int(row.sum()), int(row[index]), worst if taken else None, taken))
    return sorted(results, key=lambda result: (result.top1, -result.videos, result.index))


def confused_pairs(confusion: np.ndarray) -> list[tuple[int, int, int]]:
    """List what is taken for what: (true class, wrong class, videos), most videos first.

    Args:
        confusion: As in `Metrics`.

    Returns:
        Of equal numbers those first that are the larger share of their class.
    """
    totals = confusion.sum(axis=1)
    pairs = [
        (int(true), int(wrong), int(confusion[true, wrong])) for true, wrong in np.argwhere(confusion) if true != wrong
    ]
    return sorted(pairs, key=lambda pair: (-pair[2], -pair[2] / totals[pair[0]], pair))
