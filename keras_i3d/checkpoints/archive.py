"""Take the checkpoint out of a published archive (.tar.gz), as TF-Slim's come."""

from __future__ import annotations

import gzip
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from keras_i3d.errors import first_line
from keras_i3d.whole_file import replacing

_CHUNK = 1 << 20


def complaint(path: Path, member: str) -> str | None:
    """Say what is wrong with an archive, or None: it must be readable to its end and hold the member."""
    try:
        with gzip.open(path) as stream:  # tarfile stops before the end, where gzip's checksum is
            while stream.read(_CHUNK):
                pass
        with _open_member(path, member):
            return None
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        return f"it is no readable .tar.gz archive ({first_line(error)})"
    except KeyError:
        return f"it is an archive without {member}"


def unpack(path: Path, member: str, target: Path) -> None:
    """Write an archive's member to `target`, by way of a temporary name, unless it is there already.

    Args:
        path: An archive without `complaint`.
        member: The file inside that is wanted.
        target: Where it goes; its folder exists.
    """
    with _open_member(path, member) as source:
        if target.is_file() and _equal(source, target):
            return
    part = target.with_name(f".{target.name}.part")
    with replacing(target, aside=part), _open_member(path, member) as source, part.open("wb") as file:
        shutil.copyfileobj(source, file, _CHUNK)


@contextmanager
def _open_member(path: Path, member: str) -> Iterator[BinaryIO]:
    """Open a regular file of an archive; KeyError where there is none."""
    with tarfile.open(path, "r:gz") as archive:
        for entry in archive:
            if entry.isreg() and entry.name.removeprefix("./") == member:
                yield archive.extractfile(entry)
                return
    raise KeyError(member)


def _equal(source: BinaryIO, path: Path) -> bool:
    with path.open("rb") as file:
        while True:
            wanted = source.read(_CHUNK)
            if wanted != file.read(_CHUNK):
                return False
            if not wanted:
                return True
