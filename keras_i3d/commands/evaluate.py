"""Evaluate models on records: whole videos, centre crop, averaged over time.

A MODEL is a .keras file of a run, or a name of published weights: kinetics (its rgb stream), kinetics:flow, or
kinetics:both. Of several models the logits are summed, and each is shown beside the sum. Several splits are averaged;
each needs models of its own, whose paths hold {n} where the number of the split stands.

  keras-i3d evaluate --model run/best.keras --records records/ --split test
  keras-i3d evaluate --model rgb/best.keras --model flow/best.keras --records records/ --output evaluation/
  keras-i3d evaluate --model 'rgb{n}/best.keras' --records ucf101/ --split test1 --split test2 --split test3
  keras-i3d evaluate --model kinetics:both --records records/ --views 10x3
  keras-i3d evaluate --predictions rgb_evaluation/ --predictions flow_evaluation/       (without TensorFlow or GPU)

Prints top-1, top-5, mean class accuracy (of records with several labels: mean average precision) and the hardest
classes; --json all of it and the confusion matrix. --output keeps result.json, report.html to look at, and
predictions.npz: ids, logits, truth and class_names, which numpy.load reads. Interrupted, the same command goes on;
finished, it shows the result again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_i3d import exit_codes
from keras_i3d.errors import RecordError
from keras_i3d.run_folder import claim
from keras_i3d.whole_file import write_json

if TYPE_CHECKING:
    from keras_i3d.evaluation.result import Evaluation
    from keras_i3d.evaluation.views import Views

RESULT = "result.json"
REPORT = "report.html"
CLASSES = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--model", action="append", metavar="MODEL", help="once for each model that is summed")
    source.add_argument(
        "--predictions",
        action="append",
        metavar="DIR",
        help="output of an earlier evaluation, or a predictions.npz, once for each: those of one split are summed",
    )
    parser.add_argument(
        "--records", metavar="DIR", help="folder that make-tfrecords wrote (with --predictions: for the pictures alone)"
    )
    parser.add_argument(
        "--split",
        action="append",
        help="train, val or test; test2 and so on of a data set with several; once for each (default: test)",
    )
    parser.add_argument(
        "--weights", nargs="+", type=float, metavar="W", help="factors of the logits, one for each model (default: 1)"
    )
    parser.add_argument(
        "--frames",
        metavar="N",
        help="frames of a video that are seen at most, its middle ones, or all (default: the paper's 250, of c3d 240; "
        "with --views all)",
    )
    parser.add_argument(
        "--views", metavar="TxS", help="T windows evenly spread in time, S crops of each along the longer side: 10x3"
    )
    parser.add_argument(
        "--view-frames", type=int, metavar="N", help="frames of a window (default: those the network was trained on)"
    )
    parser.add_argument(
        "--on-damage",
        choices=("stop", "skip"),
        help="at a damaged record: stop, or look for all of them first and leave them out (default: stop)",
    )
    parser.add_argument("--output", metavar="DIR", help="folder for result.json, predictions.npz and report.html")
    parser.add_argument(
        "--classes", type=int, default=CLASSES, metavar="N", help="show the N hardest classes, 0 for all (default: 10)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from keras_i3d.evaluation.result import table

    if arguments.classes < 0:
        raise ValueError(f"classes must be at least 0, got {arguments.classes}")
    output = {"weights": arguments.weights, "output": arguments.output}
    if arguments.predictions:
        _refuse(arguments, "split", "frames", "views", "view_frames", "on_damage")
        evaluation = fuse(arguments.predictions, records=arguments.records, **output)
    else:
        if arguments.records is None:
            raise ValueError("records must be named: --records DIR, the folder that make-tfrecords wrote")
        evaluation = evaluate(
            arguments.model,
            arguments.records,
            split=arguments.split or "test",
            frames=_frames(arguments.frames),
            views=_views(arguments),
            on_damage=arguments.on_damage or "stop",
            **output,
        )
    if arguments.json:
        print(json.dumps(_origin(arguments) | evaluation.to_json()))
    else:
        print("\n".join(table(evaluation, arguments.classes or None)))
        if arguments.output:
            print(f"\nlook at {Path(arguments.output) / REPORT}")
    if evaluation.skipped:
        where = "" if arguments.json else " (--json lists them)"
        print(f"{len(evaluation.skipped)} damaged records were left out{where}", file=sys.stderr)
        return exit_codes.SKIPPED
    return 0


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
    from keras_i3d.commands.evaluation_job import Job
    from keras_i3d.commands.evaluation_task import Seeing
    from keras_i3d.evaluation.views import Views

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
    predictions: Sequence[str | os.PathLike],
    *,
    weights: Sequence[float] | None = None,
    records: str | os.PathLike | None = None,
    output: str | os.PathLike | None = None,
) -> Evaluation:
    """Sum the logits of earlier evaluations, needing neither the models nor TensorFlow.

    Args:
        predictions: Output folders of `evaluate`, or their ``predictions.npz`` files. Those of one split are summed;
            several splits are averaged.
        weights: Factors, one for each of `predictions`, by default 1.
        records: Folder of the records, for pictures in the report.
        output: As in `evaluate`.

    Raises:
        ValueError: The predictions are about other videos or classes, or the weights are not as many.
        RecordError: A file cannot be read.
        OutputFolderError: The output folder holds something else.
    """
    from keras_i3d.evaluation import fusion

    paths = [Path(path) for path in predictions]
    evaluation = fusion.fuse(paths, weights)
    if output is None:
        return evaluation
    settings = {"predictions": fusion.digests(paths), "weights": list(weights or [1.0] * len(paths))}
    with claim(output, "evaluate", settings) as folder:
        _keep(folder, evaluation, {"predictions": [str(path) for path in paths]}, records)
    return evaluation


def _kept(folder: Path) -> Evaluation | None:
    """Return the result that a folder holds; None where it is not finished."""
    from keras_i3d.evaluation import predictions
    from keras_i3d.evaluation.result import Evaluation

    if not (folder / RESULT).is_file():
        return None
    try:
        skipped = tuple(json.loads((folder / RESULT).read_text("utf-8"))["skipped"])
    except (ValueError, KeyError, TypeError) as error:
        raise RecordError(f"{folder / RESULT}: damaged ({error}); delete it, and it is written anew") from error
    return Evaluation(tuple(predictions.read(path) for path in predictions.find(folder)), skipped)


def _keep(folder: Path, evaluation: Evaluation, facts: dict[str, Any], records: str | os.PathLike | None) -> None:
    """Write predictions, report, and last the result."""
    from keras_i3d.commands import evaluation_page
    from keras_i3d.evaluation import predictions

    for split in evaluation.splits:
        split.write(folder / predictions.file_name(split.split if len(evaluation.splits) > 1 else None))
    evaluation_page.write(folder / REPORT, evaluation, facts, records)
    origin = facts | ({} if records is None else {"records": str(records)})
    write_json(folder / RESULT, origin | evaluation.to_json())


def _origin(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what was asked for, as JSON values."""
    if arguments.predictions:
        return {"predictions": arguments.predictions}
    return {
        "models": arguments.model,
        "records": arguments.records,
        "frames": _frames(arguments.frames),
        "views": arguments.views,
        "view_frames": arguments.view_frames,
    }


def _frames(text: str | None) -> int | str | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else text


def _views(arguments: argparse.Namespace) -> Views | None:
    from keras_i3d.evaluation.views import Views

    if arguments.views is None:
        if arguments.view_frames is not None:
            raise ValueError("view_frames are those of views; name these too, such as --views 10x3")
        return None
    return Views.parse(arguments.views, arguments.view_frames)


def _refuse(arguments: argparse.Namespace, *names: str) -> None:
    given = [name for name in names if getattr(arguments, name) is not None]
    if given:
        raise ValueError(
            f"--{given[0].replace('_', '-')} cannot go with --predictions, whose videos have been seen already"
        )
