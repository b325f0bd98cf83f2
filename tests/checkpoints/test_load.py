import logging
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from keras_i3d.checkpoints import formats, load
from keras_i3d.checkpoints.names import deepmind_name, slim_name, weights_of
from keras_i3d.errors import CheckpointMismatch
from keras_i3d.models.i3d import I3D
from keras_i3d.models.inception_v1 import InceptionV1

SCOPE = "RGB/inception_i3d/"
SMALL = {"weights": None, "input_shape": (1, 32, 32, 3)}
CLASSIFIER = "Logits__Conv3d_0c_1x1__conv_3d"


@pytest.fixture(scope="module")
def model():
    return I3D(**SMALL, classes=7)


@pytest.fixture(scope="module")
def trunk():
    return I3D(**SMALL, include_top=False)


@pytest.fixture(scope="module")
def flat():
    return InceptionV1(weights=None, input_shape=(32, 32, 3), classes=1000)


@pytest.fixture(autouse=True)
def zeroed(model, trunk) -> None:
    zero(model)
    zero(trunk)


def zero(network) -> None:
    for variable in network.trainable_variables:
        variable.assign(np.zeros(variable.shape))


def assert_nothing_was_loaded(network) -> None:
    assert all(not np.any(variable) for variable in network.trainable_variables)


def assert_loaded(network, golden, *, salt: str = "s", classifier: bool = True) -> None:
    for variable in network.weights:
        if classifier or not variable.path.startswith("Logits__"):
            expected = golden.weight(deepmind_name(variable), tuple(variable.shape), salt)
            assert np.array_equal(variable.numpy(), expected), variable.path


@pytest.fixture(scope="module")
def files(golden, write_checkpoint, tmp_path_factory):
    """Return files of three kinds, all of the same weights, of 7 and of 8 classes, and of the trunk alone."""
    folder = tmp_path_factory.mktemp("files")
    found = {}
    for label, options in {
        "7": {"classes": 7},
        "8": {"classes": 8},
        "trunk": {"include_top": False},
    }.items():
        network = I3D(**SMALL, **options)
        for variable in network.weights:
            variable.assign(golden.weight(deepmind_name(variable), tuple(variable.shape), "s"))
        found["deepmind", label] = write_checkpoint(folder / f"{label}.ckpt", network, "s", scope=SCOPE)
        found["h5", label] = folder / f"{label}.weights.h5"
        network.save_weights(found["h5", label])
        found["keras", label] = folder / f"{label}.keras"
        network.save(found["keras", label])
    return found


KINDS = ("deepmind", "h5", "keras")


@pytest.mark.parametrize("kind", KINDS)
def test_every_variable_is_loaded(model, golden, files, kind, caplog) -> None:
    caplog.set_level(logging.INFO, "keras_i3d")
    load.load_checkpoint(model, files[kind, "7"])
    assert_loaded(model, golden)
    assert caplog.records == []
    assert (load.classes_in(files[kind, "7"]), formats.is_there(files[kind, "7"])) == (7, True)


@pytest.mark.parametrize(
    ("scope", "sonnet"), [(SCOPE, False), ("Flow/inception_i3d/", False), ("", True), (SCOPE, True)]
)
def test_every_layout_that_was_published_loads(model, golden, write_checkpoint, tmp_path, scope, sonnet) -> None:
    path = write_checkpoint(tmp_path / "model.ckpt", model, "t", scope=scope, sonnet=sonnet)
    load.load_checkpoint(model, path)
    assert_loaded(model, golden, salt="t")


@pytest.mark.parametrize("ending", [".index", ".data-00000-of-00001"])
def test_a_file_of_the_checkpoint_may_be_named_too(model, golden, files, ending) -> None:
    path = files["deepmind", "7"]
    load.load_checkpoint(model, f"{path}{ending}")
    assert_loaded(model, golden)
    assert formats.is_there(f"{path}{ending}") and not formats.is_there(f"{path}.other")


@pytest.mark.parametrize("kind", KINDS)
def test_another_number_of_classes_leaves_the_last_layer_new(model, golden, files, kind, caplog) -> None:
    model.get_layer(CLASSIFIER).bias.assign(np.arange(7.0))
    load.load_checkpoint(model, files[kind, "8"])
    assert_loaded(model, golden, classifier=False)
    assert model.get_layer(CLASSIFIER).bias.numpy().tolist() == list(range(7))
    assert not np.any(model.get_layer(CLASSIFIER).kernel)
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        f"{files[kind, '8']} has 8 classes, the model 7: its last layer is new"
    ]
    assert load.classes_in(files[kind, "8"]) == 8


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_without_classifier_leaves_the_last_layer_new(model, golden, files, kind, caplog) -> None:
    load.load_checkpoint(model, files[kind, "trunk"])
    assert_loaded(model, golden, classifier=False)
    assert not np.any(model.get_layer(CLASSIFIER).kernel)
    assert "trunk" in caplog.text and "has no classifier: the model's last layer is new" in caplog.text
    assert load.classes_in(files[kind, "trunk"]) is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_without_classifier_ignores_the_files(trunk, golden, files, kind, caplog) -> None:
    load.load_checkpoint(trunk, files[kind, "7"])
    assert_loaded(trunk, golden)
    assert caplog.records == []


def without(name: str):
    return lambda values: values.pop(SCOPE + name)


def with_value(name: str, shape: tuple[int, ...], value: float = 0.0):
    return lambda values: values.update({SCOPE + name: np.full(shape, value, np.float32)})


CLASSIFIER_SCOPE = "Logits/Conv3d_0c_1x1/conv_3d/"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            without("Mixed_4c/Branch_1/Conv3d_0b_3x3/batch_norm/beta"),
            r"1 missing in the file \(Mixed_4c/Branch_1/Conv3d",
        ),
        (with_value("Mixed_6a/conv_3d/w", (3,)), r"1 unknown to the model \(Mixed_6a/conv_3d/w\)"),
        (
            with_value("Mixed_3b/Branch_0/Conv3d_0a_1x1/conv_3d/w", (1, 1, 1, 192, 65)),
            r"1 of another shape \(Mixed_3b/Branch_0/Conv3d_0a_1x1/conv_3d/w is \[1, 1, 1, 192, 65\] in the file and "
            r"\[1, 1, 1, 192, 64\] in the model\)",
        ),
        (without(CLASSIFIER_SCOPE + "b"), r"1 missing in the file \(Logits/Conv3d_0c_1x1/conv_3d/b\)"),
        (with_value(CLASSIFIER_SCOPE + "b", (8,)), r"1 of another shape \(Logits/Conv3d_0c_1x1/conv_3d/b is \[8\]"),
        (
            with_value(CLASSIFIER_SCOPE + "w", (1, 1, 1, 512, 8)),
            r"1 of another shape \(Logits/Conv3d_0c_1x1/conv_3d/w is \[1, 1, 1, 512, 8\] in the file",
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


def test_a_classifier_that_disagrees_with_itself_has_no_number_of_classes(model, write_checkpoint, tmp_path) -> None:
    change = with_value(CLASSIFIER_SCOPE + "b", (8,))
    path = write_checkpoint(tmp_path / "model.ckpt", model, "s", scope=SCOPE, change=change)
    message = r"the classifier disagrees on the number of classes: Logits/Conv3d_0c_1x1/conv_3d/b \[8\]; Logits/"
    with pytest.raises(CheckpointMismatch, match=message):
        load.classes_in(path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(model, write_checkpoint, tmp_path, value) -> None:
    change = with_value("Mixed_5c/Branch_0/Conv3d_0a_1x1/batch_norm/beta", (384,), value)
    path = write_checkpoint(tmp_path / "model.ckpt", model, "s", scope=SCOPE, change=change)
    message = r"Mixed_5c/Branch_0/Conv3d_0a_1x1/batch_norm/beta: not finite \(NaN or infinity\); nothing was loaded$"
    with pytest.raises(CheckpointMismatch, match=message):
        load.load_checkpoint(model, path)
    assert_nothing_was_loaded(model)


def test_keras_files_are_matched_by_the_names_of_layers_not_by_their_order(model, files, tmp_path) -> None:
    path = tmp_path / "renamed.weights.h5"
    path.write_bytes(files["h5", "7"].read_bytes())
    with h5py.File(path, "r+") as file:
        file["layers/conv3d/vars"].attrs["name"] = "another_stem"
    # Keras itself would load this file, for it has the same layers in the same order
    with pytest.raises(
        CheckpointMismatch,
        match=r"1 missing in the file \(Conv3d_1a_7x7__conv_3d/kernel\), 1 unknown to the model \(another_stem/0\)",
    ):
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
    with pytest.raises(CheckpointMismatch, match=r"damaged|model\.ckpt\.index is missing"):
        load.load_checkpoint(model, path)
    assert_nothing_was_loaded(model)


@pytest.mark.parametrize("kind", ["h5", "keras"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_keras_file_cut_short_is_refused_whole(model, files, tmp_path, kind, share) -> None:
    content = files[kind, "7"].read_bytes()
    path = tmp_path / files[kind, "7"].name
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CheckpointMismatch, match=r"damaged|not a whole weights file"):
        load.load_checkpoint(model, path)
    assert_nothing_was_loaded(model)


def slim_values(network, salt: str, golden) -> dict:
    return {
        f"InceptionV1/{slim_name(weight)}": golden.weight(slim_name(weight), weight.shape, salt)
        for weight in weights_of(network)
    }


def write_v1(path: Path, values: dict) -> Path:
    import tensorflow as tf

    tf.raw_ops.Save(filename=str(path), tensor_names=list(values), data=list(values.values()))
    return path


def test_slims_background_is_left_out_of_a_thousand_classes(flat, golden, tmp_path, caplog) -> None:
    values = slim_values(flat, "s", golden)
    head = "InceptionV1/Logits/Conv2d_0c_1x1/"
    for part in ("weights", "biases"):
        values[head + part] = golden.weight(part, (*values[head + part].shape[:-1], 1001), "s")
    path = write_v1(tmp_path / "inception_v1.ckpt", values)
    with caplog.at_level(logging.INFO, "keras_i3d"):
        load.load_checkpoint(flat, path)
    layer = flat.get_layer("Logits__Conv2d_0c_1x1__conv_2d")
    assert np.array_equal(layer.kernel.numpy(), values[head + "weights"][..., 1:])
    assert np.array_equal(layer.bias.numpy(), values[head + "biases"][1:])
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert "the background, class 0 of 1001, is left out" in caplog.text
    assert load.classes_in(path) == 1001


def test_a_2d_checkpoint_is_no_3d_networks_and_the_other_way_round(model, flat, golden, files, tmp_path) -> None:
    path = write_v1(tmp_path / "inception_v1.ckpt", slim_values(flat, "s", golden))
    with pytest.raises(
        CheckpointMismatch,
        match=r"a checkpoint of TF-Slim's Inception-v1, whose convolutions have 2 dimensions, those of the model i3d "
        r"3; inflate it: keras_i3d\.inflate; nothing was loaded$",
    ):
        load.load_checkpoint(model, path)
    assert_nothing_was_loaded(model)
    with pytest.raises(CheckpointMismatch, match=r"DeepMind's layout, whose .* 3 dimensions, those of .* 2; nothing"):
        load.load_checkpoint(flat, files["deepmind", "7"])


def test_a_network_of_two_streams_takes_a_checkpoint_stream_by_stream(golden, files, tmp_path) -> None:
    rgb, flow = (I3D(**SMALL, include_top=False, pooling="avg", name=f"{name}_stream") for name in ("rgb", "flow"))
    clip = keras.Input(SMALL["input_shape"])
    both = keras.Model(clip, keras.layers.Add()([rgb(clip), flow(clip)]), name="both")
    zero(both)
    with pytest.raises(
        CheckpointMismatch,
        match=r"which holds one network, and the model both has several \(flow_stream, rgb_stream\); load it into one "
        r"of them, such as model\.get_layer\('rgb_stream'\); nothing was loaded$",
    ):
        load.load_checkpoint(both, files["deepmind", "7"])
    load.load_checkpoint(both.get_layer("flow_stream"), files["deepmind", "7"])
    assert_loaded(flow, golden)
    assert_nothing_was_loaded(rgb)

    both.save_weights(tmp_path / "both.weights.h5")
    zero(flow)
    load.load_checkpoint(both, tmp_path / "both.weights.h5")
    assert_loaded(flow, golden)
    assert_nothing_was_loaded(rgb)
