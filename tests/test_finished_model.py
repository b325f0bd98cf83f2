import json
import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from finished_models import paper_model

from keras_i3d import finished_model
from keras_i3d.clips.preparation import Preparation
from keras_i3d.errors import ModelFileError
from keras_i3d.models import networks
from keras_i3d.models.c3d import C3D
from keras_i3d.models.convnet_lstm import ConvNetLSTM
from keras_i3d.models.i3d import I3D
from keras_i3d.models.two_stream import TwoStream
from keras_i3d.models.two_stream_i3d import TwoStreamI3D


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


def test_as_many_class_names_as_classes_are_wanted(run_folder) -> None:
    finished = finished_model.load(run_folder / "best.keras")
    with pytest.raises(ModelFileError, match=r"^3 class names for a network of 8 classes"):
        replace(finished, class_names=("a", "b", "c"))


def test_a_truncated_model_is_named(run_folder, tmp_path) -> None:
    content = (run_folder / "best.keras").read_bytes()
    (tmp_path / "x.keras").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelFileError, match=r"x.keras: cannot be read as a Keras model"):
        finished_model.load(tmp_path / "x.keras")


def test_a_path_without_a_file_is_named(tmp_path) -> None:
    with pytest.raises(ModelFileError, match=r"x.keras: no such model file"):
        finished_model.load(tmp_path / "x.keras")
    with pytest.raises(ModelFileError, match=r"not a finished model; a .keras file or a name .* \(kinetics, "):
        finished_model.load("kinetix")


def test_a_keras_model_of_something_else_is_named(tmp_path) -> None:
    inputs = keras.Input((4,), name="x")
    keras.Model(inputs, keras.layers.Dense(2)(inputs)).save(tmp_path / "x.keras")
    with pytest.raises(ModelFileError, match="not one of this package: it needs inputs named rgb or flow"):
        finished_model.load(tmp_path / "x.keras")
    I3D(False, None, input_shape=(9, 32, 32, 3)).save(tmp_path / "trunk.keras")
    with pytest.raises(ModelFileError, match="and a layer named Logits; its inputs are rgb"):
        finished_model.load(tmp_path / "trunk.keras")


@pytest.fixture(scope="module")
def c3d(tmp_path_factory) -> Path:
    """Return a file of a 3D-ConvNet of clips of four frames, with class names and without a preparation."""
    folder = tmp_path_factory.mktemp("c3d")
    C3D(input_shape=(4, 16, 16, 3), classes=2).save(folder / "model.keras")
    (folder / "labels.txt").write_text("a\nb\n")
    return folder / "model.keras"


def test_a_network_of_fixed_clips_is_tested_in_windows_of_them(c3d: Path) -> None:
    finished = finished_model.load(c3d)
    assert finished.preparation == Preparation("rgb", 25.0, 18, 16, "c3d")
    assert finished.protocol is networks.network("c3d").protocol()
    assert finished.window == 4
    assert finished.logits_network().output.name != finished.network.output.name


@pytest.mark.parametrize(
    ("build", "name", "modality", "window"),
    [
        (lambda: I3D(weights=None, input_shape=(None, 16, 16, 3), classes=2), "i3d", "rgb", None),
        (lambda: I3D(weights=None, input_shape=(9, 16, 16, 2), classes=2, modality="flow"), "i3d", "flow", 9),
        (lambda: TwoStream(input_shape=(None, 16, 16), classes=2), "two_stream", "both", None),
        (lambda: TwoStream(input_shape=(3, 16, 16), classes=2), "two_stream", "both", 30),
        (lambda: TwoStreamI3D(None, input_shape=(None, 16, 16), classes=2, name="x"), "two_stream_i3d", "both", None),
        (lambda: ConvNetLSTM(input_shape=(None, 16, 16, 3), classes=2), "convnet_lstm", "rgb", None),
        (lambda: I3D(weights=None, input_shape=(None, 16, 16, 3), classes=2, name="two_stream"), "i3d", "rgb", None),
    ],
)
def test_a_network_without_a_preparation_is_told_by_its_name_and_inputs(
    tmp_path, build, name: str, modality: str, window: int | None
) -> None:
    build().save(tmp_path / "model.keras")
    (tmp_path / "labels.txt").write_text("a\nb\n")
    finished = finished_model.load(tmp_path / "model.keras")
    assert (finished.preparation.network, finished.preparation.modality) == (name, modality)
    assert finished.window == window
    assert finished.logits_network().output.shape == (None, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"network": "r3d"},
            r"preparation.json beside it does not fit this package \(unknown network 'r3d'; ",
        ),
        ({"modality": "flow"}, r"does not fit this package \(network 'c3d' takes modality 'rgb', got 'flow'\)"),
        ({"size": 32}, "its network takes rgb of 16x16, but preparation.json beside it says rgb of 32x32"),
        (
            {"network": "i3d", "modality": "flow"},
            "of 16x16, but preparation.json beside it says flow of 16x16",
        ),
    ],
)
def test_a_preparation_that_does_not_fit_is_told(c3d: Path, tmp_path, change: dict, message: str) -> None:
    for file in c3d.parent.iterdir():
        shutil.copy(file, tmp_path)
    values = {"modality": "rgb", "fps": 25.0, "short_side": 18, "size": 16, "network": "c3d"} | change
    (tmp_path / "preparation.json").write_text(json.dumps(values))
    with pytest.raises(ModelFileError, match=message):
        finished_model.load(tmp_path / "model.keras")


def test_a_clip_has_the_shape_that_the_network_takes_or_that_of_training(c3d: Path, run_folder) -> None:
    assert finished_model.load(c3d).clip_shapes() == {"rgb": (4, 16, 16, 3)}
    assert finished_model.load(run_folder / "best.keras").clip_shapes() == {"rgb": (64, 32, 32, 3)}


def test_the_activation_is_that_of_the_predictions(run_folder) -> None:
    finished = finished_model.load(run_folder / "best.keras")
    assert finished.activation == "softmax"
    assert replace(finished, network=finished.logits_network()).activation == "softmax"
    logits = finished.logits_network()
    several = keras.Model(logits.inputs, keras.layers.Activation("sigmoid", name="Predictions")(logits.output))
    assert replace(finished, network=several).activation == "sigmoid"


def test_published_weights_are_told_by_name() -> None:
    assert finished_model.is_published("kinetics600")
    assert not finished_model.is_published("imagenet")  # a start, not a finished model
    with pytest.raises(ValueError, match="weights 'kinetics600' exist for rgb only, got modality 'flow'"):
        finished_model.load("kinetics600", modality="flow")


def test_both_published_streams_are_wanted_for_both() -> None:
    with pytest.raises(ValueError, match="weights 'kinetics600' exist for rgb only, got modality 'flow'"):
        finished_model.load("kinetics600", modality="both")


def test_joined_streams_are_the_two_stream_network(noise) -> None:
    rgb, flow = (paper_model("i3d", modality=modality) for modality in ("rgb", "flow"))
    both = finished_model.joined(rgb, flow)
    assert (both.preparation.modality, both.preparation.network, both.class_names) == (
        "both",
        "two_stream_i3d",
        rgb.class_names,
    )
    clips = {"rgb": noise(1, 9, 32, 32, 3), "flow": noise(1, 9, 32, 32, 2)}
    summed = sum(model.logits_network()(clips[name]) for name, model in (("rgb", rgb), ("flow", flow)))
    np.testing.assert_allclose(both.logits_network()(clips), summed, rtol=1e-5, atol=1e-6)
    with pytest.raises(ModelFileError, match="must have the same classes and the same size of input"):
        finished_model.joined(rgb, replace(flow, preparation=replace(flow.preparation, size=48)))
