import sys
from pathlib import Path

import numpy as np
import pytest

from keras_i3d.checkpoints import stored_tensorflow
from keras_i3d.checkpoints.names import DEEPMIND, SLIM
from keras_i3d.errors import CheckpointMismatch, MissingDependency

KERNEL = np.arange(6, dtype=np.float32)


def write(path: Path, names: dict[str, np.ndarray], version: int = 2) -> str:
    import tensorflow as tf

    if version == 1:
        tf.raw_ops.Save(filename=str(path), tensor_names=list(names), data=list(names.values()))
    else:
        tf.raw_ops.SaveV2(
            prefix=str(path),
            tensor_names=list(names),
            shape_and_slices=[""] * len(names),
            tensors=list(names.values()),
        )
    return str(path)


def read(path: str) -> tuple[object, dict[str, np.ndarray]]:
    with stored_tensorflow.open_weights(path) as file:
        values = file.values(file.variables)
        assert {name: variable.shape for name, variable in file.variables.items()} == {
            name: value.shape for name, value in values.items()
        }
        return file.layout, values


@pytest.mark.parametrize("version", [1, 2])
def test_slims_scope_is_cut_and_what_training_keeps_is_left_out(tmp_path: Path, version: int) -> None:
    scope = "InceptionV1/Conv2d_1a_7x7/"
    others = (
        *("global_step", "beta1_power", f"{scope}weights/RMSProp", f"{scope}weights/RMSProp_1"),
        *(f"{scope}weights/Momentum", f"{scope}BatchNorm/moving_mean/ExponentialMovingAverage"),
        f"{scope}weights/Adam_1",
    )
    names = {f"{scope}weights": KERNEL.reshape(1, 1, 2, 3), f"{scope}BatchNorm/beta": KERNEL}
    path = write(tmp_path / "inception_v1.ckpt", names | dict.fromkeys(others, np.float32([1])), version)
    layout, values = read(path)
    assert layout is SLIM
    assert sorted(values) == ["Conv2d_1a_7x7/BatchNorm/beta", "Conv2d_1a_7x7/weights"]
    assert np.array_equal(values["Conv2d_1a_7x7/weights"], KERNEL.reshape(1, 1, 2, 3))


@pytest.mark.parametrize("scope", ["RGB/inception_i3d/", "Flow/inception_i3d/", ""])
def test_deepminds_scope_is_cut_and_sonnets_batch_norm_flattened(tmp_path: Path, scope: str) -> None:
    names = {
        "unit/batch_norm/beta": KERNEL.reshape(1, 1, 1, 1, 6),
        "unit/batch_norm/beta/Momentum": KERNEL,
        "unit/conv_3d/w": KERNEL.reshape(1, 1, 1, 1, 6),
    }
    layout, values = read(write(tmp_path / "model.ckpt-12", {f"{scope}{name}": value for name, value in names.items()}))
    assert layout is DEEPMIND
    assert {name: value.shape for name, value in values.items()} == {
        "unit/batch_norm/beta": (6,),
        "unit/conv_3d/w": (1, 1, 1, 1, 6),
    }
    assert np.array_equal(values["unit/batch_norm/beta"], KERNEL)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("name", ["runs[1]", "what?", "a*", "b\\c"])
def test_a_path_with_wildcards_is_a_path(tmp_path: Path, name: str, version: int) -> None:
    write(tmp_path / "model.ckpt", {"unit/w": KERNEL}, version)
    folder = tmp_path / name
    folder.mkdir()
    for file in list(tmp_path.glob("model.ckpt*")):
        file.rename(folder / file.name)
    assert np.array_equal(read(str(folder / "model.ckpt"))[1]["unit/w"], KERNEL)


def test_the_files_of_a_checkpoint_are_told_from_its_neighbours(tmp_path: Path) -> None:
    for name in ("m.index", "m.data-00000-of-00002", "m.data-00001-of-00002", "m.meta", "m2.index", "checkpoint"):
        (tmp_path / name).touch()
    assert sorted(stored_tensorflow.files_of(str(tmp_path / "m"))) == [
        *(".data-00000-of-00002", ".data-00001-of-00002", ".index"),
    ]
    assert stored_tensorflow.files_of(str(tmp_path / "absent" / "m")) == {}


@pytest.mark.parametrize(
    "path", ["a/m.ckpt", "a/m.ckpt.index", "a/m.ckpt.data-00000-of-00001", "a/m.ckpt.data-00003-of-00017"]
)
def test_every_file_leads_to_the_prefix(path: str) -> None:
    assert stored_tensorflow.prefix_of(path) == "a/m.ckpt"


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_cut_checkpoint_is_refused(tmp_path: Path, version: int, share: float) -> None:
    path = write(tmp_path / "model.ckpt", {"unit/w": np.arange(1000, dtype=np.float32)}, version)
    file = Path(path if version == 1 else f"{path}.data-00000-of-00001")
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    with pytest.raises(CheckpointMismatch, match=r"damaged"):
        read(path)


def test_without_tensorflow_the_pip_line_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "model.ckpt", {"unit/w": KERNEL})
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(MissingDependency, match="reading TensorFlow checkpoints needs the package tensorflow"):
        read(path)
