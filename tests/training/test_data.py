import dataclasses
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_i3d.clips import shard_files
from keras_i3d.clips.augmentation import Augmentation
from keras_i3d.errors import RecordError
from keras_i3d.training.data import Data, Timed, augmentation, check_batch
from keras_i3d.training.devices import Devices
from keras_i3d.training.recipe import Recipe

HERE = Devices(tf.distribute.get_strategy())


def arrays(batches) -> list[tuple]:
    return [tuple(np.asarray(part) for part in batch) for batch in batches]


def test_the_records_of_a_recipe_are_its_split_and_the_val_beside_it(records, tiny_recipe) -> None:
    data = Data(records, tiny_recipe)
    assert (data.train.records, data.val.records, data.batches, data.classes) == (16, 8, 4, 8)
    assert not data.multi_label
    assert len(data.class_names) == 8
    assert Data(records, dataclasses.replace(tiny_recipe, batch_size=5)).batches == 3


def test_batches_are_full_and_go_on_without_end(records, tiny_recipe) -> None:
    data = Data(records, tiny_recipe)
    found = arrays(data.training_batches(HERE, 0).take(9))
    assert {(clips.shape, labels.shape) for clips, labels in found} == {((4, 9, 32, 32, 3), (4,))}
    assert all(clips.dtype == np.float32 and np.abs(clips).max() <= 1 for clips, _ in found)
    of_epochs = [sorted(np.concatenate([labels for _, labels in found[at : at + 4]])) for at in (0, 4)]
    assert of_epochs[0] == of_epochs[1] == sorted([*range(8)] * 2)


@pytest.mark.parametrize("first", [1, 3, 4, 6])
def test_a_run_that_starts_later_sees_what_it_would_have_seen(records, tiny_recipe, first: int) -> None:
    data = Data(records, dataclasses.replace(tiny_recipe, flips=True, scale_jitter=1.3, photometric=0.2))
    whole = arrays(data.training_batches(HERE, 0).take(8))
    for mine, expected in zip(arrays(data.training_batches(HERE, first).take(8 - first)), whole[first:], strict=True):
        assert all(np.array_equal(*pair) for pair in zip(mine, expected, strict=True))


def test_the_workers_slices_are_the_batch_of_one(records, tiny_recipe) -> None:
    data = Data(records, tiny_recipe)
    parts = [
        arrays(data.training_batches(Devices(tf.distribute.get_strategy(), worker, 2), 0).take(5)) for worker in (0, 1)
    ]
    for whole, *slices in zip(arrays(data.training_batches(HERE, 0).take(5)), *parts, strict=True):
        for one, joined in zip(whole, map(np.concatenate, zip(*slices, strict=True)), strict=True):
            assert np.array_equal(one, joined)


def test_validation_gives_each_clip_once(records, tiny_recipe) -> None:
    data = Data(records, tiny_recipe)
    found = arrays(data.validation_batches(HERE, batch_size=6))
    assert [clips.shape[0] for clips, _, _ in found] == [6, 6]
    labels, weights = (np.concatenate([batch[part] for batch in found]) for part in (1, 2))
    assert weights.sum() == 8
    assert sorted(labels[weights > 0]) == [*range(8)]


def test_a_network_of_two_streams_gets_both_by_name(records, tiny_recipe) -> None:
    recipe = dataclasses.replace(tiny_recipe, network="two_stream_i3d", modality="both")
    (inputs, labels) = next(iter(Data(records, recipe).training_batches(HERE, 0)))
    assert {name: tuple(clip.shape) for name, clip in inputs.items()} == {
        "rgb": (4, 9, 32, 32, 3),
        "flow": (4, 9, 32, 32, 2),
    }
    assert labels.shape == (4,)


def test_too_few_clips_for_an_update_are_refused(records, tiny_recipe) -> None:
    with pytest.raises(RecordError, match=r"fewer than the 20 of one update \(--batch-size 4 x --accumulation 5\)"):
        Data(records, dataclasses.replace(tiny_recipe, accumulation=5))


def test_a_split_that_is_not_there_is_refused(records, tiny_recipe) -> None:
    with pytest.raises(RecordError, match="train2"):
        Data(records, dataclasses.replace(tiny_recipe, split="train2"))


def test_a_label_that_is_no_class_is_named(records, tiny_recipe, tmp_path: Path) -> None:
    shutil.copytree(records, tmp_path / "records")
    names = (records / "labels.txt").read_text().splitlines()
    (tmp_path / "records/labels.txt").write_text("\n".join(names[:5]) + "\n")
    with pytest.raises(RecordError, match=r"labels\.txt has 5 classes, the manifest 8; the same `make-tfrecords`"):
        Data(tmp_path / "records", tiny_recipe)
    manifest = json.loads((records / "manifest.json").read_text())
    manifest["dataset"]["classes"] = 5
    (tmp_path / "records/manifest.json").write_text(json.dumps(manifest))
    data = Data(tmp_path / "records", tiny_recipe)
    with (
        pytest.raises(RecordError, match="a label that is none of 5 classes"),
        shard_files.reading(tmp_path / "records"),
    ):
        for _ in itertools.islice(data.training_batches(HERE, 0), 4):
            pass


def test_a_batch_must_be_a_multiple_of_the_devices() -> None:
    class Three:
        num_replicas_in_sync = 3

    check_batch(6, Devices(Three()))
    with pytest.raises(ValueError, match="batch_size must be a multiple of the 3 devices, got 4"):
        check_batch(4, Devices(Three()))


def test_what_a_recipe_varies_is_what_the_clips_are_varied_by() -> None:
    assert augmentation(Recipe()) == Augmentation()
    assert augmentation(Recipe(flips=False, scale_jitter=1.25, photometric=0.5)) == Augmentation(
        flips=False, scale_jitter=(1.0, 1.25), brightness=0.5, contrast=0.5, saturation=0.5, hue=0.1
    )
    augmentation(Recipe(photometric=1.0))


def test_the_time_spent_waiting_is_counted() -> None:
    now = iter([0.0, 2.0, 10.0, 11.5])
    batches = Timed(iter(["a", "b"]), lambda: next(now))
    assert list(itertools.islice(batches, 2)) == ["a", "b"]
    assert batches.seconds == 3.5
