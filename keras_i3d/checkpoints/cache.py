"""The folder of published files on this machine: where things lie, digests, and one writer at a time.

A file lies at ``<Keras home>/keras_i3d/<path under the source>``; what was converted for Keras lies in the folder
``converted`` there.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from keras_i3d.cache_folder import cache_folder
from keras_i3d.errors import WeightsUnavailable, first_line
from keras_i3d.lock import beside

_log = logging.getLogger(__name__)


def git_blob_id(path: Path) -> str:
    """Return git's name of a file's content: SHA-1 of ``blob <size>``, a zero byte, and the content."""
    return _digest(path, hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False))


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    return _digest(path, hashlib.sha256())


def _digest(path: Path, digest: hashlib._Hash) -> str:
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def lock(target: Path) -> Iterator[None]:
    """Let one process (and thread) at a time make a file of the cache; its folder is made where it is absent.

    The others wait and say so. A process that is killed sets the lock free.

    Raises:
        WeightsUnavailable: The cache cannot be written.
    """

    def waits() -> None:
        _log.warning("another process is at work on %s; waiting for it", target)

    with ExitStack() as held:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(beside(target, waits))
        except OSError as error:
            raise unwritable(target, error) from error
        yield


def unwritable(path: Path, error: OSError) -> WeightsUnavailable:
    """Return the error that says why a file of the cache could not be written, and what helps."""
    return WeightsUnavailable(
        f"{path} could not be written ({error.strerror or first_line(error)}); make room or give the right to write "
        f"there, or set KERAS_HOME to another folder (the cache is {cache_folder()})"
    )
