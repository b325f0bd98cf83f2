"""Tell the kinds of weights files apart by their content, and open them."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from keras_i3d.checkpoints import stored_keras, stored_pytorch, stored_tensorflow
from keras_i3d.checkpoints.stored import StoredWeights
from keras_i3d.errors import CheckpointMismatch

ALLOWED = (
    "a TensorFlow checkpoint (its prefix, .index or .data file, or a single file of the old format), a Keras "
    ".weights.h5 or .keras file, or a PyTorch state dict (.pt, .pth)"
)
_HDF5 = b"\x89HDF\r\n\x1a\n"
_OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"
_TABLE_END = bytes.fromhex("57fb808b247547db")  # the last bytes of a TensorFlow table: a V1 checkpoint, an .index

Opener = Callable[[str], AbstractContextManager[StoredWeights]]


def open_weights(path: str | os.PathLike) -> AbstractContextManager[StoredWeights]:
    """Open a weights file of any kind, told apart by content.

    Raises:
        FileNotFoundError: There is nothing of that name.
        CheckpointMismatch: It is no weights file, or damaged.
        MissingDependency: Its kind needs a package that is not installed.
    """
    text = os.fspath(path)
    opener = _opener(text)
    if opener is None:
        _refuse(text)
    return opener(text)


def is_there(path: str | os.PathLike) -> bool:
    """Tell whether there is anything of that name, be it whole or not, that `open_weights` can speak of."""
    text = os.fspath(path)
    return Path(text).exists() or bool(stored_tensorflow.files_of(stored_tensorflow.prefix_of(text)))


def _opener(path: str) -> Opener | None:
    if Path(f"{stored_tensorflow.prefix_of(path)}.index").is_file():
        return stored_tensorflow.open_weights
    if not Path(path).is_file():
        return None
    with Path(path).open("rb") as file:
        start = file.read(len(_OLD_TORCH))
        file.seek(max(0, Path(path).stat().st_size - len(_TABLE_END)))
        end = file.read()
    if start.startswith(_HDF5):
        return stored_keras.open_weights
    if end == _TABLE_END:
        return stored_tensorflow.open_weights
    if start == _OLD_TORCH:
        return stored_pytorch.open_weights
    return _opener_of_archive(path) if zipfile.is_zipfile(path) else None


def _opener_of_archive(path: str) -> Opener | None:
    with zipfile.ZipFile(path) as archive:
        members = archive.namelist()
    if stored_keras.WEIGHTS_MEMBER in members:
        return stored_keras.open_weights
    if any(member.endswith("/data.pkl") for member in members):
        return stored_pytorch.open_weights
    return None


def _refuse(path: str) -> None:
    file = Path(path)
    if file.is_dir():
        received = "a folder"
    elif not file.exists():
        prefix = stored_tensorflow.prefix_of(path)
        if not stored_tensorflow.files_of(prefix):
            raise FileNotFoundError(f"{path}: no such file; wanted is {ALLOWED}")
        received = f"a TensorFlow checkpoint whose {Path(prefix).name}.index is missing"
    elif file.stat().st_size == 0:
        received = "an empty file"
    else:
        received = _described(file)
    raise CheckpointMismatch(f"{path}: {received}, not a whole weights file; wanted is {ALLOWED}")


def _described(file: Path) -> str:
    with file.open("rb") as content:
        start = content.read(40)
    line = start.split(b"\n")[0].decode("latin-1").rstrip("\r")
    if line.isascii() and line.isprintable() and not start.startswith(b"PK"):
        return f"a text file ({line!r}...)"
    if file.suffix in (".pt", ".pth", ".keras") or start.startswith(b"PK"):
        return f"{file.stat().st_size} bytes that are damaged or another kind of archive"
    return f"{file.stat().st_size} bytes of an unknown kind"
