from collections.abc import Callable

import keras
import numpy as np
import pytest

from keras_i3d.layers import BatchNormLSTM

UNITS = 3


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def literal_lstm(layer: BatchNormLSTM, x: np.ndarray, *, training: bool) -> tuple[np.ndarray, list[list[np.ndarray]]]:
    """Run equations 6 to 8 of Cooijmans et al. 2017 step by step, in float64.

    Returns the outputs (batch, time, units), and of each step the mean and variance of the three normalisations.
    """
    values = {variable.name: variable.numpy().astype(np.float64) for variable in layer.weights}
    output = cell = np.zeros((len(x), layer.units))
    outputs, seen = [], []
    for number in range(x.shape[1]):
        row, used = min(number, layer.steps - 1), []

        def normalise(z: np.ndarray, part: str, row: int = row, used: list = used) -> np.ndarray:
            mean, variance = z.mean(0), z.var(0)
            used.extend([mean, variance])
            if not training:
                mean, variance = values[f"{part}_moving_mean"][row], values[f"{part}_moving_variance"][row]
            return (z - mean) / np.sqrt(variance + layer.epsilon)

        gates = (
            values["input_gamma"] * normalise(x[:, number] @ values["kernel"], "input")
            + values["recurrent_gamma"] * normalise(output @ values["recurrent_kernel"], "recurrent")
            + values["bias"]
        )
        forget, write, read, candidate = np.split(gates, 4, axis=1)
        cell = sigmoid(forget) * cell + sigmoid(write) * np.tanh(candidate)
        output = sigmoid(read) * np.tanh(values["cell_gamma"] * normalise(cell, "cell") + values["cell_beta"])
        outputs.append(output)
        seen.append(used)
    return np.stack(outputs, axis=1), seen


def lstm(enliven: Callable, **options) -> BatchNormLSTM:
    layer = BatchNormLSTM(UNITS, **{"steps": 4} | options)
    layer.build((None, None, 5))
    return enliven(layer)


@pytest.mark.parametrize("frames", [1, 3, 4, 6])
@pytest.mark.parametrize("training", [False, True])
def test_the_lstm_normalises_as_recurrent_batch_normalisation_does(
    frames: int, training: bool, enliven: Callable, noise: Callable
) -> None:
    layer, x = lstm(enliven), noise(7, frames, 5)
    expected, _ = literal_lstm(layer, x, training=training)
    # float32 against float64
    np.testing.assert_allclose(layer(x, training=training), expected, atol=2e-5)


@pytest.mark.parametrize("frames", [2, 4, 6])
def test_the_lstm_keeps_the_statistics_of_every_step(frames: int, enliven: Callable, noise: Callable) -> None:
    layer, x = lstm(enliven, momentum=0.75), noise(7, frames, 5)
    before = [moving.numpy() for moving in layer.moving]
    _, seen = literal_lstm(layer, x, training=True)
    layer(x, training=True)
    for place, (moving, old) in enumerate(zip(layer.moving, before, strict=True)):
        # steps behind the end of a short sequence take its last step's, a longer one's end is kept nowhere
        new = np.stack([seen[min(row, frames - 1)][place] for row in range(4)])
        np.testing.assert_allclose(moving, 0.75 * old + 0.25 * new, atol=1e-5, err_msg=moving.path)


def test_the_lstm_learns_nothing_of_a_sequence_it_is_only_asked_about(enliven: Callable, noise: Callable) -> None:
    layer = lstm(enliven)
    before = [variable.numpy() for variable in layer.weights]
    layer(noise(7, 4, 5), training=False)
    assert all(np.array_equal(variable, old) for variable, old in zip(layer.weights, before, strict=True))


def test_a_frozen_lstm_keeps_its_statistics_in_training_too(enliven: Callable, noise: Callable) -> None:
    layer, x = lstm(enliven), noise(7, 4, 5)
    layer.trainable = False
    before = [variable.numpy() for variable in layer.weights]
    assert np.array_equal(layer(x, training=True), layer(x, training=False))
    assert all(np.array_equal(variable, old) for variable, old in zip(layer.weights, before, strict=True))


def test_the_lstm_starts_open_and_small_as_recommended() -> None:
    layer = BatchNormLSTM(UNITS)
    layer.build((None, None, 5))
    assert layer.bias.numpy().tolist() == [1.0] * UNITS + [0.0] * 3 * UNITS  # of the forget gate, then of the others
    for gamma in (layer.input_gamma, layer.recurrent_gamma, layer.cell_gamma):
        assert np.allclose(gamma, 0.1)
    assert len(layer.trainable_weights) == 7
    assert [tuple(moving.shape) for moving in layer.moving] == [(25, 12)] * 4 + [(25, 3)] * 2


def test_the_lstm_learns_through_time_with_finite_gradients(noise: Callable) -> None:
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, 5))
    outputs = BatchNormLSTM(UNITS, steps=4)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(outputs[:, -1]))
    # the first steps tell the class: what is learnt has to go back through time
    x = noise(32, 6, 5)
    y = (x[:, 0, 0] > 0).astype(int)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(x, training=True) ** 2)
    for variable, gradient in zip(
        model.trainable_variables, tape.gradient(loss, [v.value for v in model.trainable_variables]), strict=True
    ):
        assert np.isfinite(gradient).all(), variable.path
        assert np.abs(gradient).max() > 0, variable.path
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.05), loss, metrics=["accuracy"])
    history = model.fit(x, y, batch_size=32, epochs=60, verbose=0).history
    assert history["accuracy"][-1] > 0.9


def test_the_lstm_is_saved_and_loaded_with_unknown_axes(tmp_path, enliven: Callable, noise: Callable) -> None:
    inputs = keras.Input((None, 5))
    model = enliven(keras.Model(inputs, BatchNormLSTM(UNITS, steps=4, momentum=0.5, epsilon=0.01, name="x")(inputs)))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    layer = again.get_layer("x")
    assert (layer.units, layer.steps, layer.momentum, layer.epsilon) == (UNITS, 4, 0.5, 0.01)
    for frames in (1, 4, 6):
        x = noise(2, frames, 5)
        assert np.array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize("training", [False, True])
def test_the_lstm_runs_in_half_precision(training: bool, noise: Callable) -> None:
    layer = BatchNormLSTM(UNITS, steps=4, dtype="mixed_bfloat16")
    output = layer(noise(7, 6, 5), training=training)
    assert output.dtype == "bfloat16"
    assert {variable.dtype for variable in layer.weights} == {"float32"}
    assert np.isfinite(np.asarray(output, np.float32)).all()
