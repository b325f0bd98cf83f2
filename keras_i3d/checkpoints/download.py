"""Fetch published files into Keras's cache, and hand out only what was verified.

A file lies at ``<Keras home>/keras_i3d/<path under the source>``. It is fetched under a temporary name,
compared with the git blob id of the catalogue, and renamed when it is whole.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import tempfile
import urllib.request
from pathlib import Path

from keras_i3d import labels, progress
from keras_i3d.checkpoints.catalogue import RemoteFile, Row
from keras_i3d.errors import WeightsUnavailable

TIMEOUT_S = 30


def cache_folder() -> Path:
    """Return the folder of the cache, which also takes files that were put there by hand."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "keras_i3d"


def checkpoint(row: Row) -> Path:
    """Return the local path of a row's checkpoint (its ``.index`` file), fetching what is absent.

    Raises:
        WeightsUnavailable: A file can be neither found nor fetched, or is not the published one.
    """
    paths = [fetch(file, row.source) for file in row.files]
    return next(path for path in paths if path.suffix == ".index")


def class_names(row: Row) -> list[str]:
    """Return the class names of a row in the order of its outputs; errors as in `checkpoint`."""
    return labels.read(fetch(row.label_map, row.source))


def fetch(file: RemoteFile, source: str) -> Path:
    """Return the local path of one published file, fetching and verifying it where it is absent.

    Raises:
        WeightsUnavailable: It can be neither found nor fetched, or is not the published one.
    """
    target = cache_folder() / file.path
    if not target.is_file():
        _download(source + file.path, target, file.blob)
    elif (found := git_blob_id(target)) != file.blob:
        raise WeightsUnavailable(
            f"{target} is not the published file: its git blob id is {found}, published is {file.blob}. "
            "Delete it to have it fetched again"
        )
    return target


def git_blob_id(path: Path) -> str:
    """Return git's name of a file's content: SHA-1 of ``blob <size>``, a zero byte, and the content."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _download(address: str, target: Path, blob: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(descriptor)
    aside = Path(name)
    try:
        with aside.open("wb") as file, urllib.request.urlopen(address, timeout=TIMEOUT_S) as answer:
            size = int(answer.headers.get("Content-Length", 0))
            with progress.reading(answer, size, f"fetching {target.name}") as body:
                shutil.copyfileobj(body, file)
        found = git_blob_id(aside)
        if found != blob:
            raise WeightsUnavailable(
                f"{address} was fetched but is not the published file: its git blob id is {found}, "
                f"published is {blob}; it was discarded"
            )
        aside.replace(target)
    except (OSError, http.client.HTTPException) as error:
        raise WeightsUnavailable(
            f"{target} is absent and {address} could not be fetched ({error}). "
            "Put the file there by hand, or give the path of a checkpoint you have"
        ) from error
    finally:
        aside.unlink(missing_ok=True)
