"""Runs of a small network: stopped ones, diverging ones, and what the recipe says of their course."""

import dataclasses
import itertools
import json
import os
from pathlib import Path

import keras
import numpy as np
import pytest
from equal_runs import assert_equal_runs, weights_of
from small_networks import small_network

from keras_i3d.datasets.dataset import VideoDataset
from keras_i3d.datasets.folder import read_folder
from keras_i3d.errors import TrainingError
from keras_i3d.records.making import make_tfrecords
from keras_i3d.records.settings import RecordSettings
from keras_i3d.training import start
from keras_i3d.training.execution import Execution
from keras_i3d.training.fit import fit
from keras_i3d.training.recipe import Recipe

pytestmark = pytest.mark.usefixtures("small")


class At(keras.callbacks.Callback):
    """Do something behind or before an update, counted from 1 in this process."""

    def __init__(self, update: int, action, *, before: bool = False) -> None:
        super().__init__()
        self.update, self.action, self.before, self.count = update, action, before, 0

    def on_train_batch_begin(self, batch: int, logs=None) -> None:
        self.count += 1
        if self.before and self.count == self.update:
            self.action(self.model)

    def on_train_batch_end(self, batch: int, logs=None) -> None:
        if not self.before and self.count == self.update:
            self.action(self.model)


def pull_the_plug(model) -> None:
    raise InterruptedError("pulled the plug")


def spoil(model) -> None:
    model.trainable_variables[0].assign(model.trainable_variables[0] * np.nan)


@pytest.fixture(scope="module")
def rich_recipe(tiny_recipe) -> Recipe:
    """Return a recipe of 2.5 epochs with all that a run has to remember."""
    return dataclasses.replace(
        tiny_recipe,
        steps=5,
        accumulation=2,
        average_momentum=0.5,
        label_smoothing=0.1,
        weight_decay=0.01,
        warmup_steps=2,
        schedule="plateau",
        plateau_epochs=1,
        flips=True,
        photometric=0.2,
        scale_jitter=1.3,
    )


@pytest.fixture(scope="module")
def whole(records, rich_recipe, tmp_path_factory) -> Path:
    """Return a run that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(start, "network", small_network)
        fit(records, folder, rich_recipe)
    return folder


@pytest.mark.parametrize(("update", "checkpoint_steps", "kept"), [(3, 1, 2), (4, 500, 2), (2, 500, None)])
def test_a_run_that_is_stopped_anywhere_goes_on_as_if_it_had_not(
    records, rich_recipe, whole, tmp_path, update: int, checkpoint_steps: int, kept: int | None
) -> None:
    execution = Execution(checkpoint_steps=checkpoint_steps)
    with pytest.raises(InterruptedError):
        fit(records, tmp_path / "run", rich_recipe, execution=execution, callbacks=[At(update, pull_the_plug)])
    assert (tmp_path / "run/state.h5").is_file() == (kept is not None)
    assert not (tmp_path / "run/last.keras").exists()
    done = At(9, pull_the_plug)
    fit(records, tmp_path / "run", rich_recipe, execution=execution, callbacks=[done])
    assert done.count == 5 - (kept or 0)
    assert_equal_runs(tmp_path / "run", whole)
    lines = (tmp_path / "run/steps.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == ["1", "2", "3", "4", "5"]


def test_a_run_that_was_stopped_twice_and_after_its_last_step_ends_too(records, rich_recipe, whole, tmp_path) -> None:
    execution = Execution(checkpoint_steps=1)
    for update in (1, 3):
        with pytest.raises(InterruptedError):
            fit(records, tmp_path / "run", rich_recipe, execution=execution, callbacks=[At(update, pull_the_plug)])
    ended = keras.callbacks.LambdaCallback(on_train_end=pull_the_plug)
    with pytest.raises(InterruptedError):
        fit(records, tmp_path / "run", rich_recipe, execution=execution, callbacks=[ended])
    assert not (tmp_path / "run/last.keras").exists()
    fit(records, tmp_path / "run", rich_recipe, execution=execution)
    assert_equal_runs(tmp_path / "run", whole)


def test_a_loss_that_is_no_number_stops_the_run_and_what_was_good_is_kept(records, tiny_recipe, tmp_path) -> None:
    fit(records, tmp_path / "whole", tiny_recipe)
    execution = Execution(checkpoint_steps=2)
    message = r"the loss is nan at step 8; .*run/last\.keras holds the network of step 6; a lower --learning-rate, in a"
    with pytest.raises(TrainingError, match=message):
        fit(records, tmp_path / "run", tiny_recipe, execution=execution, callbacks=[At(8, spoil, before=True)])
    for name in ("best.keras", "last.keras"):
        assert all(np.isfinite(array).all() for array in weights_of(tmp_path / "run" / name))
    assert len((tmp_path / "run/steps.csv").read_text().splitlines()) == 1 + 7
    fit(records, tmp_path / "run", tiny_recipe, execution=execution)
    assert_equal_runs(tmp_path / "run", tmp_path / "whole")


def test_without_a_state_there_is_none_to_keep(records, tiny_recipe, tmp_path) -> None:
    with pytest.raises(
        TrainingError, match="the loss is nan at step 3, before a state was kept; a lower --learning-rate"
    ):
        fit(records, tmp_path / "run", tiny_recipe, callbacks=[At(3, spoil, before=True)])
    assert not (tmp_path / "run/state.h5").exists()


@pytest.mark.parametrize(
    ("update", "checkpoint_steps", "kept"),
    [(3, 1, "; .*last.keras holds the network of step 2"), (4, 500, ", before a state was kept")],
)
def test_weights_that_an_update_spoilt_are_never_kept(
    records, tiny_recipe, tmp_path, update: int, checkpoint_steps: int, kept: str
) -> None:
    execution = Execution(checkpoint_steps=checkpoint_steps)
    with pytest.raises(TrainingError, match=f"the weights are no numbers after step {update}{kept}; a lower --l"):
        fit(records, tmp_path / "run", tiny_recipe, execution=execution, callbacks=[At(update, spoil)])
    assert not (tmp_path / "run/best.keras").exists()
    assert (tmp_path / "run/state.h5").exists() == (checkpoint_steps == 1)


@pytest.fixture
def still_recipe(tiny_recipe) -> Recipe:
    """Return a recipe that changes nothing: the first epoch stays the best."""
    return dataclasses.replace(tiny_recipe, learning_rate=1e-30, optimiser="sgd", frozen_batch_norm=True, epochs=6)


def test_a_run_without_a_better_epoch_ends_early(records, still_recipe, tmp_path) -> None:
    recipe = dataclasses.replace(still_recipe, patience=2)
    history = fit(records, tmp_path / "run", recipe)
    assert [entry["epoch"] for entry in history] == [1, 2, 3]
    assert len({entry["val_loss"] for entry in history}) == 1
    assert fit(records, tmp_path / "run", recipe) == history
    with pytest.raises(InterruptedError):
        fit(records, tmp_path / "stopped", recipe, callbacks=[At(9, pull_the_plug)])
    assert fit(records, tmp_path / "stopped", recipe) == history
    assert_equal_runs(tmp_path / "stopped", tmp_path / "run")


def test_the_learning_rate_is_divided_at_plateaus_of_the_validation(records, still_recipe, tmp_path) -> None:
    recipe = dataclasses.replace(still_recipe, schedule="plateau", plateau_epochs=2, steps=20, epochs=1)
    history = fit(records, tmp_path / "run", recipe)
    assert [entry["learning_rate"] for entry in history] == pytest.approx([1e-30] * 3 + [1e-31] * 2, abs=0)
    lines = (tmp_path / "run/steps.csv").read_text().splitlines()[1:]
    assert [float(line.split(",")[3]) for line in lines] == pytest.approx([1e-30] * 12 + [1e-31] * 8, abs=0)


def test_steps_may_end_in_the_middle_of_an_epoch(records, tiny_recipe, tmp_path) -> None:
    history = fit(records, tmp_path / "run", dataclasses.replace(tiny_recipe, steps=6))
    lines = (tmp_path / "run/steps.csv").read_text().splitlines()
    assert len(lines) == 1 + 6
    assert [entry["epoch"] for entry in history] == [1, 2]
    losses = [float(line.split(",")[1]) for line in lines[1:]]
    assert [entry["loss"] for entry in history] == pytest.approx([np.mean(losses[:4]), np.mean(losses[4:])])
    assert json.loads((tmp_path / "run/history.json").read_text()) == history


def test_a_callback_can_end_the_run(records, tiny_recipe, tmp_path) -> None:
    class Enough(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs=None) -> None:
            assert logs.keys() == {"loss", "top1", "learning_rate", "val_loss", "val_top1"}
            self.model.stop_training = True

    assert len(fit(records, tmp_path / "run", tiny_recipe, callbacks=[Enough()])) == 1
    assert (tmp_path / "run/last.keras").is_file() and not (tmp_path / "run/state.h5").exists()


def test_a_run_that_fails_in_its_first_step_leaves_the_folder_to_another(records, tiny_recipe, tmp_path) -> None:
    with pytest.raises(InterruptedError):
        fit(records, tmp_path / "run", tiny_recipe, callbacks=[At(1, pull_the_plug, before=True)])
    assert not (tmp_path / "run").exists()
    fit(records, tmp_path / "run", dataclasses.replace(tiny_recipe, steps=1))


def test_a_run_that_a_callback_ends_in_its_first_epoch_is_validated_and_kept(records, tiny_recipe, tmp_path) -> None:
    def enough(model) -> None:
        model.stop_training = True

    (entry,) = fit(records, tmp_path / "run", tiny_recipe, callbacks=[At(2, enough)])
    assert entry["epoch"] == 1 and 0 <= entry["val_top1"] <= 1
    assert len((tmp_path / "run/steps.csv").read_text().splitlines()) == 1 + 2
    assert weights_of(tmp_path / "run/best.keras")


def test_what_is_kept_is_the_average_of_the_weights(records, tiny_recipe, tmp_path) -> None:
    seen: list[list[np.ndarray]] = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs=None) -> None:
            seen.append([np.array(variable) for variable in self.model.trainable_variables])

    recipe = dataclasses.replace(tiny_recipe, average_momentum=0.5, epochs=1)
    fit(records, tmp_path / "run", recipe, callbacks=[Watch()])
    average = seen[0]
    for weights in seen[1:]:
        average = [(a + b) / 2 for a, b in zip(average, weights, strict=True)]
    for name in ("last.keras", "best.keras"):
        model = keras.saving.load_model(tmp_path / "run" / name, compile=False)
        for mine, expected, raw in zip(model.trainable_variables, average, seen[-1], strict=True):
            np.testing.assert_allclose(mine, expected, rtol=1e-5, atol=1e-7)
            assert not np.array_equal(mine, raw)


def test_frozen_batch_norms_keep_all_that_they_came_with(records, tiny_recipe, tmp_path) -> None:
    recipe = dataclasses.replace(tiny_recipe, frozen_batch_norm=True)
    fit(records, tmp_path / "run", recipe)
    began = start.network(recipe, 8)
    model = keras.saving.load_model(tmp_path / "run/last.keras")
    frozen = model.get_layer("norm")
    pairs = zip(frozen.get_weights(), began.get_layer("norm").get_weights(), strict=True)
    assert all(np.array_equal(*pair) for pair in pairs)
    assert not np.array_equal(model.get_layer("first").kernel, began.get_layer("first").kernel)
    assert frozen.trainable


def test_frozen_layers_keep_their_weights_and_are_free_in_the_file(records, tiny_recipe, tmp_path) -> None:
    recipe = dataclasses.replace(tiny_recipe, freeze_until="Conv3d_1a_7x7")
    fit(records, tmp_path / "run", recipe)
    model, began = keras.saving.load_model(tmp_path / "run/last.keras"), start.network(recipe, 8)
    for name in ("first", "norm"):
        pairs = zip(model.get_layer(name).get_weights(), began.get_layer(name).get_weights(), strict=True)
        assert all(np.array_equal(*pair) for pair in pairs)
    assert not np.array_equal(model.get_layer("Logits").kernel, began.get_layer("Logits").kernel)
    assert all(layer.trainable for layer in model.layers)


def records_of(dataset: VideoDataset, folder: Path) -> Path:
    make_tfrecords(dataset, folder, RecordSettings(short_side=37, flow="none", clips_per_shard=8), workers=0)
    return folder


@pytest.fixture(scope="module")
def many_labels(motion_folder, tmp_path_factory) -> Path:
    """Return records whose videos show none, one or two of four classes."""
    dataset = read_folder(motion_folder)
    names = ("a", "b", "c", "d")
    shown = [names[:1], names[1:2], names[1:3], names[2:], ()]
    clips = [
        dataclasses.replace(clip, label=next(iter(labels), None), further_labels=labels[1:])
        for clip, labels in zip(dataset.clips, itertools.cycle(shown), strict=False)
        if "test" not in clip.splits
    ]
    dataset = dataclasses.replace(dataset, clips=tuple(clips), class_names=names, multi_label=True)
    return records_of(dataset, tmp_path_factory.mktemp("many") / "records")


def test_videos_of_several_labels_are_judged_by_mean_average_precision(many_labels, tiny_recipe, tmp_path) -> None:
    history = fit(many_labels, tmp_path / "run", tiny_recipe)
    assert all(0 < entry["val_map"] <= 1 for entry in history)
    model = keras.saving.load_model(tmp_path / "run/best.keras")
    assert (model.output.shape, model.layers[-1].activation) == ((None, 4), keras.activations.sigmoid)
    assert history[0]["loss"] < 1.5  # of a sigmoid for each class, log 2 at the start
    fixed = dataclasses.replace(tiny_recipe, weights=os.fspath(tmp_path / "run/last.keras"), transfer="fixed")
    assert all(0 < entry["val_map"] <= 1 for entry in fit(many_labels, tmp_path / "fixed", fixed))


def test_without_validation_the_best_is_the_last(motion_folder, tiny_recipe, tmp_path) -> None:
    dataset = read_folder(motion_folder)
    clips = tuple(clip for clip in dataset.clips if "train" in clip.splits)
    records = records_of(dataclasses.replace(dataset, clips=clips), tmp_path / "records")
    recipe = dataclasses.replace(tiny_recipe, patience=1, schedule="plateau")
    history = fit(records, tmp_path / "run", recipe)
    assert [set(entry) for entry in history] == [{"epoch", "loss", "top1", "learning_rate"}] * 2
    pairs = zip(*(weights_of(tmp_path / "run" / name) for name in ("best.keras", "last.keras")), strict=True)
    assert all(np.array_equal(*pair) for pair in pairs)


@pytest.fixture
def fixed_recipe(tiny_recipe, tmp_path) -> Recipe:
    return dataclasses.replace(
        tiny_recipe,
        weights="kinetics",
        transfer="fixed",
        frozen_batch_norm=True,
        feature_clips=2,
        batch_size=16,
        epochs=5,
    )


def test_on_fixed_features_only_the_last_layer_is_trained(records, fixed_recipe, tmp_path) -> None:
    history = fit(records, tmp_path / "run", fixed_recipe)
    assert [entry["epoch"] for entry in history] == [1, 2, 3, 4, 5]
    model, began = keras.saving.load_model(tmp_path / "run/last.keras"), start.network(fixed_recipe, 8)
    for name in ("first", "norm"):
        pairs = zip(model.get_layer(name).get_weights(), began.get_layer(name).get_weights(), strict=True)
        assert all(np.array_equal(*pair) for pair in pairs)
    assert not np.array_equal(model.get_layer("Logits").kernel, began.get_layer("Logits").kernel)
    assert model.name == "i3d" and model.layers[-1].name == "Predictions"


def test_a_stopped_run_on_fixed_features_goes_on_and_computes_none_again(records, fixed_recipe, tmp_path) -> None:
    fit(records, tmp_path / "whole", fixed_recipe)
    with pytest.raises(InterruptedError):
        fit(records, tmp_path / "run", fixed_recipe, callbacks=[At(3, pull_the_plug)])
    times = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "run/features").iterdir()}
    assert len(times) == 2 * 3
    seen = {}

    def look(callback: keras.callbacks.Callback) -> None:
        seen.update({path.name: path.stat().st_mtime_ns for path in (tmp_path / "run/features").iterdir()})

    fit(records, tmp_path / "run", fixed_recipe, callbacks=[At(1, look)])
    assert seen == times
    assert not (tmp_path / "run/features").exists()
    assert_equal_runs(tmp_path / "run", tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.by_hand
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="tells its memory on Linux alone")
def test_memory_stays_flat_over_a_thousand_steps(records, tiny_recipe, tmp_path) -> None:
    pages: list[int] = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs=None) -> None:
            pages.append(int(Path("/proc/self/statm").read_text().split()[1]))

    recipe = dataclasses.replace(tiny_recipe, steps=2000, flips=True)  # of 500 epochs, each with its validation
    fit(records, tmp_path / "run", recipe, execution=Execution(checkpoint_steps=50), callbacks=[Watch()], verbose=False)
    megabytes = np.array(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20
    early, late = np.median(megabytes[900:1000]), np.median(megabytes[-100:])  # the heap settles before
    assert late - early < 16, megabytes[::100].tolist()
