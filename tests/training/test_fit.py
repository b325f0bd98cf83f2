import dataclasses
import json

import keras
import numpy as np
import pytest

from keras_i3d import labels
from keras_i3d.clips.preparation import Preparation
from keras_i3d.errors import OutputFolderError, RecordError, TrainingError
from keras_i3d.training.fit import best_epoch, fit
from keras_i3d.training.recipe import Recipe


def weights_of(path) -> list[np.ndarray]:
    return [variable.numpy() for variable in keras.saving.load_model(path, compile=False).weights]


def test_a_run_folder_holds_all_that_is_needed(run_folder, tiny_recipe, records) -> None:
    assert sorted(path.name for path in run_folder.iterdir()) == [
        *("best.keras", "history.json", "labels.txt", "last.keras", "preparation.json", "recipe.json", "run.json"),
    ]
    assert Recipe.read(run_folder / "recipe.json") == tiny_recipe
    assert labels.read(run_folder / "labels.txt") == labels.read(records / "labels.txt")
    assert Preparation.read(run_folder) == Preparation("rgb", 25.0, 37, 32)
    history = json.loads((run_folder / "history.json").read_text())
    assert [entry["epoch"] for entry in history] == [1, 2]
    assert set(history[0]) == {"epoch", "loss", "top1", "val_loss", "val_top1"}


def test_the_model_sees_any_length(run_folder) -> None:
    model = keras.saving.load_model(run_folder / "best.keras")
    assert model.input.shape == (None, None, 32, 32, 3)
    assert not model.compiled


def test_the_same_seed_gives_the_same_run(run_folder, records, tiny_recipe, tmp_path) -> None:
    again = fit(records, tmp_path / "run", tiny_recipe)
    assert again == json.loads((run_folder / "history.json").read_text())
    for mine, its in zip(weights_of(tmp_path / "run/last.keras"), weights_of(run_folder / "last.keras"), strict=True):
        assert np.array_equal(mine, its)


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(run_folder, records, tiny_recipe, tmp_path) -> None:
    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs=None) -> None:
            if epoch == 1:
                raise InterruptedError("pulled the plug")

    with pytest.raises(InterruptedError):
        fit(records, tmp_path / "run", tiny_recipe, callbacks=[Stop()])
    assert (tmp_path / "run/checkpoint.keras").is_file()
    history = fit(records, tmp_path / "run", tiny_recipe)
    assert history == json.loads((run_folder / "history.json").read_text())
    for mine, its in zip(weights_of(tmp_path / "run/last.keras"), weights_of(run_folder / "last.keras"), strict=True):
        assert np.array_equal(mine, its)
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


def test_a_loss_that_is_no_number_stops_the_run_and_says_where(records, tiny_recipe, tmp_path) -> None:
    class Spoil(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs=None) -> None:
            if batch == 2:
                self.model.trainable_variables[0].assign(self.model.trainable_variables[0] * np.nan)

    with pytest.raises(TrainingError, match="the loss is nan at step 3; a lower --learning-rate"):
        fit(records, tmp_path / "run", tiny_recipe, callbacks=[Spoil()])
    assert not (tmp_path / "run/last.keras").exists()


def test_fewer_clips_than_a_batch_are_refused_first(records, tiny_recipe, tmp_path) -> None:
    with pytest.raises(RecordError, match="split 'train' has 16 clips, fewer than one batch of 17"):
        fit(records, tmp_path / "run", dataclasses.replace(tiny_recipe, batch_size=17))
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_no_records_is_named(tmp_path) -> None:
    with pytest.raises(RecordError, match=r"no finished folder of records, which `keras-i3d make-tfrecords` writes"):
        fit(tmp_path, tmp_path / "run")
