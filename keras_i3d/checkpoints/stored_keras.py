"""Read ``.weights.h5`` and ``.keras`` files of Keras 3 by the names of layers, on any backend.

Keras numbers the layers of a file by their class (``layers/conv3d_7/vars/0``) and so takes any network whose
layers are of the same classes and shapes in order; since 3.12 at the latest it stores the name of each layer too.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np

from keras_i3d.checkpoints.names import KERAS
from keras_i3d.checkpoints.stored import StoredVariable, StoredWeights
from keras_i3d.errors import CheckpointMismatch, first_line

WEIGHTS_MEMBER = "model.weights.h5"  # of a .keras file
_SEED = "seed_generator"  # how Keras names the state of a random generator


@contextmanager
def open_weights(path: str) -> Iterator[StoredWeights]:
    """Open a ``.weights.h5`` or ``.keras`` file.

    Names are those of the layers from the outermost to the innermost, and the number of the variable in its
    layer: ``rgb_stream/Conv3d_1a_7x7__conv_3d/0``.

    Raises:
        CheckpointMismatch: The file is damaged, holds no weights of Keras 3, or has no names of layers.
    """
    try:
        file = h5py.File(_weights_of_archive(path) if zipfile.is_zipfile(path) else path, "r")
    except (OSError, KeyError, RuntimeError, zipfile.BadZipFile) as error:
        raise CheckpointMismatch(f"{path}: damaged Keras weights ({first_line(error)})") from error
    with file:
        _check_format(path, file)
        try:
            variables = dict(_variables(path, _member(path, file, "layers"), ()))
        except (OSError, KeyError, RuntimeError) as error:
            raise CheckpointMismatch(f"{path}: damaged Keras weights ({first_line(error)})") from error
        yield StoredWeights(path, KERAS, variables)


def _weights_of_archive(path: str) -> io.BytesIO:
    with zipfile.ZipFile(path) as archive:
        return io.BytesIO(archive.read(WEIGHTS_MEMBER))


def _check_format(path: str, file: h5py.File) -> None:
    if "layer_names" in file.attrs or "model_weights" in file:
        raise CheckpointMismatch(
            f"{path}: the old HDF5 format of Keras 2; open it with Keras and save it again, by "
            "model.save_weights('name.weights.h5') or model.save('name.keras')"
        )
    if "layers" not in file:
        raise CheckpointMismatch(
            f"{path}: an HDF5 file, but not the weights of a Keras 3 network made of layers; its groups are "
            f"{', '.join(sorted(file)) or 'none'}"
        )


def _variables(path: str, group: h5py.Group, names: tuple[str, ...]) -> Iterator[tuple[str, StoredVariable]]:
    if "vars" in group:
        own = _member(path, group, "vars")
        name = own.attrs.get("name")
        if not isinstance(name, str):
            raise CheckpointMismatch(
                f"{path}: written by a Keras that did not yet store the names of layers; load it there into the "
                "network it came from and save it again with Keras 3.12 or later"
            )
        if name.startswith(_SEED):
            return
        names = (*names, name)
        for index in own:
            dataset = _member(path, own, index)
            yield "/".join((*names, index)), StoredVariable(dataset.shape, lambda dataset=dataset: _value(dataset))
    # a nested model keeps its layers there; beside them may lie its optimiser and metrics
    for key in ["layers"] if "layers" in group else [key for key in group if key != "vars"]:
        child = _member(path, group, key)
        if isinstance(child, h5py.Group):
            yield from _variables(path, child, names)


def _member(path: str, group: h5py.Group, key: str) -> Any:
    """Return a member that lies in this very file; a link elsewhere is no part of weights."""
    member = group[key] if isinstance(group.get(key, getlink=True), h5py.HardLink) else None
    if member is None or (isinstance(member, h5py.Dataset) and (member.external or member.is_virtual)):
        raise CheckpointMismatch(f"{path}: {group.name}/{key} refers to another file or place, which is not allowed")
    return member


def _value(dataset: h5py.Dataset) -> np.ndarray:
    value = dataset[()]
    if dataset.attrs.get("dtype") == "bfloat16":
        import ml_dtypes  # Keras brings it

        return value.view(ml_dtypes.bfloat16).astype(np.float32)
    return value
