import logging
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_i3d
from keras_i3d.checkpoints.names import slim_name, weights_of
from keras_i3d.errors import CheckpointMismatch
from keras_i3d.models import starting_weights
from keras_i3d.models.i3d import I3D
from keras_i3d.models.inception_v1 import InceptionV1

IMAGE, CLIP = (32, 32, 3), (9, 32, 32, 3)
# the smallest input of each builder, and what its classifier is called
BUILDERS = {
    "I3D": (CLIP, "Logits__Conv3d_0c_1x1__conv_3d"),
    "InceptionV1": (IMAGE, "Logits__Conv2d_0c_1x1__conv_2d"),
    "ConvNetLSTM": ((2, 32, 32, 3), "Logits__dense"),
    "C3D": ((1, 16, 16, 3), "Logits__dense"),
    "TwoStream": ((1, 32, 32), "Logits__Conv3d_0c_1x1__conv_3d"),
    "TwoStreamI3D": ((9, 32, 32), "Logits__Conv3d_0c_1x1__conv_3d"),
    "FusedTwoStream": ((5, 129, 129), "Logits__dense"),
}


def build(builder: str, weights: object = None, **options) -> keras.Model:
    return getattr(keras_i3d, builder)(weights=weights, input_shape=BUILDERS[builder][0], **options)


def by_place(model: keras.Model) -> dict[tuple[str, ...], np.ndarray]:
    """Return all weights by the names of the layers that they lie in; two streams have layers of equal names."""
    found = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found |= {(layer.name, *place): value for place, value in by_place(layer).items()}
        else:
            found |= {(layer.name, variable.name): variable.numpy() for variable in layer.weights}
    return found


SLOW = ("FusedTwoStream", "TwoStreamI3D")  # to build; their streams are those of TwoStream and of I3D


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in BUILDERS]
)
def saved(request, enliven: Callable, tmp_path_factory) -> tuple[str, dict, Path]:
    """Return a builder, the weights of its network of three classes, and a folder with them in both Keras formats."""
    model = enliven(build(request.param, classes=3))
    folder = tmp_path_factory.mktemp(request.param)
    model.save_weights(folder / "three.weights.h5")
    model.save(folder / "three.keras")
    return request.param, by_place(model), folder


@pytest.mark.parametrize(("file", "classes"), [("three.weights.h5", None), ("three.keras", 3)])
def test_a_file_tells_the_classes_and_gives_all_weights(saved: tuple, file: str, classes: int | None, caplog) -> None:
    builder, values, folder = saved
    model = build(builder, folder / file, classes=classes)
    assert model.output.shape == (None, 3)
    found = by_place(model)
    assert found.keys() == values.keys()
    for place, value in found.items():
        assert np.array_equal(value, values[place]), place
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_another_number_of_classes_makes_the_last_layer_new_and_says_so(saved: tuple, caplog) -> None:
    builder, values, folder = saved
    model = build(builder, str(folder / "three.weights.h5"), classes=5)
    assert model.output.shape == (None, 5)
    classifiers = 0
    for place, value in by_place(model).items():
        if place[-2] == BUILDERS[builder][1]:
            classifiers += 1
            assert value.shape[-1] == 5
        else:
            assert np.array_equal(value, values[place]), place
    assert classifiers == (4 if builder in ("TwoStream", "TwoStreamI3D") else 2)
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert record.name == "keras_i3d.checkpoints.load"
    assert "three.weights.h5 has 3 classes, the model 5: its last layer is new" in record.getMessage()


def test_weights_of_another_network_are_refused_whole(saved: tuple) -> None:
    builder, _, folder = saved
    other = "C3D" if builder != "C3D" else "ConvNetLSTM"
    with pytest.raises(
        CheckpointMismatch, match=r"but not of this network, of whose \d+ variables .*nothing was loaded"
    ):
        build(other, folder / "three.weights.h5")


def test_every_builder_refuses_an_unknown_name_before_it_builds(saved: tuple) -> None:
    builder, _, _ = saved
    known = "kinetics, kinetics_scratch, kinetics600, imagenet"
    with pytest.raises(FileNotFoundError, match=rf"^weights='kinetix' is neither a known name \({known}\) nor a file"):
        build(builder, "kinetix")


@pytest.mark.parametrize(
    ("builder", "name", "message"),
    [
        (
            "C3D",
            "imagenet",
            "weights='imagenet' are those of InceptionV1; C3D takes the path of a file of weights, or ",
        ),
        ("C3D", "kinetics", "weights='kinetics' are those of I3D; C3D takes the path of a file of weights, or None"),
        ("ConvNetLSTM", "kinetics", "are those of I3D; ConvNetLSTM takes 'imagenet', the path of a file of weights"),
        ("TwoStream", "kinetics600", "are those of I3D; TwoStream takes 'imagenet', the path of a file of weights"),
        ("FusedTwoStream", "kinetics", "are those of I3D; FusedTwoStream takes 'imagenet', the path of a file"),
        ("InceptionV1", "kinetics_scratch", "are those of I3D; InceptionV1 takes 'imagenet', the path of a file"),
    ],
)
def test_published_weights_of_another_network_are_refused_with_what_is_taken(builder, name, message) -> None:
    with pytest.raises(ValueError, match=message):
        build(builder, name)


def test_without_the_top_the_classifier_of_a_file_is_left_out(tmp_path, enliven: Callable) -> None:
    for builder in ("I3D", "InceptionV1"):
        whole = enliven(build(builder, classes=3))
        whole.save_weights(tmp_path / "whole.weights.h5")
        values = by_place(whole)
        trunk = build(builder, tmp_path / "whole.weights.h5", include_top=False, pooling="avg")
        found = by_place(trunk)
        assert len(found) == len(values) - 2
        assert all(np.array_equal(value, values[place]) for place, value in found.items())


def test_a_trunk_gives_a_network_all_but_its_last_layer(tmp_path, enliven: Callable, caplog) -> None:
    trunk = enliven(build("I3D", include_top=False))
    trunk.save_weights(tmp_path / "trunk.weights.h5")
    model = build("I3D", tmp_path / "trunk.weights.h5")
    assert model.output.shape == (None, 400)
    values = by_place(model)
    assert all(np.array_equal(values[place], value) for place, value in by_place(trunk).items())
    assert "trunk.weights.h5 has no classifier: the model's last layer is new" in caplog.text


@pytest.fixture(scope="module")
def imagenet(enliven: Callable, tmp_path_factory) -> Iterator[dict]:
    """Put an archive like TF-Slim's into a mirror, and return the weights in it by their places."""
    folder = tmp_path_factory.mktemp("imagenet")
    model = enliven(InceptionV1(weights=None, input_shape=IMAGE))
    values = {f"InceptionV1/{slim_name(weight)}": weight.variable.numpy() for weight in weights_of(model)}
    tf.raw_ops.Save(filename=str(folder / "inception_v1.ckpt"), tensor_names=list(values), data=list(values.values()))
    (folder / "mirror").mkdir()
    with tarfile.open(folder / "mirror/inception_v1_2016_08_28.tar.gz", "w:gz", compresslevel=1) as archive:
        archive.add(folder / "inception_v1.ckpt", "inception_v1.ckpt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_HOME", str(folder / "home"))
        patch.setenv("KERAS_I3D_MIRROR", str(folder / "mirror"))
        yield by_place(model)


def test_imagenet_is_the_2d_networks_own(imagenet: dict) -> None:
    model = build("InceptionV1", "imagenet")
    found = by_place(model)
    assert model.output.shape == (None, 1001)
    assert found.keys() == imagenet.keys()
    assert all(np.array_equal(value, imagenet[place]) for place, value in found.items())


def test_imagenet_without_background_has_a_thousand_classes(imagenet: dict) -> None:
    for builder in ("InceptionV1", "I3D"):
        values = by_place(build(builder, "imagenet", classes=1000))
        for part in ("kernel", "bias"):
            expected = imagenet[BUILDERS["InceptionV1"][1], part][..., 1:]
            assert np.array_equal(values[BUILDERS[builder][1], part].reshape(expected.shape), expected)


def check_inflated(found: dict, imagenet: dict, kernel_of_stem: Callable) -> None:
    """Compare a 3-D trunk with the 2-D one it came from: kernels repeated and divided, all else carried over."""
    for (layer, part), expected in imagenet.items():
        if layer.startswith("Logits"):
            continue
        value = found[layer.replace("Conv2d", "Conv3d").replace("conv_2d", "conv_3d"), part]
        if layer == "Conv2d_1a_7x7__conv_2d":
            expected = kernel_of_stem(expected)
        if part == "kernel":
            expected = np.repeat(expected[np.newaxis], len(value), axis=0) / len(value)
        np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-8, err_msg=f"{layer} {part}")


def test_imagenet_inflates_i3d_and_its_classifier(imagenet: dict) -> None:
    model = build("I3D", "imagenet")
    assert model.output.shape == (None, 1001)
    found = by_place(model)
    check_inflated(found, imagenet, lambda kernel: kernel)
    assert np.array_equal(found[BUILDERS["I3D"][1], "kernel"][0], imagenet[BUILDERS["InceptionV1"][1], "kernel"])


def test_imagenet_is_every_frames_network_of_convnet_lstm(imagenet: dict) -> None:
    model = build("ConvNetLSTM", "imagenet")
    assert model.output.shape == (None, 400)
    check_inflated(by_place(model), imagenet, lambda kernel: kernel)


@pytest.mark.parametrize("builder", ["TwoStream", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_imagenet_is_both_streams_trunk_flow_from_the_mean_over_rgb(imagenet: dict, builder: str) -> None:
    model = build(builder, "imagenet", classes=4)
    assert model.output.shape == (None, 4)
    channels = 2 if builder == "TwoStreamI3D" else 20
    check_inflated(by_place(model.get_layer("rgb_stream")), imagenet, lambda kernel: kernel)
    check_inflated(
        by_place(model.get_layer("flow_stream")),
        imagenet,
        lambda kernel: np.repeat(kernel.mean(axis=2, keepdims=True), channels, axis=2),
    )


def test_nothing_is_loaded_of_nothing() -> None:
    start = starting_weights.find(None, network="I3D")
    assert start.classes is None
    model = I3D(weights=None, input_shape=(1, 16, 16, 3), classes=2)
    before = by_place(model)
    start.load_into(model)
    assert all(np.array_equal(value, before[place]) for place, value in by_place(model).items())


@pytest.mark.parametrize("weights", [3, True, ""])
def test_what_is_neither_name_nor_path_is_refused(weights: object) -> None:
    with pytest.raises(
        ValueError, match=f"weights must be a name of published weights, a path, or None; got {weights!r}"
    ):
        starting_weights.find(weights, network="I3D")


def test_values_without_their_index_are_told_what_is_missing(tmp_path) -> None:
    (tmp_path / "flow.data-00000-of-00001").write_bytes(bytes(10))
    with pytest.raises(CheckpointMismatch, match=r"a TensorFlow checkpoint whose flow\.index is missing"):
        starting_weights.find(tmp_path / "flow", network="I3D")


def test_weights_of_the_2d_network_are_told_to_be_inflated(tmp_path) -> None:
    InceptionV1(weights=None, input_shape=(32, 32, 3), classes=3).save_weights(tmp_path / "flat.weights.h5")
    with pytest.raises(CheckpointMismatch, match=r"it is of the 2-D network: inflate it, keras_i3d\.inflate"):
        I3D(weights=tmp_path / "flat.weights.h5", input_shape=(1, 32, 32, 3))
