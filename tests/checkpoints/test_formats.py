import os
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_i3d.checkpoints import formats
from keras_i3d.checkpoints.names import DEEPMIND, KERAS
from keras_i3d.errors import CheckpointMismatch


def checkpoint(path: Path, version: int) -> Path:
    import tensorflow as tf

    names, values = ["unit/w"], [np.ones(3, np.float32)]
    if version == 1:
        tf.raw_ops.Save(filename=str(path), tensor_names=names, data=values)
    else:
        tf.raw_ops.SaveV2(prefix=str(path), tensor_names=names, shape_and_slices=[""], tensors=values)
    return path


@pytest.fixture
def tiny() -> keras.Model:
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="dense")])


def test_kinds_are_told_by_content_whatever_the_name(tmp_path: Path, tiny) -> None:
    tiny.save(tmp_path / "a.keras")
    tiny.save_weights(tmp_path / "a.weights.h5")
    kinds = {
        checkpoint(tmp_path / "model.ckpt-7", 2): DEEPMIND,
        checkpoint(tmp_path / "old.ckpt", 1): DEEPMIND,
        (tmp_path / "a.keras").rename(tmp_path / "best"): KERAS,
        (tmp_path / "a.weights.h5").rename(tmp_path / "start.bin"): KERAS,
    }
    for path, layout in kinds.items():
        assert formats.is_there(path) and formats.is_there(os.fspath(path))
        with formats.open_weights(path) as file:
            assert file.layout is layout, path


ALLOWED = r"not a whole weights file; wanted is a TensorFlow checkpoint \(its prefix, .* or a PyTorch state dict"


@pytest.mark.parametrize(
    ("name", "content", "received"),
    [
        ("empty.weights.h5", b"", "an empty file"),
        ("notes.txt", b"version https://example.org/spec\nmore", r"a text file \('version https://example.org/spec'"),
        ("line.txt", b"\n", r"a text file \(''\.\.\.\)"),
        ("picture.jpg", b"\xff\xd8\xff\xe0" * 9, "36 bytes of an unknown kind"),
        ("cut.pth", b"PK\x03\x04\x00\x00" * 9, "54 bytes that are damaged or another kind of archive"),
        ("cut.keras", b"any\x00thing", "9 bytes that are damaged or another kind of archive"),
    ],
)
def test_what_is_no_weights_file_is_described(tmp_path: Path, name: str, content: bytes, received: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CheckpointMismatch, match=f"{received}.*{ALLOWED}") as caught:
        formats.open_weights(path)
    assert str(caught.value).startswith(str(path))


def test_an_archive_of_other_things_is_described(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("notes.txt", "nothing")
    with pytest.raises(CheckpointMismatch, match=f"bytes that are damaged or another kind of archive, {ALLOWED}"):
        formats.open_weights(tmp_path / "a.zip")


def test_a_folder_is_described(tmp_path: Path) -> None:
    with pytest.raises(CheckpointMismatch, match=f"a folder, {ALLOWED}"):
        formats.open_weights(tmp_path)


def test_values_without_their_index_are_described(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "model.ckpt", 2)
    Path(f"{path}.index").unlink()
    for name in (path, f"{path}.data-00000-of-00001", f"{path}.index"):
        with pytest.raises(CheckpointMismatch, match=r"model\.ckpt\.index is missing|of an unknown kind"):
            formats.open_weights(name)


@pytest.mark.parametrize("name", ["kinetics", "absent.weights.h5", "absent/model.ckpt"])
def test_what_is_not_there_is_not_found(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert not formats.is_there(path)
    with pytest.raises(FileNotFoundError, match=f"{name}: no such file; wanted is a TensorFlow checkpoint"):
        formats.open_weights(path)
