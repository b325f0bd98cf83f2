import dataclasses

import keras
import numpy as np
import pytest

from keras_i3d.training import features
from keras_i3d.training.data import Data


@pytest.fixture
def body() -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, 32, 32, 3), name="rgb")
    x = keras.layers.Conv3D(5, (1, 8, 8), strides=(1, 8, 8))(inputs)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling3D()(x))


@pytest.fixture
def recipe(tiny_recipe):
    return dataclasses.replace(tiny_recipe, batch_size=16, feature_clips=2, flips=True)


def passes(body, records, recipe, folder) -> tuple[list[features.Features], list[int]]:
    counted: list[int] = []
    found = features.training_passes(body, Data(records, recipe), recipe, folder, counted.append)
    return found, counted


def test_every_training_clip_is_seen_in_every_pass(body, records, recipe, tmp_path) -> None:
    found, counted = passes(body, records, recipe, tmp_path)
    assert [of_pass.values.shape for of_pass in found] == [(16, 5), (16, 5)]
    assert [sorted(of_pass.labels) for of_pass in found] == [sorted([*range(8)] * 2)] * 2
    assert all(of_pass.weights.tolist() == [1.0] * 16 for of_pass in found)
    data = Data(records, recipe)
    assert sum(counted) == 32
    assert features.clips_to_compute(data, recipe) == 32 + 12  # validation in two batches of six


def test_features_are_the_bodys_of_the_clips_that_training_would_see(body, records, recipe, tmp_path) -> None:
    found, _ = passes(body, records, recipe, tmp_path)
    assert not np.array_equal(np.sort(found[0].values, axis=0), np.sort(found[1].values, axis=0))
    clips, labels = next(iter(Data(records, recipe).training_batches(features._one_device(), 0, batch_size=16)))
    order = [int(np.argmin(np.abs(found[0].values - row).sum(axis=1))) for row in body(clips).numpy()]
    assert sorted(order) == [*range(16)]
    np.testing.assert_allclose(found[0].values[order], body(clips), rtol=1e-4, atol=1e-5)
    assert np.array_equal(found[0].labels[order], labels)


def test_what_lies_on_disk_is_read_and_what_is_unfinished_is_computed_again(body, records, recipe, tmp_path) -> None:
    first, _ = passes(body, records, recipe, tmp_path)
    expected = [np.array(of_pass.values) for of_pass in first]
    body.layers[1].kernel.assign(body.layers[1].kernel * 0)  # another body gives other features: these are read
    (tmp_path / "features/train-1-labels.npz").unlink()
    again, counted = passes(body, records, recipe, tmp_path)
    assert np.array_equal(again[0].values, expected[0])
    assert not np.array_equal(again[1].values, expected[1])
    assert sum(counted) == 32


def test_validation_has_each_clip_once(body, records, recipe, tmp_path) -> None:
    counted: list[int] = []
    found = features.validation(body, Data(records, recipe), tmp_path, counted.append)
    assert (found.values.shape, found.weights.sum(), sum(counted)) == ((12, 5), 8, 12)
    assert sorted(found.labels[found.weights > 0]) == [*range(8)]
    batches = list(features.validation_batches(found, 5))
    assert [len(labels) for _, labels, _ in batches] == [5, 5, 2]
    np.testing.assert_array_equal(np.concatenate([values for values, *_ in batches]), found.values)


def of_numbers(count: int, start: int = 0) -> features.Features:
    values = np.arange(start, start + count, dtype=np.float32)[:, None]
    return features.Features(values, np.arange(start, start + count), np.ones(count, np.float32))


def taken(batches, count: int) -> list[list[int]]:
    return [next(batches)[1].numpy().tolist() for _ in range(count)]


def test_passes_take_turns_each_in_an_order_of_its_own(recipe) -> None:
    recipe = dataclasses.replace(recipe, batch_size=3)
    two = [of_numbers(10), of_numbers(10, start=100)]
    found = taken(features.training_batches(two, recipe, 0), 9)
    assert all(len(set(batch)) == 3 for batch in found)
    for number in range(3):
        seen = [value for batch in found[3 * number : 3 * number + 3] for value in batch]
        assert len(set(seen)) == 9 and all((value >= 100) == (number == 1) for value in seen)
    assert found[:3] != found[6:]
    for first in (1, 3, 5):
        assert taken(features.training_batches(two, recipe, first), 9 - first) == found[first:]
    assert taken(features.training_batches(two, dataclasses.replace(recipe, seed=1), 0), 9) != found


def test_features_by_stream_keep_their_names() -> None:
    both = features.Features({"a": np.ones((4, 2)), "b": np.zeros((4, 3))}, np.arange(4), np.ones(4))
    values, labels, _ = both.batch(np.array([2, 0]))
    assert {name: tuple(value.shape) for name, value in values.items()} == {"a": (2, 2), "b": (2, 3)}
    assert labels.numpy().tolist() == [2, 0]
