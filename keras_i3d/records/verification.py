"""Compare shards with what the manifest says of them: size, digest, checksums, number of records."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import BinaryIO

from keras_i3d import labels, storage
from keras_i3d.errors import DatasetError, RecordError, StorageError
from keras_i3d.records import manifest, plan, tfrecord
from keras_i3d.records.manifest import Manifest, ShardReport


def problems(folder: str | os.PathLike, *, on_shard: Callable[[], None] = lambda: None) -> list[str]:
    """Return what is wrong with a folder of records, a line for each shard that is.

    Args:
        folder: Folder of records, or its URL.
        on_shard: Called after each shard.

    Raises:
        RecordError: The folder has no manifest, or a damaged one.
    """
    found, made = [], manifest.read(folder)
    for name, report in made.shards.items():
        path = storage.join(folder, name)
        if storage.exists(path):
            found += _problems_of(path, report)
        elif report.has_records:
            found.append(f"{path}: is missing")
        on_shard()
    return found + _strangers(folder, made)


def _strangers(folder: str | os.PathLike, made: Manifest) -> list[str]:
    """Return a line for each shard that is none of these records, and for class names that are not theirs."""
    others = [name for name in storage.listing(folder) if plan.parsed_name(name) and name not in made.shards]
    found = [f"{storage.join(folder, name)}: is a shard that the manifest does not name" for name in others]
    names = storage.join(folder, labels.FILE_NAME)
    try:
        count = len(labels.read(names))
    except DatasetError as error:
        return [*found, str(error)]
    if count != made.dataset["classes"]:
        found.append(f"{names}: has {count} classes where the manifest says {made.dataset['classes']}")
    return found


def _problems_of(path: str, report: ShardReport) -> list[str]:
    digest = hashlib.sha256()
    try:
        with storage.open_reading(path) as file:
            count = sum(1 for _ in tfrecord.read(_Digesting(file, digest), path))
    except (RecordError, StorageError, OSError) as error:
        return [str(error)]
    wanted = sum(len(clip.frames) for clip in report.clips)
    if count != wanted:
        return [f"{path}: has {count} records where the manifest says {wanted}"]
    if digest.hexdigest() != report.sha256:
        return [f"{path}: has another content than the manifest says (SHA-256 {digest.hexdigest()})"]
    return []


class _Digesting:
    """A file whose bytes are hashed as they are read."""

    def __init__(self, file: BinaryIO, digest: hashlib._Hash) -> None:
        self._file, self._digest = file, digest

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._digest.update(data)
        return data
