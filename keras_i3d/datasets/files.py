"""Find the files of a data set and read its lists, on this machine or behind a URL.

Folders of this machine are walked here and not by `storage`, since data sets end at a known depth below which there
may be millions of files, of frames for one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import TextIO

from keras_i3d import storage
from keras_i3d.errors import DatasetError

VIDEO_ENDINGS = (
    *(".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts"),
    *(".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m"),
)


def is_video(name: str) -> bool:
    """Return whether a file name has the ending of a video, whatever its case."""
    return name.lower().endswith(VIDEO_ENDINGS)


def find(root: str | os.PathLike, endings: Sequence[str], *, depth: int) -> list[str]:
    """List the files below a folder that have one of the endings, whatever its case.

    Hidden files and folders are passed over, links are followed.

    Args:
        root: The folder, a local path or a URL.
        endings: With their dots, in lower case.
        depth: Of the deepest files: 1 for those in the folder itself.

    Returns:
        Names relative to the folder, with slashes, in the order of their parts.

    Raises:
        DatasetError: A local folder cannot be read.
    """
    names = _remote_names(os.fspath(root), depth) if storage.is_remote(root) else _local_names(Path(root), depth)
    return sorted((name for name in names if name.lower().endswith(tuple(endings))), key=lambda name: name.split("/"))


def _remote_names(root: str, depth: int) -> Iterator[str]:
    for name in storage.walk(root):
        parts = name.split("/")
        if len(parts) <= depth and not any(part.startswith(".") for part in parts):
            yield name


def _local_names(root: Path, depth: int) -> Iterator[str]:
    pending = [("", 1)]
    while pending:
        prefix, level = pending.pop()
        for name, is_folder in entries(root / prefix):
            if not is_folder:
                yield f"{prefix}{name}"
            elif level < depth:
                pending.append((f"{prefix}{name}/", level + 1))


def entries(folder: Path) -> Iterator[tuple[str, bool]]:
    """Yield the name of each entry of a local folder that is not hidden, and whether it is a folder.

    Raises:
        DatasetError: The folder cannot be read.
    """
    try:
        with os.scandir(folder) as found:
            yield from ((entry.name, _is_folder(entry)) for entry in found if not entry.name.startswith("."))
    except OSError as error:
        raise DatasetError(f"{error.filename or folder}: cannot be read as a folder ({error.strerror})") from error


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself; whoever reads the file will say so
        return False


@contextmanager
def open_text(path: str | os.PathLike, kind: str) -> Iterator[TextIO]:
    """Open a text file, UTF-8, with its line ends as they are.

    Args:
        path: A local path or a URL.
        kind: What the file is to be, for the message.

    Raises:
        DatasetError: The file cannot be read, now or while the block reads it.
    """
    try:
        with _opened(path) as file:
            yield file
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: cannot be read as {kind} ({error})") from error


def _opened(path: str | os.PathLike) -> TextIO:
    if storage.is_remote(path):
        return StringIO(storage.read_text(os.fspath(path)).removeprefix("\ufeff"), newline="")
    return Path(path).open(encoding="utf-8-sig", newline="")


def read_lines(path: str | os.PathLike, kind: str) -> Iterator[tuple[str, str]]:
    """Yield each line of a text file that is not blank, without blanks at its ends, after its place.

    Raises:
        DatasetError: The file cannot be read, or has no such line.
    """
    with open_text(path, kind) as file:
        lines = file.read().replace("\r\n", "\n").split("\n")
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield f"{path}: line {number}", line.strip()
    if not any(line.strip() for line in lines):
        raise DatasetError(f"{path}: is empty; {kind} is expected")
