"""The folder ``.unfinished`` beside the shards: what a run needs to go on where another was cut short.

It holds the records and the report of each clip whose shard is not joined yet, and the reports of the shards
that are. Every file in it appears whole; it goes when the manifest is there.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from functools import partial
from typing import TypeVar

from keras_i3d import storage
from keras_i3d.errors import RecordError
from keras_i3d.records.clip_file import ClipReport, ClipTask, file_stem
from keras_i3d.records.manifest import ShardReport, records_by_split
from keras_i3d.records.plan import PlannedShard, parsed_name
from keras_i3d.whole_file import WRITING

FOLDER = ".unfinished"
Report = TypeVar("Report", ClipReport, ShardReport)
_CHUNK = 1 << 20


class Unfinished:
    """Clips and shards on their way.

    Args:
        records: The folder of records that they belong to.
    """

    def __init__(self, records: str | os.PathLike) -> None:
        self._records = records
        self.folder = storage.join(records, FOLDER)
        storage.make_folder(self.folder)
        for name in storage.listing(self.folder):
            if name.startswith(WRITING):  # of a process that was killed
                storage.remove(storage.join(self.folder, name))

    def __enter__(self) -> Unfinished:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and self._is_there() and not storage.listing(self.folder):
            self.clear()  # nothing was begun

    def shard_reports(self) -> dict[str, ShardReport]:
        """Return the reports of the shards that are joined, by name."""
        names = [name for name in storage.listing(self.folder) if parsed_name(name.removesuffix(".json"))]
        reports = {name.removesuffix(".json"): self._read(name, ShardReport) for name in names}
        return {name: report for name, report in reports.items() if report is not None}

    def clip_reports(self, tasks: Sequence[ClipTask]) -> dict[str, ClipReport]:
        """Return the reports of the clips whose records are here, by the clip's id; skipped ones are not."""
        present = set(storage.listing(self.folder))
        found = {}
        for task in tasks:
            stem = file_stem(task.clip)
            if f"{stem}.json" not in present or f"{stem}.tfrecord" not in present:
                continue
            report = self._read(f"{stem}.json", ClipReport)
            if report is None:
                continue
            if not report.skipped and storage.size(task.records_path) == report.size:
                found[task.clip.id] = report
        return found

    def join(
        self,
        name: str,
        tasks: Sequence[ClipTask],
        reports: Sequence[ClipReport],
        names_of: Sequence[Sequence[str]],
    ) -> ShardReport:
        """Join the records of clips to a shard, and let go of what it was made of.

        Args:
            name: Of the shard.
            tasks: Its clips, in their order.
            reports: What became of each.
            names_of: The names of the splits that each belongs to.

        Raises:
            RecordError: The records of a clip are not what its report says.
        """
        digest, size = hashlib.sha256(), 0
        with storage.replacing(storage.join(self._records, name)) as aside, aside.open("wb") as shard:
            for task, report in zip(tasks, reports, strict=True):
                before = size
                if not report.frames:
                    continue
                with storage.open_reading(task.records_path) as file:
                    for chunk in iter(partial(file.read, _CHUNK), b""):
                        shard.write(chunk)
                        digest.update(chunk)
                        size += len(chunk)
                if size - before != report.size:
                    raise RecordError(
                        f"{task.records_path}: has {size - before} bytes where {report.size} were written"
                    )
        joined = ShardReport(tuple(reports), records_by_split(names_of, reports), size, digest.hexdigest())
        storage.write_json(storage.join(self.folder, f"{name}.json"), joined.to_json())
        for task in tasks:
            storage.remove(task.records_path)
            storage.remove(task.report_path)
        return joined

    def take_apart(self, shard: PlannedShard, report: ShardReport) -> None:
        """Turn a joined shard back into the records of its clips, so that those without any are tried again."""
        with storage.open_reading(storage.join(self._records, shard.name)) as file:
            for clip, clip_report in zip(shard.clips, report.clips, strict=True):
                if clip_report.skipped:
                    continue
                stem = storage.join(self.folder, file_stem(clip))
                with storage.replacing(f"{stem}.tfrecord") as aside:
                    aside.write_bytes(file.read(clip_report.size))
                storage.write_json(f"{stem}.json", clip_report.to_json())
        storage.remove(storage.join(self.folder, f"{shard.name}.json"))

    def clear(self) -> None:
        """Remove the folder: the records are whole."""
        for name in storage.listing(self.folder):
            storage.remove(storage.join(self.folder, name))
        if (folder := storage.local_path(self.folder)) is not None:
            folder.rmdir()

    def _is_there(self) -> bool:
        local = storage.local_path(self.folder)
        return local is None or local.is_dir()

    def _read(self, name: str, kind: type[Report]) -> Report | None:
        """Read a report; None for one that a power failure left in pieces, so that its work is done again."""
        try:
            return kind.from_json(json.loads(storage.read_text(storage.join(self.folder, name))))
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
