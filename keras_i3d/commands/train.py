"""Train a network on records, or straight on a folder or CSV of videos.

Trains on the split train, and keeps the best epoch by the split val where the records have one. Writes
best.keras and last.keras (keras_i3d.load_model opens them), labels.txt, recipe.json, history.json, steps.csv and
events for TensorBoard. Killed at any moment, the same command goes on from the last saved state. Records that
--on-damage skip leaves out are listed at the end (exit code 3).

  keras-i3d train --records records/ --output run/ --recipe hmdb51-full      fine-tuning from Kinetics
  keras-i3d train --records records/ --output run/ --weights kinetics --transfer fixed    a new last layer: minutes
  keras-i3d train --videos videos/ --output run/ --frames 16 --size 64       from scratch, minutes on a CPU
  keras-i3d train --records records/ --output run/ --network c3d             (`keras-i3d models` lists them)

Named recipes (each an option's values; options given beside change them):
{RECIPES}
All GPUs are used. For several machines start the same command on each, with TF_CONFIG set (README).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from keras_i3d import exit_codes, quiet, storage
from keras_i3d.commands import make_tfrecords
from keras_i3d.errors import DatasetError
from keras_i3d.protocol import short_side_for
from keras_i3d.records.manifest import Manifest
from keras_i3d.run_folder import CLAIM
from keras_i3d.training.execution import Execution
from keras_i3d.training.named_recipes import NAMED, named
from keras_i3d.training.recipe import Recipe

__doc__ = __doc__.replace("{RECIPES}", "".join(f"  {name:22} {text}\n" for name, (_, text) in NAMED.items()))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments: every field of the recipe and of the execution is one."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--records", metavar="DIR", help="folder that make-tfrecords wrote")
    source.add_argument(
        "--videos",
        metavar="PATH",
        help="one folder per class, or a CSV (path,label,split); records are made of them in OUTPUT-records first",
    )
    parser.add_argument(
        "--multi-label", action="store_true", help="of --videos: a line of the CSV may have several labels (run;jump)"
    )
    parser.add_argument("--output", metavar="DIR", required=True, help="run folder, new or empty")
    parser.add_argument(
        "--recipe", metavar="NAME|FILE", help="named recipe or recipe.json to start from; the options below change it"
    )
    recipe = parser.add_argument_group("recipe: what is trained, and how long")
    _add_fields(recipe, Recipe)
    _add_fields(parser.add_argument_group("execution: how it is computed"), Execution)
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    recipe = _recipe(arguments.recipe, _given(arguments, Recipe))
    execution = Execution(**_given(arguments, Execution))
    if arguments.multi_label and not arguments.videos:
        raise ValueError("multi-label is for --videos; records know whether their clips have several labels")
    records, made = arguments.records, None
    if arguments.videos:
        records, made = _records_of(arguments.videos, arguments.output, recipe, multi_label=arguments.multi_label)
    history = train(records, arguments.output, recipe, execution=execution)
    from keras_i3d.training.fit import best_epoch

    best = best_epoch(history)
    model = (storage.local_path(arguments.output) or Path(arguments.output)) / "best.keras"
    if arguments.json:
        print(json.dumps({"model": str(model), "best": best, "history": history}))
    else:
        names = {"val_map": "val mAP", "val_top1": "val top-1", "top1": "training top-1"}
        measure = next(name for name in names if name in best)
        print(f"{model}: epoch {best['epoch']:.0f} of {len(history)}, {names[measure]} {best[measure]:.1%}")
    return max(_report_left_out(model.parent), make_tfrecords.report_skipped(made) if made else exit_codes.DONE)


def _report_left_out(run_folder: Path) -> int:
    """List the damaged records that a run did not see on standard error; returns the exit code that says so."""
    left_out = json.loads((run_folder / CLAIM).read_text("utf-8"))["settings"]["left_out"]
    make_tfrecords.list_items("left out", left_out, CLAIM)
    return exit_codes.SKIPPED if left_out else exit_codes.DONE


def train(
    records: str | os.PathLike,
    output: str | os.PathLike,
    recipe: Recipe,
    *,
    execution: Execution | None = None,
    description: str = "training",
) -> list[dict[str, float]]:
    """Train reproducibly, on CPUs to the last bit; arguments, result and errors as in `keras_i3d.fit`."""
    execution = execution or Execution()
    repeat_exactly(execution.repeatable)
    from keras_i3d.training import fit

    return fit.fit(records, output, recipe, execution=execution, description=description)


def repeat_exactly(wanted: bool | None) -> None:
    """Start TensorFlow so that equal runs of this command give equal bits: where it is wanted, by default on CPUs."""
    quiet.import_tensorflow()
    from keras_i3d.training import determinism

    if determinism.is_wanted(wanted):
        determinism.repeat_exactly()


def _add_fields(group: Any, kind: type) -> None:
    for field in dataclasses.fields(kind):
        is_switch = field.metadata["kind"] is bool
        group.add_argument(
            "--" + field.name.replace("_", "-"),
            **({"action": argparse.BooleanOptionalAction} if is_switch else {"type": field.metadata["kind"]}),
            default=argparse.SUPPRESS,
            help=field.metadata["help"] + ("" if field.default is None else f" (default: {field.default})"),
        )


def _given(arguments: argparse.Namespace, kind: type) -> dict[str, Any]:
    names = {field.name for field in dataclasses.fields(kind)}
    return {name: value for name, value in vars(arguments).items() if name in names}


def _recipe(start: str | None, given: dict[str, Any]) -> Recipe:
    if start is None:
        return Recipe(**given)
    if start in NAMED:
        return named(start, **given)
    if not Path(start).is_file():
        raise ValueError(f"recipe must be a file or one of {', '.join(NAMED)}; got {start!r}")
    return Recipe.read(start).changed(**given)


def _records_of(videos: str, output: str, recipe: Recipe, *, multi_label: bool) -> tuple[Path, Manifest]:
    """Make records of a folder or table of videos beside the run folder; records that are there are kept."""
    from keras_i3d.datasets import read_folder, read_table
    from keras_i3d.records import making
    from keras_i3d.records.settings import RecordSettings

    if not storage.exists(videos):
        raise DatasetError(f"{videos}: is not there; --videos takes a folder with one folder per class, or a CSV table")
    is_folder = storage.is_folder(videos)
    if is_folder and multi_label:
        raise ValueError(f"multi-label needs a CSV: in a folder of classes, as {videos} is, a video has one label")
    dataset = read_folder(videos) if is_folder else read_table(videos, multi_label=multi_label)
    run_folder = Path(output).resolve()
    folder = run_folder.with_name(f"{run_folder.name}-records")
    flow = "none" if recipe.modality == "rgb" else "tvl1"
    settings = RecordSettings(short_side=short_side_for(recipe.size), flow=flow)
    return folder, making.make_tfrecords(dataset, folder, settings)
