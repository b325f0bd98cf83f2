"""Evaluate finished models on records, and sum evaluations: what `keras_i3d.evaluate` and `keras_i3d.fuse` are.

An output folder holds ``result.json``, ``report.html`` and ``predictions.npz`` (one for each of several splits).
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_i3d.errors import RecordError
from keras_i3d.evaluation import fusion, page
from keras_i3d.evaluation.job import Job
from keras_i3d.evaluation.predictions import file_name, find, read
from keras_i3d.evaluation.result import Evaluation
from keras_i3d.evaluation.task import Seeing
from keras_i3d.evaluation.views import Views
from keras_i3d.run_folder import claim
from keras_i3d.whole_file import write_json

RESULT = "result.json"
REPORT = "report.html"


def evaluate(
    model: str | os.PathLike | Sequence[str | os.PathLike],
    records: str | os.PathLike,
    *,
    split: str | Sequence[str] = "test",
    frames: int | str | None = None,
    views: str | Views | None = None,
    weights: Sequence[float] | None = None,
    on_damage: str = "stop",
    output: str | os.PathLike | None = None,
) -> Evaluation:
    """Evaluate finished models on a split of records, whole videos.

    Args:
        model: A ``.keras`` file of a run folder, or a name of published weights (``"kinetics"``,
            ``"kinetics:flow"``, ``"kinetics:both"``); or several, whose logits are summed.
        records: Folder that ``make-tfrecords`` wrote.
        split: ``"train"``, ``"val"`` or ``"test"``; ``"test2"`` and so on of a data set with several splits. Several
            are averaged; ``{n}`` in the model's path is then the number of the split.
        frames: How many frames of a video are seen at most, the middle ones, or ``"all"``; by default as many as
            the paper's test of the network, 250; with views all.
        views: Windows x crops, such as ``"10x3"``, instead of the whole video at once, of as many frames as the
            network was trained on; a `keras_i3d.evaluation.views.Views` may say another number.
        weights: Factors of the models' logits in the sum, by default 1.
        on_damage: ``"stop"`` with an error at a damaged record, or ``"skip"``: all are read once before, and the
            damaged ones left out.
        output: Folder to keep the result in; that of an earlier call with the same arguments goes on, or gives its
            result again.

    Raises:
        ValueError: An argument is out of range, or does not fit the others.
        ModelFileError: A model cannot be loaded, or gives NaN.
        RecordError: The records lack the split, the stream, the rate or the classes of a model, or are damaged.
        OutputFolderError: The output folder holds something else.
    """
    seeing = Seeing(frames, Views.parse(views) if isinstance(views, str) else views)
    job = Job.of(model, records, split, weights, seeing=seeing, on_damage=on_damage)
    if output is None:
        return job.run(None)
    with claim(output, "evaluate", job.settings()) as folder:
        if (evaluation := _kept(folder)) is None:
            evaluation = job.run(folder)
            _keep(folder, evaluation, job.facts(), records)
            job.clear(folder)
    return evaluation


def fuse(
    predictions: str | os.PathLike | Sequence[str | os.PathLike],
    *,
    weights: Sequence[float] | None = None,
    records: str | os.PathLike | None = None,
    output: str | os.PathLike | None = None,
) -> Evaluation:
    """Sum the logits of earlier evaluations, needing neither the models nor TensorFlow.

    Args:
        predictions: Output folders of `evaluate`, or their ``predictions.npz`` files; or one. Those of one split are
            summed; several splits are averaged.
        weights: Factors, one for each of `predictions`, by default 1.
        records: Folder of the records, for pictures in the report.
        output: As in `evaluate`.

    Raises:
        ValueError: The predictions are about other videos or classes, or the weights are not as many.
        RecordError: A file cannot be read.
        OutputFolderError: The output folder holds something else.
    """
    several = [predictions] if isinstance(predictions, str | os.PathLike) else predictions
    paths = [Path(path) for path in several]
    if not paths:
        raise ValueError("predictions must be at least one folder or file, got none")
    evaluation = fusion.fuse(paths, weights)
    if output is None:
        return evaluation
    settings = {"predictions": fusion.digests(paths), "weights": list(weights or [1.0] * len(paths))}
    with claim(output, "evaluate", settings) as folder:
        _keep(folder, evaluation, {"predictions": [str(path) for path in paths]}, records)
    return evaluation


def _kept(folder: Path) -> Evaluation | None:
    """Return the result that a folder holds; None where it is not finished."""
    if not (folder / RESULT).is_file():
        return None
    try:
        skipped = tuple(json.loads((folder / RESULT).read_text("utf-8"))["skipped"])
    except (ValueError, KeyError, TypeError) as error:
        raise RecordError(f"{folder / RESULT}: damaged ({error}); delete it, and it is written anew") from error
    return Evaluation(tuple(read(path) for path in find(folder)), skipped)


def _keep(folder: Path, evaluation: Evaluation, facts: dict[str, Any], records: str | os.PathLike | None) -> None:
    """Write predictions, report, and last the result."""
    for split in evaluation.splits:
        split.write(folder / file_name(split.split if len(evaluation.splits) > 1 else None))
    page.write(folder / REPORT, evaluation, facts, records)
    origin = facts | ({} if records is None else {"records": str(records)})
    write_json(folder / RESULT, origin | evaluation.to_json())
