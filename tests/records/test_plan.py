from dataclasses import replace

import pytest

from keras_i3d.datasets.dataset import LabelledClip, VideoDataset
from keras_i3d.records.plan import deal, parsed_name, shard_name
from keras_i3d.records.settings import RecordSettings


def made(count: int, *, splits: tuple[str, ...] = ("train",)) -> VideoDataset:
    clips = tuple(LabelledClip(f"{index}.mp4", f"{index}.mp4", "a", splits) for index in range(count))
    return VideoDataset("ucf101" if len(splits) > 1 else "folder", clips, ("a",))


@pytest.mark.parametrize(
    ("index", "count", "name"),
    [(7, 128, "train-00007-of-00128.tfrecord"), (123456, 200000, "train-123456-of-200000.tfrecord")],
)
def test_shards_are_named_as_others_name_them(index: int, count: int, name: str) -> None:
    assert shard_name("train", index, count) == name
    assert parsed_name(name) == ("train", index, count)


@pytest.mark.parametrize("name", ["labels.txt", "train.tfrecord", "train-7-of-8.tfrecord", "manifest.json"])
def test_other_files_are_no_shards(name: str) -> None:
    assert parsed_name(name) is None


@pytest.mark.parametrize(("per_shard", "lengths"), [(1, [1] * 5), (2, [2, 2, 1]), (3, [3, 2]), (5, [5]), (64, [5])])
def test_shards_are_about_equally_long(per_shard: int, lengths: list[int]) -> None:
    planned = deal(made(5), RecordSettings(clips_per_shard=per_shard))
    assert [len(shard.clips) for shard in planned] == lengths
    assert [shard.name for shard in planned] == [shard_name("train", i, len(lengths)) for i in range(len(lengths))]


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_every_clip_is_dealt_once_in_an_order_that_the_seed_tells(seed: int) -> None:
    settings = RecordSettings(clips_per_shard=3, seed=seed)
    dealt = [clip.name for shard in deal(made(20), settings) for clip in shard.clips]
    assert sorted(dealt) == sorted(clip.name for clip in made(20).clips)
    assert dealt != [clip.name for clip in made(20).clips]
    assert dealt == [clip.name for shard in deal(made(20), settings) for clip in shard.clips]
    other = deal(made(20), replace(settings, seed=seed + 1))
    assert dealt != [clip.name for shard in other for clip in shard.clips]


def test_parts_of_one_division_have_shards_of_their_own() -> None:
    train, test = made(3), made(4, splits=("test",))
    both = VideoDataset("folder", (*train.clips, *(replace(c, name=f"t{c.name}") for c in test.clips)), ("a",))
    planned = deal(both, RecordSettings())
    assert {shard.name: len(shard.clips) for shard in planned} == {
        "train-00000-of-00001.tfrecord": 3,
        "test-00000-of-00001.tfrecord": 4,
    }


def test_videos_of_several_divisions_are_together_under_the_name_of_the_data_set() -> None:
    (shard,) = deal(made(3, splits=("train", "test", "unused")), RecordSettings())
    assert shard.name == "ucf101-00000-of-00001.tfrecord"
    assert len(shard.clips) == 3
