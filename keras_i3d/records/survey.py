"""Several TFRecord files of videos, and the folders that they lie in: what is in them, added up."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from keras_i3d import storage
from keras_i3d.errors import RecordError, StorageError
from keras_i3d.records import contents
from keras_i3d.records.contents import Clip, Key, Summary

MANIFEST = "manifest.json"
SUFFIXES = (".tfrecord", ".tfrecords", ".tfrec")
_SHARD = re.compile(r"(?P<name>.+)-(?P<index>\d{5,})-of-(?P<count>\d{5,})(?P<suffix>\..*)?")


@dataclass
class KeyUse:
    """How a key is used.

    Attributes:
        kinds: ``"bytes"``, ``"float"``, ``"int64"``, ``"empty"``, in the order in which they came.
        records: How many have it.
        example: The first value.
    """

    kinds: list[str]
    records: int
    example: str

    def note(self, key: Key) -> None:
        """Count one more record that has the key."""
        self.records += 1
        if key.kind not in self.kinds:
            self.kinds.append(key.kind)


@dataclass
class File:
    """What was found in one file.

    Attributes:
        path: The file.
        size: Bytes.
        clips: What its records say.
        damage: Why it could not be read to its end, or None.
    """

    path: str
    size: int
    clips: list[Summary] = field(default_factory=list)
    damage: str | None = None


@dataclass
class Survey:
    """What was found in all files.

    Attributes:
        files: In the order in which they were named; those of a folder by their names.
        keys: By place (``"context"`` or ``"list"``) and name.
        manifests: Content of ``manifest.json`` by the folder that it lies in.
        problems: What is wrong with the folders: manifests that cannot be read, shards that are absent.
    """

    files: list[File] = field(default_factory=list)
    keys: dict[tuple[str, str], KeyUse] = field(default_factory=dict)
    manifests: dict[str, dict[str, Any]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def clips(self) -> list[Summary]:
        """Return the clips of all files."""
        return [clip for file in self.files for clip in file.clips]

    @property
    def complaints(self) -> list[str]:
        """Return what is wrong with files and folders, a line for each."""
        return [*(file.damage for file in self.files if file.damage), *self.problems]

    def classes(self) -> dict[int, str | None]:
        """Return the name of each class that a clip has, by its index; None where no record names it."""
        found: dict[int, str | None] = {}
        for clip in self.clips:
            for place, index in enumerate(clip.label_indices):
                name = clip.label_names[place] if place < len(clip.label_names) else None
                found[index] = found.get(index) or name
        return dict(sorted(found.items()))

    def divisions(self) -> list[dict[str, int]]:
        """Return for each division of the data set the number of clips of each part."""
        most = max((len(clip.splits) for clip in self.clips), default=0)
        return [
            dict(Counter(clip.splits[number] for clip in self.clips if number < len(clip.splits)))
            for number in range(most)
        ]

    def totals(self) -> dict[str, Any]:
        """Return the numbers of everything together, as JSON values."""
        clips = self.clips
        return {
            "bytes": sum(file.size for file in self.files),
            "records": len(clips),
            "frames": sum(clip.rgb.count or 0 for clip in clips if clip.rgb),
            "seconds": round(sum(clip.duration_s or 0 for clip in clips), 6),
            "datasets": sorted({clip.dataset for clip in clips if clip.dataset}),
            "classes": {str(index): name for index, name in self.classes().items()},
            "unlabelled": sum(not clip.label_indices and not clip.label_names for clip in clips),
            "splits": {f"split/{number}": counts for number, counts in enumerate(self.divisions(), start=1)},
            "rgb": _codings(clip.rgb for clip in clips),
            "flow": _codings(clip.flow for clip in clips),
        }

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            **self.totals(),
            "complaints": self.complaints,
            "manifests": self.manifests,
            "keys": [{"place": place, "key": name, **asdict(use)} for (place, name), use in sorted(self.keys.items())],
            "files": [
                {
                    "path": file.path,
                    "bytes": file.size,
                    "damage": file.damage,
                    "clips": [asdict(clip) for clip in file.clips],
                }
                for file in self.files
            ],
        }


def files_of(paths: Sequence[str], survey: Survey) -> list[str]:
    """List the files that are meant, and note in the survey what their folders say.

    Args:
        paths: Files, and folders for all their shards.
        survey: Takes the manifests, and what is wrong with the folders.

    Raises:
        RecordError: A path is neither file nor folder, or a folder holds no shard.
        StorageError: A place cannot be reached.
    """
    return [file for path in paths for file in _files_of(path, survey)]


def look_into(path: str, survey: Survey, on_clip: Callable[[Clip], None] = lambda clip: None) -> None:
    """Read one file to its end, or to where it is damaged, and add what is in it to a survey.

    Args:
        path: The file.
        survey: Takes what is found.
        on_clip: Called with each record.
    """
    file = File(path, storage.size(path))
    survey.files.append(file)
    try:
        for clip in contents.read(path):
            file.clips.append(clip.summary)
            for key in clip.list_keys():
                use = survey.keys.setdefault((key.place, key.name), KeyUse([], 0, key.example))
                use.note(key)
            on_clip(clip)
    except (RecordError, StorageError) as error:
        file.damage = str(error)


def _files_of(path: str, survey: Survey) -> list[str]:
    is_file = _is_shard(path.rpartition("/")[2]) if storage.is_remote(path) else Path(path).is_file()
    if is_file:
        return [path]
    if not storage.is_remote(path) and not Path(path).is_dir():
        raise RecordError(f"{path}: no such file or folder; a TFRecord file is wanted, or a folder of them")
    names = storage.listing(path)
    shards = [name for name in names if _is_shard(name)]
    if not shards:
        raise RecordError(f"{path}: holds no shard; their names end in .tfrecord, or in -00000-of-00001")
    if MANIFEST in names:
        _note_manifest(path, survey)
    survey.problems += _absent(path, shards)
    return [storage.join(path, name) for name in shards]


def _is_shard(name: str) -> bool:
    return not name.startswith(".") and (name.endswith(SUFFIXES) or _SHARD.fullmatch(name) is not None)


def _note_manifest(folder: str, survey: Survey) -> None:
    path = storage.join(folder, MANIFEST)
    try:
        manifest = json.loads(storage.read_text(path))
    except (StorageError, ValueError) as error:
        survey.problems.append(f"{path}: no manifest that can be read ({error})")
        return
    if isinstance(manifest, dict):
        survey.manifests[folder] = manifest
    else:
        survey.problems.append(f"{path}: no manifest, but a {type(manifest).__name__}")


def _absent(folder: str, names: Sequence[str]) -> list[str]:
    """Say which sets of shards are not complete."""
    sets: dict[tuple[str, ...], int] = Counter()
    for name in names:
        if match := _SHARD.fullmatch(name):
            sets[match["name"], match["count"], match["suffix"] or ""] += 1
    return [
        f"{folder}: {there} of the {int(count)} shards {name}-*-of-{count}{suffix} are there"
        for (name, count, suffix), there in sorted(sets.items())
        if there < int(count)
    ]


def _codings(streams: Iterable[contents.Stream | None]) -> dict[str, int]:
    return dict(Counter(stream.coding for stream in streams if stream))
