from pathlib import Path

import numpy as np
import pytest

from keras_i3d.checkpoints import load
from keras_i3d.checkpoints.names import deepmind_name
from keras_i3d.errors import CheckpointMismatch
from keras_i3d.models.i3d import I3D

SCOPE = "RGB/inception_i3d/"


@pytest.fixture(scope="module")
def model():
    return I3D(weights=None, input_shape=(1, 32, 32, 3), classes=7)


@pytest.fixture(autouse=True)
def zeroed(model) -> None:
    for variable in model.trainable_variables:
        variable.assign(np.zeros(variable.shape))


def assert_nothing_was_loaded(model) -> None:
    assert all(not np.any(variable) for variable in model.trainable_variables)


@pytest.mark.parametrize(
    ("scope", "sonnet"), [(SCOPE, False), ("Flow/inception_i3d/", False), ("", True), (SCOPE, True)]
)
def test_every_layout_that_was_published_loads(model, golden, write_checkpoint, tmp_path, scope, sonnet) -> None:
    path = write_checkpoint(tmp_path / "model.ckpt", model, "s", scope=scope, sonnet=sonnet)
    load.load_checkpoint(model, path)
    for variable in model.weights:
        if not variable.path.endswith("seed_generator_state"):
            expected = golden.weight(deepmind_name(variable), tuple(variable.shape), "s")
            assert np.array_equal(variable.numpy(), expected), variable.path


def test_the_index_file_may_be_named_too(model, write_checkpoint, tmp_path) -> None:
    path = write_checkpoint(tmp_path / "model.ckpt", model, "s", scope=SCOPE)
    load.load_checkpoint(model, f"{path}.index")
    assert np.any(model.trainable_variables[0])
    assert load.is_checkpoint(path) and load.is_checkpoint(f"{path}.index")
    assert not load.is_checkpoint(tmp_path / "other.ckpt")


def without(name: str):
    return lambda values: values.pop(SCOPE + name)


def with_one_more(values: dict) -> None:
    values[SCOPE + "Mixed_6a/conv_3d/w"] = np.zeros(3, np.float32)


def of_another_shape(values: dict) -> None:
    values[SCOPE + "Mixed_3b/Branch_0/Conv3d_0a_1x1/conv_3d/w"] = np.zeros((1, 1, 1, 192, 65), np.float32)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            without("Mixed_4c/Branch_1/Conv3d_0b_3x3/batch_norm/beta"),
            r"1 missing in the file \(Mixed_4c/Branch_1/Conv3d",
        ),
        (with_one_more, r"1 unknown to the model \(Mixed_6a/conv_3d/w\)"),
        (
            of_another_shape,
            r"1 of another shape \(Mixed_3b/Branch_0/Conv3d_0a_1x1/conv_3d/w is \[1, 1, 1, 192, 65\] in the file and "
            r"\[1, 1, 1, 192, 64\] in the model\)",
        ),
    ],
)
def test_a_checkpoint_that_is_not_exactly_ours_is_refused_whole(
    model, write_checkpoint, tmp_path, change, complaint
) -> None:
    path = write_checkpoint(tmp_path / "model.ckpt", model, "s", scope=SCOPE, change=change)
    with pytest.raises(CheckpointMismatch, match=complaint) as caught:
        load.load_checkpoint(model, path)
    assert str(path) in str(caught.value)
    assert "of whose 230 variables" in str(caught.value)
    assert str(caught.value).endswith("nothing was loaded")
    assert_nothing_was_loaded(model)


def test_another_number_of_classes_is_another_network(model, write_checkpoint, tmp_path) -> None:
    path = write_checkpoint(
        tmp_path / "model.ckpt", I3D(weights=None, input_shape=(1, 32, 32, 3), classes=8), "s", scope=SCOPE
    )
    with pytest.raises(CheckpointMismatch, match=r"2 of another shape \(Logits/Conv3d_0c_1x1/conv_3d/b is \[8\]"):
        load.load_checkpoint(model, path)
    assert_nothing_was_loaded(model)


@pytest.mark.parametrize("ending", [".index", ".data-00000-of-00001"])
@pytest.mark.parametrize("harm", ["cut", "absent", "other"])
def test_a_damaged_checkpoint_is_refused_whole(model, write_checkpoint, tmp_path, ending, harm) -> None:
    path = write_checkpoint(tmp_path / "model.ckpt", model, "s", scope=SCOPE)
    file = Path(f"{path}{ending}")
    if harm == "absent":
        file.unlink()
    else:
        content = file.read_bytes()
        file.write_bytes(content[: len(content) // 2] if harm == "cut" else b"no checkpoint" * 100)
    with pytest.raises(CheckpointMismatch, match=r"not a TensorFlow checkpoint|damaged checkpoint"):
        load.load_checkpoint(model, path)
    assert_nothing_was_loaded(model)
