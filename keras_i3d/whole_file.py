"""Files that are either whole or absent: written under a temporary name, and renamed when nothing is missing."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WRITING = ".writing-"  # begins the names of files that are not whole yet


@contextmanager
def replacing(path: Path, *, aside: Path | None = None) -> Iterator[Path]:
    """Give a temporary name beside `path`, which is renamed to it when the block ends well.

    Args:
        path: The file to write; what lies there stays until the block has ended.
        aside: A temporary name of the caller's, who sees to it that nobody else writes there, so that what a
            killed process left is written over. By default a name of its own.
    """
    if aside is None:
        descriptor, name = tempfile.mkstemp(prefix=WRITING, suffix=f"-{path.name}", dir=path.parent)
        os.close(descriptor)
        aside = Path(name)
    else:
        aside.unlink(missing_ok=True)
    try:
        yield aside
        aside.chmod(0o666 & ~_umask())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file that is either whole or absent."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file, UTF-8, that is either whole or absent."""
    with replacing(path) as aside:
        aside.write_text(text, "utf-8")


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
