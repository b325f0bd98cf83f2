"""Train a network from scratch on records.

Trains on the split train, and keeps the best epoch by the split val where the records have one. Writes
best.keras and last.keras (keras_i3d.load_model opens them), labels.txt, recipe.json and history.json. The same
command again goes on after the last finished epoch.

  keras-i3d train --records records/ --output run/ --modality rgb
  keras-i3d train --records records/ --output run/ --frames 16 --size 64     (minutes on a CPU)
  keras-i3d train --records records/ --output run/ --network c3d             (`keras-i3d models` lists them)
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from pathlib import Path

from keras_i3d import quiet
from keras_i3d.training.recipe import Recipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments: every field of the recipe is one."""
    parser.add_argument("--records", metavar="DIR", required=True, help="folder that make-tfrecords wrote")
    parser.add_argument("--output", metavar="DIR", required=True, help="run folder, new or empty")
    parser.add_argument("--recipe", metavar="FILE", help="recipe.json to start from; the options below change it")
    for field in dataclasses.fields(Recipe):
        is_switch = isinstance(field.default, bool)
        parser.add_argument(
            "--" + field.name.replace("_", "-"),
            **({"action": argparse.BooleanOptionalAction} if is_switch else {"type": field.metadata["kind"]}),
            default=argparse.SUPPRESS,
            help=field.metadata["help"] + ("" if field.default is None else f" (default: {field.default})"),
        )


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    names = {field.name for field in dataclasses.fields(Recipe)}
    given = {name: value for name, value in vars(arguments).items() if name in names}
    recipe = dataclasses.replace(Recipe.read(arguments.recipe), **given) if arguments.recipe else Recipe(**given)
    history = train(arguments.records, arguments.output, recipe)
    from keras_i3d.training.fit import best_epoch

    best = best_epoch(history)
    value = f"val top-1 {best['val_top1']:.1%}" if "val_top1" in best else f"training top-1 {best['top1']:.1%}"
    print(f"{Path(arguments.output) / 'best.keras'}: epoch {best['epoch']:.0f} of {len(history)}, {value}")
    return 0


def train(
    records: str | os.PathLike, output: str | os.PathLike, recipe: Recipe, *, description: str = "training"
) -> list[dict[str, float]]:
    """Train reproducibly to the last bit; arguments, result and errors as in `keras_i3d.fit`."""
    quiet.import_tensorflow()
    from keras_i3d.training import determinism, fit

    determinism.repeat_exactly()
    return fit.fit(records, output, recipe, description=description)
