"""Output folders: a command claims an empty one, and finds its own again, never another's.

The claim is ``run.json``: the command and the settings that decide its output. The same command with the same
settings goes on where it stopped; anything else in the folder is an error, and stays as it is. While a run is at
work in a local folder, ``run.json`` is locked, so that a second one refuses. In a bucket nothing can be locked:
there, who starts two runs on one folder at once is not told.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from keras_i3d import lock, storage
from keras_i3d.errors import OutputFolderError, StorageError
from keras_i3d.whole_file import WRITING

CLAIM = "run.json"


@contextmanager
def claim(
    folder: str | os.PathLike, command: str, settings: dict[str, Any], *, may_be_remote: bool = False
) -> Iterator[Any]:
    """Make a folder this command's own while the block runs, creating it where it is absent.

    A block that fails before it has left anything takes the claim, and a folder made for it, away again. The lock
    of a local folder ends with the block or the process; programs started meanwhile do not hold it. File systems
    without locks, as some network file systems are, let a second run pass.

    Args:
        folder: The output folder, a local path or a URL.
        command: Name of the command.
        settings: What decides the output, as JSON values.
        may_be_remote: Whether the command can write to a URL.

    Yields:
        The folder: a ``Path`` of a local one, the URL (``str``) of a remote one.

    Raises:
        OutputFolderError: The folder holds something else, cannot be written, or another run is at work in it.
        StorageError: A remote folder cannot be reached or written.
    """
    wanted = {"command": command, "settings": json.loads(json.dumps(settings))}
    local = storage.local_path(folder)
    if local is None and not may_be_remote:
        raise OutputFolderError(f"{folder}: `{command}` writes to a folder of this machine, not to a URL")
    with _remote(str(folder), wanted) if local is None else _local(local, wanted) as claimed:
        yield claimed


@contextmanager
def room_left(folder: str | os.PathLike) -> Iterator[None]:
    """Tell a full disk, where the block meets one, as what can be done about it.

    Raises:
        OutputFolderError: No space is left.
    """
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise OutputFolderError(
            f"{folder}: no space is left there ({error.strerror}); what is finished stays, and the same command goes "
            "on when there is room"
        ) from error


@contextmanager
def _local(folder: Path, wanted: dict[str, Any]) -> Iterator[Path]:
    is_new = not os.path.exists(folder)  # noqa: PTH110  (pathlib's fails in a folder that may not be entered)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _locked(folder, wanted)
    except OSError as error:
        raise OutputFolderError(f"{folder}: cannot be used as output folder ({error.strerror})") from error
    try:
        for stale in folder.glob(f"{WRITING}*"):  # of a process that was killed
            stale.unlink()
        yield folder
    except BaseException:
        if folder.is_dir() and [path.name for path in folder.iterdir()] == [CLAIM]:
            (folder / CLAIM).unlink()
            if is_new:
                folder.rmdir()
        raise
    finally:
        lock.release(descriptor)


def _locked(folder: Path, wanted: dict[str, Any]) -> int:
    """Lock the claim of a folder, and write it where there is none yet; returns what `lock.release` wants."""
    path = folder / CLAIM
    names = os.listdir(folder)  # noqa: PTH208  (names alone)
    if names and CLAIM not in names:
        raise _foreign(folder, wanted)
    try:
        descriptor = lock.acquire(path, os.O_RDWR | os.O_CREAT, lambda: _refuse(path))
    except OSError as error:  # a finished run may lie where nothing can be written
        if not names or error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        descriptor = lock.acquire(path, os.O_RDONLY, lambda: _refuse(path))
    try:
        if not os.fstat(descriptor).st_size and all(name == CLAIM or name.startswith(WRITING) for name in names):
            _write(path, descriptor, wanted)
        _compare(folder, path.read_bytes(), wanted)
        with contextlib.suppress(OSError):
            os.utime(descriptor)  # for the second run to say since when this one is at work
    except BaseException:
        lock.release(descriptor)
        raise
    return descriptor


def _write(path: Path, descriptor: int, wanted: dict[str, Any]) -> None:
    """Write a claim into the file that is locked already: another one in its place would not be."""
    text = json.dumps(wanted, indent=2).encode() + b"\n"
    try:
        if os.write(descriptor, text) < len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError:
        path.unlink()
        raise


def _refuse(path: Path) -> NoReturn:
    process = lock.holder(path)
    who = f"process {process} on {socket.gethostname()}" if process else "on another machine or in another container"
    with contextlib.suppress(OSError):
        who += time.strftime(" since %Y-%m-%d %H:%M:%S", time.localtime(path.stat().st_mtime))
    raise OutputFolderError(
        f"{path.parent}: another run is writing here ({who}); wait for it, or choose another folder"
    )


@contextmanager
def _remote(folder: str, wanted: dict[str, Any]) -> Iterator[str]:
    path = storage.join(folder, CLAIM)
    if storage.exists(path):
        _compare(folder, storage.read_bytes(path), wanted)
    elif storage.exists(folder) and storage.listing(folder):
        raise _foreign(folder, wanted)
    else:
        storage.make_folder(folder)
        storage.write_json(path, wanted)
    try:
        yield folder
    except BaseException:
        with contextlib.suppress(StorageError):
            if storage.listing(folder) == [CLAIM]:
                storage.remove(path)
        raise


def _compare(folder: Path | str, content: bytes, wanted: dict[str, Any]) -> None:
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    if not (isinstance(found, dict) and "command" in found and isinstance(found.get("settings"), dict)):
        raise _foreign(folder, wanted)
    if found != wanted:
        raise OutputFolderError(f"{folder}: {_difference(found, wanted)}; choose another one or delete it")


def _foreign(folder: Path | str, wanted: dict[str, Any]) -> OutputFolderError:
    return OutputFolderError(
        f"{folder}: holds files that are no run of this command; the output folder must be new, empty, "
        f"or a run of `{wanted['command']}` with the same settings"
    )


def _difference(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    if found["command"] != wanted["command"]:
        return f"holds a run of `{found['command']}`, not of `{wanted['command']}`"
    there, asked = _flat(found["settings"]), _flat(wanted["settings"])
    absent = object()
    different = [key for key in sorted(set(there) | set(asked)) if there.get(key, absent) != asked.get(key, absent)]
    shown = ", ".join(f"{key} {there.get(key)!r} there, {asked.get(key)!r} asked" for key in different[:3])
    return f"holds a run of `{found['command']}` with other settings ({shown})"


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Turn {"recipe": {"size": 64}} into {"recipe.size": 64}."""
    flat = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
