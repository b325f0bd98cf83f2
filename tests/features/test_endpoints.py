import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from finished_models import small_model, tiny_model

from keras_i3d.checkpoints.names import deepmind_name, weights_of
from keras_i3d.clips.preparation import Preparation
from keras_i3d.errors import PredictionError
from keras_i3d.features import endpoints
from keras_i3d.features.endpoints import Endpoint
from keras_i3d.features.settings import FeatureSettings
from keras_i3d.finished_model import FinishedModel
from keras_i3d.models.i3d import I3D

GOLDEN = Path(__file__).parents[1] / "golden"
LARGER = Path(__file__).parents[3] / "shared" / "golden"


def golden_run(run: str) -> tuple[dict, np.ndarray]:
    """Return the facts of a run of the original, and its feature vector."""
    if (GOLDEN / f"{run}.json").is_file():
        return json.loads((GOLDEN / f"{run}.json").read_text()), np.load(GOLDEN / "features.npz")[run]
    if not (LARGER / f"{run}.json").is_file():
        pytest.skip(f"the numbers of {run} are not here")
    return json.loads((LARGER / f"{run}.json").read_text()), np.load(LARGER / f"{run}.npz")["features"][0]


SLOW = [pytest.param(run, marks=pytest.mark.slow) for run in ("rgb600_16x224", "rgb_64x224")]


@pytest.mark.parametrize("run", ["flow_16x224", *SLOW])
def test_features_are_the_originals(golden, run: str) -> None:
    numbers, expected = golden_run(run)
    _, frames, size, _, channels = numbers["clip_shape"]
    modality = "rgb" if channels == 3 else "flow"
    classes = np.shape(numbers["logits"])[-1]
    network = I3D(weights=None, input_shape=(None, size, size, channels), classes=classes, modality=modality)
    for weight in weights_of(network):
        name = deepmind_name(weight.variable)
        weight.variable.assign(golden.weight(name, weight.shape, numbers["weights_salt"]))
    finished = FinishedModel(network, tuple(map(str, range(classes))), Preparation(modality, 25.0, 256, size))
    endpoint = Endpoint(finished, FeatureSettings(window=frames, batch_size=1))
    found = endpoint({modality: golden.clip(tuple(numbers["clip_shape"]), numbers["clip_salt"])})
    assert found[modality].shape == (1, 1024)
    # float32 on other kernels than TensorFlow 1's
    assert np.abs(found[modality][0] - expected).max() <= 1e-4 * expected.std()


def test_pooling_is_the_mean_over_time_and_space(noise) -> None:
    clip = noise(2, 16, 32, 32, 3)
    choices = {"endpoint": "Conv3d_1a_7x7", "window": 16, "batch_size": 2}
    mean = Endpoint(tiny_model(), FeatureSettings(**choices))
    kept = Endpoint(tiny_model(), FeatureSettings(**choices, pooling="none"))
    whole = kept({"rgb": clip})["rgb"]
    assert whole.shape == (2, 14, 7, 7, 6)
    assert (kept.widths, mean.widths) == ({"rgb": (14, 7, 7, 6)}, {"rgb": (6,)})
    np.testing.assert_allclose(mean({"rgb": clip})["rgb"], whole.mean(axis=(1, 2, 3)), rtol=1e-5, atol=1e-6)


def test_a_lower_precision_is_near_and_comes_as_float32(noise) -> None:
    clip = {"rgb": noise(1, 16, 32, 32, 3)}
    settings = FeatureSettings(endpoint="Conv3d_1a_7x7", window=16)
    exact = Endpoint(tiny_model(), settings)(clip)["rgb"]
    found = Endpoint(tiny_model(), replace(settings, precision="bfloat16"))(clip)["rgb"]
    assert found.dtype == np.float32
    # eight bits of mantissa
    assert 0 < np.abs(found - exact).max() <= 0.05 * exact.std()


def test_a_network_that_takes_every_fifth_frame_gets_those() -> None:
    tiny = tiny_model()
    finished = replace(tiny, preparation=replace(tiny.preparation, network="convnet_lstm"))
    endpoint = Endpoint(finished, FeatureSettings(window=20))
    assert endpoint.shapes() == {"rgb": (4, 32, 32, 3)}
    assert (endpoint.taken["rgb"].step, endpoint.taken["rgb"].offset) == (5, 0)
    with pytest.raises(ValueError, match="network 'convnet_lstm' takes windows of a multiple of 5 frames, got 64"):
        Endpoint(finished, FeatureSettings(window=64))


def test_a_network_of_one_length_has_its_own_window() -> None:
    finished = small_model(frames=16)
    assert Endpoint(finished, FeatureSettings(endpoint="Logits")).settings.window == 16
    with pytest.raises(ValueError, match="network 'i3d' takes windows of 16 frames and no other, got 64"):
        Endpoint(finished, FeatureSettings(window=64))


def test_a_window_that_the_network_cannot_take_is_named() -> None:
    with pytest.raises(ValueError, match=r"network 'i3d' does not take windows of 2 frames of 32x32 \(.+\)"):
        Endpoint(tiny_model(), FeatureSettings(window=2))  # its first kernel has three


def test_short_memory_names_what_helps(monkeypatch) -> None:
    endpoint = Endpoint(tiny_model(), FeatureSettings(window=16))

    def fail(views: object) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")

    monkeypatch.setattr(endpoint, "_traced", fail)
    message = r"the network fails on 4 windows of 16 frames at once \(OOM when allocating\); a smaller batch size"
    with pytest.raises(PredictionError, match=message):
        endpoint({"rgb": np.zeros((4, 16, 32, 32, 3), np.uint8)})


def test_the_facts_tell_how_features_are_made(small) -> None:
    facts = endpoints.load(small, FeatureSettings(window=16, stride=4)).facts
    assert facts["model_sha256"] == hashlib.sha256(Path(small).read_bytes()).hexdigest()
    assert facts["model"] == small
    expected = {"network": "i3d", "modality": "rgb", "endpoint": "features", "pooling": "mean", "window": 16}
    expected |= {"stride": 4, "fill": "loop", "fps": 25.0, "short_side": 37, "size": 32, "flow": None}
    assert expected.items() <= facts.items()
    assert {"keras", "tensorflow", "keras_i3d", "av"} <= set(facts["versions"])
    json.dumps(facts)


def test_networks_in_memory_are_told_apart_by_their_values() -> None:
    one, other = tiny_model(), tiny_model()
    settings = FeatureSettings(window=8)
    same = Endpoint(one, settings).facts["weights_sha256"]
    assert same == Endpoint(other, settings).facts["weights_sha256"]
    other.network.weights[0].assign(other.network.weights[0] + 1)
    assert same != Endpoint(other, settings).facts["weights_sha256"]
