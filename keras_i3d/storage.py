"""Files on this machine and in buckets through the same functions: a path is a local one or a URL.

URLs (``s3://``, ``gs://``, ``http://`` and ``https://``, and what fsspec knows) need the extra ``remote``; local paths
and ``file://`` need nothing. Buckets have no folders: there, a folder is what the names of files begin with.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from keras_i3d import file_systems, lock, whole_file
from keras_i3d.cache_folder import cache_folder
from keras_i3d.errors import StorageError, first_line

AnyPath = str | os.PathLike

_URL = re.compile(r"([a-z][a-z0-9+.-]*::)*[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_SPOILT_URL = re.compile(r"[a-z][a-z0-9+.-]+:/[^/]", re.IGNORECASE)  # c:/ is none
_FILE = "file://"
_VERSION_KEYS = ("size", "ETag", "etag", "md5Hash", "generation", "Content-MD5", "Last-Modified")
_VERSION_KEYS += ("LastModified", "mtime", "updated", "created")
_log = logging.getLogger(__name__)


def is_remote(path: AnyPath) -> bool:
    """Tell whether a path is a URL, rather than a path of this machine."""
    return isinstance(path, str) and _URL.match(path) is not None


def local_path(path: AnyPath) -> Path | None:
    """Return the path of a file of this machine, also where it is given as ``file://``; None for one elsewhere."""
    if not is_remote(path):
        if not isinstance(path, str) and _SPOILT_URL.match(os.fspath(path)):
            raise ValueError(f"a URL must be given as text, which pathlib makes a local path of; got {path!r}")
        return Path(path)
    return Path(str(path)[len(_FILE) :]) if str(path).lower().startswith(_FILE) else None


def join(folder: AnyPath, *names: str) -> str:
    """Put names behind a folder.

    Args:
        folder: Local path or URL.
        names: Relative, parts of them separated by ``/``; for web servers they are percent-encoded here.
    """
    if not is_remote(folder):
        return str(Path(folder, *names))
    if _protocol(folder) in file_systems.HTTP:
        names = tuple(urllib.parse.quote(name) for name in names)
    return "/".join([str(folder).rstrip("/"), *(name.strip("/") for name in names)])


def absolute(path: AnyPath) -> AnyPath:
    """Return a local path from the root on, which means the same in every process; a URL as it is."""
    return path if is_remote(path) else type(path)(os.path.abspath(path))  # noqa: PTH100


def exists(path: AnyPath) -> bool:
    """Tell whether there is a file or folder.

    Raises:
        StorageError: That cannot be known, as where the network is down.
    """
    local = local_path(path)
    return _trying(path, local.exists) if local else file_systems.place(str(path)).info() is not None


def is_folder(path: AnyPath) -> bool:
    """Tell whether there is a folder; in a bucket, whether there is anything below it.

    Raises:
        StorageError: That cannot be known, as where the network is down.
    """
    local = local_path(path)
    if local:
        return _trying(path, local.is_dir)
    info = file_systems.place(str(path)).info()
    return info is not None and info["type"] == "directory"


def size(path: AnyPath) -> int:
    """Return the bytes of a file.

    Raises:
        StorageError: It is absent, or cannot be asked for.
    """
    local = local_path(path)
    if local:
        return _trying(path, lambda: local.stat().st_size)
    found = file_systems.place(str(path)).file_info()["size"]
    if found is None:  # web servers need not say
        with local_copy(path) as copy:
            return copy.stat().st_size
    return found


def listing(folder: AnyPath) -> list[str]:
    """Return the sorted names of the files and folders directly inside.

    Raises:
        StorageError: The folder is absent, which in buckets is the same as empty, or it cannot be listed.
    """
    local = local_path(folder)
    if local:
        return sorted(_trying(folder, lambda: os.listdir(local)))  # noqa: PTH208  (names alone)
    place = file_systems.place(str(folder))
    return sorted({name.partition("/")[0] for name in place.below(place.system.ls, False)})


def walk(folder: AnyPath) -> Iterator[str]:
    """Yield the names of all files below, relative to the folder, with ``/`` between the parts, sorted.

    Links to folders are followed.

    Raises:
        StorageError: The folder is absent, which in buckets is the same as empty, or it cannot be listed.
    """
    local = local_path(folder)
    if local:
        yield from sorted(_trying(folder, lambda: list(_files(local))))
        return
    place = file_systems.place(str(folder))
    names = sorted(place.below(place.system.find))
    if not names and place.protocol not in file_systems.BUCKETS and place.info() is None:
        raise StorageError(f"{folder}: no such file or folder")
    yield from names


def make_folder(folder: AnyPath) -> None:
    """Make a folder and those above it, where there are none and the storage has such a thing."""
    local = local_path(folder)
    if local:
        _trying(folder, lambda: local.mkdir(parents=True, exist_ok=True))
        return
    place = file_systems.place(str(folder))
    place.check_writable()
    if place.protocol not in file_systems.BUCKETS:  # where it would make the bucket itself
        place.call(place.system.makedirs, place.path, exist_ok=True)


def remove(path: AnyPath) -> None:
    """Remove a file; an absent one is fine."""
    local = local_path(path)
    if local:
        _trying(path, lambda: local.unlink(missing_ok=True))
        return
    place = file_systems.place(str(path))
    place.check_writable()

    def remove_it() -> None:
        with contextlib.suppress(FileNotFoundError):
            place.system.rm_file(place.path)

    place.call(remove_it)


def read_bytes(path: AnyPath) -> bytes:
    """Return a file's content.

    Raises:
        StorageError: It cannot be read.
    """
    local = local_path(path)
    if local:
        return _trying(path, local.read_bytes)
    place = file_systems.place(str(path))
    return place.call(place.system.cat_file, place.path)


def read_text(path: AnyPath) -> str:
    """Return a file's content, which is UTF-8.

    Raises:
        StorageError: It cannot be read, or is not text.
    """
    try:
        return read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise StorageError(f"{path}: is not text in UTF-8 ({error})") from error


def write_text(path: AnyPath, text: str) -> None:
    """Write a text file, UTF-8, that is either whole or absent.

    Raises:
        StorageError: It cannot be written.
    """
    with replacing(path) as aside:
        _trying(path, lambda: aside.write_text(text, "utf-8"))


def write_json(path: AnyPath, value: Any) -> None:
    """Write a JSON file that is either whole or absent.

    Raises:
        StorageError: It cannot be written.
    """
    write_text(path, json.dumps(value, indent=2) + "\n")


@contextmanager
def open_reading(path: AnyPath) -> Iterator[BinaryIO]:
    """Open a file for reading, binary and seekable; of a remote one only what is read is fetched.

    A web server that does not answer Range requests is asked for the whole file first.

    Raises:
        StorageError: It cannot be opened, or, where it is remote, read.
    """
    local = local_path(path)
    if local:
        with _trying(path, lambda: local.open("rb")) as file:
            yield file
        return
    place = file_systems.place(str(path))
    if place.protocol in file_systems.HTTP and not place.has_ranges():
        with local_copy(path) as copy, copy.open("rb") as file:
            yield file
        return
    with place.open() as file:
        yield file


@contextmanager
def replacing(path: AnyPath) -> Iterator[Path]:
    """Give a local file to write, which appears at `path`, whole, when the block ends well.

    A local file is written beside `path`; a remote one in the folder for temporary files, and sent at the end.

    Raises:
        StorageError: It cannot be written there; for remote files where they cannot be written at all, before the
            block begins.
    """
    local = local_path(path)
    if local:
        with _told(path, whole_file.replacing(local)) as aside:
            yield aside
        return
    place = file_systems.place(str(path))
    place.check_writable()
    with _temporary(place.path) as aside:
        yield aside
        place.send(aside)


@contextmanager
def local_copy(path: AnyPath) -> Iterator[Path]:
    """Give a file's place on this machine while the block runs: the file itself, or a copy fetched for the block.

    Raises:
        StorageError: It cannot be had.
    """
    local = local_path(path)
    if local:
        _trying(path, local.stat)
        yield local
        return
    place = file_systems.place(str(path))
    with _temporary(place.path) as copy:
        place.fetch(copy, None)
        yield copy


def cached_copy(url: str) -> Path:
    """Return a copy on this machine that stays, fetched where it is absent or the file has changed since.

    Copies lie in ``<Keras home>/keras_i3d/remote``, and may be deleted when nothing reads them. Processes that want
    the same file fetch it once.

    Raises:
        StorageError: It cannot be had, or kept.
    """
    place = file_systems.place(url)
    info = place.file_info()
    version = json.dumps([[key, str(info[key])] for key in _VERSION_KEYS if info.get(key) is not None])
    name = re.sub(r"[^\w.-]", "_", place.path.rstrip("/").rpartition("/")[2])[-100:]
    folder, key = cache_folder() / "remote", _short(url)
    target = folder / f"{key}-{_short(version)}-{name}"
    if target.is_file():
        return target

    def waits() -> None:
        _log.warning("another process is fetching %s; waiting for it", url)

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with lock.beside(target, waits):
            if not target.is_file():
                with whole_file.replacing(target, aside=folder / f".{target.name}.part") as aside:
                    place.fetch(aside, info["size"])
            for older in set(folder.glob(f"{key}-*")) - {target}:
                older.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"{url}: no copy could be kept in {folder} ({error.strerror or first_line(error)}); make room or give the "
            "right to write there, or set KERAS_HOME to another folder"
        ) from error
    return target


def _protocol(path: AnyPath) -> str:
    return str(path).partition("://")[0].lower()


def _trying(path: AnyPath, do: Callable[[], Any]) -> Any:
    try:
        return do()
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror or first_line(error)}") from error


@contextmanager
def _told(path: AnyPath, manager: contextlib.AbstractContextManager[Path]) -> Iterator[Path]:
    """Turn what a context manager itself raises into a StorageError; what its block raises passes."""
    value = _trying(path, manager.__enter__)
    try:
        yield value
    except BaseException as error:
        manager.__exit__(type(error), error, error.__traceback__)
        raise
    _trying(path, lambda: manager.__exit__(None, None, None))


def _files(folder: Path) -> Iterator[str]:
    def fail(error: OSError) -> None:
        raise error

    for parent, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        real = Path(parent).resolve()
        folders[:] = [name for name in folders if not real.is_relative_to(Path(parent, name).resolve())]  # no circles
        yield from (Path(parent, name).relative_to(folder).as_posix() for name in names)


@contextmanager
def _temporary(name: str) -> Iterator[Path]:
    """Give a temporary file's path with the last part of a name, for those who go by its ending."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="keras_i3d-"))
    except OSError as error:
        raise StorageError(f"no temporary file can be made ({error.strerror}); set TMPDIR") from error
    try:
        yield folder / (re.sub(r"[^\w.-]", "_", name.rstrip("/").rpartition("/")[2]) or "file")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
