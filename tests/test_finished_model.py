import shutil

import keras
import pytest

from keras_i3d import finished_model
from keras_i3d.errors import ModelFileError
from keras_i3d.models.i3d import I3D


def test_a_run_folders_model_comes_with_its_classes_and_preparation(run_folder) -> None:
    finished = finished_model.load(run_folder / "best.keras")
    assert len(finished.class_names) == 8
    assert finished.class_names[:2] == ("grows", "moves_down")
    assert (finished.preparation.short_side, finished.preparation.size) == (37, 32)
    assert finished.logits_network().output.shape == (None, 8)


def test_without_a_preparation_the_network_tells_its_own(run_folder, tmp_path) -> None:
    for name in ("best.keras", "labels.txt"):
        shutil.copy(run_folder / name, tmp_path)
    preparation = finished_model.load(tmp_path / "best.keras").preparation
    assert (preparation.modality, preparation.fps, preparation.size, preparation.short_side) == ("rgb", 25.0, 32, 37)


def test_without_class_names_the_file_that_is_wanted_is_named(run_folder, tmp_path) -> None:
    shutil.copy(run_folder / "best.keras", tmp_path)
    with pytest.raises(ModelFileError, match=r"best.keras: has no class names; labels.txt is expected beside it"):
        finished_model.load(tmp_path / "best.keras")
    (tmp_path / "labels.txt").write_text("a\nb\n")
    with pytest.raises(ModelFileError, match=r"labels.txt: has 2 class names, the network 8 classes"):
        finished_model.load(tmp_path / "best.keras")


@pytest.mark.parametrize("content", [b"", b"no model" * 50])
def test_a_file_that_is_no_model_is_named(tmp_path, content: bytes) -> None:
    (tmp_path / "x.keras").write_bytes(content)
    with pytest.raises(ModelFileError, match=r"x.keras: cannot be read as a Keras model, a .keras file \("):
        finished_model.load(tmp_path / "x.keras")


def test_a_truncated_model_is_named(run_folder, tmp_path) -> None:
    content = (run_folder / "best.keras").read_bytes()
    (tmp_path / "x.keras").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelFileError, match=r"x.keras: cannot be read as a Keras model"):
        finished_model.load(tmp_path / "x.keras")


def test_a_path_without_a_file_is_named(tmp_path) -> None:
    with pytest.raises(ModelFileError, match=r"x.keras: no such model file"):
        finished_model.load(tmp_path / "x.keras")
    with pytest.raises(ModelFileError, match=r"not a finished model; a .keras file or a name .* \(kinetics\)"):
        finished_model.load("kinetix")


def test_a_keras_model_of_something_else_is_named(tmp_path) -> None:
    inputs = keras.Input((4,), name="x")
    keras.Model(inputs, keras.layers.Dense(2)(inputs)).save(tmp_path / "x.keras")
    with pytest.raises(ModelFileError, match="not one of this package: it needs one input named rgb or flow"):
        finished_model.load(tmp_path / "x.keras")
    I3D(False, None, input_shape=(9, 32, 32, 3)).save(tmp_path / "trunk.keras")
    with pytest.raises(ModelFileError, match="and a layer named Logits; its inputs are rgb"):
        finished_model.load(tmp_path / "trunk.keras")
