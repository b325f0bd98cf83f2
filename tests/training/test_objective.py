from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_i3d.models.networks import NETWORKS
from keras_i3d.training import objective

AT_THE_END, AT_EVERY_STEP = NETWORKS["i3d"].protocol(), NETWORKS["convnet_lstm"].protocol()


def network(*, with_steps: bool) -> keras.Model:
    """Return a network of three classes with the layers of ours, small enough to compute by hand."""
    inputs = keras.Input((None, 4), name="rgb")
    steps = keras.layers.Dense(3, name="dense")(inputs)
    if with_steps:
        steps = keras.layers.Activation("linear", name="StepLogits")(steps)
    logits = keras.layers.Activation("linear", name="Logits")(steps[:, -1])
    return keras.Model(inputs, keras.layers.Activation("softmax", name="Predictions")(logits), name="net")


@pytest.fixture
def compiled() -> Callable[[bool], keras.Model]:
    def build(with_steps: bool) -> keras.Model:
        keras.utils.set_random_seed(0)
        protocol = AT_EVERY_STEP if with_steps else AT_THE_END
        return objective.compiled(network(with_steps=with_steps), keras.optimizers.SGD(0.0), protocol)

    return build


def clips() -> tuple[np.ndarray, np.ndarray]:
    return np.random.default_rng(0).normal(size=(6, 5, 4)).astype(np.float32), np.array([0, 1, 2, 2, 1, 0])


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


@pytest.mark.parametrize("with_steps", [False, True])
def test_the_loss_is_the_cross_entropy_at_the_end_or_the_mean_of_that_of_every_step(compiled, with_steps) -> None:
    model, (x, labels) = compiled(with_steps), clips()
    protocol = AT_EVERY_STEP if with_steps else AT_THE_END
    targets = objective.targets(tf.constant(labels), protocol, 25)  # five steps, five frames apart
    data = tf.data.Dataset.from_tensors((x, targets))
    history = model.fit(data, validation_data=data, shuffle=False, verbose=0).history
    numbers = objective.numbers({name: values[-1] for name, values in history.items()})

    kernel, bias = model.get_layer("dense").get_weights()
    steps = log_softmax(x @ kernel + bias)
    at_steps = -np.take_along_axis(steps, labels[:, None, None], axis=2)
    loss = at_steps.mean() if with_steps else at_steps[:, -1].mean()
    top1 = (steps[:, -1].argmax(1) == labels).mean()  # of the last step, as tests take it
    assert numbers.keys() == {"loss", "top1", "val_loss", "val_top1"}
    assert (numbers["loss"], numbers["val_loss"]) == pytest.approx((loss, loss), rel=1e-5)
    assert (numbers["top1"], numbers["val_top1"]) == pytest.approx((top1, top1))


@pytest.mark.parametrize("with_steps", [False, True])
def test_the_finished_network_is_plain_and_answers_as_before(compiled, with_steps: bool) -> None:
    model, (x, _) = compiled(with_steps), clips()
    finished = objective.finished(model)
    assert not finished.compiled
    assert (finished.name, finished.output.shape, len(finished.outputs)) == ("net", (None, 3), 1)
    expected = model(x)["Predictions"] if with_steps else model(x)
    assert np.array_equal(finished(x), expected)
    assert [layer.name for layer in finished.layers][-1] == "Predictions"


def test_a_compiled_network_goes_on_from_a_file_with_both_of_its_outputs(compiled, tmp_path) -> None:
    model, (x, labels) = compiled(True), clips()
    targets = objective.targets(tf.constant(labels), AT_EVERY_STEP, 25)
    model.fit(x, targets, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    found, expected = (one.evaluate(x, targets, verbose=0, return_dict=True) for one in (again, model))
    assert found == pytest.approx(expected, rel=1e-6)
    assert objective.numbers(found).keys() == {"loss", "top1"}


@pytest.mark.parametrize(("frames", "steps"), [(125, 25), (25, 5), (5, 1)])
def test_every_step_of_a_clip_is_asked_for_its_class(frames: int, steps: int) -> None:
    found = objective.targets(tf.constant([4, 7]), AT_EVERY_STEP, frames)
    assert found["Predictions"].numpy().tolist() == [4, 7]
    assert found["StepLogits"].numpy().tolist() == [[4] * steps, [7] * steps]
    assert objective.targets(tf.constant([4, 7]), AT_THE_END, frames).numpy().tolist() == [4, 7]


def test_of_two_inputs_each_keeps_its_name() -> None:
    inputs = {name: keras.Input((4,), name=name) for name in ("rgb", "flow")}
    both = keras.layers.Average()([keras.layers.Dense(3)(x) for x in inputs.values()])
    outputs = keras.layers.Activation("softmax", name="Predictions")(both)
    model = objective.compiled(keras.Model(inputs, outputs), keras.optimizers.SGD(0.1), AT_THE_END)
    finished = objective.finished(model)
    assert {tensor.name for tensor in finished.inputs} == {"rgb", "flow"}
    clips = {name: np.ones((2, 4), np.float32) for name in inputs}
    assert np.array_equal(finished(clips), model(clips))


def test_only_the_numbers_of_a_run_are_kept() -> None:
    logs = {"loss": 1, "StepLogits_loss": 2, "Predictions_top1": 0.5, "val_Predictions_top1": 0.25, "lr": 3}
    assert objective.numbers(logs) == {"loss": 1.0, "top1": 0.5, "val_top1": 0.25}
    assert objective.numbers(None) == {}
