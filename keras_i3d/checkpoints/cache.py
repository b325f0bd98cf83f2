"""The folder of published files on this machine: where things lie, digests, and one writer at a time.

A file lies at ``<Keras home>/keras_i3d/<path under the source>``; what was converted for Keras lies in the folder
``converted`` there.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keras_i3d.errors import WeightsUnavailable, first_line

_log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Return the folder of the cache, which also takes files that were put there by hand."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "keras_i3d"


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
    path = target.with_name(f".{target.name}.lock")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _acquire(path, target)
    except OSError as error:
        raise unwritable(target, error) from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is still held, so that nobody removes a lock that another took
        os.close(descriptor)


def _acquire(path: Path, target: Path) -> int:
    said = False
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            said = _take(descriptor, target, said)
            if _is_still(path, descriptor):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its holder removed it in the meantime: a lock that nobody else can see


def _take(descriptor: int, target: Path, said: bool) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if not said:
            _log.warning("another process is at work on %s; waiting for it", target)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return True
    return said


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def unwritable(path: Path, error: OSError) -> WeightsUnavailable:
    """Return the error that says why a file of the cache could not be written, and what helps."""
    return WeightsUnavailable(
        f"{path} could not be written ({error.strerror or first_line(error)}); make room or give the right to write "
        f"there, or set KERAS_HOME to another folder (the cache is {cache_folder()})"
    )
