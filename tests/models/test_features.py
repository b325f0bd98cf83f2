import functools

import keras
import numpy as np
import pytest

from keras_i3d.models import networks
from keras_i3d.models.features import split


@functools.cache
def network(name: str, frames: int) -> keras.Model:
    keras.utils.set_random_seed(0)
    modality = networks.network(name).modality
    return networks.build(name, modality=modality, frames=frames, size=32, classes=3, dropout_rate=0.25)


def clips(model: keras.Model, frames: int) -> dict | np.ndarray:
    generator = np.random.default_rng(0)
    values = {
        tensor.name: generator.uniform(-1, 1, (2, tensor.shape[1] or frames, *tensor.shape[2:])).astype("float32")
        for tensor in model.inputs
    }
    return values if len(values) > 1 else next(iter(values.values()))


@pytest.mark.parametrize(
    ("name", "frames", "taken"),
    [("i3d", 9, 9), ("c3d", 4, 4), ("convnet_lstm", 10, 2), ("two_stream_i3d", 9, 9)],
)
def test_the_halves_together_are_the_network(name: str, frames: int, taken: int) -> None:
    model = network(name, frames)
    body, head = split(model)
    x = clips(model, taken)
    np.testing.assert_allclose(head(body(x)), model(x), rtol=1e-5, atol=1e-6)
    assert sum(isinstance(layer, keras.layers.Dropout) for layer in body.layers) == (name == "c3d")  # of its first half


@pytest.mark.parametrize(("name", "frames"), [("i3d", 9), ("two_stream_i3d", 9)])
def test_the_halves_share_the_networks_layers(name: str, frames: int) -> None:
    model = network(name, frames)
    body, head = split(model)
    mine = {id(variable) for variable in model.variables}
    assert {id(variable) for variable in body.variables + head.variables} == mine
    streams = len(model.inputs)
    assert [variable.name for variable in head.trainable_variables] == ["kernel", "bias"] * streams
    assert sum(variable.path.endswith("seed_generator_state") for variable in head.variables) == streams


def test_of_streams_with_a_classifier_each_the_features_have_their_names() -> None:
    body, head = split(network("two_stream_i3d", 9))
    assert set(body.output) == {"rgb_stream", "flow_stream"} == {tensor.name for tensor in head.inputs}
    assert body.output["rgb_stream"].shape[-1] == 1024


def test_a_network_without_dropout_is_refused() -> None:
    inputs = keras.Input((3,))
    with pytest.raises(ValueError, match="network 'plain' has no dropout, which its features would lie in front of"):
        split(keras.Model(inputs, keras.layers.Dense(2)(inputs), name="plain"))
