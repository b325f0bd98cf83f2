"""Write a data set as TFRecord shards, and find them again.

``SPLIT-00007-of-00128.tfrecord``, beside ``labels.txt`` and ``manifest.json``. A shard appears by one rename
when it is whole. Its content depends on the data set and the settings alone, not on the number of workers.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_i3d import labels
from keras_i3d.datasets.dataset import SPLITS, LabelledClip, VideoDataset
from keras_i3d.errors import RecordError, VideoError, first_line
from keras_i3d.whole_file import replacing, write_json

MANIFEST = "manifest.json"
JOURNAL = ".finished-shards.jsonl"  # a line for each, until the manifest is there
FLOWS = ("none", "tvl1")


@dataclass(frozen=True)
class RecordSettings:
    """What decides the content of the records.

    Attributes:
        fps: Frames per second.
        short_side: Pixels of the shorter side.
        flow: ``"none"``, or ``"tvl1"`` for OpenCV's TV-L1, which the published flow weights need.
        jpeg_quality: 1 to 100.
        clips_per_shard: Most clips of one shard.
        seed: Of the order in which clips are dealt to shards.

    Raises:
        ValueError: A value is out of range.
    """

    fps: float = 25.0
    short_side: int = 256
    flow: str = "none"
    jpeg_quality: int = 95
    clips_per_shard: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        if self.flow not in FLOWS:
            raise ValueError(f"unknown flow {self.flow!r}; known: {', '.join(FLOWS)}")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, got {self.seed}")
        if not 0 < self.fps < math.inf:
            raise ValueError(f"fps must be above 0, got {self.fps}")
        for name, most in (("short_side", 4096), ("jpeg_quality", 100), ("clips_per_shard", 1_000_000)):
            value = getattr(self, name)
            if not 1 <= value <= most:
                raise ValueError(f"{name} must be 1 to {most}, got {value}")


@dataclass(frozen=True)
class ShardReport:
    """What became of the clips of one shard: the frames of each that was written, and what was skipped."""

    split: str
    frames: tuple[int, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    size: int = 0  # of the file, in bytes

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> ShardReport:
        """Make a report from what `dataclasses.asdict` wrote."""
        skipped = tuple((clip, reason) for clip, reason in entry["skipped"])
        return cls(entry["split"], tuple(entry["frames"]), skipped, entry["size"])


@dataclass(frozen=True)
class Manifest:
    """What a folder of records holds; ``manifest.json``.

    Attributes:
        settings: The `RecordSettings` as a dict.
        dataset: Digest of the clips that were asked for, `VideoDataset.digest`.
        shards: What became of each shard, by its name.
    """

    settings: dict[str, Any]
    dataset: str
    shards: dict[str, ShardReport]

    @property
    def clips(self) -> dict[str, int]:
        """Return the number of clips of each split that has any."""
        counts: dict[str, int] = {}
        for report in self.shards.values():
            if report.frames:
                counts[report.split] = counts.get(report.split, 0) + len(report.frames)
        return counts

    @property
    def longest(self) -> int:
        """Return the number of frames of the longest clip."""
        return max((count for report in self.shards.values() for count in report.frames), default=0)

    @property
    def skipped(self) -> tuple[tuple[str, str], ...]:
        """Return (clip, reason) of every clip that could not be written."""
        return tuple(pair for report in self.shards.values() for pair in report.skipped)

    def write(self, folder: Path) -> None:
        """Write ``manifest.json``, with the numbers that people look for."""
        summary = {"clips": self.clips, "longest": self.longest, "skipped": self.skipped}
        write_json(folder / MANIFEST, asdict(self) | summary)


def shard_name(split: str, index: int, count: int) -> str:
    """Return the file name of a shard."""
    return f"{split}-{index:05d}-of-{count:05d}.tfrecord"


def write(
    dataset: VideoDataset,
    folder: Path,
    settings: RecordSettings,
    *,
    executor: Executor | None = None,
    workers: int = 1,
    on_clip: Callable[[int], None] = lambda done: None,
) -> Manifest:
    """Write all shards that are not there yet, then the class names and the manifest.

    A clip that cannot be decoded is left out and listed in the manifest.

    Args:
        dataset: What to write.
        folder: An existing folder.
        settings: What decides the content.
        executor: Where clips are prepared; None prepares them here, one after the other.
        workers: How many clips the executor prepares at once.
        on_clip: Called with the number of clips that are done.

    Raises:
        RecordError: Not one clip could be written.
    """
    for stale in folder.glob(".*.tfrecord"):
        stale.unlink()
    plan = list(_plan(dataset, settings))
    finished = _finished(folder)
    reports = {
        name: finished[name]
        for name, _ in plan
        if name in finished and (_is_whole(folder / name, finished[name]) or not finished[name].frames)
    }
    missing = [(name, clips) for name, clips in plan if name not in reports]
    on_clip(sum(len(clips) for name, clips in plan if name in reports))
    if not missing and (folder / MANIFEST).is_file():
        return read_manifest(folder)

    class_index = {name: index for index, name in enumerate(dataset.class_names)}
    tasks = [(clip, class_index[clip.label], settings) for _, clips in missing for clip in clips]
    results = _in_order(executor, tasks, window=4 * workers)
    for name, clips in missing:
        reports[name] = _write_shard(folder / name, clips, results, on_clip)
        with (folder / JOURNAL).open("a", encoding="utf-8") as journal:
            journal.write("\n" + json.dumps({"shard": name, **asdict(reports[name])}))

    manifest = Manifest(asdict(settings), dataset.digest(), {name: reports[name] for name, _ in plan})
    _remove_empty_splits(folder, manifest)
    if not manifest.clips:
        (folder / JOURNAL).unlink(missing_ok=True)
        clip, reason = manifest.skipped[0]
        raise RecordError(f"not one of {len(manifest.skipped)} clips could be written; the first, {clip}: {reason}")
    labels.write(folder / labels.FILE_NAME, dataset.class_names)
    manifest.write(folder)
    (folder / JOURNAL).unlink(missing_ok=True)
    return manifest


def _is_whole(path: Path, report: ShardReport) -> bool:
    return path.is_file() and path.stat().st_size == report.size


def _remove_empty_splits(folder: Path, manifest: Manifest) -> None:
    """Remove the shards of splits of which not one clip could be written: such a split is none."""
    for name, report in manifest.shards.items():
        if report.split not in manifest.clips:
            (folder / name).unlink(missing_ok=True)


def find(folder: str | os.PathLike, split: str) -> list[str]:
    """Return the paths of a split's shards, in order.

    Raises:
        RecordError: There are none, one is missing, or one has not the size that the manifest says.
    """
    folder = Path(folder)
    shards = sorted(folder.glob(f"{split}-*-of-*.tfrecord")) if split in SPLITS else []
    if not shards:
        present = sorted({path.name.split("-")[0] for path in folder.glob("*-*-of-*.tfrecord")})
        held = f"its splits are {', '.join(present)}" if present else "it holds no shard at all"
        raise RecordError(f"{folder}: no records of split {split!r}; {held}")
    promised = int(shards[0].stem.rsplit("-", 1)[1])
    if len(shards) != promised:
        raise RecordError(f"{folder}: {len(shards)} of the {promised} shards of split {split!r} are there")
    reports = read_manifest(folder).shards if (folder / MANIFEST).is_file() else {}
    for path in shards:
        if path.name in reports and not _is_whole(path, reports[path.name]):
            raise RecordError(
                f"{path}: has {path.stat().st_size} bytes where the manifest says {reports[path.name].size}; "
                "the same `make-tfrecords` again writes it anew"
            )
    return [str(path) for path in shards]


def read_manifest(folder: str | os.PathLike) -> Manifest:
    """Read the manifest of a finished folder of records.

    Raises:
        RecordError: There is none, or it is damaged.
    """
    path = Path(folder) / MANIFEST
    try:
        entries = json.loads(path.read_text("utf-8"))
        reports = {name: ShardReport.from_json(entry) for name, entry in entries["shards"].items()}
        return Manifest(entries["settings"], entries["dataset"], reports)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordError(
            f"{folder}: no finished folder of records, which `keras-i3d make-tfrecords` writes ({error})"
        ) from error


@contextlib.contextmanager
def reading(folder: str | os.PathLike) -> Iterator[None]:
    """Turn what TensorFlow says of a damaged record, while the block reads records, into a RecordError."""
    import tensorflow as tf

    try:
        yield
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
        raise RecordError(f"{folder}: a record is damaged, or is none of this package ({first_line(error)})") from error


def check_fits(folder: str | os.PathLike, manifest: Manifest, *, modality: str, fps: float | None = None) -> None:
    """Check that records hold the stream, and the rate if one is named, that a network wants.

    Raises:
        RecordError: They do not.
    """
    if modality == "flow" and manifest.settings["flow"] == "none":
        raise RecordError(f"{folder}: holds no flow; make it again with `make-tfrecords --flow tvl1`")
    if fps is not None and fps != manifest.settings["fps"]:
        raise RecordError(f"{folder}: has {manifest.settings['fps']:g} frames per second, {fps:g} are wanted")


def _plan(dataset: VideoDataset, settings: RecordSettings) -> Iterator[tuple[str, list[LabelledClip]]]:
    """Deal the clips of each split, shuffled by the seed, to shards of about equal length."""
    for split, total in dataset.counts().items():
        clips = [clip for clip in dataset.clips if clip.split == split]
        order = np.random.default_rng(settings.seed).permutation(total)
        count = math.ceil(total / settings.clips_per_shard)
        for index, part in enumerate(np.array_split(order, count)):
            yield shard_name(split, index, count), [clips[i] for i in part]


def prepare(clip: LabelledClip, class_index: int, settings: RecordSettings) -> tuple[bytes, int] | str:
    """Turn one clip into a serialised record and its number of frames, or the reason why it cannot be."""
    from keras_i3d.records import schema  # imports TensorFlow, which the parent of a pool may not need yet
    from keras_i3d.video import decode, flow

    try:
        frames = decode.read_frames(
            clip.path,
            fps=settings.fps,
            short_side=settings.short_side,
            start_s=clip.start_s,
            end_s=clip.end_s,
        )
    except VideoError as error:
        return str(error)
    record = schema.to_example(
        frames,
        example_id=clip.id,
        label_index=class_index,
        label_name=clip.label,
        fps=settings.fps,
        start_s=clip.start_s,
        flow=flow.to_stored(flow.tvl1(frames)) if settings.flow == "tvl1" else None,
        jpeg_quality=settings.jpeg_quality,
    )
    return record, len(frames)


def _in_order(executor: Executor | None, tasks: Iterable[tuple], window: int) -> Iterator[Any]:
    """Yield the result of `prepare` for each task, in order, with at most `window` of them in flight."""
    if executor is None:
        yield from (prepare(*task) for task in tasks)
        return
    running: deque = deque()
    for task in tasks:
        running.append(executor.submit(prepare, *task))
        if len(running) >= window:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()


def _write_shard(
    path: Path, clips: list[LabelledClip], results: Iterator[Any], on_clip: Callable[[int], None]
) -> ShardReport:
    import tensorflow as tf

    frames, skipped = [], []
    with replacing(path) as aside:
        with tf.io.TFRecordWriter(str(aside)) as writer:
            for clip in clips:
                result = next(results)
                if isinstance(result, str):
                    skipped.append((clip.id, result))
                else:
                    writer.write(result[0])
                    frames.append(result[1])
                on_clip(1)
        size = aside.stat().st_size
    return ShardReport(clips[0].split, tuple(frames), tuple(skipped), size)


def _finished(folder: Path) -> dict[str, ShardReport]:
    """Return the reports of the shards that an earlier run finished, by the manifest and the journal."""
    reports = read_manifest(folder).shards if (folder / MANIFEST).is_file() else {}
    lines = (folder / JOURNAL).read_text("utf-8").splitlines() if (folder / JOURNAL).is_file() else []
    for line in lines:
        with contextlib.suppress(ValueError):  # the line that a killed process was writing
            entry = json.loads(line)
            reports[entry["shard"]] = ShardReport.from_json(entry)
    return reports
