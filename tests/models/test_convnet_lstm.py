from collections.abc import Callable

import keras
import numpy as np
import pytest

from keras_i3d.models.convnet_lstm import PROTOCOL, ConvNetLSTM
from keras_i3d.models.inception_v1 import InceptionV1

SHAPE = (None, 32, 32, 3)


@pytest.fixture(scope="module")
def model(enliven: Callable) -> keras.Model:
    return enliven(ConvNetLSTM(input_shape=SHAPE, classes=5))


def up_to(model: keras.Model, *names: str) -> keras.Model:
    outputs = [model.get_layer(name).output for name in names]
    return keras.Model(model.input, outputs if len(names) > 1 else outputs[0])


def test_the_default_input_is_the_papers_one_frame_in_five_of_five_seconds() -> None:
    model = ConvNetLSTM()
    assert (model.input.name, model.input.shape) == ("rgb", (None, 25, 224, 224, 3))
    assert (model.name, model.layers[-1].name, model.output.shape) == ("convnet_lstm", "Predictions", (None, 400))
    assert model.get_layer("LSTM").steps == 25
    assert (PROTOCOL.train_frames, PROTOCOL.streams["rgb"].step, PROTOCOL.loss_at_every_step) == (125, 5, True)


def test_the_logits_are_those_of_the_last_step(model: keras.Model, noise: Callable) -> None:
    logits, steps = up_to(model, "Logits", "StepLogits")(noise(2, 4, 32, 32, 3))
    assert steps.shape == (2, 4, 5)
    assert np.array_equal(logits, np.asarray(steps)[:, -1])


def test_a_step_sees_what_went_before_and_nothing_of_what_comes(model: keras.Model, noise: Callable) -> None:
    clip = noise(1, 4, 32, 32, 3)
    network = up_to(model, "StepLogits")
    whole, start = network(clip), network(clip[:, :2])
    np.testing.assert_allclose(np.asarray(whole)[:, :2], start, atol=1e-5)  # the same sums in batches of other sizes


def test_the_order_of_frames_matters(model: keras.Model, noise: Callable) -> None:
    clip = noise(1, 4, 32, 32, 3)
    forwards, backwards = up_to(model, "Logits")(clip), up_to(model, "Logits")(clip[:, [2, 1, 0, 3]])
    assert np.abs(np.subtract(forwards, backwards)).max() > 1e-3 * np.std(forwards)


@pytest.mark.parametrize("size", [32, 40])
def test_what_the_lstm_sees_is_inception_v1_on_every_frame(size: int, enliven: Callable, noise: Callable) -> None:
    model = enliven(ConvNetLSTM(input_shape=(3, size, size, 3), classes=5))
    flat = InceptionV1(False, None, input_shape=(size, size, 3), pooling="avg")
    theirs = {variable.path: variable for variable in model.weights}
    for variable in flat.weights:
        name = variable.path.replace("Conv2d", "Conv3d").replace("conv_2d", "conv_3d")
        value = theirs[name].numpy()
        variable.assign(value[0] if value.ndim == 5 else value)
    clip = noise(2, 3, size, size, 3)
    features = up_to(model, "Features")(clip)
    expected = np.stack([flat(clip[:, frame]) for frame in range(3)], axis=1)
    assert expected.std() > 1e-3
    np.testing.assert_allclose(features, expected, atol=1e-5 * np.abs(expected).max())


def test_any_length_and_size_runs_also_where_unknown_and_after_saving(tmp_path, enliven: Callable, noise) -> None:
    model = enliven(ConvNetLSTM(input_shape=(None, None, None, 3), classes=5))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    for shape in ((2, 1, 32, 32, 3), (1, 5, 33, 40, 3)):
        clip = noise(*shape)
        probabilities = again.predict(clip, verbose=0)
        # traced against eager
        np.testing.assert_allclose(probabilities, model(clip), atol=1e-6)
        np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)


def test_momentum_and_dropout_are_what_training_asks_for() -> None:
    model = ConvNetLSTM(input_shape=SHAPE, classes=2, dropout_rate=0.25, batch_norm_momentum=0.9)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert {layer.momentum for layer in norms} == {0.9}
    assert len(norms) == 57
    assert (model.get_layer("LSTM").momentum, model.get_layer("Dropout").rate) == (0.9, 0.25)
    assert ConvNetLSTM(input_shape=SHAPE, classes=2).get_layer("LSTM").momentum == 0.99
