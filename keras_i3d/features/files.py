"""Features of a video as one file, .npz or HDF5, and back: the arrays, their times, and how they were made.

Both hold an array for each stream (``rgb``, ``flow``, ``both``), ``times``, and ``made_with``, a JSON text.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol
from zipfile import BadZipFile

import h5py
import numpy as np

from keras_i3d import storage
from keras_i3d.errors import FeaturesFileError
from keras_i3d.features.settings import H5, NPZ

TIMES, MADE_WITH = "times", "made_with"
H5_BEGIN = b"\x89HDF\r\n\x1a\n"
CHUNK = 1 << 20  # bytes of an HDF5 chunk, or one window where that is more


@dataclass(frozen=True)
class Features:
    """Features of a video, window by window.

    Attributes:
        arrays: By stream (``"rgb"``, ``"flow"``, or ``"both"`` for what is of both), float32 (windows, channels), or
            unpooled (windows, ...) as the layer gives it.
        times: float64 (windows, 2), begin and end of each window in seconds after the video's first frame. What fills a
            window up that the video does not fill does not count.
        made_with: Model, end point, windows, versions and the video, as JSON values.
    """

    arrays: dict[str, np.ndarray]
    times: np.ndarray
    made_with: dict[str, Any]

    @property
    def frames(self) -> int:
        """Frames of the video, at `fps`."""
        return self.made_with["frames"]

    @property
    def fps(self) -> float:
        """Frames per second that the video was resampled to."""
        return self.made_with["fps"]


class Sink(Protocol):
    """Where the features of a video go, as they come."""

    def add(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take the next windows, (windows, ...) by stream."""

    def close(self, times: np.ndarray, made_with: dict[str, Any]) -> None:
        """Finish what was added."""

    def discard(self) -> None:
        """Forget what was added."""


class Memory:
    """Keeps features; `found` has them in the end."""

    found: Features

    def __init__(self, on_found: Callable[[Features], None] = lambda found: None) -> None:
        self._parts: list[dict[str, np.ndarray]] = []
        self._on_found = on_found

    def add(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take the next windows."""
        self._parts.append({stream: array.copy() for stream, array in arrays.items()})  # and let go of the batch

    def close(self, times: np.ndarray, made_with: dict[str, Any]) -> None:
        """Join the windows."""
        joined = {stream: np.concatenate([part[stream] for part in self._parts]) for stream in self._parts[0]}
        self._parts = []
        self.found = Features(joined, times, made_with)
        self._on_found(self.found)

    def discard(self) -> None:
        """Forget the windows."""
        self._parts = []


class NpzFile(Memory):
    """Writes features to an .npz file when all are there: vectors of an hour are some 50 MB."""

    def __init__(self, path: str | os.PathLike) -> None:
        super().__init__()
        self._path = path

    def close(self, times: np.ndarray, made_with: dict[str, Any]) -> None:
        """Write the file."""
        super().close(times, made_with)
        found, self.found = self.found, None
        with storage.replacing(self._path) as aside, aside.open("wb") as file:
            np.savez(file, **found.arrays, **{TIMES: times, MADE_WITH: np.array(json.dumps(made_with))})


class H5File:
    """Writes features to an HDF5 file as they come, so that maps of a long video need no memory."""

    def __init__(self, path: str | os.PathLike) -> None:
        self._stack = ExitStack()
        aside = self._stack.enter_context(storage.replacing(path))
        self._file = self._stack.enter_context(h5py.File(aside, "w"))

    def add(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Write the next windows."""
        for stream, array in arrays.items():
            if stream not in self._file:
                rows = max(1, CHUNK // max(1, array[0].nbytes))
                shape = array.shape[1:]
                self._file.create_dataset(
                    stream, (0, *shape), np.float32, maxshape=(None, *shape), chunks=(rows, *shape)
                )
            data = self._file[stream]
            data.resize(len(data) + len(array), axis=0)
            data[-len(array) :] = array

    def close(self, times: np.ndarray, made_with: dict[str, Any]) -> None:
        """Write the rest, and let the file appear."""
        self._file[TIMES] = times
        self._file[MADE_WITH] = json.dumps(made_with)
        self._stack.close()

    def discard(self) -> None:
        """Remove what was written."""
        error = _DiscardedError()
        with suppress(_DiscardedError):
            self._stack.__exit__(type(error), error, None)


class _DiscardedError(Exception):
    """Tells `storage.replacing` that the file is not to appear."""


def sink(path: str | os.PathLike, file_format: str) -> Sink:
    """Return what writes features to a file of a format, which appears whole or not at all."""
    return {NPZ: NpzFile, H5: H5File}[file_format](path)


def read_features(path: str | os.PathLike) -> Features:
    """Read a file of features, of either format; a path or a URL.

    Raises:
        FeaturesFileError: It is none, or is damaged.
        StorageError: It cannot be read.
    """
    with _opened(path) as file:
        arrays = {name: np.asarray(file[name]) for name in file if name not in (TIMES, MADE_WITH)}
        return Features(arrays, np.asarray(file[TIMES]), json.loads(_text(file[MADE_WITH])))


def read_made_with(path: str | os.PathLike) -> dict[str, Any]:
    """Read how a file of features was made, and no array of it; errors as in `read_features`."""
    with _opened(path) as file:
        return json.loads(_text(file[MADE_WITH]))


def _text(stored: Any) -> str:
    value = np.asarray(stored[()]).item()
    return value.decode() if isinstance(value, bytes) else value


@contextmanager
def _opened(path: str | os.PathLike) -> Iterator[Mapping[str, Any]]:
    with storage.local_copy(path) as copy:
        try:
            with copy.open("rb") as content, _reader(content) as file:
                yield file
        except (OSError, ValueError, LookupError, EOFError, AttributeError, RuntimeError, BadZipFile) as error:
            raise FeaturesFileError(
                f"{path}: no file of features that `keras-i3d features` writes, or a damaged one ({error})"
            ) from error


def _reader(content: BinaryIO) -> Any:
    begin = content.read(len(H5_BEGIN))
    content.seek(0)
    return h5py.File(content, "r") if begin == H5_BEGIN else np.load(content)
