"""Train a network on records, into a run folder.

A run folder holds ``best.keras`` and ``last.keras`` (without optimiser), ``recipe.json``, ``labels.txt``,
``preparation.json``, ``history.json`` (a line for each epoch), ``steps.csv`` (one for each update) and TensorBoard's
events. While the run lasts ``state.h5`` keeps its state; the same call goes on from there.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any, TypeVar

import keras
import numpy as np
import tensorflow as tf

from keras_i3d import labels, progress
from keras_i3d.clips import preparation, shard_files
from keras_i3d.clips.preparation import Preparation
from keras_i3d.errors import ClusterError, OutputFolderError, TrainingError, first_line
from keras_i3d.run_folder import claim
from keras_i3d.training import determinism, features, journal, schedule, start, state
from keras_i3d.training import devices as machines
from keras_i3d.training.data import Data, Timed, check_batch
from keras_i3d.training.devices import Devices
from keras_i3d.training.display import Display
from keras_i3d.training.execution import Execution
from keras_i3d.training.journal import Journal, read_history
from keras_i3d.training.loop import Tally
from keras_i3d.training.recipe import FILE_NAME as RECIPE
from keras_i3d.training.recipe import FIXED, Recipe
from keras_i3d.training.trainee import Trainee, of_features, of_network
from keras_i3d.whole_file import replacing, write_json

BEST, LAST = "best.keras", "last.keras"
WRITTEN_FIRST = (labels.FILE_NAME, RECIPE, preparation.FILE_NAME, journal.STEPS)
_Kind = TypeVar("_Kind", Recipe, Execution)
NOT_FINITE_IN_FLOAT16 = 8  # updates in a row that loss scaling may pass over


def fit(
    records: str | os.PathLike,
    output: str | os.PathLike,
    recipe: Recipe | None = None,
    *,
    execution: Execution | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    description: str = "training",
    verbose: bool = True,
) -> list[dict[str, float]]:
    """Train a network on the recipe's split, validated on the ``val`` beside it where there is one.

    One seed gives one run; to the last bit with ``Execution(repeatable=True)``, where TensorFlow has not computed
    anything yet.
    The best epoch is the one of the highest top-1 accuracy on ``val`` (of multi-label data, of the highest mean
    average precision), of several the one of the lowest loss; without ``val`` it is the last. All GPUs of the machine
    are used; several machines where ``TF_CONFIG`` names them, with an output folder that all of them see.

    Args:
        records: Folder that ``make-tfrecords`` wrote.
        output: Run folder: new, empty, or an earlier run of the same recipe, which goes on.
        recipe: The hyper-parameters.
        execution: How to compute.
        callbacks: Further Keras callbacks; ``self.model`` ends in the logits.
        description: What stands before the progress bar.
        verbose: Whether to show the bar, and a line for each epoch.

    Returns:
        For each epoch ``loss``, ``top1`` and ``learning_rate``, with ``val_loss`` and ``val_top1`` where there is a
        split ``val``, and ``val_map`` of multi-label data.

    Raises:
        ValueError: The batch cannot be dealt to the devices, or the weights are another network's.
        RecordError: The records lack the stream or the clips that the recipe asks for, or are damaged.
        OutputFolderError: The output folder holds something else.
        TrainingError: The loss is not a number, the memory does not hold a step, the disk not the state; or bits are
            to be repeatable, and TensorFlow has computed something already.
        TypeError: What is given is no recipe, or no execution.
        ClusterError: The machines of ``TF_CONFIG`` do not come together, or one of them has gone.
    """
    recipe, execution = _of_kind(recipe, Recipe, "recipe"), _of_kind(execution, Execution, "execution")
    if execution.repeatable:
        determinism.repeat_exactly()
    devices = machines.here()
    if recipe.transfer == FIXED and devices.workers > 1:
        raise ValueError("transfer 'fixed' trains one layer, which one machine does in minutes; unset TF_CONFIG")
    if recipe.transfer != FIXED:
        check_batch(recipe.batch_size, devices)
    data = Data(records, recipe, on_damage=execution.on_damage)
    settings = {
        "recipe": recipe.to_json(),
        "weights": start.digest(recipe.weights),
        "left_out": sorted(f"{PurePath(one.shard).name}: {one.what}" for one in data.damage),
        "records": data.manifest.settings,
        "dataset": data.manifest.dataset["digest"],
    }
    with _claimed(output, settings, devices) as folder:
        history = read_history(folder)
        if (folder / LAST).is_file() and state.facts(folder) is None:
            return history
        splits = [split for split in (data.train, data.val) if split]
        reading = shard_files.reading(records, splits, modalities=data.modalities)
        with progress.bar(description) as bar, _told(), reading:
            run = _Run(folder, data, recipe, execution, devices, callbacks, bar if verbose else None)
            try:
                with contextlib.closing(run.journal):
                    return run.go()
            except BaseException:
                run.leave_nothing()
                raise


def _of_kind(value: Any, kind: type[_Kind], name: str) -> _Kind:
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be a {kind.__module__.partition('.')[0]}.{kind.__name__}, got {value!r}")
    return value


def best_epoch(history: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the metrics of the epoch that ``best.keras`` is of."""
    if "val_loss" not in history[-1]:
        return history[-1]
    measure = "val_map" if "val_map" in history[-1] else "val_top1"
    return max(history, key=lambda entry: (entry[measure], -entry["val_loss"]))


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Turn what TensorFlow says of devices into an error with a remedy."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise TrainingError(
            f"the memory of the device does not hold a step ({first_line(error)}); a smaller --batch-size with "
            "--accumulation, --rematerialise, fewer --frames or a smaller --size helps"
        ) from error
    except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
        raise ClusterError(
            f"another worker of the run has gone ({first_line(error)}); start all of them again: they go on"
        ) from error


@contextlib.contextmanager
def _claimed(output: str | os.PathLike, settings: dict[str, Any], devices: Devices) -> Iterator[Path]:
    """Claim the run folder in the first process; the others wait until it has, or could not."""
    if not devices.is_first:
        if not devices.agree(1):
            raise ClusterError(f"{output}: the first worker could not claim the folder; its own error says why")
        if not Path(output).is_dir():
            raise OutputFolderError(f"{output}: is not seen by worker {devices.worker}; all need the same folder")
        yield Path(output)
        return
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(claim(output, "train", settings))
        except BaseException:
            devices.agree(0)
            raise
        devices.agree(1)
        yield folder


class _Run:
    """One run, from its first step or from where it was stopped."""

    def __init__(
        self,
        folder: Path,
        data: Data,
        recipe: Recipe,
        execution: Execution,
        devices: Devices,
        callbacks: Sequence[keras.callbacks.Callback],
        bar: progress.Bar | None,
    ) -> None:
        self._folder, self._data, self._recipe = folder, data, recipe
        self._execution, self._devices = execution, devices
        self._steps_of_epoch = max(1, data.batches // recipe.accumulation)
        self._steps = recipe.steps or recipe.epochs * self._steps_of_epoch
        self._display = Display(bar, math.ceil(self._steps / self._steps_of_epoch))
        make = of_features if recipe.transfer == FIXED else of_network
        self._trainee: Trainee = make(data, recipe, execution, devices, folder, self._display)
        self._callbacks = keras.callbacks.CallbackList(list(callbacks), model=self._trainee.model)
        self._callbacks.set_params({"epochs": self._display.epochs, "steps": self._steps_of_epoch})
        self._step, self._history, self._tally, self._rate = 0, [], Tally(), 0.0
        self._resume()
        self._not_finite = 0
        self.journal = Journal(folder, self._step, tensorboard=execution.tensorboard, is_written=devices.is_first)

    def go(self) -> list[dict[str, float]]:
        """Train to the end; returns the history."""
        self._write_facts()
        self._callbacks.on_train_begin()
        self._trainee.model.stop_training = False
        batches = Timed(iter(self._trainee.training_batches(self._step * self._recipe.accumulation)), time.monotonic)
        self._say_what_may_surprise()
        self._display.begin(self._steps, self._step)
        started, first = time.monotonic(), self._step
        while self._step < self._steps and not self._is_over():
            if self._step % self._steps_of_epoch == 0:
                self._callbacks.on_epoch_begin(len(self._history))
            self._update(batches)
            self._display.waited(self._step - first, batches.seconds / (time.monotonic() - started))
            is_end = self._step % self._steps_of_epoch == 0 or self._step == self._steps or self._is_over()
            if is_end or self._step % self._execution.checkpoint_steps == 0:
                self._check_weights()
                self._end_epoch() if is_end else self._save_state()
        self._callbacks.on_train_end()
        self._finish()
        return self._history

    def leave_nothing(self) -> None:
        """Take away what a run wrote that did not get through its first step, so that another may have the folder."""
        if self._step == 0 and self._devices.is_first and not (self._folder / BEST).exists():
            for name in WRITTEN_FIRST:
                (self._folder / name).unlink(missing_ok=True)
            shutil.rmtree(self._folder / journal.EVENTS, ignore_errors=True)
            features.remove(self._folder)

    def _say_what_may_surprise(self) -> None:
        recipe = self._recipe
        if self._step:
            self._display.say(f"going on from step {self._step:,} of {self._steps:,}")
        if recipe.patience and self._data.val is None:
            self._display.say("patience has nothing to watch: the records have no split val")
        if recipe.warmup_steps >= self._steps:
            self._display.say(f"the warm-up takes {recipe.warmup_steps:,} updates, the run {self._steps:,}")
        wanted, there = start.frame_rate(recipe.weights), self._data.manifest.settings["fps"]
        if wanted not in (None, there):
            self._display.say(f"the records have {there:g} frames per second, the weights were trained on {wanted:g}")
        if recipe.learning_rate_batch not in (None, recipe.clips_per_update):
            self._display.say(
                f"learning rate {recipe.learning_rate:g} is meant for updates of {recipe.learning_rate_batch} clips: "
                f"{recipe.scaled_learning_rate:.3g} for {recipe.clips_per_update}"
            )

    def _resume(self) -> None:
        facts = state.facts(self._folder)
        if facts is not None:
            state.restore(self._folder, self._trainee.variables())
            self._step, self._history, self._tally = facts["step"], facts["history"], Tally(**facts["tally"])
        if not self._devices.agree(self._step):
            raise TrainingError(f"{self._folder}: the workers see different states; all need the same folder")

    def _update(self, batches: Timed) -> None:
        place = self._step % self._steps_of_epoch
        self._callbacks.on_train_batch_begin(place)
        self._rate, started = self._learning_rate(), time.monotonic()
        tally = self._trainee.loop.update(batches, self._rate)
        self._step += 1
        self._check_finite(tally.loss)
        if math.isfinite(tally.loss):
            self._tally.add(tally)
        numbers = tally.numbers()
        speed = tally.clips / max(time.monotonic() - started, 1e-9)
        self.journal.step(self._step, numbers | {"learning_rate": self._rate}, speed)
        self._display.step(len(self._history) + 1, self._tally.numbers(), speed)
        self._callbacks.on_train_batch_end(place, numbers)

    def _learning_rate(self) -> float:
        recipe = self._recipe
        losses = [entry.get("val_loss", entry["loss"]) for entry in self._history]
        return recipe.scaled_learning_rate * schedule.factor(
            recipe.schedule,
            self._step,
            self._steps,
            warmup_steps=recipe.warmup_steps,
            divisions=schedule.plateaus(losses, recipe.plateau_epochs),
        )

    def _check_finite(self, loss: float) -> None:
        self._not_finite = 0 if math.isfinite(loss) else self._not_finite + 1
        if self._not_finite > (NOT_FINITE_IN_FLOAT16 if self._trainee.scales_loss else 0):
            raise self._diverged(f"the loss is {loss} at step {self._step}")

    def _check_weights(self) -> None:
        """Refuse to keep weights that the last update spoilt: the loss of its clips, taken before it, was finite."""
        if not all(np.isfinite(variable).all() for variable in state.values({"": self._trainee.whole.variables})[""]):
            raise self._diverged(f"the weights are no numbers after step {self._step}")

    def _diverged(self, what: str) -> TrainingError:
        """Return the error of a run that cannot go on; the network of its last state is kept, to start another from."""
        facts = state.facts(self._folder)
        remedy = "a lower --learning-rate, in another --output, is what usually helps"
        if facts is None:
            return TrainingError(f"{what}, before a state was kept; {remedy}")
        try:
            state.restore(self._folder, self._trainee.variables())
            with self._trainee.averaged():
                self._save_network(LAST)
        except (OSError, TrainingError) as error:
            return TrainingError(f"{what}; {self._folder / LAST} could not be written ({first_line(error)}); {remedy}")
        return TrainingError(
            f"{what}; {self._folder / LAST} holds the network of step {facts['step']}; {remedy} (--weights names what "
            "it starts from)"
        )

    def _end_epoch(self) -> None:
        entry = {"epoch": len(self._history) + 1} | self._tally.numbers() | {"learning_rate": self._rate}
        with self._trainee.averaged():
            entry |= self._trainee.validated()
            self._history.append(entry)
            if self._data.val and best_epoch(self._history) is entry:
                self._save_network(BEST)
        self._tally = Tally()
        self.journal.epoch(self._step, self._history)
        self._display.epoch(entry["epoch"], entry)
        self._save_state()
        self._callbacks.on_epoch_end(entry["epoch"] - 1, {name: entry[name] for name in entry if name != "epoch"})

    def _is_over(self) -> bool:
        if self._trainee.model.stop_training:
            return True
        patience, history = self._recipe.patience, self._history
        if not patience or not history or self._tally.clips:
            return False
        return self._data.val is not None and len(history) - best_epoch(history)["epoch"] >= patience

    def _save_state(self) -> None:
        self.journal.flush()
        facts = {"step": self._step, "history": self._history, "tally": vars(self._tally)}
        values = state.values(self._trainee.variables())  # all processes: reading may ask the others
        if self._devices.is_first:
            state.save(self._folder, values, facts)

    def _write_facts(self) -> None:
        if not self._devices.is_first:
            return
        made, recipe = self._data.manifest, self._recipe
        labels.write(self._folder / labels.FILE_NAME, self._data.class_names)
        write_json(self._folder / RECIPE, recipe.to_json())
        Preparation(
            recipe.modality, made.settings["fps"], made.settings["short_side"], recipe.size, recipe.network
        ).write(self._folder)

    def _save_network(self, name: str) -> None:
        network = self._trainee.finished()
        if self._devices.is_first:
            with replacing(self._folder / name) as aside, start.unfrozen(network):
                network.save(aside, overwrite=True)

    def _finish(self) -> None:
        with self._trainee.averaged():
            if self._data.val is None:
                self._save_network(BEST)
            self._save_network(LAST)
        if self._devices.is_first:
            features.remove(self._folder)
            state.remove(self._folder)
        self._devices.agree(self._step)
