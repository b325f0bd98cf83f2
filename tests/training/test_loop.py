import json
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import replicas
import tensorflow as tf

from keras_i3d.training.devices import Devices
from keras_i3d.training.loop import Loop, Tally
from keras_i3d.training.objective import Objective

SCRIPT = Path(replicas.__file__)
# whether the loss is finite, whether the weights change, and the scale of the loss afterwards
OVERFLOWN = {"last": [False, False, 512.0], "none": [True, True, 512.0]}


def network(*, seed: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((3, 4, 4, 2))
    x = keras.layers.Conv3D(4, 3)(inputs)
    x = keras.layers.Flatten()(keras.layers.Activation("tanh")(x))
    return keras.Model(inputs, keras.layers.Dense(3)(x))


def batches(count: int, clips: int = 4, seed: int = 0) -> list[tuple]:
    generator = np.random.default_rng(seed)
    return [
        (
            tf.constant(generator.normal(size=(clips, 3, 4, 4, 2)), tf.float32),
            tf.constant(generator.integers(0, 3, clips)),
        )
        for _ in range(count)
    ]


def joined(parts: list[tuple]) -> tuple:
    return tuple(tf.concat(column, axis=0) for column in zip(*parts, strict=True))


def sgd() -> keras.Optimizer:
    return keras.optimizers.SGD(0.1, momentum=0.9)


def values(model: keras.Model) -> list[np.ndarray]:
    return [np.array(variable) for variable in model.variables]


def assert_close(mine: keras.Model, other: keras.Model, rtol: float = 1e-5) -> None:
    for ours, theirs in zip(values(mine), values(other), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=1e-7)  # sums in another order


def test_an_update_is_that_of_keras_train_on_batch() -> None:
    mine, theirs = network(), network()
    loop = Loop(mine, sgd(), Objective(3), clips_per_update=4)
    theirs.compile(sgd(), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    for batch in batches(3):
        tally = loop.update(iter([batch]), 0.1)
        assert tally.loss / tally.clips == pytest.approx(theirs.train_on_batch(*batch), rel=1e-5)
    assert tally.clips == 4
    assert_close(mine, theirs)


def test_the_learning_rate_is_that_of_each_update() -> None:
    mine = network()
    loop = Loop(mine, keras.optimizers.SGD(0.1), Objective(3), clips_per_update=4)
    start = values(mine)
    loop.update(iter(batches(1)), 0.0)
    assert all(np.array_equal(before, now) for before, now in zip(start, values(mine), strict=True))
    loop.update(iter(batches(1)), 0.1)
    small = [now - before for before, now in zip(start, values(mine), strict=True)]
    other = network()
    Loop(other, keras.optimizers.SGD(9.0), Objective(3), clips_per_update=4).update(iter(batches(1)), 0.2)
    for before, now, change in zip(start, values(other), small, strict=True):
        np.testing.assert_allclose(now - before, 2 * change, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
@pytest.mark.parametrize("build", [sgd, lambda: keras.optimizers.Adam(0.01)], ids=["sgd", "adam"])
def test_several_forward_passes_make_the_update_of_one_large_batch(build, weight_decay: float) -> None:
    mine, other = network(), network()
    options = {"clips_per_update": 12, "weight_decay": weight_decay}
    parts = Loop(mine, build(), Objective(3), accumulation=3, **options)
    whole = Loop(other, build(), Objective(3), **options)
    for seed in range(3):
        given = batches(3, seed=seed)
        one, all_at_once = parts.update(iter(given), 0.05), whole.update(iter([joined(given)]), 0.05)
        assert one.clips == all_at_once.clips == 12
        assert one.loss == pytest.approx(all_at_once.loss, rel=1e-5)
        assert one.right == all_at_once.right
    assert_close(mine, other, rtol=1e-4)


def test_weight_decay_is_added_to_the_gradients_of_kernels_alone() -> None:
    plain, decayed = network(), network()
    start = values(plain)
    Loop(plain, keras.optimizers.SGD(), Objective(3), clips_per_update=4).update(iter(batches(1)), 0.1)
    loop = Loop(decayed, keras.optimizers.SGD(), Objective(3), clips_per_update=4, weight_decay=0.5)
    tally = loop.update(iter(batches(1)), 0.1)
    for before, without, with_decay in zip(start, values(plain), values(decayed), strict=True):
        expected = without - 0.1 * 0.5 * before if before.ndim > 1 else without
        np.testing.assert_allclose(with_decay, expected, rtol=1e-4, atol=1e-6)
    losses = Objective(3).losses(network()(batches(1)[0][0]), batches(1)[0][1])
    assert tally.loss == pytest.approx(float(tf.reduce_sum(losses)), rel=1e-5)  # of the clips alone


def test_frozen_layers_stay_as_they_are() -> None:
    model = network()
    model.layers[1].trainable = False
    start = values(model)
    Loop(model, sgd(), Objective(3), clips_per_update=4, weight_decay=0.1).update(iter(batches(1)), 0.1)
    assert [np.array_equal(*pair) for pair in zip(start, values(model), strict=True)] == [True, True, False, False]


def test_a_scaled_loss_gives_the_same_updates() -> None:
    mine, other = network(), network()
    scaled = keras.optimizers.LossScaleOptimizer(sgd(), initial_scale=1024.0)
    loops = [
        Loop(model, optimiser, Objective(3), clips_per_update=8, accumulation=2, weight_decay=0.01)
        for model, optimiser in ((mine, scaled), (other, sgd()))
    ]
    for seed in range(3):
        tallies = [loop.update(iter(batches(2, seed=seed)), 0.1) for loop in loops]
        assert tallies[0].loss == pytest.approx(tallies[1].loss, rel=1e-5)
    assert_close(mine, other, rtol=1e-4)


def test_a_scaled_loss_that_overflows_changes_nothing_and_lowers_the_scale() -> None:
    model = network()
    dense = model.layers[-1].kernel
    dense.assign(dense * 1e4)  # so that the gradients before it leave float32
    scaled = keras.optimizers.LossScaleOptimizer(sgd(), initial_scale=1e37)
    loop = Loop(model, scaled, Objective(3), clips_per_update=4)
    start = values(model)
    loop.update(iter(batches(1)), 0.1)
    assert all(np.array_equal(*pair) for pair in zip(start, values(model), strict=True))
    assert float(scaled.dynamic_scale) == pytest.approx(0.5e37)


def test_xla_computes_the_same() -> None:
    mine, other = network(), network()
    loops = [
        Loop(model, sgd(), Objective(3), clips_per_update=4, jit_compile=compiled, weight_decay=0.01)
        for model, compiled in ((mine, True), (other, False))
    ]
    for batch in batches(3):
        tallies = [loop.update(iter([batch]), 0.1) for loop in loops]
        assert tallies[0].loss == pytest.approx(tallies[1].loss, rel=1e-4)
    assert_close(mine, other, rtol=1e-3)
    weighted = [(*batch, tf.ones(4)) for batch in batches(2)]
    assert loops[0].measure(iter(weighted)).loss == pytest.approx(loops[1].measure(iter(weighted)).loss, rel=1e-3)


def test_another_forward_can_take_the_place_of_the_models() -> None:
    model = network()
    loop = Loop(model, sgd(), Objective(3), clips_per_update=4, forward=lambda inputs: 0.0 * model(inputs))
    assert loop.update(iter(batches(1)), 0.1).loss == pytest.approx(4 * np.log(3))


def test_clips_of_weight_0_count_nothing() -> None:
    model = network()
    loop = Loop(model, sgd(), Objective(3), clips_per_update=4)
    (first, second) = batches(2)
    weighted = [(*first, tf.ones(4)), (*second, tf.constant([1.0, 1.0, 0.0, 0.0]))]
    tally, scores, labels = loop.measure_scores(iter(weighted))
    inputs, truth = (part[:6] for part in joined([first, second]))
    expected = model(inputs)
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6)
    assert labels.tolist() == truth.numpy().tolist()
    assert tally.clips == 6
    assert tally.loss == pytest.approx(float(tf.reduce_sum(Objective(3).losses(expected, truth))), rel=1e-5)
    assert tally.right == np.sum(np.argmax(expected, axis=1) == truth)
    again = loop.measure(iter(weighted))
    assert (again.loss, again.right, again.clips) == (tally.loss, tally.right, tally.clips)


def test_measuring_changes_nothing() -> None:
    model = network()
    loop = Loop(model, sgd(), Objective(3), clips_per_update=4)
    start = values(model)
    loop.measure(iter([(*batch, tf.ones(4)) for batch in batches(2)]))
    assert all(np.array_equal(*pair) for pair in zip(start, values(model), strict=True))


def test_no_batch_left_is_said() -> None:
    loop = Loop(network(), sgd(), Objective(3), clips_per_update=8, accumulation=2)
    with pytest.raises(StopIteration):
        loop.update(iter(batches(1)), 0.1)


def test_a_tally_is_of_clips() -> None:
    tally = Tally()
    tally.add(Tally(3.0, 1, 2))
    tally.add(Tally(5.0, 2, 2))
    assert tally.numbers() == {"loss": 2.0, "top1": 0.75}
    assert tally.numbers("val_") == {"val_loss": 2.0, "val_top1": 0.75}


def free_ports(count: int) -> list[str]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [str(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def ran(*commands: list[str]) -> list[dict]:
    """Run copies of the script side by side; returns what each prints."""
    processes = [
        subprocess.Popen([sys.executable, SCRIPT, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for command in commands
    ]
    try:
        outputs = [process.communicate(timeout=300) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, (_, error) in zip(processes, outputs, strict=True):
        assert process.returncode == 0, error
    return [json.loads(output.splitlines()[-1]) for output, _ in outputs]


@pytest.fixture(scope="module")
def one_device() -> list[dict]:
    return replicas.runs(Devices(tf.distribute.get_strategy()))


def assert_same_to_six_digits(found: list[dict], expected: list[dict]) -> None:
    for mine, theirs in zip(found, expected, strict=True):
        assert mine["clips"] == theirs["clips"] and mine["labels"] == theirs["labels"]
        for name in ("losses", "validated", "weights"):
            np.testing.assert_allclose(mine[name], theirs[name], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(mine["scores"], theirs["scores"], atol=1e-5)  # sums of greater numbers
        assert mine["losses"][-1] != mine["losses"][0]


@pytest.mark.slow
def test_two_devices_of_a_machine_train_as_one_with_the_whole_batch(one_device) -> None:
    (mirrored,) = ran(["mirrored"])
    assert (mirrored["replicas"], mirrored["worker"], mirrored["are_several"]) == (2, 0, True)
    assert_same_to_six_digits(mirrored["runs"], one_device)
    assert mirrored["overflow"] == [OVERFLOWN, OVERFLOWN]
    assert mirrored["of_xla"] == "jit_compile works on one device only, not on several"


def test_two_processes_train_as_one_with_the_whole_batch(one_device) -> None:
    ports = free_ports(2)
    workers = ran(*(["workers", str(worker), *ports] for worker in range(2)))
    assert [worker["worker"] for worker in workers] == [0, 1]
    for worker in workers:
        assert worker["replicas"] == 2
        assert worker["agree"] == [True, False]
        assert_same_to_six_digits(worker["runs"], one_device)
        assert worker["overflow"] == [OVERFLOWN, OVERFLOWN]
    assert workers[0]["runs"] == workers[1]["runs"]


def test_of_no_clips_there_is_no_number() -> None:
    assert np.isnan(list(Tally().numbers().values())).all()
