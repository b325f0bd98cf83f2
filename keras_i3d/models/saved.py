"""Open ``.keras`` files with this package's layers known to Keras."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import keras

from keras_i3d import layers  # noqa: F401  (their registration is what Keras looks for)
from keras_i3d.errors import ModelFileError, first_line


def load_model(path: str | os.PathLike) -> keras.Model:
    """Load a ``.keras`` file as Keras does, uncompiled.

    Raises:
        ModelFileError: The file is absent or no Keras model.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelFileError(f"{path}: no such model file")
    if not zipfile.is_zipfile(path):
        raise ModelFileError(f"{path}: cannot be read as a Keras model, a .keras file (it is no zip archive)")
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras raises many kinds, from zipfile's to its own
        raise ModelFileError(f"{path}: cannot be read as a Keras model, a .keras file ({first_line(error)})") from error
