import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from video_networks import moving_clips, video_network

from keras_i3d import FrechetVideoDistance, frechet_video_distance
from keras_i3d.fvd.network import VideoNetwork

pytestmark = pytest.mark.filterwarnings("ignore::keras_i3d.fvd.videos.VideoSetWarning")
REAL, GENERATED = moving_clips(12), moving_clips(9, seed=1)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return video_network()


@pytest.fixture(scope="module")
def expected(network) -> float:
    return frechet_video_distance(REAL, GENERATED, model=network).distance


def test_the_metric_is_the_function_however_the_videos_come(network, expected) -> None:
    metric = FrechetVideoDistance(network)
    metric.update_state(REAL[:5], GENERATED[:1])
    metric.update_state(REAL[5:6], GENERATED[1:])
    metric.update_state(REAL[6:], None)
    assert metric.result().dtype == tf.float64
    assert float(metric.result()) == pytest.approx(expected, rel=1e-6)
    metric.reset_state()
    assert np.isnan(float(metric.result()))
    metric.update_state(REAL, REAL)
    assert float(metric.result()) == 0


def test_features_with_fewer_videos_than_dimensions_are_the_functions(network) -> None:
    metric = FrechetVideoDistance(network, endpoint="features")
    metric.update_state(REAL, GENERATED)
    found = frechet_video_distance(REAL, GENERATED, model=network, endpoint="features")
    assert float(metric.result()) == pytest.approx(found.distance, rel=1e-6)


def test_it_works_in_a_graph_of_open_shapes(network, expected) -> None:
    metric = FrechetVideoDistance(network, value_range=(0, 1))
    spec = tf.TensorSpec((None, None, None, None, 3), tf.float32)

    @tf.function(input_signature=[spec, spec])
    def step(real, generated):
        metric.update_state(real, generated)
        return metric.result()

    real, generated = REAL / np.float32(255), GENERATED / np.float32(255)
    assert np.isnan(step(real[:1], generated[:1]))
    assert float(step(real[1:], generated[1:])) == pytest.approx(expected, rel=1e-5)  # of floats, not bytes
    with pytest.raises(tf.errors.InvalidArgumentError, match="outside of the stated range 0 to 1, or NaN"):
        step(real * 2, generated)
    with pytest.raises(tf.errors.InvalidArgumentError, match="another number of frames"):
        step(real[:, :9], generated)


def test_it_is_a_metric_of_evaluate(network, expected) -> None:
    inputs = keras.Input(GENERATED.shape[1:])
    model = keras.Model(inputs, keras.layers.Rescaling(1 / 255)(inputs))
    metric = FrechetVideoDistance(network, value_range=(0, 1))
    model.compile(loss="mse", metrics=[metric], jit_compile=False)
    result = model.evaluate(GENERATED, REAL[:9] / np.float32(255), batch_size=4, verbose=0, return_dict=True)
    found = frechet_video_distance(REAL[:9], GENERATED, model=network)
    assert result["frechet_video_distance"] == pytest.approx(found.distance, rel=1e-5)


def test_under_xla_which_leaves_out_checks_a_wrong_set_gives_no_number(network, expected) -> None:
    metric = FrechetVideoDistance(network, value_range=(0, 1))

    step = tf.function(metric.update_state, jit_compile=True)
    real, generated = REAL / np.float32(255), GENERATED / np.float32(255)
    step(real, generated)
    assert float(metric.result()) == pytest.approx(expected, rel=1e-4)  # XLA sums in another order
    step(real, generated[:, :9])
    assert np.isnan(float(metric.result()))
    metric.reset_state()
    step(real * 2, generated)
    assert np.isnan(float(metric.result()))


def test_a_network_without_numbers_gives_none() -> None:
    broken = video_network()
    broken.trainable_variables[-1].assign(np.full(5, np.nan))
    metric = FrechetVideoDistance(broken)
    metric.update_state(REAL, GENERATED)
    assert np.isnan(float(metric.result()))


@pytest.mark.parametrize(
    ("real", "value_range", "message"),
    [
        (REAL[0], None, "real: videos must be (videos, time, height, width, 3), got (10, 24, 40, 3)"),
        (REAL.astype(np.int32), None, "real: videos must be uint8 or float with value_range, got int32"),
        (REAL.astype(np.float32), None, "real: float videos may mean any range; state value_range, one of (0, 1)"),
    ],
)
def test_what_are_no_videos_is_refused(network, real, value_range, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        FrechetVideoDistance(network, value_range=value_range).update_state(real, GENERATED)


@pytest.mark.parametrize("wrong", [np.nan, 1.5, -0.5])
def test_values_outside_of_the_range_are_refused(network, wrong: float) -> None:
    real = REAL / np.float32(255)
    real[3, 4, 5, 6, 0] = wrong
    with pytest.raises(tf.errors.InvalidArgumentError, match="real: values outside of the stated range 0 to 1"):
        FrechetVideoDistance(network, value_range=(0, 1)).update_state(real, GENERATED)


def test_videos_of_another_length_and_weights_are_refused(network) -> None:
    metric = FrechetVideoDistance(network)
    metric.update_state(REAL, GENERATED)
    with pytest.raises(tf.errors.InvalidArgumentError, match="generated: videos of another number of frames"):
        metric.update_state(REAL, GENERATED[:, :9])
    with pytest.raises(ValueError, match="sample_weight must be None"):
        metric.update_state(REAL, GENERATED, sample_weight=np.ones(12))
    with pytest.raises(ValueError, match=r"value_range must be one of"):
        FrechetVideoDistance(network, value_range=(0, 2))


def test_it_is_saved_by_the_name_of_its_model_and_not_with_a_network(network, tmp_path) -> None:
    from keras_i3d.clips.preparation import Preparation

    network.save(tmp_path / "best.keras")
    (tmp_path / "labels.txt").write_text("a\nb\nc\nd\ne\n")
    Preparation("rgb", 25.0, 37, 32).write(tmp_path)
    metric = FrechetVideoDistance(str(tmp_path / "best.keras"), value_range=(0, 1), name="fvd")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert again.get_config() == metric.get_config()
    assert again.name == "fvd"
    with pytest.raises(ValueError, match="of a network in memory cannot be saved"):
        FrechetVideoDistance(network).get_config()


def test_a_network_up_to_another_endpoint_is_refused(network) -> None:
    features = VideoNetwork(network, "features")
    with pytest.raises(ValueError, match="a VideoNetwork up to its features, got endpoint='logits'"):
        FrechetVideoDistance(features, endpoint="logits")
    with pytest.raises(ValueError, match="a VideoNetwork up to its features, got endpoint='logits'"):
        frechet_video_distance(REAL, GENERATED, model=features, endpoint="logits")


def test_an_update_that_is_refused_leaves_both_sets_as_they_were(network, expected) -> None:
    metric = FrechetVideoDistance(network)
    metric.update_state(REAL, GENERATED)
    with pytest.raises(ValueError, match="generated: videos must be uint8 or float"):
        metric.update_state(REAL, GENERATED.astype(np.int32))
    metric.update_state(REAL[:0], GENERATED[:0])
    np.testing.assert_allclose(metric.result(), expected, rtol=1e-6)
