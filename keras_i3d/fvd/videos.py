"""The videos of a set, from wherever they are: files, arrays in memory, arrays on the disk, or batches as they come.

Nothing here changes their values: see `keras_i3d.fvd.clips`.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_i3d import storage
from keras_i3d.datasets import files
from keras_i3d.datasets.named_videos import DEPTH
from keras_i3d.errors import DatasetError
from keras_i3d.video import decode

CHUNK = 32  # frames that are in memory at once at their own size


class VideoSetWarning(UserWarning):
    """Two sets can be compared, but the number may mislead; the message says why."""


@dataclass(frozen=True)
class Video:
    """One video of a set.

    Attributes:
        name: What messages call it.
        chunks: Called with the most frames wanted, or None for all; yields arrays (frames, height, width, 3).
    """

    name: str
    chunks: Callable[[int | None], Iterator[np.ndarray]]


@dataclass(frozen=True)
class VideoSet:
    """The videos of a set, to be gone through once.

    Attributes:
        videos: One after the other.
        count: How many, where that is known.
        fps: Frames per second that files are brought to; None where they are left as they are, and of arrays.
    """

    videos: Iterable[Video]
    count: int | None
    fps: float | None = None


def open_set(source: Any, *, name: str, fps: float | None = None) -> VideoSet:
    """Open a set of videos.

    Args:
        source: A folder, which is searched for video files; an ``.npy`` file or an array (videos, time, height, width,
            3); paths of video files; or what yields arrays, each one video (time, height, width, 3) or a batch of
            them. A set that is open already is returned.
        name: What messages call the set.
        fps: Frames per second that files are brought to; None keeps their own frames.

    Raises:
        ValueError: It is none of these.
        DatasetError: A folder or file cannot be read, or holds no video.
    """
    if isinstance(source, VideoSet):
        return source
    if isinstance(source, str | os.PathLike):
        return _at(source, fps)
    if hasattr(source, "shape") and hasattr(source, "dtype"):
        return _of_array(source, name)
    if isinstance(source, Sequence) and source and all(isinstance(item, str | os.PathLike) for item in source):
        return _of_files(source, fps)
    if isinstance(source, dict | bytes) or not isinstance(source, Iterable):
        raise ValueError(
            f"{name}: videos must be a folder, an .npy file, saved statistics (.npz), paths of video files, an array "
            f"(videos, time, height, width, 3), or what yields such arrays; got {type(source).__name__}"
        )
    return VideoSet(_of_batches(source, name), None)


def _at(path: str | os.PathLike, fps: float | None) -> VideoSet:
    if not storage.is_remote(path) and Path(path).suffix == ".npy":
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise DatasetError(f"{path}: cannot be read as an array ({error})") from error
        return _of_array(array, os.fspath(path))
    if not storage.is_remote(path) and Path(path).is_file():
        raise DatasetError(f"{path}: is one file; a set is a folder of videos, an .npy array or .npz statistics")
    names = files.find(path, files.VIDEO_ENDINGS, depth=DEPTH)
    if not names:
        raise DatasetError(f"{path}: no video in it; known endings are {' '.join(files.VIDEO_ENDINGS)}")
    return _of_files([storage.join(path, name) for name in names], fps)


def _of_files(paths: Sequence[str | os.PathLike], fps: float | None) -> VideoSet:
    return VideoSet((_of_file(path, fps) for path in paths), len(paths), fps)


def _of_file(path: str | os.PathLike, fps: float | None) -> Video:
    def chunks(most: int | None) -> Iterator[np.ndarray]:
        # several files are decoded at once, each by one thread
        frames = itertools.islice(decode.iterate_frames(path, fps=fps, short_side=None, threads=1), most)
        while some := list(itertools.islice(frames, CHUNK)):
            yield np.stack(some)

    return Video(os.fspath(path), chunks)


def _of_array(array: Any, name: str) -> VideoSet:
    if len(array.shape) != 5:
        raise ValueError(f"{name}: an array of videos is (videos, time, height, width, 3), got {tuple(array.shape)}")
    return VideoSet((_of_clip(array, index, f"{name}[{index}]") for index in range(len(array))), len(array))


def _of_clip(array: Any, index: int, name: str) -> Video:
    clip = array[index]  # a view

    def chunks(most: int | None) -> Iterator[np.ndarray]:
        taken = clip[:most]
        for start in range(0, len(taken), CHUNK):
            yield np.asarray(taken[start : start + CHUNK])

    return Video(name, chunks)


def _of_batches(batches: Iterable[Any], name: str) -> Iterator[Video]:
    count = 0
    for batch in batches:
        if isinstance(batch, str | os.PathLike):
            raise ValueError(f"{name}: paths are given as a list, and not mixed with arrays; got {os.fspath(batch)!r}")
        rank = len(getattr(batch, "shape", ()))
        if rank not in (4, 5):
            raise ValueError(
                f"{name}: item {count} is no video (time, height, width, 3) and no batch of videos; got "
                f"{type(batch).__name__}{f' of shape {tuple(batch.shape)}' if hasattr(batch, 'shape') else ''}"
            )
        videos = batch if rank == 5 else batch[None]
        for index in range(len(videos)):
            yield _of_clip(videos, index, f"{name}[{count}]")
            count += 1
