from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from coded_records import SIZE, STEP, assert_equal, batches, garbled, labels, places, record, shades, shown, write_shard

from keras_i3d.clips.augmentation import Augmentation
from keras_i3d.clips.pipeline import centre_clips, training_clips, whole_videos
from keras_i3d.protocol import Frames
from keras_i3d.records import schema
from keras_i3d.records.selection import Selection, select
from keras_i3d.video.encode import encode_video
from keras_i3d.video.flow import from_stored


@pytest.mark.parametrize("modalities", [("rgb",), ("flow",), ("rgb", "flow")])
def test_batches_have_the_promised_shape_and_range(records: Path, modalities: tuple[str, ...]) -> None:
    paths = select(records, "train")
    dataset = training_clips(paths, frames=9, size=32, batch_size=4, modalities=modalities)
    channels = {"rgb": 3, "flow": 2}
    inputs, label = dataset.element_spec
    assert {key: (spec.shape.as_list(), spec.dtype) for key, spec in inputs.items()} == {
        key: ([4, 9, 32, 32, channels[key]], tf.float32) for key in modalities
    }
    assert (label.shape.as_list(), label.dtype) == ([4], tf.int64)
    for inputs, label in dataset.take(4).as_numpy_iterator():
        assert label.min() >= 0
        assert label.max() < 8
        for values in inputs.values():
            assert np.abs(values).max() <= 1
            assert values.std() > 0


def test_labels_belong_to_their_clips(numbered: list[str]) -> None:
    for inputs, label in batches(numbered, 6):
        brightness = (inputs["rgb"].mean(axis=(1, 2, 3, 4)) + 1) * 127.5
        np.testing.assert_allclose(brightness, 16 * label, atol=1)  # JPEG of flat grey


@pytest.mark.parametrize("modalities", [("rgb",), ("rgb", "flow")])
def test_equal_seeds_give_equal_batches(records: Path, modalities: tuple[str, ...]) -> None:
    paths = select(records, "train")
    one, two, other = (
        batches(paths, 5, frames=5, batch_size=4, seed=seed, modalities=modalities) for seed in (3, 3, 4)
    )
    assert_equal(one, two)
    assert not np.array_equal(one[0][0]["rgb"], other[0][0]["rgb"])


def test_the_seed_of_the_caller_plays_no_part_and_is_left_alone(numbered: list[str]) -> None:
    found, drawn = [], []
    for seed in (0, 12345):
        tf.random.set_seed(seed)
        found.append(batches(numbered, 6))
        tf.random.set_seed(7)
        dataset = training_clips(numbered, frames=4, size=SIZE, batch_size=5).take(2)
        for _ in dataset:
            pass
        drawn.append(tf.random.uniform([]).numpy())
    assert_equal(*found)
    tf.random.set_seed(7)
    assert drawn == [tf.random.uniform([]).numpy()] * 2


def test_iterating_twice_gives_the_same(numbered: list[str]) -> None:
    dataset = training_clips(numbered, frames=4, size=SIZE, batch_size=5).take(4)
    assert_equal(list(dataset.as_numpy_iterator()), list(dataset.as_numpy_iterator()))


@pytest.mark.parametrize("batch_size", [1, 3, 4, 5, 7, 15])
def test_every_clip_comes_once_an_epoch_up_to_the_remainder(numbered: list[str], batch_size: int) -> None:
    steps = 15 // batch_size
    found = labels(numbered, 4 * steps, batch_size=batch_size)
    length = steps * batch_size
    epochs = [found[start : start + length] for start in range(0, 4 * length, length)]
    for epoch in epochs:
        assert len(set(epoch)) == len(epoch)
    assert len({tuple(epoch) for epoch in epochs}) == 4  # another order each time


@pytest.mark.parametrize("batch_size", [4, 5, 7])
@pytest.mark.parametrize("first_epoch", [1, 3])
def test_starting_later_is_skipping_epochs(numbered: list[str], batch_size: int, first_epoch: int) -> None:
    steps = 15 // batch_size
    everything = batches(numbered, (first_epoch + 2) * steps, batch_size=batch_size)
    later = batches(numbered, 2 * steps, batch_size=batch_size, first_epoch=first_epoch)
    assert_equal(later, everything[first_epoch * steps :])


def test_clips_of_all_shards_are_mixed(numbered: list[str]) -> None:
    first = labels(numbered, 3)
    assert first != sorted(first)
    home = np.repeat(range(5), (4, 3, 4, 1, 3))
    assert len(set(home[first[:5]])) > 2


def test_neighbouring_seeds_share_no_order(numbered: list[str]) -> None:
    assert labels(numbered, 3, seed=1) != labels(numbered, 3, seed=0, first_epoch=1)


@pytest.mark.parametrize("seed", [0, -5, 2**31 - 1, 2**40])
def test_any_whole_number_is_a_seed(numbered: list[str], seed: int) -> None:
    assert sorted(labels(numbered, 3, seed=seed)) == list(range(15))


def test_both_streams_get_the_same_crop_and_flip(placed: list[str]) -> None:
    _, field = places()
    rows, columns, flips = set(), set(), []
    for inputs, _ in batches(placed, 8, batch_size=16, modalities=("rgb", "flow")):
        for rgb, flow in zip(inputs["rgb"], inputs["flow"], strict=True):
            seen = np.rint((rgb.mean(axis=0) + 1) * 127.5 / STEP).astype(int)  # of JPEG: nearest step
            mirrored = bool(seen[5, 0, 0] > seen[5, -1, 0])
            top, left = seen[1, 5, 1] - 1, seen[5, -2 if mirrored else 1, 0] - 1
            cut = from_stored(field[top : top + SIZE, left : left + SIZE].astype(np.float32)) / 20
            wanted = cut[:, ::-1] * [-1, 1] if mirrored else cut
            np.testing.assert_allclose(flow, np.broadcast_to(wanted, flow.shape), atol=1e-6)  # float32
            rows.add(int(top))
            columns.add(int(left))
            flips.append(mirrored)
    assert rows == set(range(16 - SIZE + 1))  # every place of the crop occurs
    assert columns == set(range(20 - SIZE + 1))
    # four standard deviations of 128 throws of a coin
    assert sum(flips) / len(flips) == pytest.approx(0.5, abs=0.18)


def test_long_records_are_shuffled_in_a_smaller_buffer(numbered: list[str], monkeypatch) -> None:
    sizes, shuffle = [], tf.data.Dataset.shuffle

    def watched(dataset: tf.data.Dataset, size: int, **options) -> tf.data.Dataset:
        sizes.append(size)
        return shuffle(dataset, size, **options)

    monkeypatch.setattr(tf.data.Dataset, "shuffle", watched)
    for size in (0, 1 << 20, 1 << 25, 1 << 31):
        chosen = Selection(tuple(numbered), records=15, record_size=size)
        training_clips(chosen, frames=2, size=16, batch_size=15)
    assert sizes[1::2] == [128, 128, 32, 1]  # behind the shuffles of the paths


def test_without_flips_nothing_is_mirrored(placed: list[str]) -> None:
    for inputs, _ in batches(placed, 4, batch_size=16, augmentation=Augmentation(flips=False)):
        assert (np.diff(inputs["rgb"].mean(axis=(1, 2)), axis=1)[..., 0] > 0).all()


def test_crops_and_flips_change_from_epoch_to_epoch(placed: list[str]) -> None:
    one, two = batches(placed, 2, batch_size=16)
    assert not np.array_equal(one[0]["rgb"], two[0]["rgb"])
    assert len({clip.tobytes() for clip in one[0]["rgb"]}) > 8  # and from clip to clip


@pytest.mark.parametrize("fields", [20, 19])
def test_both_streams_get_the_same_frames(tmp_path: Path, fields: int) -> None:
    clip = record(0, shades(20), shades(20)[:fields, ..., :2])
    path = write_shard(tmp_path / "shard", [clip] * 30)
    starts = set()
    for inputs, _ in batches([path], 6, frames=7, modalities=("rgb", "flow"), augmentation=Augmentation(flips=False)):
        for rgb, flow in zip(inputs["rgb"], inputs["flow"], strict=True):
            indices = shown(rgb)
            assert indices == shown(flow)
            assert indices == list(range(indices[0], indices[0] + 7))
            starts.add(indices[0])
    assert len(starts) > 6
    assert max(starts) <= fields - 7


def test_a_short_video_is_looped(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "shard", [record(0, shades(3))])
    ((inputs, _),) = batches([path], 1, frames=8, batch_size=1)
    assert shown(inputs["rgb"][0]) == [0, 1, 2, 0, 1, 2, 0, 1]
    ((inputs, _, _),) = centre_clips([path], frames=8, size=SIZE, batch_size=1).as_numpy_iterator()
    assert shown(inputs["rgb"][0]) == [0, 1, 2, 0, 1, 2, 0, 1]


def test_only_frames_that_are_used_are_decoded(tmp_path: Path) -> None:
    clip = record(3, shades(20), shades(20)[..., :2])
    modalities = ("rgb", "flow")
    path = write_shard(tmp_path / "centre", [garbled(clip, range(7, 12))])
    ((inputs, label, _),) = centre_clips(
        [path], frames=5, size=SIZE, batch_size=1, modalities=modalities
    ).as_numpy_iterator()
    assert shown(inputs["rgb"][0]) == shown(inputs["flow"][0]) == [7, 8, 9, 10, 11]
    assert label.tolist() == [3]
    path = write_shard(tmp_path / "wrong", [garbled(clip, range(8, 12))])
    with pytest.raises(tf.errors.InvalidArgumentError):
        list(centre_clips([path], frames=5, size=SIZE, batch_size=1))


@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_a_stream_that_is_not_asked_for_is_not_decoded(tmp_path: Path, stream: str) -> None:
    example = tf.train.SequenceExample.FromString(record(0, shades(6), shades(6)[..., :2]))
    other = {"rgb": "flow", "flow": "rgb"}[stream]
    for feature in example.feature_lists.feature_list[schema.FRAMES_OF[other]].feature:
        feature.bytes_list.value[0] = b"no picture"
    path = write_shard(tmp_path / "shard", [example.SerializeToString()])
    ((inputs, _),) = batches([path], 1, batch_size=1, modalities=(stream,))
    assert set(inputs) == {stream}


def test_larger_frames_are_resized_and_flow_with_them(tmp_path: Path) -> None:
    frames = np.full((4, 32, 48, 3), 100, np.uint8)
    field = np.full((4, 32, 48, 2), 255, np.uint8)  # 20 pixels per frame, both ways
    path = write_shard(tmp_path / "shard", [record(0, frames, field)])
    options = {"frames": 4, "size": SIZE, "batch_size": 1, "modalities": ("rgb", "flow")}
    unflipped = Augmentation(flips=False)
    for dataset in (training_clips([path], augmentation=unflipped, **options), centre_clips([path], **options)):
        ((inputs, *_),) = dataset.take(1).as_numpy_iterator()
        np.testing.assert_allclose(inputs["rgb"], 100 / 127.5 - 1, atol=0.01)  # JPEG of flat grey
        np.testing.assert_allclose(inputs["flow"], 0.5, atol=1e-5)  # float32


def test_centre_clips_give_every_video_once_in_order(numbered: list[str]) -> None:
    dataset = centre_clips(numbered, frames=4, size=SIZE, batch_size=4)
    found = list(dataset.as_numpy_iterator())
    assert [label.tolist() for _, label, _ in found] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 12]]
    assert [weight.tolist() for _, _, weight in found] == [[1, 1, 1, 1]] * 3 + [[1, 1, 1, 0]]
    assert found[0][2].dtype == np.float32
    for one, other in zip(found, dataset.as_numpy_iterator(), strict=True):
        np.testing.assert_array_equal(one[0]["rgb"], other[0]["rgb"])
        np.testing.assert_array_equal(one[1], other[1])


@pytest.mark.parametrize("batch_size", [1, 15, 40])
def test_batches_of_centre_clips_are_full_however_few_the_clips(numbered: list[str], batch_size: int) -> None:
    found = list(centre_clips(numbered, frames=4, size=SIZE, batch_size=batch_size).as_numpy_iterator())
    assert {len(label) for _, label, _ in found} == {batch_size}
    counted = [int(one) for _, label, weight in found for one in label[weight == 1]]
    assert counted == list(range(15))
    assert sum(weight.sum() for _, _, weight in found) == 15


def test_without_records_there_are_no_centre_clips(tmp_path: Path) -> None:
    empty = write_shard(tmp_path / "empty", [])
    assert list(centre_clips([empty], frames=4, size=SIZE, batch_size=4)) == []


def test_centre_clips_are_the_middle_of_time_and_space(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "time", [record(0, shades(11))])
    ((inputs, _, _),) = centre_clips([path], frames=4, size=SIZE, batch_size=2).as_numpy_iterator()
    assert shown(inputs["rgb"][0]) == [3, 4, 5, 6]
    frame, _ = places()
    path = write_shard(tmp_path / "space", [record(0, np.repeat(frame[np.newaxis], 4, axis=0))])
    ((inputs, _, _),) = centre_clips([path], frames=4, size=SIZE, batch_size=2).as_numpy_iterator()
    seen = (inputs["rgb"][0, 0] + 1) * 127.5
    np.testing.assert_allclose(seen[..., :2], frame[1:15, 3:17, :2], atol=4)  # JPEG, colours at half resolution


@pytest.mark.parametrize(("available", "first", "count"), [(3, 0, 3), (25, 0, 25)])
def test_whole_videos_are_whole(tmp_path: Path, available: int, first: int, count: int) -> None:
    path = write_shard(tmp_path / "shard", [record(5, shades(available))])
    ((inputs, label, name),) = whole_videos([path], size=SIZE).as_numpy_iterator()
    assert inputs["rgb"].shape == (count, SIZE, SIZE, 3)
    assert shown(inputs["rgb"]) == list(range(first, first + count))
    assert (label, name) == (5, b"clip 5")


def test_of_a_long_video_the_middle_250_frames_are_seen_and_no_others_decoded(tmp_path: Path) -> None:
    frames = np.zeros((261, 16, 20, 3), np.uint8)
    frames[5] = frames[254] = 200
    path = write_shard(tmp_path / "shard", [garbled(record(0, frames), range(5, 255))])
    ((inputs, _, _),) = whole_videos([path], size=SIZE).as_numpy_iterator()
    assert inputs["rgb"].shape == (250, SIZE, SIZE, 3)
    assert np.flatnonzero(inputs["rgb"].mean(axis=(1, 2, 3)) > 0).tolist() == [0, 249]


def test_whole_videos_come_once_each_in_order(records: Path) -> None:
    paths = select(records, "test")
    names = [name.decode() for _, _, name in whole_videos(paths, size=32).as_numpy_iterator()]
    stored = [schema.parse(one, ())["id"].numpy().decode() for one in tf.data.TFRecordDataset(paths.paths)]
    assert names == stored
    assert len(set(names)) == 8


def test_whole_videos_of_both_streams_fit_together(records: Path) -> None:
    classes = (records / "labels.txt").read_text().splitlines()
    dataset = whole_videos(select(records, "val"), size=32, modalities=("rgb", "flow"))
    for inputs, label, name in dataset.as_numpy_iterator():
        assert inputs["rgb"].shape == (12, 32, 32, 3)
        assert inputs["flow"].shape == (12, 32, 32, 2)
        assert name.decode().split("/")[1] == classes[label]
        assert max(np.abs(values).max() for values in inputs.values()) <= 1


def test_a_shard_without_a_record_is_passed_over(numbered: list[str], tmp_path: Path) -> None:
    empty = write_shard(tmp_path / "empty", [])
    assert sorted(labels([empty, *numbered], 3)) == list(range(15))


def test_flow_that_the_records_lack_is_told_by_its_key(numbered: list[str]) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="FORWARD_FLOW/image/encoded"):
        batches(numbered, 1, modalities=("flow",))


def test_of_several_divisions_only_the_chosen_part_is_seen(tmp_path: Path) -> None:
    parts = [("train", "test"), ("test", "train"), ("unused", "unused"), ("train", "train")]
    records = [record(number, shades(6), splits=parts[number % 4]) for number in range(12)]
    path = write_shard(tmp_path / "a.tfrecord", records)

    def seen(part: str, division: int) -> set[int]:
        chosen = Selection((path,), 0, part, division)
        return {int(label) for _, label, _ in whole_videos(chosen, size=SIZE).as_numpy_iterator()}

    assert seen("train", 1) == {0, 3, 4, 7, 8, 11}
    assert seen("test", 1) == {1, 5, 9}
    assert seen("train", 2) == {1, 3, 5, 7, 9, 11}
    training = training_clips(Selection((path,), 0, "test", 2), frames=4, size=SIZE, batch_size=3)
    assert {int(label) for _, batch in training.take(4).as_numpy_iterator() for label in batch} == {0, 4, 8}


def test_frames_of_a_stored_video_are_those_that_are_chosen(tmp_path: Path) -> None:
    grey = shades(20)
    video = encode_video(iter(grey), fps=25.0, crf=0)
    pictures = schema.Pictures((16, 20), 25.0, 0.0, 20, video=video)
    one = schema.to_example(schema.Source("a", "made", "a.mp4", 5, "a", ("train",)), pictures)
    chosen = Selection((write_shard(tmp_path / "a.tfrecord", [one]),), 1, store="video")
    ((inputs, label, _),) = whole_videos(chosen, size=SIZE, most=6, modalities={"rgb": Frames(step=2, offset=1)})
    assert int(label) == 5
    assert shown(inputs["rgb"].numpy()) == [8, 10, 12]  # of the middle six, 7 to 12
    for batch, _ in training_clips(chosen, frames=4, size=SIZE, batch_size=1, seed=1).take(3):
        first = shown(batch["rgb"].numpy()[0])[0]
        assert shown(batch["rgb"].numpy()[0]) == list(range(first, first + 4))


def test_labels_of_several_classes_are_ones_among_zeros(tmp_path: Path) -> None:
    example = tf.train.SequenceExample.FromString(record(1, shades(4)))
    example.context.feature[schema.LABEL_INDEX].int64_list.value.append(3)
    several = Selection((write_shard(tmp_path / "a", [example.SerializeToString()]),), 1, multi_label=True)
    options = {"frames": 4, "size": SIZE, "batch_size": 2}
    (_, label, weight) = next(iter(centre_clips(several, **options, classes=5)))
    assert label.dtype == tf.float32
    assert label.numpy().tolist() == [[0, 1, 0, 1, 0]] * 2
    assert weight.numpy().tolist() == [1, 0]
    (_, label) = next(iter(training_clips(several, **options | {"batch_size": 1}, classes=4)))
    assert label.numpy().tolist() == [[0, 1, 0, 1]]
    for _, label, _ in whole_videos(several, size=SIZE, classes=4):
        assert label.numpy().tolist() == [0, 1, 0, 1]
    with pytest.raises(ValueError, match=r"^classes must be given: these records may have several labels each$"):
        training_clips(several, **options)


def test_labels_of_one_class_are_numbers_also_where_the_classes_are_told(numbered: list[str]) -> None:
    assert labels(numbered, 3, classes=15) == labels(numbered, 3)
