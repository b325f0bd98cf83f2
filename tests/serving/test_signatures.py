"""What the functions of a served model answer; that an exported one answers alike is for test_export."""

import json
from dataclasses import asdict

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from finished_models import CLASSES, paper_model, small_model, tiny_model
from moving_textures import moving_texture

from keras_i3d.clips import sampling, transforms
from keras_i3d.clips.preparation import Preparation
from keras_i3d.finished_model import FinishedModel
from keras_i3d.models import networks
from keras_i3d.models.architecture import HEAD_POOL, layer_name
from keras_i3d.serving.names import CLIP, DEFAULT, DESCRIPTION, FEATURES, FRAMES
from keras_i3d.serving.options import ServingOptions
from keras_i3d.serving.signatures import Signatures
from keras_i3d.video import flow

NOISE = np.random.default_rng(0)


@pytest.fixture(scope="module")
def finished():
    return tiny_model()


@pytest.fixture(scope="module")
def functions(finished) -> dict:
    signatures = Signatures(finished)
    return {name: signatures.concrete(name) for name in signatures.names}


def raw(*shape: int) -> np.ndarray:
    return NOISE.integers(0, 256, (*shape, 3), np.uint8)


def encoded(clips: np.ndarray, kind: str) -> tf.Tensor:
    files = [[cv2.imencode(kind, frame[..., ::-1])[1].tobytes() for frame in clip] for clip in clips]
    return tf.constant(files)


def test_raw_frames_are_prepared_as_in_evaluation(finished, functions) -> None:
    frames = raw(2, 10, 60, 90)
    answers = functions[DEFAULT](rgb=tf.constant(frames))
    clips = [transforms.testing_view(tf.constant(clip), 32, "rgb") for clip in frames]
    expected = finished.network.predict(tf.stack(clips), verbose=0)
    np.testing.assert_allclose(answers["probabilities"], expected, atol=1e-6)
    np.testing.assert_allclose(keras.ops.softmax(answers["logits"]), expected, atol=1e-6)


def test_the_best_classes_come_by_name(finished, functions) -> None:
    answers = functions[DEFAULT](rgb=tf.zeros((1, 9, 37, 37, 3), tf.uint8))
    order = np.argsort(-answers["probabilities"].numpy()[0], kind="stable")[:5]
    assert [name.decode() for name in answers["top_classes"].numpy()[0]] == [finished.class_names[i] for i in order]
    np.testing.assert_array_equal(answers["top_probabilities"][0], answers["probabilities"].numpy()[0][order])


def test_frames_come_as_png_without_loss_and_as_jpeg(functions) -> None:
    frames = raw(2, 3, 37, 50) // 8 + 100
    wanted = functions[DEFAULT](rgb=tf.constant(frames))["logits"]
    exact = functions[FRAMES](rgb_bytes=encoded(frames, ".png"))["logits"]
    np.testing.assert_array_equal(exact, wanted)
    files = encoded(frames, ".jpg")
    pictures = [[tf.io.decode_jpeg(file, dct_method="INTEGER_ACCURATE") for file in clip] for clip in files]
    of_jpegs = functions[DEFAULT](rgb=tf.constant(np.array(pictures)))["logits"]
    np.testing.assert_array_equal(functions[FRAMES](rgb_bytes=files)["logits"], of_jpegs)


def test_a_prepared_clip_goes_to_the_network_as_it_is(finished, functions) -> None:
    clips = NOISE.uniform(-1, 1, (2, 9, 32, 32, 3)).astype(np.float32)
    wanted = finished.logits_network()(clips)
    np.testing.assert_allclose(functions[CLIP](rgb=tf.constant(clips))["logits"], wanted, atol=1e-6)


def test_features_are_what_the_classifier_sees_at_every_step() -> None:
    finished, frames = paper_model("i3d"), raw(2, 24, 37, 37)
    answers = Signatures(finished).concrete(FEATURES)(rgb=tf.constant(frames))
    clips = tf.stack([transforms.testing_view(tf.constant(clip), 32, "rgb") for clip in frames])
    pool = finished.network.get_layer(layer_name(HEAD_POOL, 3)).output
    wanted = keras.Model(finished.network.inputs, pool)(clips).numpy()
    assert wanted.shape[1:] == (2, 1, 1, 1024)  # three steps of eight frames, in windows of two
    np.testing.assert_allclose(answers["features"], wanted[:, :, 0, 0], atol=1e-6)
    np.testing.assert_allclose(answers["mean_features"], wanted[:, :, 0, 0].mean(axis=1), atol=1e-6)


def test_a_description_tells_what_a_client_must_know(finished, functions) -> None:
    answers = functions[DESCRIPTION](query=tf.constant(["?", ""]))
    assert json.loads(answers["preparation"].numpy()[1]) == asdict(finished.preparation)
    assert answers["activation"].numpy().tolist() == [b"softmax"] * 2
    assert answers["max_frames"].numpy().tolist() == [1000] * 2
    assert [name.decode() for name in answers["class_names"].numpy()[1]] == list(finished.class_names)


def test_a_network_of_several_labels_gives_a_probability_for_each() -> None:
    signatures = Signatures(tiny_model(multi_label=True))
    answers = signatures.concrete(DEFAULT)(rgb=tf.constant(raw(1, 9, 37, 37)))
    np.testing.assert_allclose(answers["probabilities"], tf.sigmoid(answers["logits"]), atol=1e-6)
    assert signatures.concrete(DESCRIPTION)(query=tf.constant([""]))["activation"].numpy() == [b"sigmoid"]


@pytest.mark.parametrize(
    "name", [name if name == "c3d" else pytest.param(name, marks=pytest.mark.slow) for name in networks.NETWORKS]
)
def test_every_network_sees_a_video_as_the_papers_test_does(name: str) -> None:
    """The windows and frames are taken by hand here; both streams of one video at once."""
    finished = paper_model(name)
    protocol, preparation = finished.protocol, finished.preparation
    frames = 2 * finished.window + 1 if finished.window else 23
    video = {"rgb": raw(frames, 40, 50), "flow": NOISE.uniform(-20, 20, (frames, 40, 50, 2)).astype(np.float32)}
    if name == "fused_two_stream":
        video = {stream: np.repeat(np.repeat(values, 4, 1), 4, 2) for stream, values in video.items()}
    inputs = {stream: tf.constant(video[stream][None]) for stream in protocol.streams}
    answers = Signatures(finished).concrete(DEFAULT)(**inputs)["logits"].numpy()

    seen = sampling.whole_video(frames, frames, finished.window or protocol.period).numpy()
    logits = []
    for window in seen.reshape(-1, finished.window or len(seen)):
        clips = {
            stream: transforms.testing_view(
                tf.constant(video[stream][window[part.offset :: part.step]]), preparation.size, stream
            )[None]
            for stream, part in protocol.streams.items()
        }
        logits.append(finished.logits_network()(clips if len(clips) > 1 else clips["rgb"], training=False)[0])
    wanted = np.mean(logits, axis=0)
    assert np.abs(answers[0] - wanted).max() <= 1e-5 * wanted.std()


def test_a_flow_network_takes_pixels_of_motion_and_no_pictures() -> None:
    signatures = Signatures(tiny_model(modality="flow"))
    assert signatures.names == (DEFAULT, CLIP, FEATURES, DESCRIPTION)
    (spec,) = signatures.specs(DEFAULT)
    assert (spec.name, spec.dtype, spec.shape.as_list()) == ("flow", tf.float32, [None, None, None, None, 2])
    with pytest.raises(ValueError, match="unknown signature 'frames'; this model has serving_default, clip, features"):
        signatures.concrete(FRAMES)


def test_a_network_without_a_dropout_has_no_features() -> None:
    inputs = keras.Input((None, 16, 16, 3), name="rgb")
    pooled = keras.layers.GlobalAveragePooling3D()(keras.layers.Conv3D(4, 3, padding="same")(inputs))
    network = keras.Model(inputs, keras.layers.Dense(len(CLASSES), name="Logits")(pooled), name="i3d")
    signatures = Signatures(FinishedModel(network, CLASSES, Preparation("rgb", 25.0, 18, 16)))
    assert signatures.names == (DEFAULT, FRAMES, CLIP, DESCRIPTION)
    clips = NOISE.uniform(-1, 1, (2, 5, 16, 16, 3)).astype(np.float32)
    np.testing.assert_allclose(signatures.concrete(CLIP)(rgb=tf.constant(clips))["logits"], network(clips), atol=1e-6)


def test_a_shape_is_fixed_in_every_signature() -> None:
    signatures = Signatures(paper_model("two_stream_i3d"), ServingOptions(shape=(2, 16, 40, None)))
    shapes = {name: {spec.name: tuple(spec.shape) for spec in signatures.specs(name)} for name in signatures.names}
    assert shapes == {
        DEFAULT: {"rgb": (2, 16, 40, None, 3), "flow": (2, 16, 40, None, 2)},
        FRAMES: {"rgb_bytes": (2, 16), "flow": (2, 16, 40, None, 2)},
        CLIP: {"rgb": (2, 16, 32, 32, 3), "flow": (2, 16, 32, 32, 2)},
        FEATURES: {"rgb": (2, 16, 40, None, 3), "flow": (2, 16, 40, None, 2)},
        DESCRIPTION: {"query": (None,)},
    }
    assert signatures.request_shapes(CLIP) == shapes[CLIP]
    assert signatures.request_shapes(DEFAULT)["rgb"] == (2, 16, 40, 49, 3)


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        (ServingOptions(fold_batch_norm=True), 1e-5),
        (ServingOptions(xla=True), 1e-5),
        (ServingOptions(shape=(2, 16, 40, 50)), 1e-5),
        (ServingOptions(precision="bfloat16"), 0.05),
        (ServingOptions(precision="bfloat16", fold_batch_norm=False), 0.05),
    ],
)
def test_the_options_change_the_answer_by_rounding(options: ServingOptions, limit: float) -> None:
    finished = tiny_model()
    frames = tf.constant(raw(2, 16, 40, 50))
    wanted = Signatures(finished).concrete(DEFAULT)(rgb=frames)["logits"].numpy()
    found = Signatures(finished, options).concrete(DEFAULT)(rgb=frames)
    assert np.abs(found["logits"] - wanted).max() <= limit * wanted.std()
    assert found["logits"].dtype == found["probabilities"].dtype == tf.float32
    assert found["top_classes"].numpy()[0, 0].decode() == CLASSES[wanted[0].argmax()]


@pytest.mark.parametrize("modality", ["both", "flow"])
def test_flow_computed_inside_is_that_of_records(modality: str) -> None:
    finished = small_model(modality)
    frames = moving_texture(6, 18, 24)
    fields = flow.from_stored(flow.to_stored(flow.tvl1(frames)).astype(np.float32))
    given = {"rgb": frames, "flow": fields}
    given = {name: tf.constant(array[np.newaxis]) for name, array in given.items() if modality in (name, "both")}
    wanted = Signatures(finished).concrete(DEFAULT)(**given)["logits"]
    inside = Signatures(finished, ServingOptions(flow_inside=True))
    assert [spec.name for spec in inside.specs(DEFAULT)] == ["rgb"]
    assert [spec.name for spec in inside.specs(CLIP)] == [spec.name for spec in Signatures(finished).specs(CLIP)]
    found = inside.concrete(DEFAULT)(rgb=tf.constant(frames[np.newaxis]))["logits"]
    still = Signatures(finished).concrete(DEFAULT)(**given | {"flow": tf.zeros((1, 6, 18, 24, 2))})["logits"]
    # a level of flow here and there, which is little beside what flow makes of the answer
    assert np.abs(found - wanted).max() < 0.1 * np.abs(still - wanted).max()
    assert json.loads(inside.concrete(DESCRIPTION)(query=tf.constant(["?"]))["preparation"].numpy()[0])["flow_inside"]


def test_flow_inside_is_that_of_the_resized_frames() -> None:
    finished = small_model("flow")
    frames = moving_texture(4, 36, 48)
    inside = Signatures(finished, ServingOptions(flow_inside=True)).concrete(DEFAULT)
    resized = np.round(transforms.resize(frames, 18)).astype(np.uint8)
    np.testing.assert_allclose(
        inside(rgb=tf.constant(frames[np.newaxis]))["logits"],
        inside(rgb=tf.constant(resized[np.newaxis]))["logits"],
        atol=1e-6,
    )


def test_a_network_without_flow_computes_none(finished) -> None:
    with pytest.raises(
        ValueError, match=r"^flow is computed inside of a network that sees flow, and i3d takes rgb alone$"
    ):
        Signatures(finished, ServingOptions(flow_inside=True))
