"""Write a data set as TFRecord shards.

``train-00007-of-00128.tfrecord`` and its like, beside ``labels.txt`` and ``manifest.json``. Each clip is first written
to a file of its own, by whoever does that, in any order; what is then joined to a shard, which appears by one
rename, depends on the data set and the settings alone. A run that is cut short goes on from the last finished
clip.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict

from keras_i3d import labels, storage
from keras_i3d.datasets.dataset import LabelledClip, VideoDataset
from keras_i3d.errors import RecordError
from keras_i3d.extras import import_extra
from keras_i3d.records import clip_file, manifest, plan
from keras_i3d.records.clip_file import ClipReport, ClipTask
from keras_i3d.records.manifest import Manifest, ShardReport
from keras_i3d.records.plan import PlannedShard
from keras_i3d.records.settings import RecordSettings
from keras_i3d.records.unfinished import FOLDER as UNFINISHED
from keras_i3d.records.unfinished import Unfinished

Run = Callable[[Iterable[ClipTask]], Iterator[ClipReport]]


def write(
    dataset: VideoDataset,
    folder: str | os.PathLike,
    settings: RecordSettings,
    *,
    run: Run = lambda tasks: map(clip_file.write, tasks),
    on_clip: Callable[[ClipReport], None] = lambda report: None,
    retry_skipped: bool = False,
) -> Manifest:
    """Write all shards that are not there yet, then the class names and the manifest.

    A clip that cannot be decoded is left out and listed in the manifest.

    Args:
        dataset: What to write.
        folder: An existing folder, or a URL.
        settings: What decides the content.
        run: Does `clip_file.write` for each task, and gives the reports in the order of the tasks.
        on_clip: Called with what became of each clip, those of an earlier run too.
        retry_skipped: Whether clips that an earlier run could not write are tried again.

    Raises:
        RecordError: Not one clip could be written.
    """
    planned = plan.deal(dataset, settings)
    made = _made(folder, planned)
    if made and not (retry_skipped and made.skipped):
        _tell(made.shards.values(), on_clip)
        return made
    with Unfinished(folder) as unfinished:
        finished = _finished(folder, planned, unfinished)
        if retry_skipped:
            for shard in planned:
                if shard.name in finished and any(report.skipped for report in finished[shard.name].clips):
                    unfinished.take_apart(shard, finished.pop(shard.name))
        _tell(finished.values(), on_clip)
        missing = [shard for shard in planned if shard.name not in finished]
        finished |= _write_missing(dataset, missing, settings, unfinished, run, on_clip)
        reports = {shard.name: finished[shard.name] for shard in planned}
        _remove_empty_sets(folder, reports)
        if not any(report.has_records for report in reports.values()):
            unfinished.clear()
            raise _nothing_written(reports.values())
        _finish(folder, dataset, settings, reports)
        unfinished.clear()
    return manifest.read(folder)


def _tell(reports: Iterable[ShardReport], on_clip: Callable[[ClipReport], None]) -> None:
    for report in reports:
        for clip in report.clips:
            on_clip(clip)


def _made(folder: str | os.PathLike, planned: Iterable[PlannedShard]) -> Manifest | None:
    """Return the manifest where all is finished and as it was left."""
    if not storage.exists(storage.join(folder, manifest.FILE_NAME)):
        return None
    made = manifest.read(folder)
    whole = all(
        shard.name in made.shards and is_as_left(storage.join(folder, shard.name), made.shards[shard.name])
        for shard in planned
    )
    return made if whole and not storage.exists(storage.join(folder, UNFINISHED)) else None


def _finished(
    folder: str | os.PathLike, planned: Iterable[PlannedShard], unfinished: Unfinished
) -> dict[str, ShardReport]:
    """Return the reports of the shards that an earlier run finished, and that are as it left them."""
    in_manifest = {}
    if storage.exists(storage.join(folder, manifest.FILE_NAME)):
        in_manifest = manifest.read(folder).shards
    reports = in_manifest | unfinished.shard_reports()
    return {
        shard.name: reports[shard.name]
        for shard in planned
        if shard.name in reports and is_as_left(storage.join(folder, shard.name), reports[shard.name])
    }


def is_as_left(path: str, report: ShardReport) -> bool:
    """Tell whether a shard has the size that its report says; one without any record may have been removed."""
    if storage.exists(path):
        return storage.size(path) == report.size
    return not report.has_records


def _write_missing(
    dataset: VideoDataset,
    missing: list[PlannedShard],
    settings: RecordSettings,
    unfinished: Unfinished,
    run: Run,
    on_clip: Callable[[ClipReport], None],
) -> dict[str, ShardReport]:
    index_of = {name: index for index, name in enumerate(dataset.class_names)}

    def task_of(clip: LabelledClip) -> ClipTask:
        first, *further = [index_of[label] for label in clip.labels] or [None]
        return ClipTask(clip, first, dataset.name, settings, unfinished.folder, tuple(further))

    tasks = {shard.name: [task_of(clip) for clip in shard.clips] for shard in missing}
    done = unfinished.clip_reports([task for shard in missing for task in tasks[shard.name]])
    fresh = run(task for shard in missing for task in tasks[shard.name] if task.clip.id not in done)
    written = {}
    for shard in missing:
        reports = []
        for task in tasks[shard.name]:
            reports.append(done.get(task.clip.id) or next(fresh))
            on_clip(reports[-1])
        names_of = [dataset.split_names(clip) for clip in shard.clips]
        written[shard.name] = unfinished.join(shard.name, tasks[shard.name], reports, names_of)
    return written


def _finish(
    folder: str | os.PathLike, dataset: VideoDataset, settings: RecordSettings, reports: dict[str, ShardReport]
) -> None:
    """Write the class names and the manifest, which says that the records are whole."""
    unlabelled = [] if dataset.multi_label else [clip for clip in dataset.clips if clip.label is None]
    facts = {
        "name": dataset.name,
        "digest": dataset.digest(),
        "classes": len(dataset.class_names),
        "divisions": dataset.divisions,
        "without_label": Counter(name for clip in unlabelled for name in dataset.split_names(clip)),
    }
    if dataset.multi_label:
        facts["multi_label"] = True
    labels.write(storage.join(folder, labels.FILE_NAME), dataset.class_names)
    Manifest(asdict(settings), facts, reports, dataset.missing, versions(settings)).write(folder)


def _nothing_written(reports: Iterable[ShardReport]) -> RecordError:
    clips = [clip for report in reports for clip in report.clips]
    first = clips[0]
    return RecordError(f"not one of {len(clips)} clips could be written; the first, {first.clip}: {first.skipped}")


def _remove_empty_sets(folder: str | os.PathLike, reports: dict[str, ShardReport]) -> None:
    """Remove the shards of a set of which not one clip could be written: such a set is none."""
    held = {plan.parsed_name(name)[0] for name, report in reports.items() if report.has_records}
    for name in reports:
        if plan.parsed_name(name)[0] not in held:
            storage.remove(storage.join(folder, name))


def versions(settings: RecordSettings) -> dict[str, str]:
    """Return the versions of what decodes, computes flow and encodes."""
    libraries = import_extra("av").library_versions
    return clip_file.versions(settings) | {name: ".".join(map(str, number)) for name, number in libraries.items()}
