import re

import keras
import numpy as np
import pytest
from finished_models import paper_model, small_model
from video_networks import moving_clips, video_network

from keras_i3d.errors import PredictionError
from keras_i3d.fvd.network import VideoNetwork

CLIPS = moving_clips(5, height=32, width=32).astype(np.float32) / 127.5 - 1


def test_logits_are_those_of_the_network_and_features_what_lies_before_its_dropout() -> None:
    network = paper_model("i3d").network
    clips = np.random.default_rng(0).uniform(-1, 1, (2, 16, 32, 32, 3)).astype(np.float32)
    logits = keras.Model(network.input, network.get_layer("Logits").output)(clips).numpy()
    found = VideoNetwork(network)
    assert (found.name, found.size, found.frames, found.width) == ("i3d", 32, None, 7)
    np.testing.assert_allclose(found(clips, 2), logits, atol=1e-5 * np.abs(logits).max())

    pooled = keras.Model(network.input, network.get_layer("Dropout_0b").input)(clips).numpy()
    features = VideoNetwork(network, "features")
    assert features.width == 1024 and pooled.ndim == 5
    np.testing.assert_allclose(features(clips, 2), pooled.mean(axis=(1, 2, 3)), atol=1e-5 * np.abs(pooled).max())


@pytest.mark.parametrize("batch_size", [5, 6, 16])
def test_a_batch_is_filled_up_without_changing_its_vectors(batch_size: int) -> None:
    network = VideoNetwork(video_network())
    alone = np.concatenate([network(CLIPS[i : i + 1], 1) for i in range(5)])
    # float32 sums of another order in another shape
    np.testing.assert_allclose(network(CLIPS, batch_size), alone, rtol=1e-4, atol=1e-5 * np.abs(alone).max())


def test_the_digest_is_that_of_the_weights_wherever_they_came_from(tmp_path) -> None:
    network = video_network()
    network.save(tmp_path / "a.keras")
    again = keras.saving.load_model(tmp_path / "a.keras")
    digest = VideoNetwork(network).digest
    assert VideoNetwork(again).digest == VideoNetwork(video_network()).digest == digest
    assert len({digest, VideoNetwork(video_network(seed=1)).digest, VideoNetwork(network, "features").digest}) == 3


@pytest.mark.parametrize(
    ("build", "endpoint", "message"),
    [
        (video_network, "pool5", "unknown endpoint 'pool5'; known: logits, features"),
        (lambda: small_model("flow").network, "logits", "takes flow; this distance is of a network that takes rgb"),
        (lambda: small_model("both").network, "logits", "takes flow and rgb; this distance is of a network that"),
        (lambda: small_model().network, "features", "i3d: has no endpoint 'features' (network 'i3d' has no dropout"),
        (
            lambda: keras.Sequential([keras.Input((None, 32, 32, 3)), keras.layers.GlobalMaxPooling3D()], name="i3d"),
            "logits",
            "i3d: has no endpoint 'logits', which is a layer named Logits",
        ),
        (
            lambda: keras.Sequential([keras.Input((32, 32, 3)), keras.layers.GlobalMaxPooling2D(name="Logits")]),
            "logits",
            "a network of clips (batch, time, height, width, 3) is wanted",
        ),
    ],
)
def test_a_network_that_does_not_fit_is_refused(build, endpoint: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        VideoNetwork(build(), endpoint)


def test_frames_that_are_not_square_are_refused() -> None:
    inputs = keras.Input((None, 32, 48, 3), name="rgb")
    logits = keras.layers.GlobalAveragePooling3D(name="Logits")(inputs)
    with pytest.raises(ValueError, match="takes frames of 48x32; only square ones"):
        VideoNetwork(keras.Model(inputs, logits))


def test_a_network_of_any_size_is_given_224() -> None:
    assert VideoNetwork(video_network(size=None)).size == 224
    assert VideoNetwork(video_network(frames=16)).frames == 16


def test_a_network_that_fails_or_gives_no_numbers_is_an_error() -> None:
    network = video_network()
    network.trainable_variables[-1].assign(np.full(5, np.nan))
    with pytest.raises(PredictionError, match="i3d: gives logits that are no finite numbers"):
        VideoNetwork(network)(CLIPS, 5)
    with pytest.raises(PredictionError, match=re.escape("fails on clips of shape (5, 10, 32, 32, 3)")):
        VideoNetwork(video_network(frames=16))(CLIPS, 5)
