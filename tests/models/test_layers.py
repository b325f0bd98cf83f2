from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import layers

from keras_i3d.models.layers import BatchNormLSTM, SamePadding3D, ShrinkingAveragePooling, StackFrames

UNITS, EPSILON = 3, 1e-3


def literal_pool(x: np.ndarray, window: tuple[int, ...]) -> np.ndarray:
    """Average every whole window, shrunk to the map, one by one."""
    sizes = x.shape[1:-1]
    window = tuple(min(pair) for pair in zip(window, sizes, strict=True))
    counts = [size - extent + 1 for size, extent in zip(sizes, window, strict=True)]
    result = np.empty((x.shape[0], *counts, x.shape[-1]), x.dtype)
    for place in np.ndindex(*counts):
        part = tuple(slice(start, start + extent) for start, extent in zip(place, window, strict=True))
        result[(slice(None), *place)] = x[(slice(None), *part)].mean(tuple(range(1, x.ndim - 1)))
    return result


@pytest.mark.parametrize("sizes", [(1, 1, 1), (1, 7, 7), (2, 7, 7), (3, 6, 5), (5, 8, 10), (1, 2, 9), (32, 3, 7)])
@pytest.mark.parametrize("window", [(2, 7, 7), (1, 7, 7)])
def test_the_pool_shrinks_to_a_smaller_map_also_where_sizes_are_unknown(
    sizes: tuple, window: tuple, noise: Callable
) -> None:
    x = noise(2, *sizes, 3)
    expected = literal_pool(x, window)
    inputs = keras.Input((None, None, None, 3))
    traced = keras.Model(inputs, ShrinkingAveragePooling(window)(inputs))
    # float32 sums of up to 98 terms
    np.testing.assert_allclose(traced.predict(x, verbose=0), expected, atol=1e-6)
    np.testing.assert_allclose(ShrinkingAveragePooling(window)(x), expected, atol=1e-6)


@pytest.mark.parametrize("sizes", [(1, 1), (7, 7), (6, 9), (8, 3)])
def test_the_pool_takes_images_too(sizes: tuple, noise: Callable) -> None:
    x = noise(2, *sizes, 3)
    inputs = keras.Input((None, None, 3))
    traced = keras.Model(inputs, ShrinkingAveragePooling((7, 7))(inputs))
    np.testing.assert_allclose(traced.predict(x, verbose=0), literal_pool(x, (7, 7)), atol=1e-6)


def same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return what TensorFlow's SAME adds before and after an axis."""
    missing = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return missing // 2, missing - missing // 2


def literal_convolution(x: np.ndarray, kernel: np.ndarray, strides: tuple[int, int, int]) -> np.ndarray:
    """Pad time by its first and last step and space by zeros, and correlate place by place."""
    (before, after), *space = (same(*numbers) for numbers in zip(x.shape[1:4], kernel.shape[:3], strides, strict=True))
    first, last = x[:, :1], x[:, -1:]
    x = np.concatenate([first] * before + [x] + [last] * after, axis=1)
    x = np.pad(x, [(0, 0), (0, 0), *space, (0, 0)])
    counts = [(n - k) // s + 1 for n, k, s in zip(x.shape[1:4], kernel.shape[:3], strides, strict=True)]
    result = np.empty((x.shape[0], *counts, kernel.shape[-1]))
    for place in np.ndindex(*counts):
        part = tuple(slice(p * s, p * s + k) for p, s, k in zip(place, strides, kernel.shape[:3], strict=True))
        result[(slice(None), *place)] = np.tensordot(x[(slice(None), *part)], kernel, 4)
    return result


def convolution(kernel: tuple[int, int, int], strides: tuple[int, int, int], time: str = "edge") -> keras.Sequential:
    """Return a convolution of three channels behind its padding."""
    padding = SamePadding3D(kernel, strides, time)
    model = keras.Sequential([padding, layers.Conv3D(2, kernel, strides=strides, use_bias=False)])
    model.build((None, None, None, None, 3))
    return model


def kernel_of(layer: keras.Sequential) -> np.ndarray:
    return layer.layers[-1].kernel.numpy()


@pytest.mark.parametrize("kernel", [(3, 1, 1), (3, 3, 3), (5, 3, 1), (7, 7, 7)])
@pytest.mark.parametrize("strides", [(1, 1, 1), (2, 2, 2), (2, 1, 1)])
@pytest.mark.parametrize("sizes", [(1, 5, 4), (2, 4, 5), (5, 6, 6), (8, 7, 5)])
def test_time_is_padded_by_its_edges_and_space_by_zeros(
    kernel: tuple, strides: tuple, sizes: tuple, noise: Callable
) -> None:
    x = noise(2, *sizes, 3)
    layer = convolution(kernel, strides)
    known = np.asarray(layer(x))
    expected = literal_convolution(x, kernel_of(layer).astype(np.float64), strides)
    assert known.shape == (2, *(-(-size // stride) for size, stride in zip(sizes, strides, strict=True)), 2)
    # float32 sums of up to 1,029 terms
    np.testing.assert_allclose(known, expected, atol=2e-6)
    inputs = keras.Input((None, None, None, 3))
    unknown = keras.Model(inputs, layer(inputs))
    assert unknown.output.shape == (None, None, None, None, 2)
    np.testing.assert_allclose(unknown(x), expected, atol=2e-6)


def test_on_a_traced_graph_with_unknown_axes_the_edges_are_the_same(noise: Callable) -> None:
    layer = convolution((7, 3, 3), (2, 2, 2))
    inputs = keras.Input((None, None, None, 3))
    model = keras.Model(inputs, layer(inputs))
    for sizes in ((5, 6, 7), (8, 7, 6), (1, 1, 1)):
        x = noise(1, *sizes, 3)
        np.testing.assert_allclose(model.predict(x, verbose=0), layer(x), atol=1e-6)


@pytest.mark.parametrize("strides", [(1, 1, 1), (2, 2, 2)])
@pytest.mark.parametrize("frames", [15, 16])
def test_away_from_the_edges_of_time_it_is_kerass_convolution(strides: tuple, frames: int, noise: Callable) -> None:
    x = noise(1, frames, 6, 5, 3)
    layer = convolution((7, 3, 3), strides)
    zeros = layers.Conv3D(2, (7, 3, 3), strides=strides, padding="same", use_bias=False)
    found = np.asarray(layer(x))
    zeros.build(x.shape)
    zeros.kernel.assign(kernel_of(layer))
    expected = np.asarray(zeros(x))
    interior = slice(3, -3) if strides[0] == 1 else slice(2, -2)
    np.testing.assert_allclose(found[:, interior], expected[:, interior], atol=1e-6)
    assert np.abs(found[:, 0] - expected[:, 0]).max() > 0.01
    assert np.abs(found[:, -1] - expected[:, -1]).max() > 0.01


@pytest.mark.parametrize("strides", [(1, 1, 1), (2, 2, 2)])
def test_padding_with_zeros_is_kerass_same(strides: tuple, noise: Callable) -> None:
    x = noise(1, 7, 6, 5, 3)
    layer = convolution((4, 3, 3), strides, "zeros")
    zeros = layers.Conv3D(2, (4, 3, 3), strides=strides, padding="same", use_bias=False)
    zeros.build(x.shape)
    zeros.kernel.assign(kernel_of(layer))
    np.testing.assert_allclose(layer(x), zeros(x), atol=1e-6)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (7, 2), (5, 3)])
@pytest.mark.parametrize("frames", [1, 2, 9, 10])
def test_a_still_video_gives_at_every_step_what_the_summed_kernel_gives(
    kernel: int, stride: int, frames: int, noise: Callable
) -> None:
    still = np.repeat(noise(1, 1, 6, 6, 3), frames, axis=1)
    layer = convolution((kernel, 3, 3), (stride, 2, 2))
    found = np.asarray(layer(still))
    flat = layers.Conv2D(2, 3, strides=2, padding="same", use_bias=False)
    flat.build((1, 6, 6, 3))
    flat.kernel.assign(kernel_of(layer).sum(axis=0))
    np.testing.assert_allclose(found, np.repeat(np.asarray(flat(still[:, 0]))[:, None], found.shape[1], 1), atol=1e-6)


def test_frames_are_stacked_in_their_order_x_then_y_of_each() -> None:
    # the value tells step (hundreds), row, column and channel (fraction)
    step, row, column, channel = np.mgrid[:6, :2, :3, :2]
    flow = (100.0 * step + 10 * row + column + channel / 10)[np.newaxis].astype(np.float32)
    stacked = np.asarray(StackFrames(3)(flow))
    assert stacked.shape == (1, 2, 2, 3, 6)
    for group in range(2):
        expected = np.stack([flow[0, 3 * group + i // 2, ..., i % 2] for i in range(6)], axis=-1)
        assert np.array_equal(stacked[0, group], expected)


def test_frames_are_stacked_where_their_number_is_unknown(noise: Callable) -> None:
    inputs = keras.Input((None, None, None, 2))
    model = keras.Model(inputs, StackFrames(10)(inputs))
    assert model.output.shape == (None, None, None, None, 20)
    assert StackFrames(10)(keras.Input((30, 4, 4, 2))).shape == (None, 3, 4, 4, 20)
    x = noise(2, 20, 3, 4, 2)
    assert np.array_equal(model.predict(x, verbose=0), StackFrames(10)(x))


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


@pytest.mark.parametrize(
    "layer",
    [
        ShrinkingAveragePooling((2, 7, 7), name="x"),
        SamePadding3D((3, 1, 1), (2, 1, 1), "edge", name="x"),
        StackFrames(2, name="x"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_every_layer_is_saved_and_loaded_in_safe_mode(tmp_path, layer: layers.Layer, noise: Callable) -> None:
    inputs = keras.Input((None, None, None, 3))
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    x = noise(1, 4, 5, 6, 3)
    assert np.array_equal(again(x), model(x))
    assert type(again.get_layer("x")) is type(layer)
