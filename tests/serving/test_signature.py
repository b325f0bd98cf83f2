import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_i3d import finished_model
from keras_i3d.clips import transforms
from keras_i3d.serving import signature


@pytest.fixture(scope="module")
def finished(run_folder):
    return finished_model.load(run_folder / "best.keras")


def test_raw_frames_are_prepared_as_in_evaluation(finished) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 10, 60, 90, 3), np.uint8)
    answers = signature.serving_function(finished)(tf.constant(frames))
    clips = [transforms.testing_view(tf.constant(clip), 32, "rgb") for clip in frames]
    expected = finished.network.predict(tf.stack(clips), verbose=0)
    np.testing.assert_allclose(answers["probabilities"], expected, atol=1e-6)
    np.testing.assert_allclose(keras.ops.softmax(answers["logits"]), expected, atol=1e-6)


def test_the_best_classes_come_by_name(finished) -> None:
    answers = signature.serving_function(finished)(tf.zeros((1, 9, 37, 37, 3), tf.uint8))
    order = np.argsort(-answers["probabilities"].numpy()[0], kind="stable")[:5]
    assert [name.decode() for name in answers["top_classes"].numpy()[0]] == [finished.class_names[i] for i in order]
    np.testing.assert_array_equal(answers["top_probabilities"][0], answers["probabilities"].numpy()[0][order])


def test_the_input_is_bytes_for_rgb_and_pixels_of_motion_for_flow() -> None:
    assert signature.input_spec("rgb").dtype == tf.uint8
    assert signature.input_spec("flow").dtype == tf.float32
    assert signature.input_spec("flow").shape.as_list() == [None, None, None, None, 2]
