"""Evaluate a model on records: whole videos, centre crop, averaged over time.

Prints top-1, top-5 and the mean class accuracy, and with --json also the confusion matrix and the class names.

  keras-i3d evaluate --model run/best.keras --records records/ --split test
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from keras_i3d import labels, progress, quiet, storage
from keras_i3d.errors import RecordError

if TYPE_CHECKING:
    from keras_i3d.evaluation.metrics import Metrics
    from keras_i3d.evaluation.whole_video import Answers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--model", metavar="FILE", required=True, help=".keras file of a run, or kinetics")
    parser.add_argument("--records", metavar="DIR", required=True, help="folder that make-tfrecords wrote")
    parser.add_argument(
        "--split", default="test", help="train, val or test; test2 and so on of a data set with several (default: test)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


@dataclass(frozen=True)
class Evaluation:
    """Metrics of a model on a split, and what they were computed from.

    Attributes:
        metrics: The numbers.
        answers: Logits and true class of every video.
        class_names: In the order of the logits and of the confusion matrix.
    """

    metrics: Metrics
    answers: Answers
    class_names: tuple[str, ...]


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    quiet.import_tensorflow()
    evaluation = evaluate(arguments.model, arguments.records, split=arguments.split)
    metrics = evaluation.metrics
    if arguments.json:
        values = {
            "model": arguments.model,
            "records": arguments.records,
            "split": arguments.split,
            "videos": metrics.videos,
            "top1": metrics.top1,
            "top5": metrics.top5,
            "mean_class_accuracy": metrics.mean_class_accuracy,
            "class_names": evaluation.class_names,
            "confusion": metrics.confusion.tolist(),
        }
        print(json.dumps(values))
    else:
        print(f"videos               {metrics.videos}")
        print(f"top-1                {metrics.top1:.1%}")
        print(f"top-5                {metrics.top5:.1%}")
        print(f"mean class accuracy  {metrics.mean_class_accuracy:.1%}")
    return 0


def evaluate(model: str | os.PathLike, records: str | os.PathLike, *, split: str = "test") -> Evaluation:
    """Evaluate a finished model on a split of records, whole videos.

    Args:
        model: A ``.keras`` file of a run folder, or a name of published weights.
        records: Folder that ``make-tfrecords`` wrote.
        split: ``"train"``, ``"val"`` or ``"test"``; ``"test2"`` and so on of a data set with several splits.

    Raises:
        ModelFileError: The model cannot be loaded.
        RecordError: The records lack the split, the stream, the rate or the classes of the model.
    """
    from keras_i3d import finished_model
    from keras_i3d.clips import pipeline, shard_files
    from keras_i3d.evaluation import metrics, whole_video
    from keras_i3d.records import manifest, selection

    made = manifest.read(records)
    chosen = selection.select(records, split)
    if chosen.without_label:
        raise RecordError(
            f"{records}: {chosen.without_label} clips of split {split!r} have no label, so there is nothing to "
            f"compare with; its splits are {', '.join(made.records)}"
        )
    finished = finished_model.load(model)
    preparation = finished.preparation
    protocol = finished.protocol
    for modality in protocol.modalities:
        selection.check_fits(records, made, modality=modality, fps=preparation.fps)
    _check_classes(records, finished.class_names)
    videos = pipeline.whole_videos(
        chosen,
        size=preparation.size,
        modalities=protocol.streams,
        most=protocol.test_frames,
        multiple=finished.window or protocol.period,
    )
    windows = finished.window and {name: part.count(finished.window) for name, part in protocol.streams.items()}
    with progress.bar("evaluating", chosen.records) as bar, shard_files.reading(records):
        answers = whole_video.answer(finished.logits_network(), videos, windows=windows, on_video=bar.advance)
    return Evaluation(metrics.measure(answers.logits, answers.truth), answers, finished.class_names)


def _check_classes(records: str | os.PathLike, wanted: tuple[str, ...]) -> None:
    found = tuple(labels.read(storage.join(records, labels.FILE_NAME)))
    if found == wanted:
        return
    unknown = next((name for name in found if name not in wanted), None)
    complaint = f"class {unknown!r} is unknown to the model" if unknown else "its classes have another order"
    raise RecordError(
        f"{records}: {complaint}; make the records with --labels naming the labels.txt beside the model "
        f"({len(wanted)} classes: {', '.join(wanted[:5])}{', ...' if len(wanted) > 5 else ''})"
    )
