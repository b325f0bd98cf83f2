"""Features of videos, in memory or as files, on this machine or on many: what a user calls."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_i3d import finished_model, progress, storage
from keras_i3d import workers as crews
from keras_i3d.datasets import named_videos
from keras_i3d.datasets.named_videos import NamedVideo
from keras_i3d.errors import FeaturesFileError, OutputFolderError
from keras_i3d.extras import import_extra
from keras_i3d.features import endpoints, files, task
from keras_i3d.features.endpoints import Endpoint
from keras_i3d.features.extraction import ArraySource, FileSource, extract
from keras_i3d.features.files import Features, Memory
from keras_i3d.features.report import Report, VideoReport
from keras_i3d.features.settings import H5, NONE, FeatureSettings
from keras_i3d.features.task import FeatureTask
from keras_i3d.run_folder import claim, room_left
from keras_i3d.whole_file import WRITING

AnyVideo = str | os.PathLike | np.ndarray


def extract_features(
    videos: AnyVideo | Sequence[AnyVideo],
    *,
    model: str | os.PathLike = "kinetics",
    output: str | os.PathLike | None = None,
    settings: FeatureSettings | None = None,
    modality: str | None = None,
    scheduler: str | None = None,
    retry_skipped: bool = False,
) -> list[Features] | Report:
    """Compute the features of videos, window by window: 1024 averaged channels in front of the classifier, or others.

    Each video is decoded once, from its begin to its end, in bounded memory. Without `output` the arrays of all videos
    are returned, and a video that cannot be used raises; with it each has a file, one that cannot be used is skipped
    and listed, and the same call again goes on where it stopped.

    Args:
        videos: A video or several: files of any format that FFmpeg reads, folders of them, or without `output` frames
            in memory, uint8 (time, height, width, 3), RGB, at the rate that the network wants (25 per second).
        model: A ``.keras`` file of a run, or a name of published weights.
        output: Folder for the files of features, or its URL.
        settings: End point, windows, precision, format; by default the features of windows of 64 frames every 8.
        modality: Of published weights: ``"rgb"``, ``"flow"`` or ``"both"``; a file knows its own.
        scheduler: Address of a Dask cluster that does the work instead, for `output`.
        retry_skipped: Whether to try what an earlier run had to skip again.

    Returns:
        For each video its features; with `output` what became of the videos.

    Raises:
        VideoError: Without `output`: a video cannot be used.
        ModelFileError: The model cannot be loaded.
        WeightsUnavailable: Published weights can be neither found nor fetched.
        OutputFolderError: The output folder holds something else, or features of other videos under these names.
        PredictionError: The network fails, or without `output` its features are no finite numbers.
        ClusterError: The Dask cluster cannot be reached, or is gone.
        ValueError: The network has no such end point or takes no such windows, an array is no frames, two videos would
            have one file, or options do not fit each other.
    """
    settings = settings or FeatureSettings()
    given = [videos] if isinstance(videos, str | os.PathLike | np.ndarray) else list(videos)
    import_extra("av")
    if output is None:
        if scheduler is not None or retry_skipped:
            raise ValueError("scheduler and retry_skipped are options of an output folder; none is given")
        return _in_memory(given, endpoints.load(model, settings, modality=modality))
    if any(isinstance(one, np.ndarray) for one in given):
        raise ValueError("frames in memory have no name to write their features under; call without output")
    if settings.pooling == NONE and settings.file_format != H5:
        raise ValueError(
            f"unpooled features are written as they come, in file_format 'h5', got {settings.file_format!r}"
        )
    name = os.fspath(model) if finished_model.is_published(model) else storage.absolute(os.fspath(model))
    return _Job(given, name, modality).run(output, settings, scheduler=scheduler, retry_skipped=retry_skipped)


def _in_memory(given: Sequence[AnyVideo], endpoint: Endpoint) -> list[Features]:
    sources: list[ArraySource | FileSource] = []
    for one in given:
        if isinstance(one, np.ndarray):
            sources.append(ArraySource(one))
        else:
            sources += [FileSource(_absolute(video)) for video in named_videos.find([one])]
    sinks = [Memory() for _ in sources]
    with progress.bar("videos", len(sources)) as bar:
        pace = _Pace(bar, len(sources))
        for outcome in extract(endpoint, sources, sinks.__getitem__, on_windows=pace.add):
            if outcome.error is not None:
                raise outcome.error
            bar.advance()
    return [sink.found for sink in sinks]


class _Job:
    """Features of videos into a folder.

    Args:
        given: Video files and folders of them.
        model: File or name of the model.
        modality: Stream of published weights.
    """

    def __init__(self, given: Sequence[str | os.PathLike], model: str, modality: str | None) -> None:
        found = named_videos.find(given)
        named_videos.check_names(found)
        self._found = [NamedVideo(_absolute(video), video.name) for video in found]  # as workers elsewhere find them
        self._model, self._modality = model, modality

    def run(
        self, output: str | os.PathLike, settings: FeatureSettings, *, scheduler: str | None, retry_skipped: bool
    ) -> Report:
        """Write what is not there yet; returns what became of all."""
        endpoint = endpoints.load(self._model, settings, modality=self._modality)
        if "flow" in endpoint.streams:
            for module in ("cv2", "numba"):
                import_extra(module)
        with (
            room_left(output),
            claim(output, "features", _claimed(endpoint), may_be_remote=True) as folder,
            progress.bar("videos", len(self._found)) as bar,
        ):
            folder = str(storage.absolute(folder))
            report = Report.read(folder)
            missing = self._missing(folder, endpoint, report, retry_skipped=retry_skipped)
            pace = _Pace(bar, len(missing))
            work = self._by_cluster(scheduler) if scheduler is not None else self._here(endpoint, pace.add)
            tasks = [self._task(video, folder, endpoint) for video in missing]
            for parent in {one.path.rpartition("/")[0] for one in tasks}:
                _make_clean(parent)
            for one in work(tasks):
                report.add(one)
                pace.end(one)
            report.write()
            return report

    def _task(self, video: NamedVideo, folder: str, endpoint: Endpoint) -> FeatureTask:
        path = _path_of(video, folder, endpoint)
        return FeatureTask(video.path, path, self._model, self._modality, endpoint.settings, task.digest(endpoint))

    def _missing(self, folder: str, endpoint: Endpoint, report: Report, *, retry_skipped: bool) -> list[NamedVideo]:
        """Return the videos that have no features yet, and count the others."""
        missing = []
        for video in self._found:
            if _is_done(video, _path_of(video, folder, endpoint)):
                report.skipped.pop(video.path, None)  # of a retry that was killed before it could say so
                report.present += 1
            elif retry_skipped or video.path not in report.skipped:
                missing.append(video)
        return missing

    def _here(
        self, endpoint: Endpoint, on_windows: Callable[[int], None]
    ) -> Callable[[Sequence[FeatureTask]], Iterator[VideoReport]]:
        def work(tasks: Sequence[FeatureTask]) -> Iterator[VideoReport]:
            sources = [FileSource(one.video) for one in tasks]

            def sink(number: int) -> files.Sink:
                return files.sink(tasks[number].path, endpoint.settings.file_format)

            for outcome in extract(endpoint, sources, sink, on_windows=on_windows):
                yield task.report(tasks[outcome.video].video, outcome)

        return work

    def _by_cluster(self, scheduler: str) -> Callable[[Sequence[FeatureTask]], Iterator[VideoReport]]:
        def work(tasks: Sequence[FeatureTask]) -> Iterator[VideoReport]:
            with crews.DaskCluster(scheduler) as cluster:
                yield from crews.in_order(cluster, task.write, tasks, lost=task.lost)

        return work


def _absolute(video: NamedVideo) -> str:
    return str(storage.absolute(video.path))


def _make_clean(folder: str) -> None:
    """Make a folder, or remove from it what a killed process left: `claim` looks at the topmost alone."""
    storage.make_folder(folder)
    local = storage.local_path(folder)
    for stale in local.glob(f"{WRITING}*") if local else ():
        stale.unlink()


def _path_of(video: NamedVideo, folder: str, endpoint: Endpoint) -> str:
    return storage.join(folder, *f"{video.name}.{endpoint.settings.file_format}".split("/"))


def _is_done(video: NamedVideo, path: str) -> bool:
    """Tell whether the features of a video are there.

    Raises:
        OutputFolderError: Those of another video are.
    """
    if not storage.exists(path):
        return False
    try:
        made = files.read_made_with(path)
    except FeaturesFileError:  # in pieces after a power failure
        return False
    before, known = str(made.get("video")), made.get("video_bytes")
    # a video may have been moved since, and then is no more where it was
    moved = Path(before).name == Path(video.path).name and not storage.exists(before)
    if (before == video.path or moved) and (not storage.exists(video.path) or known == storage.size(video.path)):
        return True
    if before == video.path:
        raise OutputFolderError(
            f"{path}: holds the features of {before} as it was, of {known} bytes, and it has {storage.size(before)} "
            "now; delete that file, and the same command makes it anew"
        )
    raise OutputFolderError(
        f"{path}: holds the features of {before}, not of {video.path}; choose another output folder"
    )


def _claimed(endpoint: Endpoint) -> dict[str, Any]:
    """Return what must be the same in all runs on one folder: all that decides the features of a video."""
    chosen = ("network", "modality", "fps", "short_side", "size")
    facts = {name: endpoint.facts[name] for name in chosen}
    return endpoint.settings.decisive() | facts | {"model": task.digest(endpoint)}


class _Pace:
    """Says behind the bar how fast it goes."""

    def __init__(self, bar: progress.Bar, videos: int) -> None:
        self._bar, self._videos, self._since = bar, videos, time.monotonic()
        self._windows = self._skipped = 0

    def add(self, windows: int) -> None:
        """Count windows."""
        if not self._windows:
            self._bar.set_total(self._videos)
        self._windows += windows
        self._note()
        self._bar.advance(0)

    def end(self, one: VideoReport) -> None:
        """Count a video."""
        self._skipped += one.skipped is not None
        self._note()
        self._bar.advance()

    def _note(self) -> None:
        rate = self._windows / max(time.monotonic() - self._since, 1e-3)
        self._bar.note(f"{self._windows} windows, {rate:.1f}/s, {self._skipped} skipped")
