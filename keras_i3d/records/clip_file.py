"""One clip of a data set to one file of records: what a worker does, on whatever machine it runs.

Frames are encoded as they are decoded, so a worker holds the encoded pictures of one record and no more,
whatever the length of the video. The file appears whole or not at all, and beside it, last, a report; what a
killed worker left is written over.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from typing import Any, BinaryIO

import numpy as np

from keras_i3d import storage
from keras_i3d.datasets.dataset import LabelledClip
from keras_i3d.errors import StorageError, VideoError, first_line
from keras_i3d.extras import import_extra
from keras_i3d.records import coding, flow_on_gpu, schema, tfrecord
from keras_i3d.records.settings import RecordSettings
from keras_i3d.video import decode, encode, flow
from keras_i3d.video.container import StorageFailed

Pair = tuple[np.ndarray, np.ndarray | None]  # a frame and its flow
LARGEST_UNTOUCHED = 1 << 30  # bytes; a protocol buffer ends at twice that


@dataclass(frozen=True)
class ClipTask:
    """What a worker is told.

    Attributes:
        clip: The clip.
        label_index: Its class, or None.
        dataset: Name of the data set.
        settings: What decides the content.
        folder: Where the file goes.
        further_indices: The classes of the clip's further labels.
    """

    clip: LabelledClip
    label_index: int | None
    dataset: str
    settings: RecordSettings
    folder: str
    further_indices: tuple[int, ...] = ()

    @property
    def records_path(self) -> str:
        """The file of the clip's records."""
        return storage.join(self.folder, f"{file_stem(self.clip)}.tfrecord")

    @property
    def report_path(self) -> str:
        """The file of the clip's report, written when all else is."""
        return storage.join(self.folder, f"{file_stem(self.clip)}.json")


@dataclass(frozen=True)
class ClipReport:
    """What became of a clip.

    Attributes:
        clip: Its id.
        frames: Frames of each of its records.
        size: Bytes that they take.
        skipped: Why there are none, otherwise None.
        damaged: What is wrong with the video although it was kept, otherwise None.
        made_with: Versions of what decoded and encoded; None where nothing was written, or long ago.
    """

    clip: str
    frames: tuple[int, ...] = ()
    size: int = 0
    skipped: str | None = None
    damaged: str | None = None
    made_with: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> ClipReport:
        """Make a report from what `to_json` gave."""
        return cls(**values | {"frames": tuple(values["frames"])})


def file_stem(clip: LabelledClip) -> str:
    """Return a file name that no other clip of the data set has, and that every file system takes."""
    return hashlib.sha256(clip.id.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def write(task: ClipTask, on_frame: Callable[[], None] = lambda: None) -> ClipReport:
    """Write the records of one clip, then the report.

    A clip that cannot be decoded gives no file, and a report that says why.

    Args:
        task: What to write, and where.
        on_frame: Called after each frame.

    Raises:
        OSError: The folder cannot be written.
        StorageError: It is remote and cannot be written, or the video is, and its storage cannot be reached.
    """
    damages: list[str] = []
    frames: list[int] = []
    try:
        with opened(task.clip.path) as source, storage.replacing(task.records_path) as aside:
            with aside.open("wb") as file:
                for pictures, example_id in _records(task, source, damages.append, on_frame):
                    tfrecord.write(file, schema.to_example(_source(task, example_id), pictures))
                    frames.append(pictures.count)
            size = aside.stat().st_size
        report = ClipReport(task.clip.id, tuple(frames), size, made_with=made_with(task.settings))
    except StorageFailed as error:  # of the network, or of the storage's keys: no fault of the video
        raise StorageError(str(error)) from error
    except VideoError as error:
        report = ClipReport(task.clip.id, skipped=_one_line(error))
        damages.clear()
    if damages:
        report = replace(report, damaged=damages[0])
    storage.write_json(task.report_path, report.to_json())
    return report


def versions(settings: RecordSettings) -> dict[str, str]:
    """Return the versions of the packages that decide the bytes of records, by the packages' names."""
    deciding = {"av": import_extra("av").__version__, "opencv": flow.opencv_version()}
    if settings.flow != "tvl1":
        return deciding
    return deciding | (flow_on_gpu.versions() if settings.flow_device == "gpu" else flow.tvl1_versions())


def made_with(settings: RecordSettings) -> str:
    """Return these versions in words."""
    return ", ".join(f"{name} {version}" for name, version in versions(settings).items())


def _one_line(error: VideoError) -> str:
    return " ".join(str(error).split())


def _source(task: ClipTask, example_id: str) -> schema.Source:
    clip = task.clip
    further = tuple(zip(task.further_indices, clip.further_labels, strict=True))
    return schema.Source(example_id, task.dataset, clip.name, task.label_index, clip.label, clip.splits, further)


@contextmanager
def opened(path: str) -> Iterator[str | BinaryIO]:
    """Give a local path as it is, and a remote video as a file of which only what is decoded is fetched."""
    if not storage.is_remote(path):
        yield path
        return
    with ExitStack() as stack:
        try:
            file = stack.enter_context(storage.open_reading(path))
        except StorageError as error:
            if storage.exists(path):
                raise
            raise VideoError(str(error)) from error
        yield file  # errors of what is written meanwhile are none of the video


def _records(
    task: ClipTask, source: str | BinaryIO, on_damage: Callable[[str], None], on_frame: Callable[[], None]
) -> Iterator[tuple[schema.Pictures, str]]:
    """Yield the pictures of each record of a clip, and the record's id."""
    clip, settings = task.clip, task.settings
    frames = decode.iterate_frames(
        source,
        fps=settings.fps,
        short_side=settings.short_side,
        start_s=clip.start_s,
        end_s=clip.end_s,
        limits=settings.limits,
        threads=1,  # the other cores have workers of their own
        on_damage=on_damage if settings.keep_truncated else None,
    )
    pairs = _noted(_with_flow(frames, settings), on_frame)
    if settings.video_coding == "untouched":
        yield _untouched(pairs, source, clip, settings), clip.id
        return
    most = max(1, round(settings.record_s * settings.fps))
    following = next(pairs, None)
    for number in itertools.count():
        start_s = clip.start_s + number * most / settings.fps
        pictures = _encoded(itertools.chain([following], itertools.islice(pairs, most - 1)), settings, start_s)
        following = next(pairs, None)
        if following is None and not number:
            yield pictures, clip.id
            return
        yield pictures, f"{clip.id}#{number + 1}"
        if following is None:
            return


def _with_flow(frames: Iterator[np.ndarray], settings: RecordSettings) -> Iterator[Pair]:
    try:
        if settings.flow_device == "gpu":
            yield from flow_on_gpu.with_flow(frames)
        else:
            yield from flow.with_flow(frames, settings.flow)
    except (ValueError, import_extra("cv2").error) as error:
        raise VideoError(f"flow of its frames cannot be computed ({first_line(error)})") from error


def _noted(pairs: Iterator[Pair], on_frame: Callable[[], None]) -> Iterator[Pair]:
    for pair in pairs:
        on_frame()
        yield pair


class _Passage:
    """Frames on their way to what stores them: counted, and their flow encoded aside."""

    def __init__(self, pairs: Iterable[Pair]) -> None:
        self._pairs = pairs
        self.size, self.count = (0, 0), 0
        self.fields: list[bytes] = []

    def __iter__(self) -> Iterator[np.ndarray]:
        for frame, field in self._pairs:
            self.size, self.count = frame.shape[:2], self.count + 1
            if field is not None:
                self.fields.append(coding.encode_png(flow.to_stored(field)))
            yield frame

    def pictures(self, settings: RecordSettings, start_s: float, **stored: Any) -> schema.Pictures:
        """Return what went by, stored as said."""
        return schema.Pictures(self.size, settings.fps, start_s, self.count, flow=self.fields or None, **stored)


def _encoded(pairs: Iterable[Pair], settings: RecordSettings, start_s: float) -> schema.Pictures:
    """Encode frames, and their flow, as pictures or as a video."""
    passage = _Passage(pairs)
    with _storable(passage):
        if settings.store == "video":
            video = encode.encode_video(passage, fps=settings.fps, crf=settings.crf)
            return passage.pictures(settings, start_s, video=video, video_start_s=start_s)
        jpegs = [coding.encode_jpeg(frame, settings.jpeg_quality) for frame in passage]
        return passage.pictures(settings, start_s, jpegs=jpegs)


@contextmanager
def _storable(passage: _Passage) -> Iterator[None]:
    """Turn what encoders say of sizes that they cannot take into an error of the video."""
    refusals = (ValueError, import_extra("av").error.FFmpegError, import_extra("cv2").error)
    try:
        yield
    except refusals as error:
        height, width = passage.size
        raise VideoError(f"frames of {width}x{height} cannot be stored ({first_line(error)})") from error


def _untouched(
    pairs: Iterable[Pair], source: str | BinaryIO, clip: LabelledClip, settings: RecordSettings
) -> schema.Pictures:
    """Keep the file as it is, after it was decoded once, so that its damage is known and its frames are counted."""
    with nullcontext(source) if not isinstance(source, str) else open(source, "rb") as file:  # noqa: PTH123
        size = file.seek(0, os.SEEK_END)
        if size > LARGEST_UNTOUCHED:
            raise VideoError(
                f"{clip.path}: {size:,} bytes are too many for one record, which takes {LARGEST_UNTOUCHED:,}; "
                "--video-coding h264 makes several records of a long video"
            )
        passage = _Passage(pairs)
        with _storable(passage):
            deque(passage, maxlen=0)
        file.seek(0)
        return passage.pictures(settings, clip.start_s, video=file.read())
