from collections.abc import Callable

import keras
import numpy as np
import pytest

from keras_i3d.models.two_stream import PROTOCOL, TwoStream


@pytest.fixture(scope="module")
def model(enliven: Callable) -> keras.Model:
    return enliven(TwoStream(input_shape=(None, 32, 32), classes=5, classifier_activation=None))


def clips(noise: Callable, snapshots: int) -> dict[str, np.ndarray]:
    return {"rgb": noise(2, snapshots, 32, 32, 3), "flow": noise(2, 10 * snapshots, 32, 32, 2, seed=1)}


def stack(flow: np.ndarray) -> np.ndarray:
    """Return ten fields as one frame of twenty channels: x and y of the first, of the second, and so on."""
    return np.concatenate([flow[:, frame] for frame in range(10)], axis=-1)[:, np.newaxis]


def test_the_default_input_is_one_frame_and_the_ten_fields_around_it() -> None:
    model = TwoStream()
    assert {tensor.name: tensor.shape for tensor in model.inputs} == {
        "rgb": (None, 1, 224, 224, 3),
        "flow": (None, 10, 224, 224, 2),
    }
    assert (model.name, model.layers[-1].name, model.output.shape) == ("two_stream", "Predictions", (None, 400))
    assert PROTOCOL.train_frames == 10
    assert [len(range(part.offset, 10, part.step)) for part in PROTOCOL.streams.values()] == [1, 10]
    assert [part.count(250) for part in PROTOCOL.streams.values()] == [25, 250]


def test_the_streams_are_two_networks_of_equal_layer_names_and_unequal_weights(model: keras.Model) -> None:
    rgb, flow = model.get_layer("rgb_stream"), model.get_layer("flow_stream")
    assert [layer.name for layer in rgb.layers] == [layer.name for layer in flow.layers]
    assert rgb.get_layer("Conv3d_1a_7x7__conv_3d").kernel.shape == (1, 7, 7, 3, 64)
    assert flow.get_layer("Conv3d_1a_7x7__conv_3d").kernel.shape == (1, 7, 7, 20, 64)
    assert not {id(variable) for variable in rgb.weights} & {id(variable) for variable in flow.weights}


def test_the_logits_are_the_mean_of_both_streams_and_of_all_snapshots(model: keras.Model, noise: Callable) -> None:
    inputs = clips(noise, 3)
    logits = []
    for snapshot in range(3):
        fields = inputs["flow"][:, 10 * snapshot : 10 * snapshot + 10]
        logits.append(model.get_layer("rgb_stream")(inputs["rgb"][:, snapshot : snapshot + 1]))
        logits.append(model.get_layer("flow_stream")(stack(fields)))
    expected = np.mean(logits, axis=0)
    assert expected.std() > 0.01
    np.testing.assert_allclose(model(inputs), expected, atol=1e-5 * np.abs(logits).max())


def test_each_stream_is_heard(model: keras.Model, noise: Callable) -> None:
    inputs = clips(noise, 1)
    for modality in inputs:
        other = inputs | {modality: -inputs[modality]}
        assert np.abs(np.subtract(model(inputs), model(other))).max() > 1e-3


def test_it_is_saved_and_loaded_with_unknown_axes(tmp_path, model: keras.Model, noise: Callable) -> None:
    free = TwoStream(input_shape=(None, None, None), classes=5, classifier_activation=None)
    for mine, its in zip(free.weights, model.weights, strict=True):
        mine.assign(its)
    free.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    for snapshots in (1, 2):
        inputs = clips(noise, snapshots)
        np.testing.assert_allclose(again.predict(inputs, verbose=0), model(inputs), atol=1e-4)  # the pool's sums


def test_momentum_and_dropout_reach_both_streams() -> None:
    model = TwoStream(input_shape=(1, 32, 32), classes=2, dropout_rate=0.25, batch_norm_momentum=0.7)
    for stream in ("rgb_stream", "flow_stream"):
        layers = model.get_layer(stream).layers
        norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
        assert ({norm.momentum for norm in norms}, len(norms)) == ({0.7}, 57)
        assert model.get_layer(stream).get_layer("Dropout_0b").rate == 0.25


@pytest.mark.slow
def test_training_reaches_both_streams_through_the_mean(noise: Callable) -> None:
    model = TwoStream(input_shape=(1, 32, 32), classes=2, dropout_rate=0.0)
    classifiers = [
        model.get_layer(f"{modality}_stream").get_layer("Logits__Conv3d_0c_1x1__conv_3d")
        for modality in ("rgb", "flow")
    ]
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.train_on_batch(clips(noise, 1), np.array([0, 1]))
    assert all(np.abs(layer.bias).max() > 0 for layer in classifiers)  # they start at zero
