"""The result of an evaluation: what was predicted on each split, the numbers, and both as JSON and as a table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from keras_i3d.evaluation import metrics
from keras_i3d.evaluation.answers import Answers
from keras_i3d.evaluation.metrics import TITLES, Metrics, MultiLabelMetrics
from keras_i3d.evaluation.predictions import Predictions

SUM = "sum"  # what several streams say together
MEAN = "mean"  # of several splits
_WIDEST = 32  # characters of a class's name in the table
_PAIRS = 5


@dataclass(frozen=True)
class Numbers:
    """One row of numbers: of a stream, or of the sum of them.

    Attributes:
        name: ``"rgb"``, ..., or ``"sum"``.
        models: Where it comes from, a model for each split.
        weight: Of its logits in the sum; None for the sum itself.
        of_splits: The metrics on each split.
    """

    name: str
    models: tuple[str, ...]
    weight: float | None
    of_splits: tuple[Metrics | MultiLabelMetrics, ...]

    @cached_property
    def metrics(self) -> Metrics | MultiLabelMetrics:
        """The mean over the splits."""
        return metrics.mean(self.of_splits)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What one model, or the sum of several, reaches on a split, or on the average over several.

    Attributes:
        splits: The predictions on each split.
        skipped: Of each damaged record that was left out, where it is and what is wrong.

    Raises:
        ValueError: The splits have not the same streams and classes.
    """

    splits: tuple[Predictions, ...]
    skipped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        first = self.splits[0]
        for other in self.splits[1:]:
            if len(other.streams) != len(first.streams):
                raise ValueError(
                    f"every split needs as many models as the others; {first.split} has {len(first.streams)}, "
                    f"{other.split} {len(other.streams)}"
                )
            if other.class_names != first.class_names:
                raise ValueError(f"the splits {first.split} and {other.split} have not the same classes")
            if other.answers.multi_label != first.answers.multi_label:
                raise ValueError(
                    f"of the splits {first.split} and {other.split} one has videos of any number of classes"
                )

    @property
    def class_names(self) -> tuple[str, ...]:
        """In the order of the logits and of the confusion matrix."""
        return self.splits[0].class_names

    @cached_property
    def metrics(self) -> Metrics | MultiLabelMetrics:
        """The numbers, of several splits their mean."""
        return self.rows[-1].metrics

    @property
    def answers(self) -> Answers:
        """Logits and true class of every video of the split.

        Raises:
            ValueError: There are several splits.
        """
        if len(self.splits) > 1:
            raise ValueError(f"there are {len(self.splits)} splits, each with its answers: .splits[0].answers, ...")
        return self.splits[0].answers

    @cached_property
    def rows(self) -> tuple[Numbers, ...]:
        """The numbers of each stream alone, where there are several, and last those of what was asked for."""
        together = [split.metrics for split in self.splits]
        streams = [
            Numbers(
                same[0].name, tuple(each.model for each in same), same[0].weight, tuple(each.metrics for each in same)
            )
            for same in zip(*(split.streams for split in self.splits), strict=True)
        ]
        if len(streams) == 1:
            return tuple(streams)
        models = tuple(model for stream in streams for model in stream.models)
        return (*streams, Numbers(SUM, models, None, tuple(together)))

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as JSON values; a class without a number has null."""
        values: dict[str, Any] = {
            "split": self.splits[0].split if len(self.splits) == 1 else [split.split for split in self.splits],
            "videos": self.metrics.videos,
            **self.metrics.numbers,
            "streams": [
                {
                    "name": row.name,
                    "model": row.models[0] if len(self.splits) == 1 else list(row.models),
                    "weight": row.weight,
                    **row.metrics.numbers,
                }
                for row in self.rows
                if row.weight is not None
            ],
            "splits": [
                {"split": split.split, "videos": numbers.videos, **numbers.numbers}
                for split, numbers in zip(self.splits, self.rows[-1].of_splits, strict=True)
            ],
            "classes": self._classes(),
            "class_names": list(self.class_names),
            "skipped": list(self.skipped),
        }
        if isinstance(self.metrics, Metrics):
            values["confusion"] = self.metrics.confusion.tolist()
        return values

    def _classes(self) -> list[dict[str, Any]]:
        names, numbers = self.class_names, self.metrics
        if isinstance(numbers, MultiLabelMetrics):
            return [
                {
                    "class": name,
                    "videos": int(videos),
                    "average_precision": None if math.isnan(value) else float(value),
                }
                for name, videos, value in zip(names, numbers.videos_of_class, numbers.average_precision, strict=True)
            ]
        return [
            {
                "class": names[result.index],
                "videos": result.videos,
                "top1": result.top1,
                "taken_for": None if result.taken_for is None else names[result.taken_for],
                "taken": result.taken,
            }
            for result in metrics.by_class(numbers.confusion)
        ]


def table(evaluation: Evaluation, shown_classes: int | None = 10) -> list[str]:
    """Write the result as lines of text.

    Args:
        evaluation: The result.
        shown_classes: How many of the hardest classes are shown; None for all.
    """
    lines = list(_headline(evaluation))
    classes = list(_class_rows(evaluation))
    shown = classes[:shown_classes]
    if shown:
        heading = f"the {len(shown)} hardest classes" if len(shown) < len(classes) else "classes, the hardest first"
        lines += ["", *_aligned([(heading, *_class_titles(evaluation)), *shown])]
    if shown and isinstance(evaluation.metrics, Metrics):
        lines += _pairs(evaluation.metrics, evaluation.class_names)
    return lines


def _headline(evaluation: Evaluation) -> Iterator[str]:
    rows, splits = evaluation.rows, evaluation.splits
    columns = [(row.name if len(rows) > 1 else "", row.metrics) for row in rows]
    if len(splits) > 1:
        last = rows[-1]
        columns = [(split.split, of) for split, of in zip(splits, last.of_splits, strict=True)]
        columns += [(f"{MEAN} {row.name}" if len(rows) > 1 else MEAN, row.metrics) for row in rows]
    keys = list(columns[0][1].numbers)
    margin = max(len(TITLES[key]) for key in keys)
    widths = [max(8, len(name)) if len(columns) > 1 else 0 for name, _ in columns]

    def line(title: str, cells: Iterable[str]) -> str:
        padded = (f"  {cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        return f"{title:{margin}}{''.join(padded)}"

    if len(columns) > 1:
        yield line("", (name for name, _ in columns))
    yield line("videos", (str(of.videos) for _, of in columns))
    for key in keys:
        yield line(TITLES[key], (f"{of.numbers[key]:.1%}" for _, of in columns))


def _class_titles(evaluation: Evaluation) -> tuple[str, ...]:
    if isinstance(evaluation.metrics, MultiLabelMetrics):
        return ("videos", "average precision")
    return ("videos", "top-1", "most taken for")


def _class_rows(evaluation: Evaluation) -> Iterator[tuple[str, ...]]:
    """Yield the cells of each class that occurs, the hardest first."""
    names, numbers = evaluation.class_names, evaluation.metrics
    if isinstance(numbers, MultiLabelMetrics):
        for index in numbers.average_precision.argsort(kind="stable"):
            if numbers.videos_of_class[index]:
                videos, value = numbers.videos_of_class[index], numbers.average_precision[index]
                yield _short(names[index]), str(videos), f"{value:.1%}"
        return
    for result in metrics.by_class(numbers.confusion):
        taken = "" if result.taken_for is None else f"{_short(names[result.taken_for])} ({result.taken})"
        yield _short(names[result.index]), str(result.videos), f"{result.top1:.1%}", taken


def _pairs(numbers: Metrics, names: Sequence[str]) -> Iterator[str]:
    pairs = metrics.confused_pairs(numbers.confusion)[:_PAIRS]
    totals = numbers.confusion.sum(axis=1)
    if pairs:
        yield from ("", "most confused")
    for true, wrong, count in pairs:
        yield f"  {_short(names[true])} taken for {_short(names[wrong])}: {count} of {totals[true]}"


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Yield lines: the first column and the fourth to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            f"{cell:{'>' if number in (1, 2) else '<'}{width}}"
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


def _short(name: str) -> str:
    printable = "".join(character if character.isprintable() else "?" for character in name)
    return printable if len(printable) <= _WIDEST else f"{printable[: _WIDEST - 1]}…"
