"""Fetch published files into the cache, hand out only what was verified, and convert it once for Keras.

A file comes under a partial name that a later call goes on from, is compared with the git blob id of the catalogue,
and renamed when it is whole. Where no digest is published the SHA-256 of the first use is kept beside the file.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

from keras_i3d import labels
from keras_i3d.checkpoints import archive, transfer
from keras_i3d.checkpoints.cache import cache_folder, git_blob_id, lock, sha256, unwritable
from keras_i3d.checkpoints.catalogue import RemoteFile, Row
from keras_i3d.errors import WeightsUnavailable
from keras_i3d.whole_file import replacing, write_json, write_text

LAYOUT = 1  # of converted files; a new number has them made again

_log = logging.getLogger(__name__)


def checkpoint(row: Row) -> Path:
    """Return the local path of a row's checkpoint, fetching what is absent.

    Returns:
        Its ``.index`` file, or for an archive the single file inside, unpacked beside it.

    Raises:
        WeightsUnavailable: A file can be neither found nor fetched, or is not the published one.
    """
    paths = [fetch(file, row.source) for file in row.files]
    if member := row.files[0].member:
        target = paths[0].with_name(paths[0].name.removesuffix(".tar.gz")) / member
        with lock(target):
            try:
                archive.unpack(paths[0], member, target)
            except OSError as error:
                raise unwritable(target, error) from error
        return target
    return next(path for path in paths if path.suffix == ".index")


def class_names(row: Row) -> list[str]:
    """Return the class names of a row in the order of its outputs.

    Raises:
        WeightsUnavailable: None are published, or as in `checkpoint`.
    """
    if row.label_map is None:
        raise WeightsUnavailable(
            f"the weights {row.name!r} come without class names: none are published with their {row.classes} classes"
        )
    path = fetch(row.label_map, row.source)
    names = labels.read(path)
    if len(names) != row.classes:
        raise WeightsUnavailable(f"{path}: has {len(names)} class names, the weights {row.name!r} {row.classes}")
    return names


def fetch(file: RemoteFile, source: str) -> Path:
    """Return the local path of one published file, fetching and verifying it where it is absent or damaged.

    Processes that want the same file at once wait for the first. ``KERAS_I3D_MIRROR`` replaces the source.

    Raises:
        WeightsUnavailable: It can be neither found nor fetched, or is not the published one.
        ValueError: ``KERAS_I3D_MIRROR`` is neither a folder nor an address.
    """
    target = cache_folder() / file.path
    is_known = file.blob is not None or record_path(target).is_file()
    if is_known and target.is_file() and complaint(file, target) is None:
        return target
    with lock(target):
        problem = complaint(file, target) if target.is_file() else "absent"
        if problem is not None:
            if target.is_file():
                _log.warning("%s is not the published file (%s); fetching it again", target, problem)
            _obtain(file, transfer.location(file.path, source), target, problem)
        if file.blob is None and not record_path(target).is_file():
            _record(target)
    return target


def complaint(file: RemoteFile, path: Path) -> str | None:
    """Say what is wrong with a local copy of a published file, or None; nothing is changed.

    Args:
        file: The published file.
        path: Its copy, in the cache or partial.
    """
    try:
        if file.blob is not None:
            found = git_blob_id(path)
            return None if found == file.blob else f"its git blob id is {found}, published is {file.blob}"
        record = record_path(cache_folder() / file.path)
        known = _recorded(file)
        if known is not None and (found := sha256(path)) != known:
            return f"its SHA-256 is {found}, at the first use it was {known} ({record}; delete that to accept another)"
        return archive.complaint(path, file.member) if file.member else None
    except OSError as error:
        return f"it cannot be read ({error.strerror or error})"


def record_path(target: Path) -> Path:
    """Return the file that keeps the SHA-256 of a file without a published digest, as sha256sum writes it."""
    return target.with_name(f"{target.name}.sha256")


def _recorded(file: RemoteFile) -> str | None:
    try:
        return record_path(cache_folder() / file.path).read_text("utf-8").partition(" ")[0].strip()
    except FileNotFoundError:
        return None


def _record(target: Path) -> None:
    digest = sha256(target)
    try:
        write_text(record_path(target), f"{digest}  {target.name}\n")
    except OSError as error:
        raise unwritable(record_path(target), error) from error
    _log.warning(
        "no digest of %s is published; it is a readable archive, and its SHA-256 %s is recorded in %s, which later "
        "uses are compared with",
        *(target.name, digest, record_path(target)),
    )


def _obtain(file: RemoteFile, where: str | Path, target: Path, problem: str) -> None:
    """Bring a file into the cache; the caller holds its lock."""
    part = target.with_name(f".{target.name}.part")
    if not (part.is_file() and complaint(file, part) is None):  # killed when it was whole but not yet renamed
        found = _bring(file, where, part, target, problem)
        if found is not None:
            part.unlink()
            raise WeightsUnavailable(f"{where} was fetched but is not the published file: {found}; it was discarded")
    try:
        part.replace(target)
    except OSError as error:
        raise unwritable(target, error) from error


def _bring(file: RemoteFile, where: str | Path, part: Path, target: Path, problem: str) -> str | None:
    """Fill the partial file; returns what is wrong with it, or None."""
    try:
        came_in_pieces = transfer.bring(where, part)
        found = complaint(file, part)
        if found is not None and came_in_pieces:
            _log.info("%s: the pieces do not fit each other; starting over", where)
            part.unlink()
            transfer.bring(where, part)
            found = complaint(file, part)
        return found
    except transfer.TransferError as error:
        state = "absent" if problem == "absent" else f"not the published file ({problem})"
        kept = f" What came is kept in {part} and gone on from." if part.is_file() else ""
        raise WeightsUnavailable(
            f"{file.path} is wanted, but {target} is {state}, and {where} could not be fetched ({error}).{kept} "
            f"Put the file there by hand; or set {transfer.MIRROR} to a folder or an address that has it under "
            f"{file.path}; or run `keras-i3d weights download` on a connected machine and copy its cache to "
            f"{cache_folder()}; or give the path of a checkpoint of your own"
        ) from error


def converted_path(row: Row) -> Path:
    """Return where the ``.weights.h5`` of a row lies, or would."""
    return cache_folder() / "converted" / f"{row.name}_{row.modality}.weights.h5"


def weights_file(row: Row, convert: Callable[[Path, Path], None]) -> Path:
    """Return a row's weights as a Keras file, converted from the published ones at the first use.

    What was converted before is compared with the SHA-256 kept beside it, and returned without a look at the
    published files; where it is damaged it is made again.

    Args:
        row: The row of the catalogue.
        convert: Called with the checkpoint (see `checkpoint`) and the file to write, which ends in ``.weights.h5``.

    Raises:
        WeightsUnavailable: A file can be neither found nor fetched, is not the published one, or the cache cannot
            be written. What `convert` raises passes, ``OSError`` apart.
    """
    target = converted_path(row)
    if converted_complaint(row) is None:
        return target
    with lock(target):
        found = converted_complaint(row)
        if found is None:
            return target
        if target.is_file():
            _log.warning("%s cannot be used (%s); it is made again", target, found)
        _convert(row, checkpoint(row), target, convert)
    return target


def converted_complaint(row: Row) -> str | None:
    """Say why a row's converted weights cannot be used, or None; nothing is changed."""
    target = converted_path(row)
    try:
        facts = json.loads(_facts_path(target).read_text("utf-8"))
        if not isinstance(facts, dict) or facts.get("made_from") != _identities(row) or facts.get("layout") != LAYOUT:
            return "it was made from other files or by another version"
        found = sha256(target)
        return None if found == facts.get("sha256") else f"its SHA-256 is {found}, it was {facts.get('sha256')}"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is absent"
    except (OSError, ValueError) as error:
        return f"it cannot be verified ({error})"


def _convert(row: Row, origin: Path, target: Path, convert: Callable[[Path, Path], None]) -> None:
    try:
        with replacing(target, aside=target.with_name(f".part.{target.name}")) as aside:
            convert(origin, aside)
            facts = {"sha256": sha256(aside), "layout": LAYOUT, "made_from": _identities(row)}
        write_json(_facts_path(target), facts)
    except OSError as error:
        raise unwritable(target, error) from error


def _facts_path(target: Path) -> Path:
    return target.with_name(target.name.removesuffix(".weights.h5") + ".json")


def _identities(row: Row) -> dict[str, str]:
    """Return what identifies the published files of a row: their blob ids, or the recorded SHA-256."""
    return {file.path: file.blob or f"sha256:{_recorded(file) or 'unknown'}" for file in row.files}
