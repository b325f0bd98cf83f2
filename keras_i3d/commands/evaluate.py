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
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_i3d import exit_codes
from keras_i3d.evaluation.evaluate import REPORT, evaluate, fuse

if TYPE_CHECKING:
    from keras_i3d.evaluation.views import Views

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
