import json
import os
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_i3d.commands import make_tfrecords
from keras_i3d.datasets.dataset import LabelledClip, VideoDataset
from keras_i3d.errors import RecordError
from keras_i3d.records import schema, shards
from keras_i3d.records.shards import (
    RecordSettings,
    find,
    read_manifest,
    write,
)
from keras_i3d.video.encode import write_video

SETTINGS = RecordSettings(short_side=16, clips_per_shard=2)
FILES = {
    "labels.txt",
    "manifest.json",
    *(f"train-0000{index}-of-00003.tfrecord" for index in range(3)),
    "test-00000-of-00001.tfrecord",
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> VideoDataset:
    """Return seven clips of two classes, five of them for training; their lengths tell them apart."""
    folder = tmp_path_factory.mktemp("videos")
    clips = []
    for index in range(7):
        name = f"{'ab'[index % 2]}/{index}.mp4"
        (folder / name).parent.mkdir(exist_ok=True)
        frames = np.random.default_rng(index).integers(0, 256, (3 + index, 16, 24, 3), np.uint8)
        write_video(folder / name, frames, fps=25)
        clips.append(LabelledClip(folder / name, name, name[0], "train" if index < 5 else "test"))
    return VideoDataset(tuple(clips), ("a", "b"))


@pytest.fixture(scope="module")
def whole(dataset: VideoDataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the files of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    write(dataset, folder, SETTINGS)
    return contents(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def with_bad(dataset: VideoDataset, *indices: int, path: Path) -> VideoDataset:
    """Let some of the clips point to `path`, which is no video."""
    clips = [replace(clip, path=path) if index in indices else clip for index, clip in enumerate(dataset.clips)]
    return replace(dataset, clips=tuple(clips))


def ids(path: Path | str) -> list[str]:
    return [schema.parse(record, ())["id"].numpy().decode() for record in tf.data.TFRecordDataset(str(path))]


class Stop(Exception):
    """Stands for whatever ends a run early."""


def stop_after(clips: int) -> Callable[[int], None]:
    done = 0

    def on_clip(count: int) -> None:
        nonlocal done
        done += count
        if done >= clips:
            raise Stop

    return on_clip


def test_the_folder_holds_shards_labels_and_a_manifest(dataset: VideoDataset, whole: dict[str, bytes]) -> None:
    assert set(whole) == FILES
    assert whole["labels.txt"] == b"a\nb\n"
    manifest = json.loads(whole["manifest.json"])
    shards = manifest.pop("shards")
    assert sorted(shards) == sorted(name for name in FILES if name.endswith(".tfrecord"))
    assert shards["test-00000-of-00001.tfrecord"] == {
        "split": "test",
        "frames": [8, 9],
        "skipped": [],
        "size": len(whole["test-00000-of-00001.tfrecord"]),
    }
    assert manifest == {
        "settings": asdict(SETTINGS),
        "dataset": dataset.digest(),
        "clips": {"train": 5, "test": 2},
        "longest": 9,
        "skipped": [],
    }


def test_every_clip_is_written_once_in_its_split(dataset: VideoDataset, tmp_path: Path) -> None:
    manifest = write(dataset, tmp_path, SETTINGS)
    assert manifest == read_manifest(tmp_path)
    for split in ("train", "test"):
        written = [name for path in find(tmp_path, split) for name in ids(path)]
        assert sorted(written) == sorted(clip.id for clip in dataset.clips if clip.split == split)
        assert all(len(ids(path)) <= 2 for path in find(tmp_path, split))


def test_records_hold_the_right_label_and_all_frames(dataset: VideoDataset, tmp_path: Path) -> None:
    write(replace(dataset, class_names=("z", "b", "a")), tmp_path, replace(SETTINGS, flow="tvl1"))
    for record in tf.data.TFRecordDataset(find(tmp_path, "train") + find(tmp_path, "test")):
        parsed = schema.parse(record, ["rgb", "flow"])
        label, number = parsed["id"].numpy().decode().removesuffix(".mp4").split("/")
        assert parsed["label"] == {"a": 2, "b": 1}[label]
        assert parsed["rgb"].shape == parsed["flow"].shape == (3 + int(number),)
        assert schema.decode_images(parsed["rgb"], "rgb").shape[1:] == (16, 24, 3)
        context = tf.train.SequenceExample.FromString(record.numpy()).context.feature
        assert context["clip/label/text"].bytes_list.value[0].decode() == label


def test_stretches_are_cut_out_and_stamped(dataset: VideoDataset, tmp_path: Path) -> None:
    clip = replace(dataset.clips[6], start_s=0.07, end_s=0.19)
    write(VideoDataset((clip,), ("a",)), tmp_path, SETTINGS)
    (record,) = tf.data.TFRecordDataset(find(tmp_path, "test"))
    parsed = schema.parse(record, ["rgb"])
    assert parsed["id"].numpy().decode() == clip.id
    assert parsed["rgb"].shape == (3,)
    context = tf.train.SequenceExample.FromString(record.numpy()).context.feature
    assert list(context["clip/start/timestamp"].int64_list.value) == [70_000]


def test_the_seed_deals_the_clips(dataset: VideoDataset, whole: dict[str, bytes], tmp_path: Path) -> None:
    orders = []
    for seed in (0, 1, 2):
        (tmp_path / str(seed)).mkdir()
        write(dataset, tmp_path / str(seed), replace(SETTINGS, seed=seed))
        orders.append([name for path in find(tmp_path / str(seed), "train") for name in ids(path)])
    assert len({tuple(order) for order in orders}) > 1
    assert contents(tmp_path / "0") == whole


@pytest.mark.parametrize(("per_shard", "lengths"), [(1, [1] * 5), (2, [2, 2, 1]), (3, [3, 2]), (5, [5]), (64, [5])])
def test_shards_are_about_equally_long(
    dataset: VideoDataset, tmp_path: Path, per_shard: int, lengths: list[int]
) -> None:
    write(dataset, tmp_path, replace(SETTINGS, clips_per_shard=per_shard))
    assert [len(ids(path)) for path in find(tmp_path, "train")] == lengths


def test_the_number_of_workers_leaves_no_trace(dataset: VideoDataset, tmp_path: Path) -> None:
    bad = with_bad(dataset, 1, path=tmp_path / "absent.mp4")
    settings = replace(SETTINGS, flow="tvl1")
    manifests = [make_tfrecords.make(bad, tmp_path / str(n), settings, workers=n) for n in (1, 2)]
    assert manifests[0] == manifests[1]
    assert contents(tmp_path / "1") == contents(tmp_path / "2")
    assert set(contents(tmp_path / "1")) == {*FILES, "run.json"}


def test_threads_give_the_same_too(dataset: VideoDataset, whole: dict[str, bytes], tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as executor:
        write(dataset, tmp_path, SETTINGS, executor=executor, workers=3)
    assert contents(tmp_path) == whole


def test_no_more_clips_are_in_flight_than_memory_allows(dataset: VideoDataset, tmp_path: Path) -> None:
    many = VideoDataset(tuple(replace(dataset.clips[0], name=str(number)) for number in range(20)), ("a", "b"))
    ahead, submitted, done = [], 0, 0

    class Eager(Executor):
        def submit(self, function: Callable, *arguments: object) -> Future:
            nonlocal submitted
            submitted += 1
            ahead.append(submitted - done)
            future = Future()
            future.set_result(function(*arguments))
            return future

    def on_clip(count: int) -> None:
        nonlocal done
        done += count

    write(many, tmp_path, SETTINGS, executor=Eager(), workers=1, on_clip=on_clip)
    assert max(ahead) <= 5  # four for the worker, and the one that is being written
    assert (submitted, done) == (20, 20)


@pytest.mark.parametrize("clips", [1, 2, 3, 5, 7])
def test_an_interrupted_run_goes_on_and_gives_the_same_bytes(
    dataset: VideoDataset, whole: dict[str, bytes], tmp_path: Path, clips: int
) -> None:
    with pytest.raises(Stop):
        write(dataset, tmp_path, SETTINGS, on_clip=stop_after(clips))
    assert set(contents(tmp_path)) <= {*FILES, shards.JOURNAL}  # nothing half-written
    write(dataset, tmp_path, SETTINGS)
    assert contents(tmp_path) == whole


def test_a_resumed_run_prepares_only_what_is_missing(
    dataset: VideoDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Stop):
        write(dataset, tmp_path, SETTINGS, on_clip=stop_after(5))
    prepared, told = [], []
    prepare = shards.prepare
    monkeypatch.setattr(shards, "prepare", lambda clip, *rest: prepared.append(clip.id) or prepare(clip, *rest))
    write(dataset, tmp_path, SETTINGS, on_clip=told.append)
    assert len(prepared) == 3  # the third shard of train, whose only clip was not yet in the journal, and test
    assert sum(told) == 7
    assert told[0] == 4


def test_a_resumed_run_still_knows_what_it_skipped(dataset: VideoDataset, tmp_path: Path) -> None:
    bad = with_bad(dataset, 0, 1, 2, path=tmp_path / "absent.mp4")
    for name, on_clip in (("whole", lambda count: None), ("halves", stop_after(5))):
        (tmp_path / name).mkdir()
        try:
            write(bad, tmp_path / name, SETTINGS, on_clip=on_clip)
        except Stop:
            write(bad, tmp_path / name, SETTINGS)
    assert contents(tmp_path / "halves") == contents(tmp_path / "whole")
    assert len(read_manifest(tmp_path / "halves").skipped) == 3


@pytest.mark.parametrize("name", ["train-00000-of-00003.tfrecord", "train-00001-of-00003.tfrecord"])
def test_a_shard_that_was_deleted_meanwhile_is_written_again(
    dataset: VideoDataset, whole: dict[str, bytes], tmp_path: Path, name: str
) -> None:
    with pytest.raises(Stop):
        write(dataset, tmp_path, SETTINGS, on_clip=stop_after(5))
    (tmp_path / name).unlink()
    write(dataset, tmp_path, SETTINGS)
    assert contents(tmp_path) == whole


def test_a_shard_that_was_deleted_from_finished_records_is_written_again(
    dataset: VideoDataset, whole: dict[str, bytes], tmp_path: Path
) -> None:
    write(dataset, tmp_path, SETTINGS)
    (tmp_path / "train-00001-of-00003.tfrecord").unlink()
    write(dataset, tmp_path, SETTINGS)
    assert contents(tmp_path) == whole


def test_the_remains_of_a_killed_run_are_cleared_away(
    dataset: VideoDataset, whole: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / ".abcdefgh-train-00000-of-00003.tfrecord").write_bytes(b"half a shard")
    (tmp_path / "train-00001-of-00003.tfrecord").write_bytes(b"renamed, but not yet in the journal")
    (tmp_path / shards.JOURNAL).write_text('{"shard": "train-00002-of-00003.tfre')
    write(dataset, tmp_path, SETTINGS)
    assert contents(tmp_path) == whole


def test_finished_records_are_left_alone(dataset: VideoDataset, tmp_path: Path) -> None:
    manifest = write(dataset, tmp_path, SETTINGS)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    told = []
    assert write(dataset, tmp_path, SETTINGS, on_clip=told.append) == manifest
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == times
    assert told == [7]


def test_clips_that_cannot_be_read_are_skipped_with_their_reason(dataset: VideoDataset, tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    bad = with_bad(dataset, 3, path=tmp_path / "absent.mp4")
    beyond = replace(bad.clips[4], start_s=100.0)
    bad = replace(bad, clips=(*bad.clips[:4], beyond, *bad.clips[5:]))
    manifest = write(bad, tmp_path / "records", SETTINGS)
    assert dict(manifest.skipped) == {
        "b/3.mp4": f"{tmp_path}/absent.mp4: cannot be read as video (No such file or directory)",
        beyond.id: f"{beyond.path}: no video frame between 100 s and its end",
    }
    assert manifest.clips == {"train": 3, "test": 2}
    assert read_manifest(tmp_path / "records") == manifest
    written = [name for path in find(tmp_path / "records", "train") for name in ids(path)]
    assert sorted(written) == ["a/0.mp4", "a/2.mp4", "b/1.mp4"]


def test_one_impossible_path_does_not_stop_the_run(dataset: VideoDataset, tmp_path: Path) -> None:
    manifest = write(with_bad(dataset, 3, path=Path("x" * 300)), tmp_path, SETTINGS)
    assert len(manifest.skipped) == 1


def test_a_file_name_that_is_not_utf_8_does_not_stop_the_run(dataset: VideoDataset, tmp_path: Path) -> None:
    odd = replace(dataset.clips[0], name=os.fsdecode(b"a/caf\xe9.mp4"))
    manifest = write(replace(dataset, clips=(odd, *dataset.clips[1:])), tmp_path, SETTINGS)
    assert manifest.clips == {"train": 5, "test": 2}


def test_when_no_clip_can_be_read_nothing_is_left(dataset: VideoDataset, tmp_path: Path) -> None:
    bad = with_bad(dataset, *range(7), path=tmp_path / "absent.mp4")
    message = r"^not one of 7 clips could be written; the first, \w/\d\.mp4: .*absent\.mp4: cannot be read as video"
    with pytest.raises(RecordError, match=message):
        make_tfrecords.make(bad, tmp_path / "records", SETTINGS, workers=1)
    assert list(tmp_path.iterdir()) == []


def test_a_split_whose_clips_are_all_bad_is_no_split(dataset: VideoDataset, tmp_path: Path) -> None:
    manifest = write(with_bad(dataset, 5, 6, path=tmp_path / "absent.mp4"), tmp_path, SETTINGS)
    assert manifest.clips == {"train": 5}
    assert manifest.longest == 7
    with pytest.raises(RecordError, match=r"no records of split 'test'; its splits are train$"):
        find(tmp_path, "test")


def test_a_shard_whose_clips_are_all_bad_is_empty(dataset: VideoDataset, tmp_path: Path) -> None:
    write(with_bad(dataset, 0, path=tmp_path / "absent.mp4"), tmp_path, replace(SETTINGS, clips_per_shard=1))
    assert sorted(len(ids(path)) for path in find(tmp_path, "train")) == [0, 1, 1, 1, 1]


def test_workers_below_one_are_refused(dataset: VideoDataset, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^workers must be at least 1, got 0$"):
        make_tfrecords.make(dataset, tmp_path / "records", SETTINGS, workers=0)
    assert list(tmp_path.iterdir()) == []
