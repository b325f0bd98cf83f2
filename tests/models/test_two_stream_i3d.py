from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from moving_textures import moving_texture

from keras_i3d import finished_model
from keras_i3d.clips.preparation import Preparation
from keras_i3d.errors import ModelFileError
from keras_i3d.layers import TVL1Flow
from keras_i3d.models.i3d import I3D
from keras_i3d.models.two_stream_i3d import TwoStreamI3D
from keras_i3d.video.flow import from_stored, to_stored

SMALL = {"weights": None, "input_shape": (9, 32, 32), "classes": 3, "classifier_activation": None}


@pytest.fixture(scope="module")
def clips(noise: Callable) -> dict[str, np.ndarray]:
    return {"rgb": noise(2, 9, 32, 32, 3), "flow": noise(2, 9, 32, 32, 2, seed=1)}


@pytest.fixture(scope="module")
def model(enliven: Callable) -> keras.Model:
    return enliven(TwoStreamI3D(**SMALL))


@pytest.fixture(scope="module")
def files(enliven: Callable, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return weights of an RGB network of three classes and of flow networks of three and of four."""
    folder = tmp_path_factory.mktemp("weights")
    found = {}
    for name, modality, channels, classes in (("rgb", "rgb", 3, 3), ("flow", "flow", 2, 3), ("four", "flow", 2, 4)):
        stream = I3D(weights=None, input_shape=(1, 32, 32, channels), classes=classes, modality=modality)
        found[name] = folder / f"{name}.weights.h5"
        enliven(stream, seed=len(found)).save_weights(found[name])
    return found


def test_the_inputs_bear_the_streams_names_and_the_papers_shape() -> None:
    model = TwoStreamI3D(weights=None)
    assert {tensor.name: tensor.shape for tensor in model.inputs} == {
        "rgb": (None, 64, 224, 224, 3),
        "flow": (None, 64, 224, 224, 2),
    }
    assert (model.name, model.layers[-1].name, model.output.shape) == ("two_stream_i3d", "Predictions", (None, 400))


@pytest.mark.parametrize("factors", [(1.0, 1.0), (0.25, 2)])
def test_the_logits_are_the_weighted_sum_of_the_streams(
    factors: tuple, model: keras.Model, clips: dict, enliven: Callable
) -> None:
    weighted = TwoStreamI3D(**SMALL, stream_weights=factors)
    for stream in ("rgb_stream", "flow_stream"):
        weighted.get_layer(stream).set_weights(model.get_layer(stream).get_weights())
    streams = [model.get_layer(f"{name}_stream")(clip) for name, clip in clips.items()]
    expected = factors[0] * np.asarray(streams[0]) + factors[1] * np.asarray(streams[1])
    assert expected.std() > 0.01
    np.testing.assert_allclose(weighted(clips), expected, atol=1e-5 * np.abs(expected).max())


def test_the_sum_is_float32_behind_half_precision(clips: dict) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = TwoStreamI3D(**SMALL, stream_weights=(0.3, 0.7))
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("rgb_stream").get_layer("Mixed_5c").output.dtype == "bfloat16"
    names = ("rgb_stream", "flow_stream", "rgb_weighted", "flow_weighted", "Logits")
    assert {model.get_layer(name).output.dtype for name in names} == {"float32"}
    assert model.predict(clips, verbose=0).dtype == np.float32


def test_it_is_saved_and_loaded_and_its_options_reach_both_streams(tmp_path, clips: dict) -> None:
    model = TwoStreamI3D(
        **SMALL | {"input_shape": (None, None, 32)},
        time_plan="top_heavy:5b",
        temporal_padding="edge",
        dropout_rate=0.25,
        batch_norm_momentum=0.7,
    )
    for stream in ("rgb_stream", "flow_stream"):
        layers = model.get_layer(stream).layers
        norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
        assert ({norm.momentum for norm in norms}, len(norms)) == ({0.7}, 57)
        assert model.get_layer(stream).get_layer("Dropout_0b").rate == 0.25
        assert model.get_layer(stream).get_layer("Conv3d_1a_7x7__conv_3d").kernel_size == (1, 7, 7)
        assert model.get_layer(stream).get_layer("Mixed_5c__Branch_1__Conv3d_0b_3x3__padding").time == "edge"
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_allclose(again.predict(clips, verbose=0), model(clips), atol=1e-6)


def test_each_stream_takes_its_own_weights(files: dict[str, Path], clips: dict) -> None:
    model = TwoStreamI3D(weights=(files["rgb"], str(files["flow"])), input_shape=(9, 32, 32))
    assert model.output.shape == (None, 3)
    for modality, channels in (("rgb", 3), ("flow", 2)):
        alone = I3D(weights=files[modality], input_shape=(9, 32, 32, channels), modality=modality)
        for mine, its in zip(model.get_layer(f"{modality}_stream").weights, alone.weights, strict=True):
            assert np.array_equal(mine, its), mine.path


def test_one_stream_may_start_from_nothing_and_has_the_others_classes(files: dict[str, Path]) -> None:
    for pair in ((files["rgb"], None), (None, files["flow"])):
        assert TwoStreamI3D(weights=pair, input_shape=(1, 32, 32)).output.shape == (None, 3)
    assert TwoStreamI3D(weights=(None, None), input_shape=(1, 32, 32)).output.shape == (None, 400)


def test_streams_of_unequal_classes_need_a_word(files: dict[str, Path], caplog: pytest.LogCaptureFixture) -> None:
    pair = (files["rgb"], files["four"])
    with pytest.raises(
        ValueError, match=r"as many classes in both streams, got 3 in rgb and 4 in flow; classes=\.\.\."
    ):
        TwoStreamI3D(weights=pair, input_shape=(1, 32, 32))
    assert TwoStreamI3D(weights=pair, input_shape=(1, 32, 32), classes=4).output.shape == (None, 4)
    assert ["has 3 classes, the model 4: its last layer is new" in record.message for record in caplog.records] == [
        True
    ]


def test_its_own_weights_load_and_tell_the_classes(tmp_path, model: keras.Model, files: dict[str, Path]) -> None:
    model.save_weights(tmp_path / "both.weights.h5")
    again = TwoStreamI3D(weights=tmp_path / "both.weights.h5", input_shape=(1, 32, 32))
    assert again.output.shape == (None, 3)
    for mine, its in zip(again.weights, model.weights, strict=True):
        assert np.array_equal(mine, its)


@pytest.fixture(scope="module")
def moving() -> np.ndarray:
    """Return a clip of a moving texture, float32 (1, 9, 32, 32, 3) in [-1, 1]."""
    return (moving_texture(9, 32, 32)[None] / 127.5 - 1).astype(np.float32)


@pytest.fixture(scope="module")
def alone(model: keras.Model) -> keras.Model:
    """Return the network that computes its flow itself, with the weights of the one that is given it."""
    network = TwoStreamI3D(**SMALL, flow_from_rgb=True)
    network.set_weights(model.get_weights())
    return network


def test_it_computes_its_flow_from_rgb_as_records_would_hold_it(
    model: keras.Model, alone: keras.Model, moving: np.ndarray
) -> None:
    assert [tensor.name for tensor in alone.inputs] == ["rgb"]
    flow = keras.Model(alone.inputs, alone.get_layer("tvl1").output).predict(moving, verbose=0)
    assert np.abs(flow).mean() > 0.3
    stored = (from_stored(to_stored(flow).astype(np.float32)) / 20).astype(np.float32)
    expected = model.predict({"rgb": moving, "flow": stored}, verbose=0)
    without = model.predict({"rgb": moving, "flow": np.zeros_like(stored)}, verbose=0)
    found = alone.predict(moving, verbose=0)
    # float32 sums in another order, in front of the eight bits too: a few values are a level away
    assert np.abs(found - expected).max() < 0.02 * np.abs(without - expected).max()


def test_weights_do_not_depend_on_where_the_flow_comes_from(
    tmp_path, model: keras.Model, alone: keras.Model, moving: np.ndarray
) -> None:
    assert [weight.path for weight in alone.weights] == [weight.path for weight in model.weights]
    model.save_weights(tmp_path / "both.weights.h5")
    again = TwoStreamI3D(tmp_path / "both.weights.h5", input_shape=(9, 32, 32), flow_from_rgb=True)
    for mine, its in zip(again.weights, model.weights, strict=True):
        assert np.array_equal(mine, its)
    alone.save_weights(tmp_path / "alone.weights.h5")
    again = TwoStreamI3D(tmp_path / "alone.weights.h5", input_shape=(9, 32, 32))
    for mine, its in zip(again.weights, model.weights, strict=True):
        assert np.array_equal(mine, its)


def test_with_its_flow_it_is_saved_and_is_a_finished_model_of_rgb(
    tmp_path, alone: keras.Model, moving: np.ndarray
) -> None:
    alone.save(tmp_path / "model.keras")
    (tmp_path / "labels.txt").write_text("one\ntwo\nthree\n")
    finished = finished_model.load(tmp_path / "model.keras")
    assert isinstance(finished.network.get_layer("tvl1"), TVL1Flow)
    assert (finished.preparation.modality, finished.preparation.size) == ("rgb", 32)
    assert finished.clip_shapes() == {"rgb": (9, 32, 32, 3)}
    expected = alone.predict(moving, verbose=0)
    np.testing.assert_allclose(finished.logits_network().predict(moving, verbose=0), expected, atol=1e-5)


def test_preparation_for_two_inputs_does_not_fit_a_network_of_one(tmp_path, alone: keras.Model) -> None:
    alone.save(tmp_path / "model.keras")
    (tmp_path / "labels.txt").write_text("one\ntwo\nthree\n")
    Preparation("both", 25, 37, 32, "two_stream_i3d").write(tmp_path)
    with pytest.raises(
        ModelFileError, match=r"its network takes rgb of 32x32, but preparation\.json beside it says both"
    ):
        finished_model.load(tmp_path / "model.keras")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stream_weights": (1.0,)}, r"stream_weights must be two numbers, for rgb and flow, got \(1.0,\)"),
        ({"stream_weights": 2.0}, "stream_weights must be two numbers, for rgb and flow, got 2.0"),
        ({"stream_weights": ("a", 1)}, r"stream_weights must be two numbers, for rgb and flow, got \('a', 1\)"),
        ({"stream_weights": (1, float("nan"))}, r"stream_weights must be two numbers, .* got \(1, nan\)"),
        ({"weights": ("kinetics",)}, r"weights must be one name or file, or a pair \(rgb, flow\); got \('kinetics',\)"),
        ({"input_shape": (9, 32, 32, 3)}, r"input_shape must be \(time, height, width\), got \(9, 32, 32, 3\)"),
        ({"flow_from_rgb": "yes"}, "flow_from_rgb is true or false, got 'yes'"),
        ({"classes": 0}, "classes must be an integer of at least 1, got 0"),
        ({"weights": "kinetics600"}, "weights 'kinetics600' exist for rgb only, got modality 'flow'"),
        ({"weights": ("kinetics", "kinetics600")}, "weights 'kinetics600' exist for rgb only, got modality 'flow'"),
        ({"weights": "kinetics", "classifier_activation": "relu"}, "must be 'softmax' or None, got 'relu'"),
        ({"time_plan": "2d"}, "unknown time plan '2d'"),
        ({"include_top": False}, "TwoStreamI3D has no option 'include_top'; of I3D's it takes dropout_rate, time_plan"),
    ],
)
def test_a_wrong_argument_is_named_before_anything_is_fetched(
    options: dict, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KERAS_I3D_MIRROR", str(tmp_path / "absent"))  # whatever is fetched fails, by another error
    with pytest.raises(ValueError, match=message):
        TwoStreamI3D(**{"weights": None} | options)


def test_unknown_weights_list_the_known_ones() -> None:
    with pytest.raises(FileNotFoundError, match=r"weights='kinetix' is neither a known name \(kinetics, kinetics_scr"):
        TwoStreamI3D("kinetix")
    with pytest.raises(FileNotFoundError, match=r"weights='kinetix' is neither a known name \(kinetics, kinetics_scr"):
        TwoStreamI3D(("kinetics", "kinetix"))
