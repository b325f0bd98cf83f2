"""The records of a recipe as batches for the loop: those to train on, and those to validate on."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf

from keras_i3d import labels, progress, storage
from keras_i3d.clips import pipeline
from keras_i3d.clips.augmentation import Augmentation
from keras_i3d.errors import RecordError
from keras_i3d.models import networks
from keras_i3d.records import damage, manifest, selection
from keras_i3d.records.damage import Damage
from keras_i3d.training.devices import Devices
from keras_i3d.training.recipe import Recipe


class Data:
    """The records of a recipe, checked.

    Args:
        records: Folder that ``make-tfrecords`` wrote.
        recipe: Which split, streams and clips.
        on_damage: ``"stop"``, or ``"skip"`` to leave damaged records out.

    Attributes:
        manifest: Of the folder.
        class_names: In the order of the classes.
        train: The records to train on.
        val: Those to validate on, or None.
        damage: Damaged records, which are left out.
        multi_label: Whether a record may have any number of labels.

    Raises:
        RecordError: The records lack the stream or the clips that the recipe asks for.
    """

    def __init__(self, records: str | os.PathLike, recipe: Recipe, *, on_damage: str = "stop") -> None:
        self._recipe = recipe
        self._protocol = networks.network(recipe.network).protocol(recipe.modality)
        self.folder = records
        self.manifest = manifest.read(records)
        for modality in self._protocol.modalities:
            selection.check_fits(records, self.manifest, modality=modality)
        self.class_names = labels.read(storage.join(records, labels.FILE_NAME))
        known = self.manifest.dataset["classes"]
        if len(self.class_names) != known:
            raise RecordError(
                f"{records}: labels.txt has {len(self.class_names)} classes, the manifest {known}; the same "
                "`make-tfrecords` again writes it anew"
            )
        self.damage: tuple[Damage, ...] = ()
        self.train = self._selected(recipe.split, on_damage)
        if self.batches < 1 or self.train.records < recipe.clips_per_update:
            raise RecordError(
                f"{records}: split {recipe.split!r} has {self.train.records} clips, fewer than the "
                f"{recipe.clips_per_update} of one update (--batch-size {recipe.batch_size} x --accumulation "
                f"{recipe.accumulation})"
            )
        val = recipe.split.replace("train", "val")
        self.val = self._selected(val, on_damage) if selection.has(self.manifest, val) else None
        self.multi_label = self.train.multi_label

    @property
    def batches(self) -> int:
        """Whole batches of one pass over the training records."""
        return self.train.records // self._recipe.batch_size

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The streams that are used."""
        return self._protocol.modalities

    def training_batches(
        self, devices: Devices, first_batch: int, *, batch_size: int | None = None, transfer_dtype: str = "float32"
    ) -> Any:
        """Give endless batches of (inputs, labels), from a place of the run on.

        Args:
            devices: Whose replicas each get an equal slice of a batch.
            first_batch: Batches of the run that are passed over.
            batch_size: In place of the recipe's.
            transfer_dtype: Of the inputs.
        """
        recipe = self._recipe
        size = batch_size or recipe.batch_size
        epoch, batch = divmod(first_batch, self.train.records // size)
        clips = pipeline.training_clips(
            self.train,
            augmentation=augmentation(recipe),
            seed=recipe.seed,
            first_epoch=epoch,
            first_batch=batch,
            part=(devices.worker, devices.workers),
            transfer_dtype=transfer_dtype,
            **self._clip(size),
        )
        return self._dealt(clips.map(self._fed), devices, size)

    def validation_batches(self, devices: Devices, *, batch_size: int | None = None) -> Any:
        """Give each validation clip once, in batches of (inputs, labels, weights)."""
        size = batch_size or self._recipe.batch_size
        clips = pipeline.centre_clips(self.val, part=(devices.worker, devices.workers), **self._clip(size))
        return self._dealt(clips.map(self._fed), devices, size)

    def _selected(self, split: str, on_damage: str) -> selection.Selection:
        chosen = selection.select(self.folder, split, may_be_damaged=on_damage == "skip")
        if chosen.without_label:
            raise RecordError(f"{self.folder}: {chosen.without_label} clips of split {split!r} have no label to learn")
        if on_damage != "skip":
            return chosen
        with progress.bar(f"looking for damage in {split}", chosen.records) as bar:
            found = damage.scan(chosen, modalities=self._protocol.modalities, on_record=bar.advance)
        self.damage += found.damage
        if not found.intact:
            raise RecordError(
                f"{self.folder}: every record of split {split!r} is damaged; the first: {found.damage[0]}"
            )
        return dataclasses.replace(chosen, records=found.intact)

    def _clip(self, batch_size: int) -> dict[str, Any]:
        made = self.manifest.settings
        return {
            "frames": self._recipe.frames,
            "size": self._recipe.size,
            "batch_size": batch_size,
            "modalities": self._protocol.streams,
            "classes": self.classes if self.multi_label else None,
            "short_side": made["short_side"] if made["store"] == "frames" else None,
            "without": self.damage,
        }

    def _fed(self, inputs: dict[str, Any], label: Any, *weights: Any) -> tuple[Any, ...]:
        """Give a network of one stream the stream, of several all of them by name."""
        x = inputs if len(inputs) > 1 else inputs[self._recipe.modality]
        if not self.multi_label:
            with tf.control_dependencies(
                [
                    tf.debugging.assert_non_negative(label, f"a label below 0, of {self.classes} classes"),
                    tf.debugging.assert_less(
                        label, tf.cast(self.classes, label.dtype), f"a label that is none of {self.classes} classes"
                    ),
                ]
            ):
                label = tf.identity(label)
        return x, label, *weights

    def _dealt(self, batches: tf.data.Dataset, devices: Devices, batch_size: int) -> Any:
        if not devices.are_several:
            return batches
        check_batch(batch_size, devices)
        share = batch_size // devices.replicas
        return devices.strategy.distribute_datasets_from_function(lambda context: batches.rebatch(share))


def check_batch(batch_size: int, devices: Devices) -> None:
    """Raise ValueError unless every replica gets an equal slice of a batch."""
    if batch_size % devices.replicas:
        raise ValueError(f"batch_size must be a multiple of the {devices.replicas} devices, got {batch_size}")


def augmentation(recipe: Recipe) -> Augmentation:
    """Return what a recipe varies of its clips."""
    strength = recipe.photometric
    return Augmentation(
        flips=recipe.flips,
        scale_jitter=None if recipe.scale_jitter == 1 else (1.0, recipe.scale_jitter),
        brightness=strength,
        contrast=strength,
        saturation=strength,
        hue=strength / 5,
    )


class Timed:
    """Batches, with the time that was spent waiting for them.

    Attributes:
        seconds: Spent so far.
    """

    def __init__(self, batches: Iterator[Any], clock: Any) -> None:
        self._batches, self._clock, self.seconds = batches, clock, 0.0

    def __iter__(self) -> Timed:
        return self

    def __next__(self) -> Sequence[Any]:
        started = self._clock()
        batch = next(self._batches)
        self.seconds += self._clock() - started
        return batch
