"""Every network that was published gives what the original code gives, from weights made of names.

The numbers in tests/golden anybody can check; those of the larger runs are looked for beside the checkout.
"""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_i3d.checkpoints.names import deepmind_name, slim_name, weights_of
from keras_i3d.models import architecture
from keras_i3d.models.i3d import I3D
from keras_i3d.models.inception_v1 import InceptionV1
from keras_i3d.models.two_stream_i3d import TwoStreamI3D

GOLDEN = Path(__file__).parents[1] / "golden"
LARGER = Path(__file__).parents[3] / "shared" / "golden"
HERE = ("rgb_11x205x219", "rgb_17x224x219", "flow_16x224", "rgb600_16x224", "inception_v1_205x219")
HERE = (*HERE, "inception_v1_2x224")
BESIDE = ("rgb_16x224", "rgb_64x224", "rgb_20x256x320_nosqueeze", "inception_v1_256x320_nosqueeze")


def numbers_of(run: str) -> dict:
    if (GOLDEN / f"{run}.json").is_file():
        return json.loads((GOLDEN / f"{run}.json").read_text())
    if not (LARGER / f"{run}.json").is_file():
        pytest.skip(f"the numbers of {run} are not here")
    numbers = json.loads((LARGER / f"{run}.json").read_text())
    counts = numbers["params"]
    return numbers | {
        "end_points": numbers["endpoints"],
        "parameters": counts["total"],
        "trainable": counts["trainable"],
    }


def fill(model: keras.Model, golden, salt: str) -> None:
    """Give a network the weights of a salt, by their names in the original's checkpoint."""
    rank = len(model.input.shape) - 2
    for weight in weights_of(model):
        name = deepmind_name(weight.variable) if rank == 3 else f"InceptionV1/{slim_name(weight)}"
        weight.variable.assign(golden.weight(name, weight.shape, salt))


def build(run: str, numbers: dict) -> keras.Model:
    shape, classes = tuple(numbers["clip_shape"][1:]), np.shape(numbers["logits"])[-1]
    if run.startswith("inception"):
        return InceptionV1(weights=None, input_shape=shape, classes=classes)
    modality = "flow" if run.startswith("flow") else "rgb"
    return I3D(weights=None, input_shape=shape, classes=classes, modality=modality)


@pytest.fixture(scope="module", params=[*HERE, *BESIDE])
def outputs(request, golden):
    """Return the original's numbers of a run, our network, and what it gives at every end point."""
    numbers = numbers_of(request.param)
    model = build(request.param, numbers)
    fill(model, golden, numbers["weights_salt"])
    clip = golden.clip(tuple(numbers["clip_shape"]), numbers["clip_salt"])
    names = [name for name in numbers["end_points"] if name != "Predictions"]
    found = keras.Model(model.input, [model.get_layer(name).output for name in names]).predict(clip, verbose=0)
    return numbers, model, dict(zip(names, found, strict=True))


def test_the_logits_are_the_originals(outputs) -> None:
    numbers, _, found = outputs
    expected = np.array(numbers["logits"])
    if expected.ndim == 1:
        expected = expected[np.newaxis]
    # a map of logits in space, which the original leaves as it is, is averaged by ours
    expected = expected.mean(axis=tuple(range(1, expected.ndim - 1)))
    # float32 on other kernels than TensorFlow 1's; the closest wrong network (epsilon 1e-5) is 300 times this off
    assert np.abs(found["Logits"] - expected).max() <= 1e-4 * np.std(numbers["logits"])


def test_every_end_point_has_the_originals_statistics(outputs) -> None:
    numbers, model, found = outputs
    rank = len(model.input.shape) - 2
    assert {architecture.layer_name(name, rank) for name in architecture.END_POINTS} <= {*found, "Predictions"}
    for name, output in found.items():
        expected = numbers["end_points"][name]
        if name != "Logits":
            assert list(output.shape) == expected["shape"], name
            assert output.std() == pytest.approx(expected["std"], rel=1e-4), name
            assert output.mean() == pytest.approx(expected["mean"], abs=1e-4 * expected["std"]), name


def test_the_parameters_are_counted_as_in_the_original(outputs) -> None:
    numbers, model, _ = outputs
    assert model.count_params() == numbers["parameters"]
    assert sum(np.prod(variable.shape) for variable in model.trainable_variables) == numbers["trainable"]


def test_the_sum_of_both_streams_is_the_originals(golden) -> None:
    numbers = numbers_of("joint_16x224")
    model = TwoStreamI3D(weights=None, input_shape=(16, 224, 224), classifier_activation=None)
    clips = {}
    for modality, weights_salt, clip_salt, shape in zip(
        ("rgb", "flow"), numbers["weights_salt"], numbers["clip_salt"], numbers["clip_shape"], strict=True
    ):
        fill(model.get_layer(f"{modality}_stream"), golden, weights_salt)
        clips[modality] = golden.clip(tuple(shape), clip_salt)
    logits = model.predict(clips, verbose=0)
    assert logits.dtype == np.float32
    assert np.abs(logits - numbers["logits"]).max() <= 1e-4 * np.std(numbers["logits"])
