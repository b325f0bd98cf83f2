import dataclasses
import json

import keras
import numpy as np
import pytest

from keras_i3d import labels
from keras_i3d.clips.preparation import Preparation
from keras_i3d.errors import OutputFolderError, RecordError
from keras_i3d.training.fit import best_epoch, fit
from keras_i3d.training.recipe import Recipe


class Stop(keras.callbacks.Callback):
    """Pull the plug as the second epoch begins."""

    def on_epoch_begin(self, epoch: int, logs=None) -> None:
        if epoch == 1:
            raise InterruptedError("pulled the plug")


def assert_equal_weights(path, other) -> None:
    for mine, its in zip(weights_of(path), weights_of(other), strict=True):
        assert np.array_equal(mine, its)


def assert_equal_runs(folder, other) -> None:
    """Compare what two runs wrote to the last bit."""
    for name in ("steps.csv", "history.json"):
        assert (folder / name).read_bytes() == (other / name).read_bytes()
    for name in ("last.keras", "best.keras"):
        assert_equal_weights(folder / name, other / name)


def weights_of(path) -> list[np.ndarray]:
    return [variable.numpy() for variable in keras.saving.load_model(path, compile=False).weights]


def test_a_run_folder_holds_all_that_is_needed(run_folder, tiny_recipe, records) -> None:
    assert sorted(path.name for path in run_folder.iterdir()) == [
        *("best.keras", "history.json", "labels.txt", "last.keras", "preparation.json", "recipe.json", "run.json"),
        *("steps.csv", "tensorboard"),
    ]
    assert Recipe.read(run_folder / "recipe.json") == tiny_recipe
    assert labels.read(run_folder / "labels.txt") == labels.read(records / "labels.txt")
    assert Preparation.read(run_folder) == Preparation("rgb", 25.0, 37, 32)
    history = json.loads((run_folder / "history.json").read_text())
    assert [entry["epoch"] for entry in history] == [1, 2]
    assert set(history[0]) == {"epoch", "loss", "top1", "learning_rate", "val_loss", "val_top1"}


def test_the_model_sees_any_length(run_folder) -> None:
    model = keras.saving.load_model(run_folder / "best.keras")
    assert model.input.shape == (None, None, 32, 32, 3)
    assert not model.compiled


def test_the_same_seed_gives_the_same_run(small, records, tiny_recipe, tmp_path) -> None:
    one, again = (fit(records, tmp_path / name, tiny_recipe) for name in ("one", "again"))
    assert one == again == json.loads((tmp_path / "one/history.json").read_text())
    assert_equal_runs(tmp_path / "one", tmp_path / "again")


@pytest.mark.slow
@pytest.mark.by_hand
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(run_folder, records, tiny_recipe, tmp_path) -> None:
    with pytest.raises(InterruptedError):
        fit(records, tmp_path / "run", tiny_recipe, callbacks=[Stop()])
    assert (tmp_path / "run/state.h5").is_file()
    history = fit(records, tmp_path / "run", tiny_recipe)
    assert history == json.loads((run_folder / "history.json").read_text())
    assert_equal_runs(tmp_path / "run", run_folder)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == sorted(p.name for p in run_folder.iterdir())


def test_a_finished_run_is_not_done_again(run_folder, records, tiny_recipe) -> None:
    before = (run_folder / "last.keras").stat().st_mtime_ns
    assert fit(records, run_folder, tiny_recipe) == json.loads((run_folder / "history.json").read_text())
    assert (run_folder / "last.keras").stat().st_mtime_ns == before


def test_another_recipe_is_refused_in_the_same_folder(run_folder, records, tiny_recipe) -> None:
    with pytest.raises(OutputFolderError, match=r"holds a run of `train` with other settings \(recipe"):
        fit(records, run_folder, dataclasses.replace(tiny_recipe, epochs=3))


def test_the_best_epoch_is_told_by_accuracy_then_by_loss_and_without_val_is_the_last() -> None:
    def epoch(top1: float, loss: float) -> dict[str, float]:
        return {"val_top1": top1, "val_loss": loss}

    assert best_epoch([epoch(0.5, 1), epoch(0.9, 3), epoch(0.9, 2), epoch(0.6, 1)]) == epoch(0.9, 2)
    assert best_epoch([{"top1": 0.9}, {"top1": 0.3}]) == {"top1": 0.3}


def test_a_flow_network_trains_on_flow(flow_run_folder) -> None:
    model = keras.saving.load_model(flow_run_folder / "best.keras")
    assert (model.input.name, model.input.shape) == ("flow", (None, None, 32, 32, 2))


def test_what_is_no_recipe_is_named(records, tmp_path) -> None:
    with pytest.raises(TypeError, match=r"recipe must be a keras_i3d\.Recipe, got 'small'"):
        fit(records, tmp_path / "run", "small")
    with pytest.raises(TypeError, match=r"execution must be a keras_i3d\.Execution, got \{'precision': 'auto'\}"):
        fit(records, tmp_path / "run", execution={"precision": "auto"})


def test_fewer_clips_than_a_batch_are_refused_first(records, tiny_recipe, tmp_path) -> None:
    with pytest.raises(RecordError, match="split 'train' has 16 clips, fewer than the 17 of one update"):
        fit(records, tmp_path / "run", dataclasses.replace(tiny_recipe, batch_size=17))
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_no_records_is_named(tmp_path) -> None:
    with pytest.raises(RecordError, match=r"no finished folder of records, which `keras-i3d make-tfrecords` writes"):
        fit(tmp_path, tmp_path / "run")


@pytest.fixture(scope="module")
def recurrent_recipe(tiny_recipe) -> Recipe:
    """Return a recipe of ConvNet+LSTM: two steps, five frames apart."""
    return dataclasses.replace(tiny_recipe, network="convnet_lstm", frames=10, batch_size=8)


@pytest.fixture(scope="module")
def recurrent_run(records, recurrent_recipe, tmp_path_factory):
    """Return the run folder of ConvNet+LSTM."""
    folder = tmp_path_factory.mktemp("recurrent") / "run"
    fit(records, folder, recurrent_recipe)
    return folder


@pytest.mark.slow
@pytest.mark.by_hand
def test_a_network_with_a_loss_at_every_step_keeps_the_numbers_of_the_others(recurrent_run, records) -> None:
    history = json.loads((recurrent_run / "history.json").read_text())
    assert [set(entry) for entry in history] == [set(history[0])] * 2
    assert set(history[0]) == {"epoch", "loss", "top1", "learning_rate", "val_loss", "val_top1"}
    assert Preparation.read(recurrent_run) == Preparation("rgb", 25.0, 37, 32, "convnet_lstm")
    model = keras.saving.load_model(recurrent_run / "best.keras")
    assert (model.input.shape, model.output.shape, model.layers[-1].name) == (
        (None, None, 32, 32, 3),
        (None, 8),
        "Predictions",
    )
    assert not model.compiled


@pytest.mark.slow
@pytest.mark.by_hand
def test_a_stopped_run_of_a_recurrent_network_goes_on_as_if_it_had_not(
    recurrent_run, records, recurrent_recipe, tmp_path
) -> None:
    with pytest.raises(InterruptedError):
        fit(records, tmp_path / "run", recurrent_recipe, callbacks=[Stop()])
    assert fit(records, tmp_path / "run", recurrent_recipe) == json.loads((recurrent_run / "history.json").read_text())
    for mine, its in zip(
        weights_of(tmp_path / "run/last.keras"), weights_of(recurrent_run / "last.keras"), strict=True
    ):
        assert np.array_equal(mine, its)


@pytest.mark.slow
@pytest.mark.by_hand
def test_a_stopped_run_of_two_streams_goes_on_as_if_it_had_not(records, tiny_recipe, tmp_path) -> None:
    recipe = dataclasses.replace(tiny_recipe, network="two_stream", modality="both", frames=10, batch_size=8)
    whole = fit(records, tmp_path / "whole", recipe)
    with pytest.raises(InterruptedError):
        fit(records, tmp_path / "run", recipe, callbacks=[Stop()])
    assert fit(records, tmp_path / "run", recipe) == whole
    for mine, its in zip(
        weights_of(tmp_path / "run/last.keras"), weights_of(tmp_path / "whole/last.keras"), strict=True
    ):
        assert np.array_equal(mine, its)


@pytest.mark.slow
@pytest.mark.by_hand
def test_fused_streams_train_on_the_smallest_clips_that_they_take(records, tiny_recipe, tmp_path) -> None:
    recipe = dataclasses.replace(
        tiny_recipe, network="fused_two_stream", modality="both", frames=50, size=129, batch_size=2, epochs=1
    )
    (epoch,) = fit(records, tmp_path / "run", recipe)
    assert 0 < epoch["loss"] < 20
    model = keras.saving.load_model(tmp_path / "run/best.keras")
    assert {tensor.name: tensor.shape for tensor in model.inputs} == {
        "rgb": (None, None, 129, 129, 3),
        "flow": (None, None, 129, 129, 2),
    }
