"""One process at a time: locks on open files, which the system sets free when their process ends, however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_log = logging.getLogger(__name__)


@contextmanager
def beside(target: Path, taken: Callable[[], None]) -> Iterator[None]:
    """Let one process (and thread) at a time make a file, by a lock file beside it that is gone afterwards.

    Args:
        target: The file to make; its folder must be there.
        taken: Called once where another is at work; unless it raises, the other is waited for.

    Raises:
        OSError: The lock file cannot be written.
    """
    path = target.with_name(f".{target.name}.lock")
    descriptor = acquire(path, os.O_RDWR | os.O_CREAT, taken)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is still held, so that nobody removes a lock that another took
        release(descriptor)


def acquire(path: Path, flags: int, taken: Callable[[], None]) -> int:
    """Open a file and lock it; returns the descriptor that `release` ends the lock with.

    Programs that this process starts do not inherit the descriptor. Where the file system knows no locks, nothing
    is locked.

    Args:
        path: The file.
        flags: How to open it.
        taken: Called once where another holds the lock; unless it raises, the lock is waited for.

    Raises:
        OSError: The file cannot be opened.
    """
    said = False
    while True:
        descriptor = os.open(path, flags, 0o666)
        try:
            if not _try(descriptor):
                if not said:
                    said = True
                    taken()
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_still(path, descriptor):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its holder removed it in the meantime: a lock that nobody else can see


def release(descriptor: int) -> None:
    """End a lock, also where a forked child holds the descriptor too."""
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def holder(path: Path) -> int | None:
    """Return the process of this machine that holds the lock on a file, None where none is to be seen."""
    try:
        status, table = path.stat(), Path("/proc/locks").read_text("ascii")
    except OSError:
        return None
    file = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    for line in table.splitlines():
        fields = (
            line.split()
        )  # 1: FLOCK ADVISORY WRITE 708 00:13:16 0 EOF; one that waits has an arrow: 1: -> FLOCK ...
        if fields[1:2] == ["FLOCK"] and fields[5] == file and int(fields[4]) > 0:
            return int(fields[4])
    return None


def _try(descriptor: int) -> bool:
    """Lock without waiting; returns False where another holds the lock."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        _log.debug("the file system knows no locks (%s)", error)
    return True


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
