"""Make the records of a data set: who does the work, where, and what is shown of it meanwhile."""

from __future__ import annotations

import dataclasses
import errno
import os
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from keras_i3d import progress, storage
from keras_i3d import workers as crews
from keras_i3d.datasets.dataset import VideoDataset
from keras_i3d.errors import ClusterError
from keras_i3d.extras import import_extra
from keras_i3d.records import clip_file, flow_on_gpu, shards
from keras_i3d.records.clip_file import ClipReport, ClipTask
from keras_i3d.records.manifest import Manifest
from keras_i3d.records.settings import RecordSettings
from keras_i3d.run_folder import claim, room_left
from keras_i3d.video import flow

LONGEST_SILENCE_S = 900  # of a process, above what decoding may take between two frames that are wanted
TOLERANCES = ("keep_truncated", "max_frames", "max_pixels", "max_seconds")  # decide what is skipped, and no byte else
PROCESSES_ON_A_GPU = 2  # that decode for it, unless others are asked for: each takes memory of it
NOT_THERE = os.strerror(errno.ENOENT)


def make_tfrecords(
    dataset: VideoDataset,
    output: str | os.PathLike,
    settings: RecordSettings,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    retry_skipped: bool = False,
    on_clip: Callable[[ClipReport], None] = lambda report: None,
) -> Manifest:
    """Write the records of a data set with a progress bar, by a pool of processes or a Dask cluster.

    Args:
        dataset: What to write.
        output: Folder for the shards, or its URL.
        settings: What decides their content.
        workers: Processes; None takes all cores, where flow is computed on a GPU two; 0 does the work in this one.
        scheduler: Address of a Dask cluster that does the work instead.
        retry_skipped: Whether to try what an earlier run had to skip again.
        on_clip: Called with what became of each clip.

    Returns:
        What was written, skipped and found damaged: the content of ``manifest.json``.

    Raises:
        OutputFolderError: The output folder holds something else, or another run writes there.
        RecordError: Not one clip could be written.
        ClusterError: The Dask cluster cannot be reached, or is gone.
        ValueError: The number of workers is less than 0, or both workers and a cluster are named.
    """
    if scheduler is not None and workers is not None:
        raise ValueError("workers are processes of this machine, and a scheduler has workers of its own; name one")
    on_gpu = settings.flow_device == "gpu"
    compiles = settings.flow == "tvl1" and not on_gpu
    usual = min(crews.cores(), PROCESSES_ON_A_GPU) if on_gpu else crews.cores()
    workers = min(usual if workers is None else workers, len(dataset.clips))
    if workers < 0:
        raise ValueError(f"workers must be at least 0, got {workers}")
    for module in ("av", "cv2", "google_crc32c", *(["numba"] if compiles else [])):
        import_extra(module)
    if on_gpu and scheduler is None:
        flow_on_gpu.check_device()
    dataset = _with_absolute_paths(dataset)
    with (
        room_left(output),
        claim(output, "make-tfrecords", _claimed(dataset, settings), may_be_remote=True) as folder,
        progress.bar("videos", len(dataset.clips)) as bar,
    ):
        tally = Tally(bar, dataset, settings)

        def note(report: ClipReport) -> None:
            tally.add(report)
            on_clip(report)

        folder = storage.absolute(folder)
        write = partial(shards.write, dataset, folder, settings, on_clip=note, retry_skipped=retry_skipped)
        if scheduler is not None:
            with crews.DaskCluster(scheduler) as cluster:
                return write(run=partial(_run, cluster, write_quietly))
        if not workers:
            return write()
        with crews.Processes(workers, _begin) as processes:
            if compiles:
                bar.note("compiling TV-L1, once on this machine")
                list(crews.in_order(processes, _compile, [None], lost=lambda _: None))
            return write(run=partial(_run, processes, write_watched))


def _with_absolute_paths(dataset: VideoDataset) -> VideoDataset:
    """Name the videos so that a worker which runs in another folder finds them."""
    clips = tuple(dataclasses.replace(clip, path=str(storage.absolute(clip.path))) for clip in dataset.clips)
    return dataclasses.replace(dataset, clips=clips)


def _claimed(dataset: VideoDataset, settings: RecordSettings) -> dict[str, Any]:
    """Return what must be the same in all runs on one folder: all that decides the bytes of a written clip."""
    decisive = {name: value for name, value in dataclasses.asdict(settings).items() if name not in TOLERANCES}
    return decisive | {"clips": len(dataset.clips), "dataset": dataset.digest()} | clip_file.versions(settings)


class Tally:
    """Says behind the bar how fast it goes and how many clips were skipped, and looks at what the workers report."""

    def __init__(self, bar: progress.Bar, dataset: VideoDataset, settings: RecordSettings) -> None:
        self._bar, self._since = bar, time.monotonic()
        self._paths = {clip.id: clip.path for clip in dataset.clips}
        self._made_with = clip_file.made_with(settings)
        self._frames = self._skipped = 0

    def add(self, report: ClipReport) -> None:
        """Count a clip.

        Raises:
            ClusterError: It was made with other versions, or where a video that is here cannot be seen.
        """
        if report.made_with not in (None, self._made_with):
            raise ClusterError(
                f"a worker has {report.made_with} where this machine has {self._made_with}; records must be made with "
                "the same everywhere"
            )
        if report.skipped and NOT_THERE in report.skipped and Path(self._paths[report.clip]).is_file():
            raise ClusterError(
                f"a worker does not find {self._paths[report.clip]}, which is there on this machine; all must see the "
                "videos under the same names"
            )
        self._frames += sum(report.frames)
        self._skipped += report.skipped is not None
        rate = self._frames / max(time.monotonic() - self._since, 1e-3)
        self._bar.note(f"{rate:.0f} frames/s, {self._skipped} skipped")
        self._bar.advance()


def _run(
    crew: crews.Workers, function: Callable[[ClipTask], ClipReport], tasks: Iterable[ClipTask]
) -> Iterator[ClipReport]:
    return crews.in_order(crew, function, tasks, lost=lost)


def lost(task: ClipTask) -> ClipReport:
    """Return the report of a clip that killed one process after another."""
    reason = (
        f"{task.clip.path}: every process that read it died: it hung, crashed in the decoder, or was killed for "
        "want of memory"
    )
    return ClipReport(task.clip.id, skipped=reason)


def _compile(_: None) -> None:
    """Compile in one process what all will load; not in the parent, where a compiler may swallow Ctrl-C."""
    flow.compile_tvl1()


def _begin() -> None:
    """Keep a process to one core: the pool fills the others."""
    import_extra("cv2").setNumThreads(1)


def write_watched(task: ClipTask) -> ClipReport:
    """Write a clip's records in a process of a pool, which ends where the decoder hangs."""
    with crews.Watchdog(LONGEST_SILENCE_S + task.settings.max_seconds) as watchdog:
        return clip_file.write(task, watchdog.hear)


def write_quietly(task: ClipTask) -> ClipReport:
    """Write a clip's records on a worker of a Dask cluster, on one core, as its other threads have their own."""
    _begin()
    if task.settings.flow_device == "gpu":
        flow_on_gpu.check_device()
    return clip_file.write(task)
