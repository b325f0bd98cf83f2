import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_i3d.training.objective import Objective


def network(*, with_steps: bool) -> keras.Model:
    """Return a network of three classes with the layers of ours."""
    inputs = keras.Input((None, 4), name="rgb")
    steps = keras.layers.Dense(3, name="dense")(inputs)
    if with_steps:
        steps = keras.layers.Activation("linear", name="StepLogits")(steps)
    logits = keras.layers.Activation("linear", name="Logits")(steps[:, -1])
    return keras.Model(inputs, keras.layers.Activation("softmax", name="Predictions")(logits), name="net")


def outputs(*, steps: int | None = None) -> np.ndarray:
    shape = (6, 3) if steps is None else (6, steps, 3)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


LABELS = np.array([0, 1, 2, 2, 1, 0])
MANY = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0], [0, 0, 1], [1, 0, 0]], np.float32)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def cross_entropy(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    return -(log_softmax(logits) * targets).sum(-1)


def sigmoid_cross_entropy(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    probability = 1 / (1 + np.exp(-logits.astype(np.float64)))
    return -(targets * np.log(probability) + (1 - targets) * np.log(1 - probability)).mean(-1)


def test_the_loss_is_the_cross_entropy_of_the_class() -> None:
    logits = outputs()
    expected = cross_entropy(logits, np.eye(3)[LABELS])
    losses = Objective(3).losses(logits, tf.constant(LABELS))
    assert losses.dtype == tf.float32
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


def test_with_a_loss_at_every_step_it_is_their_mean() -> None:
    logits = outputs(steps=5)
    expected = np.mean([cross_entropy(logits[:, step], np.eye(3)[LABELS]) for step in range(5)], axis=0)
    np.testing.assert_allclose(Objective(3, at_every_step=True).losses(logits, LABELS), expected, rtol=1e-5)


@pytest.mark.parametrize("steps", [None, 5])
def test_smoothed_labels_leave_a_share_to_all_classes(steps: int | None) -> None:
    logits = outputs(steps=steps)
    targets = np.array([[0.8 + 0.2 / 3 if label == index else 0.2 / 3 for index in range(3)] for label in LABELS])
    if steps:
        expected = np.mean([cross_entropy(logits[:, step], targets) for step in range(steps)], axis=0)
    else:
        expected = cross_entropy(logits, targets)
    objective = Objective(3, at_every_step=steps is not None, label_smoothing=0.2)
    np.testing.assert_allclose(objective.losses(logits, LABELS), expected, rtol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.2])
@pytest.mark.parametrize("steps", [None, 5])
def test_several_labels_have_a_sigmoid_each(steps: int | None, share: float) -> None:
    logits = outputs(steps=steps)
    targets = np.where(MANY == 1, 1 - share / 2, share / 2)
    if steps:
        expected = np.mean([sigmoid_cross_entropy(logits[:, step], targets) for step in range(steps)], axis=0)
    else:
        expected = sigmoid_cross_entropy(logits, targets)
    objective = Objective(3, at_every_step=steps is not None, multi_label=True, label_smoothing=share)
    np.testing.assert_allclose(objective.losses(logits, MANY), expected, rtol=1e-5)


def test_losses_are_float32_whatever_the_outputs_are() -> None:
    logits = tf.cast(outputs(), tf.bfloat16)
    for objective, labels in ((Objective(3), LABELS), (Objective(3, multi_label=True), MANY)):
        assert objective.losses(logits, labels).dtype == tf.float32
        assert objective.answers(logits).dtype == tf.float32


def test_tests_take_the_last_step() -> None:
    logits = outputs(steps=5)
    objective = Objective(3, at_every_step=True)
    assert np.array_equal(objective.answers(logits), logits[:, -1])
    assert np.array_equal(objective.right(logits, LABELS), (logits[:, -1].argmax(1) == LABELS).astype(np.float32))


def test_of_several_labels_the_best_class_must_be_one() -> None:
    logits = outputs()
    expected = [MANY[clip, logits[clip].argmax()] for clip in range(6)]
    assert np.array_equal(Objective(3, multi_label=True).right(logits, MANY), expected)
    assert 0 < sum(expected) < 6


@pytest.mark.parametrize("with_steps", [False, True])
def test_the_model_that_is_trained_ends_in_the_logits_and_shares_the_layers(with_steps: bool) -> None:
    whole = network(with_steps=with_steps)
    model = Objective(3, at_every_step=with_steps).model(whole)
    x = np.ones((2, 5, 4), np.float32)
    assert model.name == "net"
    assert model(x).shape == ((2, 5, 3) if with_steps else (2, 3))
    assert model.get_layer("dense") is whole.get_layer("dense")
    answers = Objective(3, at_every_step=with_steps).answers(model(x))
    np.testing.assert_allclose(tf.nn.softmax(answers), whole(x), rtol=1e-6)


def test_of_two_inputs_each_keeps_its_name() -> None:
    inputs = {name: keras.Input((4,), name=name) for name in ("rgb", "flow")}
    both = keras.layers.Average(name="Logits")([keras.layers.Dense(3)(x) for x in inputs.values()])
    whole = keras.Model(inputs, keras.layers.Activation("softmax", name="Predictions")(both))
    model = Objective(3).model(whole)
    assert {tensor.name for tensor in model.inputs} == {"rgb", "flow"}
    clips = {name: np.ones((2, 4), np.float32) * number for number, name in enumerate(inputs)}
    np.testing.assert_allclose(tf.nn.softmax(model(clips)), whole(clips), rtol=1e-6)
