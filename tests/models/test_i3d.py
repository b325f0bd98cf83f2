import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_i3d
from keras_i3d.checkpoints.names import deepmind_name
from keras_i3d.errors import CheckpointMismatch
from keras_i3d.models.architecture import END_POINTS
from keras_i3d.models.i3d import I3D, decode_predictions, preprocess_input
from keras_i3d.models.time_plan import I3D_PLAN, time_plan

GOLDEN = Path(__file__).parents[1] / "golden"
RUNS = {"rgb_11x205x219": "rgb", "flow_16x224": "flow"}


@pytest.fixture(scope="module", params=RUNS)
def run(request, golden, write_checkpoint, tmp_path_factory):
    """Return the numbers of one run of the original, our network with the same weights from a file, and the clip."""
    numbers = json.loads((GOLDEN / f"{request.param}.json").read_text())
    modality = RUNS[request.param]
    shape = tuple(numbers["clip_shape"])
    blank = I3D(weights=None, modality=modality, input_shape=shape[1:])
    scope = {"rgb": "RGB", "flow": "Flow"}[modality] + "/inception_i3d/"
    path = write_checkpoint(
        tmp_path_factory.mktemp("published") / "model.ckpt", blank, numbers["weights_salt"], scope=scope
    )
    model = I3D(weights=str(path), modality=modality, input_shape=shape[1:])
    return numbers, model, golden.clip(shape, numbers["clip_salt"])


def test_a_checkpoint_in_the_published_layout_gives_the_originals_logits(run) -> None:
    numbers, model, clip = run
    logits = keras.Model(model.input, model.get_layer("Logits").output).predict(clip, verbose=0)
    expected = np.array([numbers["logits"]])
    # float32 on other kernels than TensorFlow 1's; the closest wrong network (epsilon 1e-5) is 300 times this off
    assert np.abs(logits - expected).max() <= 1e-4 * expected.std()
    probabilities = np.exp(expected - expected.max())
    np.testing.assert_allclose(model.predict(clip, verbose=0), probabilities / probabilities.sum(), atol=1e-4)


def test_axes_that_are_unknown_until_run_time_give_the_same_logits(run) -> None:
    _, model, clip = run
    modality = "rgb" if clip.shape[-1] == 3 else "flow"
    free = I3D(weights=None, modality=modality, input_shape=(None, None, None, clip.shape[-1]))
    for mine, its in zip(free.weights, model.weights, strict=True):
        mine.assign(its)
    # two orders of the same float32 sums
    np.testing.assert_allclose(free.predict(clip, verbose=0), model.predict(clip, verbose=0), atol=1e-5)


def test_a_checkpoint_of_the_other_stream_is_refused(write_checkpoint, tmp_path) -> None:
    small = {"weights": None, "input_shape": (9, 32, 32, 3)}
    path = write_checkpoint(tmp_path / "model.ckpt", I3D(**small), "x", scope="RGB/inception_i3d/")
    with pytest.raises(CheckpointMismatch, match=r"Conv3d_1a_7x7/conv_3d/w is \[7, 7, 7, 3, 64\] in the file"):
        I3D(weights=str(path), modality="flow", input_shape=(9, 32, 32, 2))


@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (8, 192, 192, 3), (17, 33, 64, 3)])
def test_clips_that_the_original_refuses_build_and_run(shape: tuple) -> None:
    model = I3D(weights=None, input_shape=shape, classes=4)
    output = model.predict(np.zeros((2, *shape), np.float32), verbose=0)
    assert output.shape == (2, 4)
    np.testing.assert_allclose(output.sum(1), 1, atol=1e-6)


def test_the_default_input_is_the_papers() -> None:
    model = I3D(weights=None)
    assert model.input.shape == (None, 64, 224, 224, 3)
    assert model.input.name == "rgb"
    assert model.name == "i3d"
    assert I3D(weights=None, modality="flow").input.shape == (None, 64, 224, 224, 2)


def test_the_per_frame_network_cannot_see_the_order_of_frames(golden) -> None:
    clip = np.random.default_rng(0).uniform(-1, 1, (1, 9, 32, 32, 3)).astype(np.float32)
    differences = {}
    for plan in ("per_frame", "i3d"):
        model = I3D(weights=None, input_shape=clip.shape[1:], time_plan=plan, classifier_activation=None)
        for variable in model.trainable_variables:  # fresh weights let the signal die out
            variable.assign(golden.weight(deepmind_name(variable), tuple(variable.shape), "live"))
        forwards, backwards = model(clip), model(clip[:, ::-1])
        differences[plan] = np.abs(np.subtract(forwards, backwards)).max() / np.std(forwards)
    assert differences["per_frame"] < 1e-5  # a mean over nine frames, summed in another order
    assert differences["i3d"] > 0.1


@pytest.mark.parametrize(
    ("options", "shape"),
    [({}, (None, 2, 1, 1, 1024)), ({"pooling": "avg"}, (None, 1024)), ({"pooling": "max"}, (None, 1024))],
)
def test_without_the_top_comes_the_map_or_its_pool(options: dict, shape: tuple) -> None:
    assert I3D(False, None, input_shape=(9, 32, 32, 3), **options).output.shape == shape


def test_without_the_top_a_checkpoint_loads_all_but_its_classifier(write_checkpoint, tmp_path) -> None:
    whole = I3D(weights=None, input_shape=(9, 32, 32, 3))
    path = write_checkpoint(tmp_path / "model.ckpt", whole, "x", scope="RGB/inception_i3d/")
    whole = I3D(weights=str(path), input_shape=(9, 32, 32, 3))
    trunk = I3D(False, str(path), input_shape=(9, 32, 32, 3))
    clip = np.random.default_rng(0).uniform(-1, 1, (1, 9, 32, 32, 3)).astype(np.float32)
    expected = keras.Model(whole.input, whole.get_layer("Mixed_5c").output)(clip)
    assert np.array_equal(trunk(clip), expected)


def test_an_input_tensor_is_built_upon() -> None:
    inputs = keras.Input((9, 32, 32, 6))
    two, _ = keras.layers.Lambda(lambda x: [x[..., :3], x[..., 3:]])(inputs)
    model = I3D(weights=None, input_tensor=two, classes=4)
    assert model.input.shape == (None, 9, 32, 32, 6)
    assert model.output.shape == (None, 4)


def test_the_logits_are_float32_under_mixed_precision() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = I3D(weights=None, input_shape=(9, 32, 32, 3), classes=4)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("Mixed_5c").output.dtype == "bfloat16"
    assert model.get_layer("Logits").output.dtype == "float32"
    assert model.output.dtype == "float32"


def test_batch_norm_takes_what_training_asks_for() -> None:
    model = I3D(
        weights=None, input_shape=(1, 32, 32, 3), classes=2, batch_norm_momentum=0.7, synchronized_batch_norm=True
    )
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(norms) == 57
    assert {(norm.momentum, norm.synchronized, norm.scale, norm.epsilon) for norm in norms} == {
        (0.7, True, False, 1e-3)
    }


@pytest.mark.parametrize("plan", ["i3d", "i2d", "per_frame", "s3d", "s3d_g", "top_heavy:4b", "bottom_heavy:3c"])
def test_every_end_point_is_a_layer_whatever_the_plan(plan: str) -> None:
    model = I3D(weights=None, input_shape=(9, 32, 32, 3), classes=2, time_plan=plan)
    assert {name: model.get_layer(name).name for name in END_POINTS} == dict(zip(END_POINTS, END_POINTS, strict=True))
    assert model.get_layer("Logits").output.shape == model.output.shape == (None, 2)


def test_a_plan_of_ones_own_builds_from_a_file_as_from_python(tmp_path) -> None:
    plan = replace(I3D_PLAN, conv={"1a": 5}, padding="edge")
    (tmp_path / "plan.json").write_text(json.dumps(plan.to_json()))
    shapes = [
        [tuple(variable.shape) for variable in I3D(weights=None, input_shape=(9, 32, 32, 3), time_plan=given).weights]
        for given in (plan, tmp_path / "plan.json", json.dumps(plan.to_json()))
    ]
    assert shapes[0] == shapes[1] == shapes[2]
    assert shapes[0][0] == (5, 7, 7, 3, 64)


@pytest.mark.parametrize("plan", ["i3d", "s3d_g"])
@pytest.mark.parametrize("given", ["argument", "plan"])
def test_with_edges_repeated_a_still_video_gives_the_same_logits_however_long(
    plan: str, given: str, enliven, noise
) -> None:
    edge = {"time_plan": plan, "temporal_padding": "edge"}
    if given == "plan":
        edge = {"time_plan": replace(time_plan(plan), padding="edge")}
    model = enliven(I3D(weights=None, input_shape=(None, 32, 32, 3), classes=5, classifier_activation=None, **edge))
    image = noise(1, 1, 32, 32, 3)
    one, nine, twenty = (np.asarray(model(np.repeat(image, frames, axis=1))) for frames in (1, 9, 20))
    assert one.std() > 0.01
    for longer in (nine, twenty):
        assert np.abs(longer - one).max() <= 1e-5 * np.abs(one).max()


def test_edges_change_nothing_where_no_zeros_reach(enliven, noise) -> None:
    zeros, edge = (
        enliven(I3D(False, None, input_shape=(64, 16, 16, 3), temporal_padding=padding))
        for padding in ("zeros", "edge")
    )
    clip = noise(1, 64, 16, 16, 3)
    names = ("Conv3d_1a_7x7", "Conv3d_2c_3x3", "Mixed_3c")
    ours, theirs = (
        keras.Model(model.input, [model.get_layer(name).output for name in names])(clip) for model in (zeros, edge)
    )
    for name, ends, one, other in zip(names, (2, 3, 5), ours, theirs, strict=True):
        one, other = np.asarray(one), np.asarray(other)
        assert np.abs(one - other)[:, ends:-ends].max() <= 1e-5 * np.abs(one).max(), name
        assert np.abs(one - other)[:, 0].max() > 1e-3 * np.abs(one).max(), name


def test_the_classifier_may_end_in_logits() -> None:
    model = I3D(weights=None, input_shape=(1, 32, 32, 3), classes=2, classifier_activation=None)
    assert model.layers[-1].name == "Logits"


def test_a_model_of_known_sizes_loads_as_plain_keras_and_one_of_unknown_ones_too(tmp_path) -> None:
    for number, (shape, options) in enumerate(
        [((9, 32, 32, 3), {}), ((None, 32, 32, 3), {"time_plan": "s3d_g", "temporal_padding": "edge"})]
    ):
        model = I3D(weights=None, input_shape=shape, classes=2, **options)
        model.save(tmp_path / f"{number}.keras")
        again = keras.saving.load_model(tmp_path / f"{number}.keras", safe_mode=True)
        clip = np.random.default_rng(0).uniform(-1, 1, (1, 9, 32, 32, 3)).astype(np.float32)
        np.testing.assert_allclose(again(clip), model(clip), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pooling": "mean"}, "pooling must be None, 'avg' or 'max', got 'mean'"),
        ({"classes": 0}, "classes must be an integer of at least 1, got 0"),
        ({"modality": "depth"}, "unknown modality 'depth'; known: rgb, flow"),
        ({"modality": "flow", "input_shape": (9, 32, 32, 3)}, r"modality 'flow' has 2 channels, got input_shape=\(9,"),
        ({"input_shape": (32, 32, 3)}, r"input_shape must be \(time, height, width, channels\), got \(32, 32, 3\)"),
        ({"input_shape": (0, 32, 32, 3)}, "every axis of input_shape must be an integer of at least 1, or None; got"),
        ({"input_tensor": np.zeros((1, 9, 32, 32, 3))}, "input_tensor must be a Keras tensor"),
        ({"dropout_rate": 1}, r"dropout_rate must be in \[0, 1\), got 1"),
        ({"batch_norm_momentum": 7}, r"batch_norm_momentum must be in \[0, 1\), got 7"),
        ({"time_plan": "2d"}, "unknown time plan '2d'; known: i3d, i2d, per_frame, s3d, s3d_g, top_heavy:TAG"),
        ({"time_plan": "top_heavy:9z"}, "no layer '9z'; its layers are 1a, 2b"),
        ({"temporal_padding": "reflect"}, "padding must be 'zeros' or 'edge', got 'reflect'"),
        (
            {"weights": "kinetics600", "modality": "flow"},
            "weights 'kinetics600' exist for rgb only, got modality 'flow'",
        ),
        ({"weights": "kinetics", "classifier_activation": "relu"}, "must be 'softmax' or None, got 'relu'"),
    ],
)
def test_a_wrong_argument_is_named_with_what_is_allowed(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        I3D(**{"weights": None, **options})


def test_weights_that_are_neither_a_name_nor_a_file_are_refused() -> None:
    with pytest.raises(
        FileNotFoundError,
        match=r"weights='nowhere/model.ckpt' is neither a known name "
        r"\(kinetics, kinetics_scratch, kinetics600, imagenet\) nor a file of weights "
        r"\(a TensorFlow checkpoint, .weights.h5, .keras, .pt\)",
    ):
        I3D(weights="nowhere/model.ckpt", input_shape=(1, 32, 32, 3))


@pytest.mark.parametrize("convert", [np.asarray, keras.ops.convert_to_tensor])
def test_preprocessing_brings_both_streams_to_minus_one_to_one(convert) -> None:
    rgb = np.array([0, 127.5, 255], np.float32)
    np.testing.assert_allclose(preprocess_input(convert(rgb)), [-1, 0, 1], atol=1e-7)
    flow = np.array([-50, -20, 0, 10, 20, 99], np.float32)
    np.testing.assert_allclose(preprocess_input(convert(flow), modality="flow"), [-1, -1, 0, 0.5, 1, 1], atol=1e-7)


def test_preprocessing_takes_bytes_and_leaves_its_argument_alone() -> None:
    frames = np.array([[0, 255]], np.uint8)
    assert preprocess_input(frames).dtype == np.float32
    assert frames.tolist() == [[0, 255]]
    with pytest.raises(ValueError, match="unknown modality 'bgr'"):
        preprocess_input(frames, modality="bgr")


def test_predictions_are_named_best_first() -> None:
    named = decode_predictions(np.array([[0.1, 0.7, 0.2]]), top=2, class_names=["a", "b", "c"])
    assert named == [[(1, "b", 0.7), (2, "c", 0.2)]]


def test_predictions_must_fit_the_class_names() -> None:
    with pytest.raises(ValueError, match=r"must have shape \(batch, 3\), one value for each class name; got \(1, 2\)"):
        keras_i3d.decode_predictions(np.zeros((1, 2)), class_names=["a", "b", "c"])
