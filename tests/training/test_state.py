import h5py
import keras
import numpy as np
import pytest

from keras_i3d.errors import TrainingError
from keras_i3d.training import state

INPUTS = np.random.default_rng(0).normal(size=(2, 4)).astype("float32")


def network(units: int = 3, seed: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((4,))
    x = keras.layers.Dense(units)(inputs)
    x = keras.layers.BatchNormalization()(x)
    return keras.Model(inputs, keras.layers.Dropout(0.5)(x))


def variables(model: keras.Model) -> dict:
    optimiser = keras.optimizers.Adam()
    optimiser.build(model.trainable_variables)
    return {"network": model.variables, "optimiser": optimiser.variables}


def stepped(seed: int = 0) -> tuple[keras.Model, dict]:
    """Return a network, after a few draws of its dropout, and an optimiser that has no variable at its start."""
    model = network(seed=seed)
    for _ in range(3):
        model(INPUTS, training=True)
    groups = variables(model)
    generator = np.random.default_rng(seed)
    for variable in groups["optimiser"]:
        variable.assign(generator.integers(1, 9, variable.shape).astype(variable.dtype))
    return model, groups


def saved(folder, groups: dict, facts: dict | None = None) -> dict:
    values = state.values(groups)
    state.save(folder, values, facts or {"step": 3})
    return values


def test_every_variable_comes_back_and_random_numbers_go_on(tmp_path) -> None:
    model, groups = stepped()
    values = saved(tmp_path, groups)
    assert any(variable.path.endswith("seed_generator_state") for variable in model.variables)
    expected = model(INPUTS, training=True)  # after the state was taken
    again, others = stepped(seed=1)
    assert not np.array_equal(again(INPUTS, training=True), expected)
    state.restore(tmp_path, others)
    for group, members in state.values(others).items():
        for mine, its in zip(members, values[group], strict=True):
            assert mine.dtype == its.dtype and np.array_equal(mine, its)
    assert np.array_equal(again(INPUTS, training=True), expected)


def test_a_state_that_cannot_be_written_is_one_line(tmp_path) -> None:
    with pytest.raises(TrainingError, match=r"absent/state\.h5: the state cannot be written \(.*; once it can, "):
        saved(tmp_path / "absent", stepped()[1])


def test_facts_are_json_and_absent_where_there_is_no_state(tmp_path) -> None:
    assert state.facts(tmp_path) is None
    facts = {"step": 7, "history": [{"epoch": 1, "loss": 0.1 + 0.2}], "tally": {"loss": 1e-30}}
    saved(tmp_path, stepped()[1], facts)
    assert state.facts(tmp_path) == facts
    state.remove(tmp_path)
    state.remove(tmp_path)
    assert state.facts(tmp_path) is None


def test_more_than_ten_variables_keep_their_order(tmp_path) -> None:
    members = [keras.Variable(float(number)) for number in range(120)]
    saved(tmp_path, {"network": members})
    for variable in members:
        variable.assign(-1.0)
    state.restore(tmp_path, {"network": members})
    assert [float(variable) for variable in members] == list(range(120))


def unchanged_by_refusal(folder, groups: dict, message: str) -> None:
    before = state.values(groups)
    with pytest.raises(TrainingError, match=message):
        state.restore(folder, groups)
    for group, members in state.values(groups).items():
        assert all(np.array_equal(mine, its) for mine, its in zip(members, before[group], strict=True))


def test_another_networks_state_is_refused_and_nothing_is_assigned(tmp_path) -> None:
    saved(tmp_path, stepped()[1])
    unchanged_by_refusal(
        tmp_path,
        variables(network(units=5)),
        r"state.h5: the state of the stopped run cannot be used \(its network is another network's\); delete the fold",
    )
    _, groups = stepped(seed=1)
    unchanged_by_refusal(tmp_path, groups | {"optimiser": groups["optimiser"][:-1]}, "its optimiser is another netw")
    unchanged_by_refusal(tmp_path, groups | {"more": []}, "the state of the stopped run cannot be used")


@pytest.mark.parametrize("length", [0, 100, 4000, -1])
def test_a_damaged_file_is_refused_and_nothing_is_assigned(tmp_path, length: int) -> None:
    _, groups = stepped()
    saved(tmp_path, groups)
    content = (tmp_path / "state.h5").read_bytes()
    (tmp_path / "state.h5").write_bytes(content[:length])
    _, others = stepped(seed=1)
    unchanged_by_refusal(tmp_path, others, "state.h5: the state of the stopped run cannot be used")
    with pytest.raises(TrainingError, match="delete the folder to start anew"):
        state.facts(tmp_path)


def test_a_file_without_facts_is_refused(tmp_path) -> None:
    with h5py.File(tmp_path / "state.h5", "w") as file:
        file.create_group("network")
    with pytest.raises(TrainingError, match="cannot be used"):
        state.facts(tmp_path)


def test_the_state_before_stays_where_saving_fails(tmp_path) -> None:
    values = saved(tmp_path, stepped()[1], {"step": 1})
    with pytest.raises(TypeError):
        state.save(tmp_path, values, {"step": object()})
    with pytest.raises(TypeError):
        state.save(tmp_path, {"network": [np.array(object())]}, {"step": 2})
    assert state.facts(tmp_path) == {"step": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["state.h5"]
