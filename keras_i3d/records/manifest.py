"""What a folder of records holds, as ``manifest.json`` beside the shards says."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from keras_i3d import storage
from keras_i3d.datasets.dataset import split_names
from keras_i3d.errors import RecordError, StorageError
from keras_i3d.records.clip_file import ClipReport

FILE_NAME = "manifest.json"


@dataclass(frozen=True)
class ShardReport:
    """What became of the clips of one shard.

    Attributes:
        clips: Of each clip, in the order of the shard.
        records: Number of records of each split that has any.
        size: Of the file, in bytes.
        sha256: Of its content.
    """

    clips: tuple[ClipReport, ...]
    records: dict[str, int]
    size: int
    sha256: str

    @property
    def has_records(self) -> bool:
        """Whether any clip of the shard could be written."""
        return any(report.frames for report in self.clips)

    def to_json(self) -> dict[str, Any]:
        """Return JSON values, in the space of a few numbers for each clip."""
        return {
            "size": self.size,
            "sha256": self.sha256,
            "records": self.records,
            "clips": [[report.clip, list(report.frames), report.size] for report in self.clips],
            "skipped": {report.clip: report.skipped for report in self.clips if report.skipped},
            "damaged": {report.clip: report.damaged for report in self.clips if report.damaged},
        }

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> ShardReport:
        """Make a report from what `to_json` gave."""
        skipped, damaged = entry["skipped"], entry["damaged"]
        clips = tuple(
            ClipReport(clip, tuple(frames), size, skipped=skipped.get(clip), damaged=damaged.get(clip))
            for clip, frames, size in entry["clips"]
        )
        return cls(clips, entry["records"], entry["size"], entry["sha256"])


@dataclass(frozen=True)
class Manifest:
    """What a folder of records holds.

    Attributes:
        settings: The `RecordSettings` as a dict.
        dataset: Name, digest and number of classes of the data set, how many divisions it has, and
            ``multi_label`` where a clip may have several labels.
        shards: What became of each shard, by its name.
        missing: (video, reason) of what the data set lists and has not.
        versions: Of the packages that decoded and encoded.
    """

    settings: dict[str, Any]
    dataset: dict[str, Any]
    shards: dict[str, ShardReport]
    missing: tuple[tuple[str, str], ...] = ()
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def records(self) -> dict[str, int]:
        """Return the number of records of each split that has any."""
        total: Counter[str] = Counter()
        for report in self.shards.values():
            total.update(report.records)
        return {name: total[name] for name in split_names(self.dataset["divisions"]) if total[name]}

    @property
    def multi_label(self) -> bool:
        """Whether a record may have any number of labels; where it has none it is of no class."""
        return self.dataset.get("multi_label", False)

    @property
    def longest(self) -> int:
        """Return the number of frames of the longest record."""
        return max((count for clip in self._clips() for count in clip.frames), default=0)

    @property
    def skipped(self) -> tuple[tuple[str, str], ...]:
        """Return (clip, reason) of every clip that could not be written."""
        return tuple((clip.clip, clip.skipped) for clip in self._clips() if clip.skipped)

    @property
    def damaged(self) -> tuple[tuple[str, str], ...]:
        """Return (clip, what is wrong) of every clip that was kept although its video is damaged."""
        return tuple((clip.clip, clip.damaged) for clip in self._clips() if clip.damaged)

    def _clips(self) -> list[ClipReport]:
        return [clip for report in self.shards.values() for clip in report.clips]

    def write(self, folder: str | os.PathLike) -> None:
        """Write ``manifest.json``, with the numbers that people look for at its top."""
        summary = {
            "records": self.records,
            "frames": sum(sum(clip.frames) for clip in self._clips()),
            "longest": self.longest,
            "skipped": dict(self.skipped),
            "damaged": dict(self.damaged),
            "missing": dict(self.missing),
        }
        rest = {
            "settings": self.settings,
            "dataset": self.dataset,
            "versions": self.versions,
            "shards": {name: report.to_json() for name, report in self.shards.items()},
        }
        storage.write_json(storage.join(folder, FILE_NAME), summary | rest)


def read(folder: str | os.PathLike) -> Manifest:
    """Read the manifest of a finished folder of records.

    Raises:
        RecordError: There is none, or it is damaged.
        StorageError: The folder is remote and cannot be reached.
    """
    try:
        entries = json.loads(storage.read_text(storage.join(folder, FILE_NAME)))
        return Manifest(
            entries["settings"],
            entries["dataset"],
            {name: ShardReport.from_json(entry) for name, entry in entries["shards"].items()},
            tuple(entries["missing"].items()),
            entries["versions"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, StorageError) as error:
        raise RecordError(
            f"{folder}: no finished folder of records, which `keras-i3d make-tfrecords` writes ({error})"
        ) from error


def records_by_split(names_of: Sequence[Sequence[str]], reports: Sequence[ClipReport]) -> dict[str, int]:
    """Count the records of each split.

    Args:
        names_of: The names of the splits that each clip belongs to.
        reports: What became of each clip.
    """
    total: Counter[str] = Counter()
    for names, report in zip(names_of, reports, strict=True):
        total.update({name: len(report.frames) for name in names if report.frames})
    return dict(total)
