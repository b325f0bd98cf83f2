import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from coded_records import SIZE, assert_equal, batches, garbled, labels, record, shades, shown, write_shard

from keras_i3d.clips.augmentation import Augmentation
from keras_i3d.clips.pipeline import centre_clips, training_clips


@pytest.mark.parametrize("kind", ["training", "centre"])
def test_the_parts_of_a_batch_are_its_slices(numbered: list[str], kind: str) -> None:
    varied = Augmentation(scale_jitter=(0.9, 1.2), brightness=0.2)
    options = {"frames": 3, "size": SIZE, "batch_size": 6}
    makers = {
        "training": lambda part: training_clips(numbered, **options, augmentation=varied, part=part).take(5),
        "centre": lambda part: centre_clips(numbered, **options, part=part),
    }
    count, share = 3, 2
    whole = [tf.nest.flatten(one) for one in makers[kind]((0, 1)).as_numpy_iterator()]
    for index in range(count):
        mine = [tf.nest.flatten(one) for one in makers[kind]((index, count)).as_numpy_iterator()]
        assert len(mine) == len(whole)
        for values, all_values in zip(itertools.chain(*mine), itertools.chain(*whole), strict=True):
            assert len(values) == share
            np.testing.assert_array_equal(values, all_values[index * share : (index + 1) * share])


@pytest.mark.parametrize("part", [(1, 1), (-1, 2), (2, 2), (0, 0)])
def test_a_part_that_there_is_not_is_refused(part: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"^part must be \(i, n\) with 0 <= i < n, got \("):
        training_clips(["a"], part=part)


@pytest.mark.parametrize(("batch_size", "count"), [(6, 4), (0, 1), (1, 2)])
def test_a_batch_that_does_not_divide_is_refused(batch_size: int, count: int) -> None:
    for make in (training_clips, centre_clips):
        with pytest.raises(
            ValueError, match=f"^batch_size must be a multiple of the {count} parts .* got {batch_size}$"
        ):
            make(["a"], frames=4, size=8, batch_size=batch_size, part=(0, count))


@pytest.mark.parametrize(("first_epoch", "first_batch"), [(0, 2), (2, 1), (2, 4)])
def test_starting_within_an_epoch_gives_what_would_have_come(
    numbered: list[str], first_epoch: int, first_batch: int
) -> None:
    steps = 5
    options = {"batch_size": 3, "augmentation": Augmentation(scale_jitter=(0.9, 1.1), contrast=0.3)}
    everything = batches(numbered, (first_epoch + 2) * steps, **options)
    start = first_epoch * steps + first_batch
    later = batches(numbered, 2 * steps - first_batch, first_epoch=first_epoch, first_batch=first_batch, **options)
    assert_equal(later, everything[start:])


def test_batches_that_are_passed_over_are_not_decoded(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "shard", [record(number, shades(4)) for number in range(8)])
    order = labels([path], 4, batch_size=2)
    spoilt = [garbled(record(n, shades(4)), range(4 if n in order[4:] else 0)) for n in range(8)]
    other = write_shard(tmp_path / "spoilt", spoilt)
    found = [label for _, batch in batches([other], 2, batch_size=2, first_batch=2) for label in batch.tolist()]
    assert found == order[4:]
    with pytest.raises(tf.errors.InvalidArgumentError):
        batches([other], 1, batch_size=2, first_batch=1)


def test_of_what_another_process_takes_nothing_is_decoded(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "shard", [record(number, shades(4)) for number in range(4)])
    order = labels([path], 1, batch_size=4)
    spoilt = [garbled(record(n, shades(4)), range(4 if n in order[2:] else 0)) for n in range(4)]
    other = write_shard(tmp_path / "spoilt", spoilt)
    assert labels([other], 1, batch_size=4, part=(1, 2)) == order[2:]


def test_random_clips_decode_no_frame_but_those_they_show(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "whole", [record(0, shades(25), shades(25)[..., :2])])
    both = {"modalities": ("rgb", "flow"), "batch_size": 1, "frames": 5}
    ((inputs, _),) = batches([path], 1, **both)
    indices = shown(inputs["rgb"][0])
    kept = garbled(record(0, shades(25), shades(25)[..., :2]), range(indices[0], indices[0] + 5))
    assert_equal(batches([write_shard(tmp_path / "kept", [kept])], 1, **both), [(inputs, np.array([0]))])


@pytest.mark.parametrize(("make", "dtype"), [(training_clips, "float16"), (centre_clips, "bfloat16")])
def test_inputs_travel_in_the_dtype_that_is_asked_for(numbered: list[str], make: Callable, dtype: str) -> None:
    options = {"frames": 4, "size": SIZE, "batch_size": 5}
    wide, narrow = (next(iter(make(numbered, **options, transfer_dtype=one))) for one in ("float32", dtype))
    assert narrow[0]["rgb"].dtype == dtype
    np.testing.assert_array_equal(tf.cast(wide[0]["rgb"], dtype), narrow[0]["rgb"])
    np.testing.assert_array_equal(wide[1], narrow[1])
    with pytest.raises(ValueError, match=r"^transfer_dtype must be one of float32, float16, bfloat16, got 'uint8'$"):
        make(numbered, **options, transfer_dtype="uint8")


@pytest.mark.parametrize(("make", "dtype"), [(training_clips, "float32"), (centre_clips, "float16")])
def test_clips_are_the_same_where_the_short_side_is_told(placed: list[str], make: Callable, dtype: str) -> None:
    options = {"frames": 4, "size": SIZE, "batch_size": 4, "modalities": ("rgb", "flow"), "transfer_dtype": dtype}
    untold, told = (list(make(placed, **options, short_side=side).take(3).as_numpy_iterator()) for side in (None, 16))
    for one, other in zip(untold, told, strict=True):
        for values, others in zip(tf.nest.flatten(one), tf.nest.flatten(other), strict=True):
            assert values.dtype == others.dtype
            np.testing.assert_array_equal(values, others)


def test_what_bytes_cannot_hold_is_done_though_the_short_side_is_told(placed: list[str]) -> None:
    for varied in (Augmentation(scale_jitter=(0.9, 1.1)), Augmentation(contrast=0.5)):
        untold, told = (batches(placed, 1, augmentation=varied, short_side=side) for side in (None, 16))
        assert_equal(untold, told)
    other_size = {"size": 11, "short_side": 16}  # which is resized to 13
    assert batches(placed, 1, **other_size)[0][0]["rgb"].shape == (5, 4, 11, 11, 3)
