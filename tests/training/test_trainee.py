import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from keras_i3d.training import trainee
from keras_i3d.training.data import Data
from keras_i3d.training.devices import Devices
from keras_i3d.training.display import Display
from keras_i3d.training.execution import Execution

HERE = Devices(tf.distribute.get_strategy())


def of_network(records, recipe, folder, **execution) -> trainee.Trainee:
    return trainee.of_network(Data(records, recipe), recipe, Execution(**execution), HERE, folder, Display(None, 1))


def values(variables) -> list[np.ndarray]:
    return [np.array(variable) for variable in variables]


def test_the_average_of_the_weights_is_by_hand(small, records, tiny_recipe, tmp_path) -> None:
    recipe = dataclasses.replace(tiny_recipe, average_momentum=0.75, dropout_rate=0.0)
    one = of_network(records, recipe, tmp_path)
    batches, average = iter(one.training_batches(0)), None
    for _ in range(4):
        one.loop.update(batches, 0.01)
        now = values(one.model.trainable_variables)
        average = now if average is None else [0.75 * a + 0.25 * b for a, b in zip(average, now, strict=True)]
    others = values(one.model.non_trainable_variables)
    with one.averaged():
        for mine, expected in zip(one.model.trainable_variables, average, strict=True):
            np.testing.assert_allclose(mine, expected, rtol=1e-5, atol=1e-7)
        assert one.validated()["val_loss"] > 0
    assert all(np.array_equal(*pair) for pair in zip(values(one.model.trainable_variables), now, strict=True))
    assert all(np.array_equal(*pair) for pair in zip(values(one.model.non_trainable_variables), others, strict=True))


@pytest.mark.parametrize("average_momentum", [0.0, 0.5])
def test_the_weights_come_back_after_an_error(small, records, tiny_recipe, tmp_path, average_momentum) -> None:
    one = of_network(records, dataclasses.replace(tiny_recipe, average_momentum=average_momentum), tmp_path)
    one.loop.update(iter(one.training_batches(0)), 0.1)
    one.loop.update(iter(one.training_batches(0)), 0.1)
    before = values(one.model.trainable_variables)
    with pytest.raises(KeyboardInterrupt), one.averaged():
        raise KeyboardInterrupt
    assert all(np.array_equal(*pair) for pair in zip(values(one.model.trainable_variables), before, strict=True))


def test_all_that_changes_in_a_run_is_among_its_variables(small, records, tiny_recipe, tmp_path) -> None:
    one = of_network(records, dataclasses.replace(tiny_recipe, average_momentum=0.5), tmp_path)
    paths = [variable.path for variable in one.variables()["network"]]
    assert any(path.endswith("seed_generator_state") for path in paths)
    assert any(path.endswith("moving_mean") for path in paths)
    assert len(one.variables()["optimiser"]) == 2 + 3 * len(one.model.trainable_variables)  # Adam's two, the average


def test_the_memory_of_a_step_is_told(small, records, tiny_recipe, tmp_path, capsys) -> None:
    from keras_i3d import progress

    with progress.bar("training") as bar:
        data = Data(records, tiny_recipe)
        trainee.of_network(data, tiny_recipe, Execution(), HERE, tmp_path, Display(bar, 1))
    assert "a step needs about 0.0 GB of memory" in capsys.readouterr().err


def test_rematerialised_steps_are_the_others(small, records, tiny_recipe, tmp_path) -> None:
    both = [of_network(records, tiny_recipe, tmp_path, rematerialise=again) for again in (False, True)]
    for _ in range(2):
        losses = [one.loop.update(iter(one.training_batches(0)), 0.01).loss for one in both]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for mine, its in zip(*(values(one.whole.variables) for one in both), strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-3, atol=1e-5)


def test_mixed_precision_trains_a_copy_and_finishes_in_the_network(small, records, tiny_recipe, tmp_path) -> None:
    one = of_network(records, tiny_recipe, tmp_path, precision="bfloat16")
    network = one.finished()
    assert network is not one.whole
    one.loop.update(iter(one.training_batches(0)), 0.01)
    assert not np.array_equal(network.trainable_variables[0], one.whole.trainable_variables[0])
    assert one.finished() is network
    assert all(
        np.array_equal(*pair) for pair in zip(values(network.variables), values(one.whole.variables), strict=True)
    )
    assert {layer.compute_dtype for layer in network.layers} == {"float32"}
    assert "bfloat16" in {layer.compute_dtype for layer in one.model.layers}
