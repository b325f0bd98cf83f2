"""Training on fixed features: those of every clip are computed once, and read again in each epoch.

Carreira & Zisserman 2017, section 4 ("Fixed"): the network trained on Kinetics is kept as it is, and a new last
layer is trained on what it gives.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_i3d.training.data import Data
from keras_i3d.training.devices import Devices
from keras_i3d.training.recipe import Recipe
from keras_i3d.whole_file import replacing

FOLDER = "features"
ALL = "all"  # name of the features of a body that has one output
FORWARD_CLIPS = 6  # that the body sees at once; nothing is kept for gradients


@dataclass(frozen=True)
class Features:
    """The features of a set of clips, memory-mapped.

    Attributes:
        values: By the body's outputs (one array where it has one), float32, clips first.
        labels: int64 (clips,) or float32 (clips, classes).
        weights: float32 (clips,): 0 for those that only fill up a batch.
    """

    values: Any
    labels: np.ndarray
    weights: np.ndarray

    def batch(self, places: np.ndarray) -> tuple[Any, Any, Any]:
        """Return the features, labels and weights of some clips."""
        values = keras.tree.map_structure(lambda array: tf.constant(array[places]), self.values)
        return values, tf.constant(self.labels[places]), tf.constant(self.weights[places])


def training_passes(body: keras.Model, data: Data, recipe: Recipe, folder: Path, on_clips: Callable) -> list[Features]:
    """Compute the features of ``feature_clips`` random clips of every training video; those on disk are read.

    Args:
        body: Clips in, features out.
        data: Of the recipe.
        recipe: Of the run.
        folder: The run folder.
        on_clips: Called with the number of clips after each batch.
    """
    clips = data.train.records

    run = _traced(body)

    def a_pass(number: int) -> Any:
        # of larger batches the pipeline leaves out the clips beyond the last full one
        single = data.training_batches(_one_device(), number * clips, batch_size=1)
        return single.take(clips).rebatch(FORWARD_CLIPS)

    return [
        _features(
            folder / FOLDER / f"train-{number}",
            run,
            clips,
            lambda number=number: a_pass(number),
            on_clips,
        )
        for number in range(recipe.feature_clips)
    ]


def validation(body: keras.Model, data: Data, folder: Path, on_clips: Callable) -> Features:
    """Compute the features of the centre clip of every validation video; arguments as in `training_passes`."""
    return _features(
        folder / FOLDER / "val",
        _traced(body),
        _filled(data.val.records),
        lambda: data.validation_batches(_one_device(), batch_size=FORWARD_CLIPS),
        on_clips,
    )


def clips_to_compute(data: Data, recipe: Recipe) -> int:
    """Return how many clips `training_passes` and `validation` take."""
    clips = data.train.records * recipe.feature_clips
    return clips + (_filled(data.val.records) if data.val else 0)


def remove(folder: Path) -> None:
    """Remove the features of a run that has ended: they may take as much room as the videos."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)


def training_batches(passes: list[Features], recipe: Recipe, first_batch: int) -> Iterator[Any]:
    """Give endless batches of (features, labels), each pass in an order of its own; one seed, one order."""
    size = recipe.batch_size
    a_pass = len(passes[0].labels) // size
    number, batch = divmod(first_batch, a_pass)
    while True:
        order = np.random.default_rng((recipe.seed, number)).permutation(len(passes[0].labels))
        for start in range(batch * size, a_pass * size, size):
            yield passes[number % len(passes)].batch(order[start : start + size])[:2]
        number, batch = number + 1, 0


def validation_batches(features: Features, batch_size: int) -> Iterator[Any]:
    """Give batches of (features, labels, weights), each clip once."""
    for start in range(0, len(features.labels), batch_size):
        yield features.batch(np.arange(start, min(start + batch_size, len(features.labels))))


def _filled(clips: int) -> int:
    """Return how many clips validation batches have, those among them that only fill up the last one."""
    return math.ceil(clips / FORWARD_CLIPS) * FORWARD_CLIPS


def _one_device() -> Devices:
    return Devices(tf.distribute.get_strategy())


def _traced(body: keras.Model) -> Callable[[Any], dict[str, Any]]:
    """Return a function of clips to features by name; the features of all passes are of one trace."""
    return tf.function(lambda inputs: _names(body(inputs, training=False)), reduce_retracing=True)


def _features(stem: Path, run: Callable, clips: int, batches: Callable[[], Any], on_clips: Callable) -> Features:
    """Read features from disk, or compute and write them; the labels come last, and say that the rest is whole."""
    end = stem.with_name(f"{stem.name}-labels.npz")
    if _rows(end) == clips:
        on_clips(clips)
    else:  # absent, or of other records: some may be left out as damaged since
        _compute(stem, run, clips, batches(), on_clips, end)
    with np.load(end) as facts:
        labels, weights, names = facts["labels"], facts["weights"], facts["names"].tolist()
    arrays = {name: np.load(_file(stem, name), mmap_mode="r") for name in names}
    return Features(arrays[ALL] if names == [ALL] else arrays, labels, weights)


def _rows(end: Path) -> int | None:
    """Return of how many clips the features on disk are; None where there are none."""
    if not end.is_file():
        return None
    with np.load(end) as facts:
        return len(facts["labels"])


def _compute(stem: Path, run: Callable, clips: int, batches: Any, on_clips: Callable, end: Path) -> None:
    stem.parent.mkdir(exist_ok=True)
    arrays: dict[str, np.ndarray] = {}
    labels, weights, done = [], [], 0
    for inputs, label, *weight in batches:
        for name, values in run(inputs).items():
            if name not in arrays:
                shape = (clips, *values.shape[1:])
                arrays[name] = np.lib.format.open_memmap(_file(stem, name), "w+", np.float32, shape)
            arrays[name][done : done + len(values)] = tf.cast(values, tf.float32)
        labels.append(label.numpy())
        weights.append(weight[0].numpy() if weight else np.ones(len(label), "float32"))
        done += len(label)
        on_clips(len(label))
    for array in arrays.values():
        array.flush()
    with replacing(end) as aside, aside.open("wb") as file:
        np.savez(file, labels=np.concatenate(labels), weights=np.concatenate(weights), names=sorted(arrays))


def _names(outputs: Any) -> dict[str, Any]:
    return outputs if isinstance(outputs, dict) else {ALL: outputs}


def _file(stem: Path, name: str) -> Path:
    return stem.with_name(f"{stem.name}-{name}.npy")
