from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from keras_i3d.checkpoints import stored_keras
from keras_i3d.checkpoints.names import KERAS, weights_of
from keras_i3d.errors import CheckpointMismatch


def network(policy: str | None = None) -> keras.Model:
    """Return a network of two equal streams, a recurrent layer and a random layer, with live values."""
    clip = keras.Input((4, 8, 8, 3), name="rgb")
    streams = []
    for name in ("rgb_stream", "flow_stream"):
        x = inner = keras.Input((4, 8, 8, 3))
        x = keras.layers.Conv3D(2, 3, use_bias=False, name="unit__conv_3d", dtype=policy)(x)
        x = keras.layers.BatchNormalization(scale=False, name="unit__batch_norm", dtype=policy)(x)
        x = keras.layers.Reshape((2, 72))(x)
        streams.append(keras.Model(inner, x, name=name)(clip))
    x = keras.layers.Average()(streams)
    x = keras.layers.LSTM(5, name="lstm", recurrent_dropout=0.5)(x)
    x = keras.layers.Dropout(0.5)(x)
    model = keras.Model(clip, keras.layers.Dense(3, name="Logits__dense")(x))
    draw = np.random.default_rng(0)
    for weight in weights_of(model):
        weight.variable.assign(draw.uniform(0.1, 1, weight.shape))
    return model


@pytest.mark.parametrize("ending", [".weights.h5", ".keras"])
@pytest.mark.parametrize(("policy", "trained"), [(None, False), ("bfloat16", False), ("float16", False), (None, True)])
def test_names_shapes_and_values_are_the_models(tmp_path: Path, ending: str, policy: str | None, trained: bool) -> None:
    model, path = network(policy), str(tmp_path / f"a{ending}")
    if trained:
        model.compile("adam", "mse", metrics=["mae"])
        model.fit(np.zeros((2, 4, 8, 8, 3)), np.zeros((2, 3)), shuffle=False, verbose=0)
    model.save(path) if ending == ".keras" else model.save_weights(path)
    ours = {KERAS.spell(weight): weight for weight in weights_of(model)}
    assert len(ours) == 2 * 4 + 3 + 2
    with stored_keras.open_weights(path) as file:
        assert file.layout is KERAS
        assert {name: variable.shape for name, variable in file.variables.items()} == {
            name: weight.shape for name, weight in ours.items()
        }
        values = file.values(ours)
        assert sorted(file.classifier()) == ["Logits__dense/0", "Logits__dense/1"]
    for name, weight in ours.items():
        expected = keras.ops.convert_to_numpy(keras.ops.cast(weight.variable.value, "float32"))
        assert values[name].dtype == np.float32
        assert np.array_equal(values[name], expected), name


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Return a file that the tests below harm."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="Logits__dense")])
    model.save_weights(tmp_path / "a.weights.h5")
    return str(tmp_path / "a.weights.h5")


def refused(path: str, message: str) -> None:
    with pytest.raises(CheckpointMismatch, match=message) as caught, stored_keras.open_weights(path):
        pass
    assert str(caught.value).startswith(path)


def test_a_file_without_names_of_layers_is_refused(path: str) -> None:
    with h5py.File(path, "r+") as file:
        del file["layers/dense/vars"].attrs["name"]
    refused(path, r"by a Keras that did not yet store the names of layers; .* save it again with Keras 3\.12 or later$")


def test_the_format_of_keras_2_is_refused(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    path = str(tmp_path / "old.h5")
    model.save(path)
    refused(path, r"the old HDF5 format of Keras 2; open it with Keras and save it again, by model\.save_weights\(")


def test_other_hdf5_files_are_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "table.h5")
    with h5py.File(path, "w") as file:
        file["numbers"] = [1, 2]
    refused(path, r"not the weights of a Keras 3 network made of layers; its groups are numbers$")
    with h5py.File(path, "w"):
        pass
    refused(path, r"its groups are none$")


@pytest.mark.parametrize("target", ["soft", "external", "dataset"])
def test_links_to_elsewhere_are_refused(path: str, tmp_path: Path, target: str) -> None:
    with h5py.File(path, "r+") as file:
        own = file["layers/dense/vars"]
        del own["0"]
        if target == "soft":
            own["0"] = h5py.SoftLink("/layers/dense/vars/1")
        elif target == "external":
            own["0"] = h5py.ExternalLink("other.h5", "/x")
        else:
            own.create_dataset("0", (3, 2), np.float32, external=[(str(tmp_path / "raw"), 0, 24)])
    refused(path, r"/layers/dense/vars/0 refers to another file or place, which is not allowed$")


def test_a_cut_file_is_refused(path: str) -> None:
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[: len(content) // 2])
    refused(path, r"damaged Keras weights \(")
