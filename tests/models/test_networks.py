import functools
import json
from collections.abc import Callable

import keras
import numpy as np
import pytest

from keras_i3d.models import networks
from keras_i3d.models.networks import NETWORKS

SMALL = {
    "i3d": (9, 32),
    "two_stream_i3d": (9, 32),
    "convnet_lstm": (15, 32),
    "c3d": (4, 32),
    "two_stream": (20, 32),
    "fused_two_stream": (50, 129),
}


def trainable(model: keras.Model) -> int:
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


def test_the_five_networks_of_the_paper_and_one_stream_alone_are_there() -> None:
    assert list(NETWORKS) == list(SMALL)
    assert all(NETWORKS[name].name == name for name in NETWORKS)


@functools.cache
def full_size(name: str) -> keras.Model:
    """Return a network as its builder makes it, but for published weights."""
    return NETWORKS[name].function()(weights=None)


@pytest.mark.parametrize("name", [name for name in NETWORKS if NETWORKS[name].million_parameters])
def test_parameters_are_those_of_the_papers_table(name: str) -> None:
    # Carreira & Zisserman 2017 (v3), table 1: 9M, 79M, 12M, 39M, 25M, of which the fraction is cut or rounded
    expected = {"convnet_lstm": 9, "c3d": 79, "two_stream": 12, "fused_two_stream": 39, "two_stream_i3d": 25}
    assert NETWORKS[name].million_parameters == expected[name]
    count = trainable(full_size(name))
    assert expected[name] - 0.5 <= count / 1e6 <= expected[name] + 1.0
    if name == "two_stream_i3d":
        assert count == 12_689_984 + 12_668_032


@pytest.mark.parametrize(
    ("name", "train", "test"),
    [
        ("convnet_lstm", {"rgb": 25}, {"rgb": 50}),
        ("c3d", {"rgb": 16}, {"rgb": 240}),
        ("two_stream", {"rgb": 1, "flow": 10}, {"rgb": 25, "flow": 250}),
        ("fused_two_stream", {"rgb": 5, "flow": 50}, {"rgb": 25, "flow": 250}),
        ("two_stream_i3d", {"rgb": 64, "flow": 64}, {"rgb": 250, "flow": 250}),
    ],
)
def test_frames_are_those_of_the_papers_table(name: str, train: dict, test: dict) -> None:
    protocol = NETWORKS[name].protocol()
    assert {stream: part.count(protocol.train_frames) for stream, part in protocol.streams.items()} == train
    assert {stream: part.count(protocol.test_frames) for stream, part in protocol.streams.items()} == test


@pytest.mark.parametrize("name", NETWORKS)
def test_the_builders_default_input_is_the_protocols_training_clip(name: str) -> None:
    protocol = NETWORKS[name].protocol()
    model = full_size(name)
    assert model.name == name  # by which a file tells its network
    assert {tensor.name: tensor.shape[1:4] for tensor in model.inputs} == {
        stream: (part.count(protocol.train_frames), protocol.size, protocol.size)
        for stream, part in protocol.streams.items()
    }


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=pytest.mark.slow) if name in ("fused_two_stream", "two_stream_i3d") else name
        for name in NETWORKS
    ],
)
def small(request: pytest.FixtureRequest, enliven: Callable) -> tuple[str, keras.Model, dict[str, np.ndarray]]:
    """Return a name, its network built for small clips in half precision, and a clip of each of its streams."""
    name = request.param
    frames, size = SMALL[name]
    protocol = NETWORKS[name].protocol()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = networks.build(
            name,
            modality=NETWORKS[name].modality,
            frames=frames,
            size=size,
            time_plan="i3d",
            classes=3,
            batch_norm_momentum=0.7,
        )
    finally:
        keras.config.set_dtype_policy("float32")
    generator = np.random.default_rng(0)
    clips = {
        stream: generator.uniform(-1, 1, (1, part.count(frames), size, size, {"rgb": 3, "flow": 2}[stream]))
        for stream, part in protocol.streams.items()
    }
    return name, enliven(model), {stream: clip.astype(np.float32) for stream, clip in clips.items()}


def test_every_network_ends_in_float32_logits_and_probabilities_under_half_precision(small: tuple) -> None:
    _, model, clips = small
    network = keras.Model(networks.inputs_of(model), [model.get_layer(end).output for end in ("Logits", "Predictions")])
    logits, probabilities = network(clips if len(clips) > 1 else clips["rgb"])
    assert {np.asarray(output).dtype.name for output in (logits, probabilities)} == {"float32"}
    logits = np.asarray(logits)
    exponentials = np.exp(logits - logits.max())
    np.testing.assert_allclose(probabilities, exponentials / exponentials.sum(), atol=1e-6)


def test_every_network_is_saved_and_loaded_with_its_precision(small: tuple, tmp_path) -> None:
    name, model, clips = small
    model.save(tmp_path / f"{name}.keras")
    again = keras.saving.load_model(tmp_path / f"{name}.keras", safe_mode=True)
    clips = clips if len(clips) > 1 else clips["rgb"]
    assert np.array_equal(again(clips), model(clips))


def test_the_momentum_reaches_every_batch_norm(small: tuple) -> None:
    _, model, _ = small
    norms = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization) or type(layer).__name__ == "BatchNormLSTM"
    ]
    assert norms
    assert {layer.momentum for layer in norms} == {0.7}


def test_time_is_free_but_for_3d_convnet_and_space_is_not(small: tuple) -> None:
    name, model, _ = small
    frames, size = SMALL[name]
    for tensor in model.inputs:
        assert tensor.shape[1:4] == (frames if name == "c3d" else None, size, size)


@pytest.mark.parametrize(("modality", "channels"), [("rgb", 3), ("flow", 2)])
def test_i3d_is_built_for_either_stream_by_a_plan(modality: str, channels: int) -> None:
    plan = json.dumps({"conv": {"1a": 5}})
    model = networks.build("i3d", modality=modality, frames=9, size=32, time_plan=plan, classes=2)
    assert (model.input.name, model.input.shape) == (modality, (None, None, 32, 32, channels))
    assert model.get_layer("Conv3d_1a_7x7__conv_3d").kernel_size == (5, 7, 7)
    assert networks.inputs_of(model) is model.inputs[0]


def test_an_unknown_network_lists_the_known_ones() -> None:
    known = "i3d, two_stream_i3d, convnet_lstm, c3d, two_stream, fused_two_stream"
    for name in ("r3d", "", None, ["i3d"]):
        with pytest.raises(ValueError) as caught:
            networks.network(name)
        assert str(caught.value) == f"unknown network {name!r}; known: {known}"


@pytest.mark.parametrize(
    ("name", "modality", "message"),
    [
        ("i3d", "both", "network 'i3d' takes modality 'rgb' or 'flow', got 'both'"),
        ("c3d", "flow", "network 'c3d' takes modality 'rgb', got 'flow'"),
        ("two_stream", "rgb", "network 'two_stream' takes modality 'both', got 'rgb'"),
    ],
)
def test_a_modality_that_a_network_lacks_is_refused(name: str, modality: str, message: str) -> None:
    with pytest.raises(ValueError, match=rf"^{message}$"):
        NETWORKS[name].protocol(modality)
    with pytest.raises(ValueError, match=rf"^{message}$"):
        networks.build(name, modality=modality, frames=10, size=32, time_plan="i3d")


def test_the_smallest_clip_of_the_data_is_what_the_builder_takes() -> None:
    frames, size = NETWORKS["fused_two_stream"].least
    snapshots = NETWORKS["fused_two_stream"].protocol().streams["rgb"].count(frames)
    with pytest.raises(ValueError, match=rf"at least \({snapshots}, {size}, {size}\), got \({snapshots - 1}, "):
        NETWORKS["fused_two_stream"].function()(input_shape=(snapshots - 1, size - 1, size - 1))
