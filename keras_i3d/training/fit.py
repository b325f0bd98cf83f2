"""Train a network on records, into a run folder.

A run folder holds ``best.keras`` and ``last.keras`` (without optimiser), ``recipe.json``,
``labels.txt``, ``preparation.json`` and ``history.json``. While the run lasts ``checkpoint.keras`` keeps the
state of the last finished epoch; the same call goes on from there.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_i3d import labels, progress, storage
from keras_i3d.clips import pipeline, shard_files
from keras_i3d.clips.preparation import Preparation
from keras_i3d.errors import RecordError, TrainingError, first_line
from keras_i3d.models import networks
from keras_i3d.records import manifest, selection
from keras_i3d.run_folder import claim
from keras_i3d.training import objective, optimiser
from keras_i3d.training.display import ShowProgress
from keras_i3d.training.recipe import FILE_NAME as RECIPE
from keras_i3d.training.recipe import Recipe
from keras_i3d.whole_file import replacing, write_json

HISTORY = "history.json"
CHECKPOINT = "checkpoint.keras"
RANDOM_STATES = "random_states.json"  # Keras leaves the state of dropout out of its files


def fit(
    records: str | os.PathLike,
    output: str | os.PathLike,
    recipe: Recipe | None = None,
    *,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    description: str = "training",
    verbose: bool = True,
) -> list[dict[str, float]]:
    """Train a network from scratch on the recipe's split, validated on the ``val`` beside it where there is one.

    One seed gives one run; to the last bit after `determinism.repeat_exactly`, which ``keras-i3d train`` calls.
    The best epoch is the one of the highest top-1 accuracy on ``val``,
    of several the one of the lowest loss; without ``val`` it is the last.

    Args:
        records: Folder that ``make-tfrecords`` wrote.
        output: Run folder: new, empty, or an earlier run of the same recipe, which goes on.
        recipe: The hyper-parameters.
        callbacks: Further Keras callbacks.
        description: What stands before the progress bar.
        verbose: Whether to show the bar, and a line for each epoch.

    Returns:
        For each epoch ``loss`` and ``top1``, with ``val_loss`` and ``val_top1`` where there is a split ``val``.

    Raises:
        RecordError: The records lack the stream or the clips that the recipe asks for.
        OutputFolderError: The output folder holds something else.
        TrainingError: The loss is not a number.
    """
    recipe = recipe or Recipe()
    protocol = networks.network(recipe.network).protocol(recipe.modality)
    made = manifest.read(records)
    for modality in protocol.modalities:
        selection.check_fits(records, made, modality=modality)
    data = _Data(records, made, recipe)
    class_names = labels.read(storage.join(records, labels.FILE_NAME))

    settings = {"recipe": recipe.to_json(), "records": made.settings, "dataset": made.dataset["digest"]}
    with claim(output, "train", settings) as folder:
        history = read_history(folder)
        if len(history) >= recipe.epochs and (folder / "last.keras").is_file():
            return history
        model = _start_or_resume(folder, recipe, len(class_names), data.steps)
        labels.write(folder / labels.FILE_NAME, class_names)
        write_json(folder / RECIPE, recipe.to_json())
        Preparation(
            recipe.modality, made.settings["fps"], made.settings["short_side"], recipe.size, recipe.network
        ).write(folder)

        done = int(model.optimizer.iterations) // data.steps
        keeper = _Keeper(folder, history[:done], has_val=data.val is not None)
        with progress.bar(description) as bar, shard_files.reading(records):
            model.fit(
                **data.arguments(first_epoch=done),
                steps_per_epoch=data.steps,
                initial_epoch=done,
                epochs=recipe.epochs,
                callbacks=[_StopOnNan(), keeper, *([ShowProgress(bar)] if verbose else []), *callbacks],
                shuffle=False,  # the pipeline did
                verbose=0,
            )
        if not keeper.has_val:
            _save_plain(model, folder / "best.keras")
        _save_plain(model, folder / "last.keras")
        for name in (CHECKPOINT, RANDOM_STATES):
            (folder / name).unlink()
        return keeper.history


def read_history(folder: Path) -> list[dict[str, float]]:
    """Return the metrics of each finished epoch of a run folder."""
    try:
        return json.loads((folder / HISTORY).read_text("utf-8"))
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise TrainingError(f"{folder / HISTORY}: damaged ({error}); delete the folder to start anew") from error


def best_epoch(history: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the metrics of the epoch that ``best.keras`` is of."""
    if "val_top1" not in history[-1]:
        return history[-1]
    return max(history, key=lambda entry: (entry["val_top1"], -entry["val_loss"]))


class _Data:
    """The records of a recipe: those to train on, and those to validate on, or None."""

    def __init__(self, records: str | os.PathLike, made: manifest.Manifest, recipe: Recipe) -> None:
        self._recipe = recipe
        self._protocol = networks.network(recipe.network).protocol(recipe.modality)
        self.train = selection.select(records, recipe.split)
        self.steps = self.train.records // recipe.batch_size
        if not self.steps:
            raise RecordError(
                f"{records}: split {recipe.split!r} has {self.train.records} clips, fewer than one batch of "
                f"{recipe.batch_size}"
            )
        val = recipe.split.replace("train", "val")
        self.val = selection.select(records, val) if selection.has(made, val) else None

    def arguments(self, *, first_epoch: int) -> dict[str, Any]:
        """Return the arguments of Keras's fit that feed it."""
        recipe = self._recipe
        clip = {
            "frames": recipe.frames,
            "size": recipe.size,
            "batch_size": recipe.batch_size,
            "modalities": self._protocol.streams,
        }
        train = pipeline.training_clips(
            self.train, flips=recipe.flips, seed=recipe.seed, first_epoch=first_epoch, **clip
        )
        if self.val is None:
            return {"x": self._fed(train)}
        return {
            "x": self._fed(train),
            "validation_data": self._fed(pipeline.centre_clips(self.val, **clip)),
            "validation_steps": math.ceil(self.val.records / recipe.batch_size),
        }

    def _fed(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """Give a network of one stream the stream, of several all of them by name, and the targets beside."""
        recipe = self._recipe

        def pair(inputs: dict[str, Any], label: Any) -> tuple[Any, Any]:
            x = inputs if len(inputs) > 1 else inputs[recipe.modality]
            return x, objective.targets(label, self._protocol, recipe.frames)

        return batches.map(pair)


def _start_or_resume(folder: Path, recipe: Recipe, classes: int, steps: int) -> keras.Model:
    if (folder / CHECKPOINT).is_file():
        try:
            model = keras.saving.load_model(folder / CHECKPOINT)
            all_states = json.loads((folder / RANDOM_STATES).read_text("utf-8"))
            states = all_states[int(model.optimizer.iterations) // steps - 1]
        except Exception as error:  # Keras raises many kinds
            raise TrainingError(
                f"{folder}: the state of the stopped run is damaged ({first_line(error)}); delete it to start anew"
            ) from error
        for variable, state in zip(_random_states(model), states, strict=True):
            variable.assign(state)
        return model
    keras.utils.set_random_seed(recipe.seed)
    network = networks.build(
        recipe.network,
        modality=recipe.modality,
        frames=recipe.frames,
        size=recipe.size,
        time_plan=recipe.time_plan,
        classes=classes,
        dropout_rate=recipe.dropout_rate,
        batch_norm_momentum=recipe.batch_norm_momentum,
    )
    protocol = networks.network(recipe.network).protocol(recipe.modality)
    return objective.compiled(network, optimiser.build(recipe, steps * recipe.epochs), protocol)


def _random_states(model: keras.Model) -> list[keras.Variable]:
    return [variable for variable in model.non_trainable_variables if "seed_generator_state" in variable.path]


def _save_plain(model: keras.Model, path: Path) -> None:
    """Save a model without its optimiser, whole or not at all."""
    _save(objective.finished(model), path)


def _save(model: keras.Model, path: Path) -> None:
    with replacing(path) as aside:
        model.save(aside, overwrite=True)


class _Keeper(keras.callbacks.Callback):
    """Keep, after each epoch, the metrics, the best model, and what a later call needs to go on."""

    def __init__(self, folder: Path, history: list[dict[str, float]], *, has_val: bool) -> None:
        super().__init__()
        self.folder, self.history, self.has_val = folder, history, has_val
        before = folder / RANDOM_STATES
        self.random_states = json.loads(before.read_text("utf-8"))[: len(history)] if history else []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        entry = {"epoch": epoch + 1} | objective.numbers(logs)
        self.history.append(entry)
        if self.has_val and best_epoch(self.history) is entry:
            _save_plain(self.model, self.folder / "best.keras")
        write_json(self.folder / HISTORY, self.history)
        self.random_states.append([state.numpy().tolist() for state in _random_states(self.model)])
        write_json(self.folder / RANDOM_STATES, self.random_states)
        _save(self.model, self.folder / CHECKPOINT)


class _StopOnNan(keras.callbacks.Callback):
    """Stop a run whose loss is no longer a number."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            step = int(self.model.optimizer.iterations)
            raise TrainingError(f"the loss is {loss} at step {step}; a lower --learning-rate is what usually helps")
