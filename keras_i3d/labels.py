"""Class names: one a line, UTF-8; the line's place, counted from 0, is the class's index."""

from __future__ import annotations

import os
from collections.abc import Sequence

from keras_i3d import storage
from keras_i3d.errors import DatasetError, StorageError

FILE_NAME = "labels.txt"


def read(path: str | os.PathLike) -> list[str]:
    """Read class names.

    Raises:
        DatasetError: The file cannot be read, has no line, an empty line, or a name twice.
    """
    try:
        text = storage.read_bytes(path).decode("utf-8-sig").replace("\r\n", "\n")
    except (OSError, StorageError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: cannot be read as class names, one a line ({error})") from error
    if not text:
        raise DatasetError(f"{path}: holds no class name; one a line is expected")
    names = text.removesuffix("\n").split("\n")
    seen: set[str] = set()
    for number, name in enumerate(names, start=1):
        if not name.strip():
            raise DatasetError(f"{path}: line {number} is empty; every line is a class name")
        if name in seen:
            raise DatasetError(f"{path}: line {number} names {name!r} a second time")
        seen.add(name)
    return names


def write(path: str | os.PathLike, names: Sequence[str]) -> None:
    """Write class names, so that `read` gives them back.

    Raises:
        ValueError: A name is blank or more than a line.
    """
    for name in names:
        if not name.strip() or {"\n", "\r"} & set(name):
            raise ValueError(f"a class name must be one line of text, got {name!r}")
    storage.write_text(path, "".join(f"{name}\n" for name in names))
