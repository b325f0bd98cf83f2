"""The page of an evaluation: its result, pictures from the records, and the learning curves beside the models."""

from __future__ import annotations

import json
import logging
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_i3d import __version__, storage
from keras_i3d.errors import KerasI3DError, MissingDependency
from keras_i3d.evaluation import metrics
from keras_i3d.evaluation.answers import Answers
from keras_i3d.evaluation.metrics import TITLES, Metrics
from keras_i3d.evaluation.predictions import Predictions
from keras_i3d.evaluation.result import SUM, Evaluation, Numbers
from keras_i3d.figures import evaluation_report
from keras_i3d.figures.curves import History
from keras_i3d.figures.evaluation_report import ClassRow, EvaluationReport, Pair, Score, Video
from keras_i3d.records import contents, manifest, selection, stills

log = logging.getLogger(__name__)

PAIRS, VIDEOS = 6, 2  # shown, and of each pair
FRAMES = 8
ANSWERS = 3


def write(path: Path, evaluation: Evaluation, facts: Mapping[str, Any], records: str | os.PathLike | None) -> None:
    """Write the page.

    Args:
        path: The HTML file.
        evaluation: What to show.
        facts: What was asked for, as JSON values.
        records: Folder of the records, for pictures; None for a page without.
    """
    report = _report(evaluation, facts, records)
    try:
        evaluation_report.write(path, report)
    except MissingDependency as error:
        log.warning("the report has no pictures of videos: %s", error)
        evaluation_report.write(path, _report(evaluation, facts, None))


def _report(evaluation: Evaluation, facts: Mapping[str, Any], records: str | os.PathLike | None) -> EvaluationReport:
    splits = [split.split for split in evaluation.splits]
    numbers, names = evaluation.metrics, evaluation.class_names
    one_label = isinstance(numbers, Metrics)
    last = evaluation.rows[-1]
    words = f"{numbers.videos:,} videos of {len(names)} classes, split {splits[0]}"
    if len(splits) > 1:
        words = f"{numbers.videos:,} videos of {len(names)} classes, the mean of the splits {', '.join(splits)}"
    return EvaluationReport(
        title=f"Evaluation: {_title(evaluation)}",
        introduction=f"{words[0].upper()}{words[1:]}.",
        scores=[Score(row.name, _description(row), _titled(row.metrics.numbers)) for row in evaluation.rows],
        splits=[
            Score(f"{last.name}, {split}", "", _titled(of.numbers))
            for split, of in zip(splits, last.of_splits, strict=True)
            if len(splits) > 1
        ],
        chance=1 / len(names) if one_label else None,
        classes=list(_class_rows(evaluation)),
        class_share="Top-1" if one_label else "Average precision",
        pairs=_pairs(evaluation, records) if one_label else [],
        class_names=names,
        confusion=numbers.confusion if one_label else None,
        histories=_histories(evaluation),
        facts=list(_facts(facts, records, evaluation.skipped)),
    )


def _title(evaluation: Evaluation) -> str:
    """Return the streams' names; of a single model its path, no more than the end that tells most."""
    streams = evaluation.splits[0].streams
    if len(streams) > 1 or len(evaluation.splits) > 1:
        return " + ".join(stream.name for stream in streams)
    return "/".join(Path(streams[0].model).parts[-2:])


def _description(row: Numbers) -> str:
    if row.name == SUM and row.weight is None:
        return "logits summed"
    weight = "" if row.weight in (None, 1) else f", weight {row.weight:g}"
    return ", ".join(row.models) + weight


def _titled(numbers: Mapping[str, float]) -> dict[str, float]:
    titles = {key: title[0].upper() + title[1:] for key, title in TITLES.items()}
    return {titles[key]: value for key, value in numbers.items()}


def _class_rows(evaluation: Evaluation) -> Iterator[ClassRow]:
    numbers, names = evaluation.metrics, evaluation.class_names
    if isinstance(numbers, Metrics):
        for one in metrics.by_class(numbers.confusion):
            taken_for = None if one.taken_for is None else names[one.taken_for]
            yield ClassRow(names[one.index], one.videos, one.top1, taken_for, one.taken)
        return
    for index in numbers.average_precision.argsort(kind="stable"):
        if numbers.videos_of_class[index]:
            yield ClassRow(names[index], int(numbers.videos_of_class[index]), float(numbers.average_precision[index]))


def _pairs(evaluation: Evaluation, records: str | os.PathLike | None) -> list[Pair]:
    """Return the most confused classes, with some of their videos."""
    numbers, names = evaluation.metrics, evaluation.class_names
    totals = numbers.confusion.sum(axis=1)
    chosen = metrics.confused_pairs(numbers.confusion)[:PAIRS]
    examples = [_surest(evaluation.splits, true, wrong)[:VIDEOS] for true, wrong, _ in chosen]
    pictures: dict[str, np.ndarray] = {}
    for split in evaluation.splits if records is not None else ():
        wanted = {split.answers.ids[place] for row in examples for of, place in row if of is split}
        pictures |= _pictures(records, split.split, wanted)
    return [
        Pair(
            names[true],
            names[wrong],
            count,
            int(totals[true]),
            [_video(split.answers, place, names, pictures) for split, place in row],
        )
        for (true, wrong, count), row in zip(chosen, examples, strict=True)
    ]


def _surest(splits: Sequence[Predictions], true: int, wrong: int) -> list[tuple[Predictions, int]]:
    """Return the videos of a class that are taken for another one, with their splits, the largest error first."""
    found = []
    for split in splits:
        answers = split.answers
        for place in np.flatnonzero((answers.truth == true) & (answers.logits.argmax(axis=1) == wrong)):
            found.append((float(answers.logits[place, wrong] - answers.logits[place, true]), split, int(place)))
    found.sort(key=lambda one: -one[0])
    return [(split, place) for _, split, place in found]


def _video(answers: Answers, place: int, names: Sequence[str], pictures: Mapping[str, np.ndarray]) -> Video:
    logits = answers.logits[place].astype(np.float64)
    shares = np.exp(logits - logits.max())
    shares /= shares.sum()
    best = np.argsort(-shares, kind="stable")[:ANSWERS]
    name = answers.ids[place]
    return Video(name, [(names[index], float(shares[index])) for index in best], pictures.get(name))


def _pictures(records: str | os.PathLike, split: str, wanted: set[str]) -> dict[str, np.ndarray]:
    """Decode some frames of some videos of a split; those that cannot be shown are passed over."""
    found: dict[str, np.ndarray] = {}
    if not wanted:
        return found
    try:
        for clip in _clips(records, split, wanted):
            taken = stills.take(clip, FRAMES)
            if taken is not None:
                found[clip.summary.id] = np.stack(taken.frames)
    except KerasI3DError as error:
        log.warning("the report lacks pictures of %d videos: %s", len(wanted - set(found)), error)
    return found


def _clips(records: str | os.PathLike, split: str, wanted: set[str]) -> Iterator[contents.Clip]:
    """Yield the records of some videos, reading no more shards than have to be.

    A record's id is its clip's name in the manifest, followed by ``#`` and a number where a clip has several.
    """
    made, missing = manifest.read(records), set(wanted)
    names = missing | {name.rpartition("#")[0] for name in missing}
    likely = {
        storage.join(records, shard)
        for shard, report in made.shards.items()
        if any(clip.clip in names for clip in report.clips)
    }
    for path in selection.select(records, split).paths:
        if path not in likely:
            continue
        for clip in contents.read(path):
            if clip.summary.id in missing:
                missing.discard(clip.summary.id)
                yield clip
            if not missing:
                return


def _histories(evaluation: Evaluation) -> dict[str, History]:
    """Return what the training of each model wrote beside it, by the stream's name (and split, of several)."""
    found = {}
    for split in evaluation.splits:
        for stream in split.streams:
            model = Path(stream.model)
            history = _history(model.parent / "history.json") if model.is_file() else None  # a published name has none
            if history:
                several = len(evaluation.splits) > 1
                found[f"{stream.name} {split.split}" if several else stream.name] = history
    return found


def _history(path: Path) -> list[dict[str, float]] | None:
    try:
        entries = json.loads(path.read_text("utf-8"))
        return [
            {key: float(value) for key, value in entry.items() if isinstance(value, int | float)} for entry in entries
        ]
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def _facts(
    facts: Mapping[str, Any], records: str | os.PathLike | None, skipped: Sequence[str]
) -> Iterator[tuple[str, str]]:
    for key, value in (dict(facts) | ({} if records is None else {"records": str(records)})).items():
        if value is not None:
            yield key.replace("_", " ").capitalize(), _words(value)
    for one in skipped:
        yield "Left out", one
    yield "keras_i3d", __version__
    yield "Python, machine", f"{platform.python_version()}, {platform.machine()}"


def _words(value: Any) -> str:
    return ", ".join(map(_words, value)) if isinstance(value, list) else str(value)
