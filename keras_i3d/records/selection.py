"""Which shards, and which records in them, a reader wants: ``train``, ``test``, ``train2``."""

from __future__ import annotations

import os
from dataclasses import dataclass

from keras_i3d import storage
from keras_i3d.datasets.dataset import parse_split, split_name
from keras_i3d.errors import RecordError
from keras_i3d.records import manifest
from keras_i3d.records.manifest import Manifest
from keras_i3d.records.shards import is_as_left


@dataclass(frozen=True)
class Selection:
    """The records of one split.

    Attributes:
        paths: The shards that hold any.
        records: How many records of the split they hold.
        part: ``"train"``, ``"val"`` or ``"test"``, or None where all records of the shards belong to the split.
        division: Number of the division that `part` is of, from 1.
        store: ``"frames"`` or ``"video"``, as the records were written.
        without_label: How many clips of the split have a label that is not known.
        multi_label: Whether a record may have any number of labels.
        record_size: Mean bytes of a record; 0 where it is not known.
    """

    paths: tuple[str, ...]
    records: int
    part: str | None = None
    division: int = 1
    store: str = "frames"
    without_label: int = 0
    multi_label: bool = False
    record_size: int = 0


def select(folder: str | os.PathLike, split: str, *, may_be_damaged: bool = False) -> Selection:
    """Find the records of a split.

    Args:
        folder: Folder of records, or its URL.
        split: ``train``, ``val`` or ``test``; ``train2`` and so on where a data set has several divisions,
            of which ``train`` is the first.
        may_be_damaged: Whether shards may have other sizes than the manifest says, because damage will be looked for.

    Raises:
        RecordError: The folder has no such records, a shard is missing, or one has not the size that the manifest
            says.
    """
    made = manifest.read(folder)
    divisions = made.dataset["divisions"]
    try:
        part, division = parse_split(split, made.records)
    except ValueError as error:
        raise RecordError(f"{folder}: {error}") from error
    name = split_name(part, division, divisions)
    names = [shard for shard, report in made.shards.items() if report.records.get(name)]
    for shard in names:
        _check(folder, shard, made, may_be_damaged=may_be_damaged)
    clips = [clip for shard in names for clip in made.shards[shard].clips]
    return Selection(
        tuple(storage.join(folder, shard) for shard in names),
        made.records[name],
        part if divisions > 1 else None,
        division,
        made.settings["store"],
        made.dataset["without_label"].get(name, 0),
        made.multi_label,
        sum(clip.size for clip in clips) // max(1, sum(len(clip.frames) for clip in clips)),
    )


def has(made: Manifest, split: str) -> bool:
    """Tell whether a folder of records has a split."""
    try:
        parse_split(split, made.records)
    except ValueError:
        return False
    return True


def _check(folder: str | os.PathLike, name: str, made: Manifest, *, may_be_damaged: bool) -> None:
    path = storage.join(folder, name)
    if not storage.exists(path):
        raise RecordError(f"{path}: is missing; the same `make-tfrecords` again writes it anew")
    if not may_be_damaged and not is_as_left(path, made.shards[name]):
        raise RecordError(
            f"{path}: has {storage.size(path)} bytes where the manifest says {made.shards[name].size}; "
            "the same `make-tfrecords` again writes it anew"
        )


def check_fits(folder: str | os.PathLike, made: Manifest, *, modality: str, fps: float | None = None) -> None:
    """Check that records hold the stream, and the rate if one is named, that a network wants.

    Raises:
        RecordError: They do not.
    """
    if modality == "flow" and made.settings["flow"] == "none":
        raise RecordError(f"{folder}: holds no flow; make it again with `make-tfrecords --flow tvl1`")
    if fps is not None and fps != made.settings["fps"]:
        raise RecordError(f"{folder}: has {made.settings['fps']:g} frames per second, {fps:g} are wanted")
