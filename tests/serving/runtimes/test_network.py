import keras
import numpy as np
import pytest
from finished_models import CLASSES, SMALLEST, finish, paper_model, small_model
from keras import layers

from keras_i3d.serving.runtimes.export import difference_of
from keras_i3d.serving.runtimes.layers import UnrolledLSTM
from keras_i3d.serving.runtimes.network import clip_network, convertible, example_clips


def test_axes_that_the_network_leaves_open_stay_open() -> None:
    assert clip_network(small_model()).shapes == {"rgb": (None, None, 16, 16, 3)}
    assert clip_network(small_model(frames=9)).shapes == {"rgb": (None, 9, 16, 16, 3)}
    both = {"rgb": (None, None, 16, 16, 3), "flow": (None, None, 16, 16, 2)}
    assert clip_network(small_model("both")).shapes == both


def test_axes_can_be_fixed() -> None:
    assert clip_network(small_model(), frames=9, batch=4).shapes == {"rgb": (4, 9, 16, 16, 3)}
    assert clip_network(small_model(), batch=4).shapes == {"rgb": (4, None, 16, 16, 3)}
    assert clip_network(small_model(), is_fixed=True).shapes == {"rgb": (1, 64, 16, 16, 3)}
    anything = keras.Input((None, None, None, 3), name="rgb")
    logits = layers.GlobalAveragePooling3D(name="Logits")(layers.Conv3D(len(CLASSES), 1)(anything))
    free = finish(keras.Model(anything, logits, name="i3d"), "rgb", 24, "i3d")
    assert clip_network(free).shapes == {"rgb": (None, None, None, None, 3)}
    assert clip_network(free, is_fixed=True).shapes == {"rgb": (1, 64, 24, 24, 3)}


def test_frames_are_those_of_the_video() -> None:
    network = paper_model("two_stream")
    assert clip_network(network, frames=20).shapes == {"flow": (None, 20, 32, 32, 2), "rgb": (None, 2, 32, 32, 3)}


def test_an_lstm_has_its_time_fixed() -> None:
    assert clip_network(paper_model("convnet_lstm")).shapes == {"rgb": (None, 25, 32, 32, 3)}
    assert clip_network(paper_model("convnet_lstm"), frames=50).shapes == {"rgb": (None, 10, 32, 32, 3)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 0}, "frames must be a whole number of at least 1, got 0"),
        ({"batch": 1.5}, "batch must be a whole number of at least 1, got 1.5"),
        ({"batch": True}, "batch must be a whole number of at least 1, got True"),
        ({"frames": 8}, "takes 9 rgb frames; of the 8 frames of a clip 8 would be left"),
    ],
)
def test_wishes_that_do_not_fit_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        clip_network(small_model(frames=9), **options)


def test_a_clip_too_short_for_a_stream_is_named() -> None:
    with pytest.raises(ValueError, match="takes at least 1 rgb frames; of the 5 frames of a clip 0 would be left"):
        clip_network(paper_model("two_stream"), frames=5)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_probabilities_are_the_networks_own(activation: str) -> None:
    finished = small_model(activation=activation)
    (clips, _) = example_clips(finished, clip_network(finished))
    answers = clip_network(finished).answer(clips)
    np.testing.assert_allclose(answers["probabilities"], finished.network.predict(clips["rgb"], verbose=0), atol=1e-6)
    np.testing.assert_allclose(answers["logits"], finished.logits_network()(clips["rgb"]), atol=1e-6)


def test_a_network_without_predictions_has_the_softmax_of_its_logits() -> None:
    inputs = keras.Input((None, 16, 16, 3), name="rgb")
    logits = layers.GlobalAveragePooling3D(name="Logits")(layers.Conv3D(len(CLASSES), 1)(inputs))
    finished = finish(keras.Model(inputs, logits, name="i3d"), "rgb", 16, "i3d")
    network = clip_network(finished)
    answers = network.answer(example_clips(finished, network)[0])
    np.testing.assert_allclose(answers["probabilities"], keras.ops.softmax(answers["logits"]), atol=1e-6)


@pytest.mark.parametrize("name", [*SMALLEST])
def test_replaced_layers_answer_alike_in_every_network(name: str) -> None:
    finished = paper_model(name)
    network = clip_network(finished, is_fixed=True)
    converted = convertible(network, has_3d_pools=False, folds_batch_norm=False)
    kinds = {type(layer).__name__ for layer in converted.model._flatten_layers()}
    assert "PoolingByPlanes" in kinds
    assert not kinds & {
        "MaxPooling3D",
        "AveragePooling3D",
        "ShrinkingAveragePooling",
        "BatchNormLSTM",
        "BatchNormalization",
    }
    (clips,) = example_clips(finished, network)
    function = converted.function()
    answers = {key: value.numpy() for key, value in function(*[clips[stream] for stream in network.shapes]).items()}
    assert difference_of(answers, network.answer(clips)) < 1e-5


def test_where_pools_may_stay_an_lstm_alone_is_replaced() -> None:
    plain, recurrent = clip_network(small_model()), clip_network(paper_model("convnet_lstm"))
    assert convertible(plain).model is plain.model
    kinds = {type(layer) for layer in convertible(recurrent).model._flatten_layers()}
    assert {UnrolledLSTM, layers.MaxPooling3D} <= kinds


def test_a_network_of_another_dtype_becomes_float32() -> None:
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = small_model()
    finally:
        keras.config.set_dtype_policy(policy)
    network = convertible(clip_network(mixed))
    assert {layer.compute_dtype for layer in network.model._flatten_layers()} == {"float32"}
    for own, theirs in zip(network.model.weights, mixed.network.weights, strict=True):
        np.testing.assert_array_equal(own, theirs)


def test_examples_are_the_same_every_time_and_probe_open_axes() -> None:
    finished = small_model()
    examples = example_clips(finished, clip_network(finished))
    assert [clips["rgb"].shape for clips in examples] == [(1, 64, 16, 16, 3), (2, 32, 16, 16, 3)]
    for one, other in zip(examples, example_clips(finished, clip_network(finished)), strict=True):
        np.testing.assert_array_equal(one["rgb"], other["rgb"])
    assert -1 <= examples[0]["rgb"].min() < -0.9 < 0.9 < examples[0]["rgb"].max() <= 1
    fixed = example_clips(finished, clip_network(finished, frames=9, batch=3))
    assert [clips["rgb"].shape for clips in fixed] == [(3, 9, 16, 16, 3)]


@pytest.mark.parametrize(("name", "seen"), [("fused_two_stream", [5, 5]), ("two_stream", [1, 1]), ("c3d", [16, 16])])
def test_examples_are_no_shorter_than_the_network_takes(name: str, seen: list[int]) -> None:
    finished = paper_model(name)
    examples = example_clips(finished, clip_network(finished))
    assert [clips["rgb"].shape[:2] for clips in examples] == [(1, seen[0]), (2, seen[1])]
