"""Run the paper's transfer protocol, and print the result beside the paper's numbers.

For each split, stream and transfer a network is trained and tested on whole videos; the streams' logits are summed for
"both", and several splits averaged (Carreira & Zisserman 2017, tables 2 to 5):

  original   trained on this data set alone, from ImageNet or from random values
  fixed      the features of Kinetics, a new last layer
  full       every layer fine-tuned from Kinetics

  keras-i3d benchmark hmdb51 --records hmdb51/ --output benchmark/
  keras-i3d benchmark ucf101 --records ucf101/ --output benchmark/ --splits 1 2 3 --transfers full
  keras-i3d benchmark kinetics --records k400/ --output benchmark/             (the published networks, tested)
  keras-i3d benchmark own --records records/ --output benchmark/ --weights rgb.keras flow.keras --set epochs=10

Whatever is done is kept in OUTPUT, one run folder and one evaluation each; the same command goes on.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_i3d.commands import train
from keras_i3d.datasets.dataset import split_name
from keras_i3d.evaluation import paper
from keras_i3d.evaluation.evaluate import evaluate, fuse
from keras_i3d.evaluation.paper import FIXED, FULL, ORIGINAL
from keras_i3d.records import manifest, selection
from keras_i3d.training.named_recipes import named
from keras_i3d.training.recipe import NO_WEIGHTS, Recipe
from keras_i3d.whole_file import write_json

OWN = "own"
STREAMS = ("rgb", "flow")
BOTH = "both"
FROM_IMAGENET = {"kinetics": True, "kinetics_scratch": False, "imagenet": True, NO_WEIGHTS: False}
RECIPES = {FIXED: "ucf101-fixed", FULL: "ucf101-full", ORIGINAL: "small"}
RESULT = "result.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("dataset", choices=(*paper.DATASETS, OWN), help="whose numbers of the paper to stand beside")
    parser.add_argument("--records", metavar="DIR", required=True, help="folder that make-tfrecords wrote, with flow")
    parser.add_argument("--output", metavar="DIR", required=True, help="folder of all runs and of result.json")
    parser.add_argument("--transfers", nargs="+", choices=paper.TRANSFERS, help="default: all; of kinetics original")
    parser.add_argument(
        "--streams", nargs="+", choices=STREAMS, default=list(STREAMS), help="both together give a third row"
    )
    parser.add_argument("--splits", nargs="+", type=int, default=[1], metavar="N", help="default: 1")
    parser.add_argument(
        "--weights",
        nargs="+",
        default=["kinetics"],
        metavar="NAME|FILE",
        help="what fixed and full start from: a name, or a file for each stream (default: kinetics)",
    )
    parser.add_argument(
        "--start",
        default=NO_WEIGHTS,
        metavar="NAME",
        help="what original starts from: imagenet or none (default: none)",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="change a field of every recipe; repeatable"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


@dataclass(frozen=True)
class Experiment:
    """One training and one test.

    Attributes:
        transfer: ``"original"``, ``"fixed"`` or ``"full"``.
        stream: ``"rgb"`` or ``"flow"``.
        split: Number of the data set's split.
        weights: What it starts from.
        recipe: Of the training; None tests the weights as they are.
    """

    transfer: str
    stream: str
    split: int
    weights: str
    recipe: Recipe | None

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.transfer}-{self.stream}-{self.split}"


@dataclass(frozen=True)
class Line:
    """One line of the result.

    Attributes:
        transfer: As in `Experiment`.
        modality: ``"rgb"``, ``"flow"`` or ``"both"``.
        top1: Mean over the splits, in [0, 1].
        of_splits: On each split.
        paper: The paper's, in [0, 1], or None.
        table: Of the paper.
    """

    transfer: str
    modality: str
    top1: float
    of_splits: tuple[float, ...]
    paper: float | None
    table: int | None


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    experiments = list(_experiments(arguments))
    train.repeat_exactly(None)
    folder = Path(arguments.output)
    made = manifest.read(arguments.records)
    part = _tested_part(made)
    _check(experiments, arguments.records, made, part)
    predictions: dict[tuple[str, str], list[Path]] = {}
    for experiment in experiments:
        split = split_name(part, experiment.split, made.dataset["divisions"])
        done = _run(experiment, arguments, folder, split)
        predictions.setdefault((experiment.transfer, experiment.stream), []).append(done)
    lines = list(_lines(predictions, arguments))
    tested = [split_name(part, number, made.dataset["divisions"]) for number in dict.fromkeys(arguments.splits)]
    write_json(folder / RESULT, [dataclasses.asdict(line) for line in lines])
    if arguments.json:
        print(json.dumps([dataclasses.asdict(line) for line in lines]))
    else:
        print("\n".join(_table(lines, arguments, tested)))
    return 0


def _experiments(arguments: argparse.Namespace) -> Iterator[Experiment]:
    """Yield what is to be done."""
    streams = [stream for stream in STREAMS if stream in arguments.streams]
    transfers = arguments.transfers or ([ORIGINAL] if arguments.dataset == "kinetics" else list(paper.TRANSFERS))
    if arguments.dataset == "kinetics" and transfers != [ORIGINAL]:
        raise ValueError(f"on kinetics there is nothing to transfer from: transfers must be original, got {transfers}")
    if len(arguments.weights) not in (1, len(streams)):
        raise ValueError(f"weights must be one name, or one for each of {', '.join(streams)}; got {arguments.weights}")
    weights = dict(zip(streams, arguments.weights * (len(streams) if len(arguments.weights) == 1 else 1), strict=True))
    changes = _changes(arguments.set)
    for transfer in transfers:
        for split in arguments.splits:
            for stream in streams:
                if arguments.dataset == "kinetics":
                    yield Experiment(transfer, stream, split, weights[stream], None)
                    continue
                start = arguments.start if transfer == ORIGINAL else weights[stream]
                given = {"weights": start, "modality": stream, "split": f"train{split}"}
                yield Experiment(transfer, stream, split, start, named(RECIPES[transfer], **given | changes))


def _changes(settings: Sequence[str]) -> dict[str, Any]:
    """Read ``["epochs=10", "flips=false"]``."""
    kinds = {field.name: field.metadata["kind"] for field in dataclasses.fields(Recipe)}
    changes = {}
    for setting in settings:
        name, has_value, text = setting.partition("=")
        if not has_value or name not in kinds:
            raise ValueError(f"set must be FIELD=VALUE with a field of a recipe ({', '.join(kinds)}), got {setting!r}")
        changes[name] = text if kinds[name] is str else _value(name, text)
    return changes


def _value(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"{name} must be a number, true or false; got {text!r}") from error


def _check(experiments: Sequence[Experiment], records: str | os.PathLike, made: manifest.Manifest, part: str) -> None:
    """Find what the records lack, and weights that cannot be used, before hours of training."""
    import keras

    from keras_i3d import finished_model
    from keras_i3d.training import start
    from keras_i3d.training.data import Data

    if made.multi_label:
        raise ValueError(f"{records}: clips have several labels; the paper's protocol compares top-1, which wants one")
    loaded = set()
    for experiment in experiments:
        selection.check_fits(records, made, modality=experiment.stream)
        selection.select(records, f"{part}{experiment.split}")
        classes = Data(records, experiment.recipe).classes if experiment.recipe else None
        if experiment.weights != NO_WEIGHTS and (experiment.weights, experiment.stream) not in loaded:
            if experiment.recipe:
                start.network(experiment.recipe, classes)
            else:
                finished_model.load(experiment.weights, modality=experiment.stream)
            keras.backend.clear_session()
            loaded.add((experiment.weights, experiment.stream))


def _tested_part(made: manifest.Manifest) -> str:
    """Return test, or val where the labels of test are not known, as those of Kinetics often are not."""
    tested = [split for split in made.records if split.startswith("test")]
    return "test" if any(not made.dataset["without_label"].get(split) for split in tested) else "val"


def _run(experiment: Experiment, arguments: argparse.Namespace, folder: Path, split: str) -> Path:
    """Train and test where that is not done yet; returns the folder of the evaluation."""
    import keras

    if experiment.recipe is None:
        is_file = Path(experiment.weights).is_file()
        model = experiment.weights if is_file else f"{experiment.weights}:{experiment.stream}"
    else:
        run_folder = folder / experiment.name
        train.train(arguments.records, run_folder, experiment.recipe, description=experiment.name)
        model = str(run_folder / "best.keras")
    evaluated = folder / f"{experiment.name}-test"
    evaluate(model, arguments.records, split=split, output=evaluated)
    keras.backend.clear_session()
    gc.collect()
    return evaluated


def _lines(predictions: dict[tuple[str, str], list[Path]], arguments: argparse.Namespace) -> Iterator[Line]:
    for transfer in dict.fromkeys(transfer for transfer, _ in predictions):
        of_streams = {stream: predictions[transfer, stream] for each, stream in predictions if each == transfer}
        if len(of_streams) > 1:
            of_streams[BOTH] = [path for paths in of_streams.values() for path in paths]
        for modality, paths in of_streams.items():
            result = fuse(paths)
            row = _of_paper(transfer, arguments)
            value = row.values.get(modality) if row else None
            yield Line(
                transfer,
                modality,
                result.metrics.top1,
                tuple(one.top1 for one in result.rows[-1].of_splits),
                None if value is None else value / 100,
                None if value is None else row.table,
            )


def _of_paper(transfer: str, arguments: argparse.Namespace) -> paper.Row | None:
    if arguments.dataset == OWN:
        return None
    start = arguments.start if transfer == ORIGINAL and arguments.dataset != "kinetics" else arguments.weights[0]
    splits = sorted(set(arguments.splits))
    if splits not in ([1], [1, 2, 3]):  # what the paper has
        return None
    imagenet = FROM_IMAGENET.get(start, True)
    return paper.row(arguments.dataset, "i3d", transfer, imagenet=imagenet, splits=len(splits))


def _table(lines: Sequence[Line], arguments: argparse.Namespace, tested: Sequence[str]) -> Iterator[str]:
    yield f"{arguments.dataset}: top-1 on the whole videos of {', '.join(tested)}"
    paper_too = "" if arguments.dataset == OWN else f"{'paper':>8}"
    yield f"{'transfer':10}{'stream':8}{'top-1':>8}{paper_too}"
    for line in lines:
        beside = "" if line.paper is None else f"{line.paper:8.1%}  (table {line.table})"
        yield f"{line.transfer:10}{line.modality:8}{line.top1:8.1%}{beside}"
