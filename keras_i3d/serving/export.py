"""Export a finished model as a SavedModel that TensorFlow Serving takes as it is."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
import time
from pathlib import Path

import tensorflow as tf

from keras_i3d import finished_model, labels, progress, storage
from keras_i3d.clips.preparation import Preparation
from keras_i3d.errors import OutputFolderError, first_line
from keras_i3d.finished_model import FinishedModel
from keras_i3d.serving import beside, warm_up
from keras_i3d.serving.check import check as compare
from keras_i3d.serving.names import ASSETS, EXTRA
from keras_i3d.serving.options import ServingOptions
from keras_i3d.serving.signatures import Signatures

STALE_S = 24 * 3600  # age at which what an export left aside is of one that was killed
ASIDE = ".exporting-"


def export(
    model: str | os.PathLike | FinishedModel,
    output: str | os.PathLike,
    options: ServingOptions | None = None,
    *,
    name: str | None = None,
    modality: str | None = None,
    check: bool = False,
) -> Path:
    """Write the next version of a served model: ``output/1``, ``output/2`` and so on.

    Its signatures are those of `keras_i3d.serving.signatures`: ``serving_default`` takes raw frames, uint8 RGB (batch,
    time, height, width, 3) of any length and size (for a flow network float32 flow in pixels, (..., 2), for one of two
    streams both; rgb alone with ``flow_inside``), at the rate in ``preparation.json``; resizing, cropping and scaling
    are inside. A version is written aside and appears by one rename, warm-up requests and class names with it. Beside
    it lie ``models.config`` and ``batching.config``, which are written once, and a ``README.md`` of the newest version.

    Args:
        model: A ``.keras`` file, a name of published weights, or a `FinishedModel`.
        output: Folder of the model's versions, created where it is absent.
        options: Dtype, shapes and so on of the served model.
        name: The model's on the server: letters, digits, ``_``, ``-`` and ``.``. By default that of the versions
            before, or the network's, such as ``"i3d"``.
        modality: Stream of published weights.
        check: Whether the version is loaded as a server does and compared with the Keras model before it appears;
            what was found is in its ``assets.extra/check.json``.

    Returns:
        The folder of the new version.

    Raises:
        ModelFileError: The model cannot be loaded, or the check failed.
        OutputFolderError: The folder holds something else than versions of this model, or cannot be written.
        ValueError: The name, or the shape of the options, is none for this model.
    """
    options = options or ServingOptions()
    finished = model if isinstance(model, FinishedModel) else finished_model.load(model, modality=modality)
    if options.flow_inside:
        finished = finished.with_flow_inside()
    _check_frames(finished, options)
    if name is not None and not re.fullmatch(r"\w[\w.-]*", name, re.ASCII):
        raise ValueError(f"a name on the server is of letters, digits, _, - and ., got {name!r}")
    folder = storage.local_path(output)
    if folder is None:
        raise OutputFolderError(f"{output}: a model is exported to a folder of this machine, not to a URL")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _check_folder(folder, finished)
        name = _name(folder, name, finished)
        aside = Path(tempfile.mkdtemp(prefix=ASIDE, dir=folder))
    except OSError as error:
        raise OutputFolderError(f"{folder}: cannot be used as output folder ({error.strerror or error})") from error
    try:
        with progress.bar("exporting", 2 if check else 1) as bar:
            bar.note("tracing and writing the model")
            bar.advance(0)
            signatures = Signatures(finished, options)
            made = _made(signatures, aside, name)
            bar.advance()
            if check:
                bar.note("checking it against Keras")
                compare(made, finished, options).write(made / EXTRA)
                bar.advance()
        version = _publish(made, folder)
        beside.write(folder, signatures, name)
    except OSError as error:
        raise OutputFolderError(f"{folder}: the model could not be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return version


def versions(folder: Path) -> list[Path]:
    """Return the version folders of a served model, oldest first."""
    return sorted((path for path in folder.iterdir() if path.name.isdecimal()), key=lambda path: int(path.name))


def _made(signatures: Signatures, aside: Path, name: str) -> Path:
    """Write a version aside, and return its folder."""
    made = aside / "model"
    module = tf.Module()
    module.weights = signatures.variables
    names = aside / labels.FILE_NAME
    labels.write(names, signatures.finished.class_names)
    module.class_names = tf.saved_model.Asset(str(names))
    functions = {name: signatures.concrete(name) for name in signatures.names}
    try:
        tf.saved_model.save(module, str(made), functions)
        extra = made / EXTRA
        extra.mkdir()
        signatures.finished.preparation.write(extra)
        warm_up.write(extra, signatures, name)
    except tf.errors.OpError as error:
        raise OSError(first_line(error)) from error
    return made


def _publish(made: Path, folder: Path) -> Path:
    """Give a version the next number; another export may take one at the same moment."""
    while True:
        present = versions(folder)
        version = folder / str(int(present[-1].name) + 1 if present else 1)
        try:
            made.rename(version)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            return version


def _check_frames(finished: FinishedModel, options: ServingOptions) -> None:
    """Raise ValueError where fixed frames, or the most that are taken, are fewer than the network sees at once."""
    least = finished.window or finished.protocol.period
    if options.max_frames < least:
        raise ValueError(
            f"the network {finished.preparation.network} takes {least} frames at once, so max_frames must be at least "
            f"that, got {options.max_frames}"
        )
    if options.frames is not None and options.frames % least:
        raise ValueError(
            f"the network {finished.preparation.network} takes {least} frames at once, so the frames of a fixed shape "
            f"must be a multiple of that, got {options.frames}"
        )


def _check_folder(folder: Path, finished: FinishedModel) -> None:
    """Raise OutputFolderError where a folder holds something else than versions of this model."""
    present = versions(folder)
    for path in folder.iterdir():
        if path.name.startswith(ASIDE) and path.stat().st_mtime < time.time() - STALE_S:
            shutil.rmtree(path, ignore_errors=True)
        own = path.name.isdecimal() or path.name.startswith(".") or (present and path.name in beside.FILE_NAMES)
        if not own:
            raise OutputFolderError(
                f"{folder}: holds {path.name!r}, which is no version of a served model; the output folder must be "
                "new, empty, or an earlier export"
            )
    if not present:
        return
    there, names = Preparation.read(present[-1] / EXTRA), present[-1] / ASSETS / labels.FILE_NAME
    if there is None or not names.is_file():
        raise OutputFolderError(f"{present[-1]}: holds no model that `keras-i3d export` wrote; choose another folder")
    found = (there.network, _streams(there), tuple(labels.read(names)))
    wanted = (finished.preparation.network, _streams(finished.preparation), finished.class_names)
    if found != wanted:
        raise OutputFolderError(
            f"{folder}: holds versions of another model ({_told(*found)}), and this is {_told(*wanted)}; clients would "
            "meet one in place of the other, so choose another folder"
        )


def _name(folder: Path, name: str | None, finished: FinishedModel) -> str:
    """Return the model's name on the server, which is that of the configuration that is there already."""
    known = beside.names_of(folder)
    if known and name is not None and name not in known:
        raise OutputFolderError(
            f"{folder}: its {beside.MODELS} names the model {known[0]!r}, not {name!r}; leave the name out, or change "
            "it there first"
        )
    return name or (known[0] if known else finished.preparation.network)


def _streams(preparation: Preparation) -> str:
    return f"{preparation.modality}{', flow computed inside' if preparation.flow_inside else ''}"


def _told(network: str, streams: str, names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return f"{network}, {streams}, {len(names)} classes: {shown}"
