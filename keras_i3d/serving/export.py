"""Export a finished model as a SavedModel that TensorFlow Serving takes as it is."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import keras

from keras_i3d import finished_model, labels
from keras_i3d.errors import OutputFolderError
from keras_i3d.finished_model import FinishedModel
from keras_i3d.serving import signature

SIGNATURE = "serving_default"
EXTRA = "assets.extra"  # TensorFlow's name for files that ride along with a SavedModel


def export(model: str | os.PathLike | FinishedModel, output: str | os.PathLike) -> Path:
    """Write the next version of a served model: ``output/1``, ``output/2`` and so on.

    The signature ``serving_default`` takes uint8 RGB frames, (batch, time, height, width, 3) of any length and
    size (for a flow network float32 flow in pixels, (..., 2)), at the rate in ``preparation.json``; resizing,
    cropping and scaling are inside. It gives ``logits``, ``probabilities``, ``top_classes`` and
    ``top_probabilities``. A version is written aside and appears by one rename.

    Args:
        model: A ``.keras`` file, a name of published weights, or a `FinishedModel`.
        output: Folder of the model's versions, created where it is absent.

    Returns:
        The folder of the new version.

    Raises:
        ModelFileError: The model cannot be loaded.
        OutputFolderError: The folder holds something else than versions, or cannot be written.
    """
    finished = model if isinstance(model, FinishedModel) else finished_model.load(model)
    finished.check_takes_whole_videos()
    output = Path(output)
    try:
        output.mkdir(parents=True, exist_ok=True)
        number = _next_version(output)
        aside = Path(tempfile.mkdtemp(prefix=".exporting-", dir=output))
    except OSError as error:
        raise OutputFolderError(f"{output}: cannot be used as output folder ({error.strerror})") from error
    try:
        archive = keras.export.ExportArchive()
        archive.track(finished.network)
        archive.add_endpoint(
            SIGNATURE,
            signature.serving_function(finished),
            input_signature=[signature.input_spec(finished.preparation.modality)],
        )
        archive.write_out(aside / "model", verbose=False)
        extra = aside / "model" / EXTRA
        extra.mkdir()
        labels.write(extra / labels.FILE_NAME, finished.class_names)
        finished.preparation.write(extra)
        (aside / "model").rename(output / str(number))
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return output / str(number)


def versions(folder: Path) -> list[Path]:
    """Return the version folders of a served model, oldest first."""
    return sorted((path for path in folder.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))


def _next_version(output: Path) -> int:
    foreign = [path.name for path in output.iterdir() if not path.name.isdigit() and not path.name.startswith(".")]
    if foreign:
        raise OutputFolderError(
            f"{output}: holds {foreign[0]!r}, which is no version of a served model; the output folder must be "
            "new, empty, or an earlier export"
        )
    present = versions(output)
    return int(present[-1].name) + 1 if present else 1
