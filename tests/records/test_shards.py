import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import tensorflow as tf
from written_records import all_ids, contents, context, examples, ids, with_bad

from keras_i3d.datasets.dataset import VideoDataset
from keras_i3d.errors import RecordError
from keras_i3d.records import clip_file, manifest, schema, shards
from keras_i3d.records.clip_file import ClipReport, ClipTask
from keras_i3d.records.messages import values_of
from keras_i3d.records.selection import select
from keras_i3d.records.settings import RecordSettings
from keras_i3d.records.shards import write
from keras_i3d.records.verification import problems

FILES = {
    "labels.txt",
    "manifest.json",
    *(f"train-0000{index}-of-00003.tfrecord" for index in range(3)),
    "test-00000-of-00001.tfrecord",
}


class Stop(Exception):
    """Stands for whatever ends a run early."""


def stop_after(clips: int) -> Callable[[ClipReport], None]:
    done = []

    def on_clip(report: ClipReport) -> None:
        done.append(report)
        if len(done) >= clips:
            raise Stop

    return on_clip


def noted(tasks: Iterable[ClipTask], names: list[str]) -> Iterator[ClipReport]:
    """Write clips, and note which."""
    for task in tasks:
        names.append(task.clip.name)
        yield clip_file.write(task)


def test_the_folder_holds_shards_labels_and_a_manifest(
    dataset: VideoDataset, settings: RecordSettings, whole: dict[str, bytes]
) -> None:
    assert set(whole) == FILES
    assert whole["labels.txt"] == b"a\nb\n"
    written = json.loads(whole["manifest.json"])
    assert sorted(written["shards"]) == sorted(name for name in FILES if name.endswith(".tfrecord"))
    test = written["shards"]["test-00000-of-00001.tfrecord"]
    assert test["size"] == len(whole["test-00000-of-00001.tfrecord"])
    assert {name: frames for name, frames, _ in test["clips"]} == {"b/5.mp4": [8], "a/6.mp4": [9]}
    assert sum(size for _, _, size in test["clips"]) == test["size"]
    assert written["settings"] == asdict(settings)
    facts = {"name": "folder", "digest": dataset.digest(), "classes": 2, "divisions": 1, "without_label": {}}
    assert written["dataset"] == facts
    assert written["records"] == {"train": 5, "test": 2}
    assert written["longest"] == 9
    assert {"av", "opencv", "libswscale"} <= set(written["versions"])


def test_clips_of_several_labels_and_of_none_are_written_with_all_of_them(
    dataset: VideoDataset, settings: RecordSettings, tmp_path: Path
) -> None:
    labels = [("b", "a"), (), *((clip.label,) for clip in dataset.clips[2:])]
    clips = tuple(
        replace(clip, label=next(iter(own), None), further_labels=own[1:])
        for clip, own in zip(dataset.clips, labels, strict=True)
    )
    made = write(replace(dataset, clips=clips, multi_label=True), tmp_path, settings)
    assert made.multi_label and made.dataset["without_label"] == {}
    indices = {
        context(example, "example/id"): values_of(example.context.feature["clip/label/index"])
        for name in made.shards
        for example in examples(tmp_path / name)
    }
    assert indices == {clip.id: ["ab".index(label) for label in clip.labels] for clip in clips}
    assert sum(made.records.values()) == len(clips)


def test_every_clip_is_written_once_in_its_split(
    dataset: VideoDataset, settings: RecordSettings, tmp_path: Path
) -> None:
    made = write(dataset, tmp_path, settings)
    assert made == manifest.read(tmp_path)
    for split in ("train", "test"):
        written = all_ids(select(tmp_path, split).paths)
        assert sorted(written) == sorted(clip.id for clip in dataset.clips if clip.splits == (split,))


def test_records_hold_the_right_label_and_all_frames(
    dataset: VideoDataset, settings: RecordSettings, tmp_path: Path
) -> None:
    write(replace(dataset, class_names=("z", "b", "a")), tmp_path, replace(settings, flow="tvl1"))
    for record in tf.data.TFRecordDataset(select(tmp_path, "train").paths + select(tmp_path, "test").paths):
        parsed = schema.parse(record, ["rgb", "flow"])
        label, number = parsed["id"].numpy().decode().removesuffix(".mp4").split("/")
        assert parsed["label"] == {"a": 2, "b": 1}[label]
        assert parsed["rgb"].shape == parsed["flow"].shape == (3 + int(number),)
        assert schema.decode_images(parsed["rgb"], "rgb").shape[1:] == (16, 24, 3)


def test_a_video_of_several_divisions_is_written_once_and_says_what_it_is_for(
    dataset: VideoDataset, settings: RecordSettings, tmp_path: Path
) -> None:
    parts = [("train", "test"), ("test", "train"), ("unused", "unused")]
    clips = tuple(replace(clip, splits=parts[index % 3]) for index, clip in enumerate(dataset.clips))
    made = write(VideoDataset("ucf101", clips, ("a", "b")), tmp_path, settings)
    assert made.records == {"train1": 3, "test1": 2, "train2": 2, "test2": 3}
    paths = sorted(tmp_path.glob("ucf101-*.tfrecord"))
    assert len(paths) == 4
    told = {
        context(example, "example/id"): (context(example, "split/1"), context(example, "split/2"))
        for path in paths
        for example in examples(path)
    }
    assert told == {clip.id: clip.splits for clip in clips}


@pytest.mark.parametrize("workers", [1, 3])
def test_whoever_writes_the_clips_the_bytes_are_the_same(
    dataset: VideoDataset, settings: RecordSettings, whole: dict[str, bytes], tmp_path: Path, workers: int
) -> None:
    with ThreadPoolExecutor(workers) as executor:
        write(dataset, tmp_path, settings, run=lambda tasks: executor.map(clip_file.write, tasks))
    assert contents(tmp_path) == whole


@pytest.mark.parametrize("clips", [1, 2, 3, 5, 7])
def test_an_interrupted_run_goes_on_and_gives_the_same_bytes(
    dataset: VideoDataset, settings: RecordSettings, whole: dict[str, bytes], tmp_path: Path, clips: int
) -> None:
    with pytest.raises(Stop):
        write(dataset, tmp_path, settings, on_clip=stop_after(clips))
    assert {path.name for path in tmp_path.iterdir()} <= {*FILES, ".unfinished"}  # nothing half-written
    write(dataset, tmp_path, settings)
    assert contents(tmp_path) == whole


def test_a_resumed_run_prepares_only_what_is_missing(
    dataset: VideoDataset, settings: RecordSettings, tmp_path: Path
) -> None:
    first, second, told = [], [], []
    with pytest.raises(Stop):
        write(dataset, tmp_path, settings, run=lambda tasks: noted(tasks, first), on_clip=stop_after(5))
    write(dataset, tmp_path, settings, run=lambda tasks: noted(tasks, second), on_clip=told.append)
    assert len(first) == 5
    assert sorted(first + second) == sorted(clip.name for clip in dataset.clips)
    assert len(told) == 7


def test_a_resumed_run_still_knows_what_it_skipped(
    dataset: VideoDataset, settings: RecordSettings, tmp_path: Path
) -> None:
    bad = with_bad(dataset, 0, 1, 2, path=tmp_path / "absent.mp4")
    (tmp_path / "whole").mkdir()
    write(bad, tmp_path / "whole", settings)
    (tmp_path / "halves").mkdir()
    with pytest.raises(Stop):
        write(bad, tmp_path / "halves", settings, on_clip=stop_after(5))
    assert len(write(bad, tmp_path / "halves", settings).skipped) == 3
    assert contents(tmp_path / "halves") == contents(tmp_path / "whole")


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_bytes(b"half")])
def test_a_shard_that_was_lost_meanwhile_is_written_again(
    dataset: VideoDataset,
    settings: RecordSettings,
    whole: dict[str, bytes],
    tmp_path: Path,
    finished: bool,
    change: Callable[[Path], object],
) -> None:
    if finished:
        write(dataset, tmp_path, settings)
    else:
        with pytest.raises(Stop):
            write(dataset, tmp_path, settings, on_clip=stop_after(5))
    change(tmp_path / "train-00000-of-00003.tfrecord")
    write(dataset, tmp_path, settings)
    assert contents(tmp_path) == whole


def test_the_remains_of_a_killed_run_are_cleared_away(
    dataset: VideoDataset, settings: RecordSettings, whole: dict[str, bytes], tmp_path: Path
) -> None:
    unfinished = tmp_path / ".unfinished"
    unfinished.mkdir()
    (unfinished / ".writing-abc").write_bytes(b"half a clip")
    stem = clip_file.file_stem(dataset.clips[0])
    (unfinished / f"{stem}.tfrecord").write_bytes(b"renamed, but its report is not there yet")
    (tmp_path / "train-00001-of-00003.tfrecord").write_bytes(b"renamed, but its report is not there yet")
    write(dataset, tmp_path, settings)
    assert contents(tmp_path) == whole


def test_finished_records_are_left_alone(dataset: VideoDataset, settings: RecordSettings, tmp_path: Path) -> None:
    made = write(dataset, tmp_path, settings)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    told = []
    assert write(dataset, tmp_path, settings, on_clip=told.append) == made
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == times
    assert len(told) == 7


def test_what_was_skipped_is_tried_again_when_told_to(
    dataset: VideoDataset, settings: RecordSettings, whole: dict[str, bytes], tmp_path: Path
) -> None:
    bad = with_bad(dataset, 1, path=tmp_path / "repaired.mp4")
    (tmp_path / "records").mkdir()
    assert len(write(bad, tmp_path / "records", settings).skipped) == 1
    (tmp_path / "repaired.mp4").write_bytes(Path(dataset.clips[1].path).read_bytes())
    assert len(write(bad, tmp_path / "records", settings).skipped) == 1
    tried = []
    run = {"run": lambda tasks: noted(tasks, tried), "retry_skipped": True}
    assert not write(bad, tmp_path / "records", settings, **run).skipped
    assert tried == ["b/1.mp4"]
    assert contents(tmp_path / "records") == whole


def test_a_retry_that_is_cut_short_loses_nothing(
    dataset: VideoDataset, settings: RecordSettings, whole: dict[str, bytes], tmp_path: Path
) -> None:
    bad = with_bad(dataset, 1, 3, path=tmp_path / "repaired.mp4")
    (tmp_path / "records").mkdir()
    write(bad, tmp_path / "records", settings)
    (tmp_path / "repaired.mp4").write_bytes(Path(dataset.clips[1].path).read_bytes())
    for clips in (4, 6, 7):
        with pytest.raises(Stop):
            write(bad, tmp_path / "records", settings, on_clip=stop_after(clips), retry_skipped=True)
        plain = tmp_path / f"plain after {clips}"
        shutil.copytree(tmp_path / "records", plain)
        made = write(bad, plain, settings)
        assert problems(plain) == [] and made == manifest.read(plain)
    assert not write(bad, tmp_path / "records", settings, retry_skipped=True).skipped
    assert problems(tmp_path / "records") == []
    assert contents(tmp_path / "records").keys() == whole.keys()


def test_clips_that_cannot_be_read_are_skipped_with_their_reason(
    dataset: VideoDataset, settings: RecordSettings, tmp_path: Path
) -> None:
    (tmp_path / "records").mkdir()
    bad = with_bad(dataset, 3, path=tmp_path / "absent.mp4")
    beyond = replace(bad.clips[4], start_s=100.0)
    bad = replace(bad, clips=(*bad.clips[:4], beyond, *bad.clips[5:]))
    made = write(bad, tmp_path / "records", settings)
    assert dict(made.skipped) == {
        "b/3.mp4": f"{tmp_path}/absent.mp4: cannot be read as video (No such file or directory)",
        beyond.id: f"{beyond.path}: no video frame between 100 s and its end",
    }
    assert made.records == {"train": 3, "test": 2}
    assert sorted(all_ids(select(tmp_path / "records", "train").paths)) == ["a/0.mp4", "a/2.mp4", "b/1.mp4"]


@pytest.mark.parametrize("path", ["x" * 300, "a\0b", "/dev", "/dev/null", "/dev/zero"])
def test_one_impossible_path_does_not_stop_the_run(
    dataset: VideoDataset, settings: RecordSettings, tmp_path: Path, path: str
) -> None:
    made = write(with_bad(dataset, 3, path=Path(path)), tmp_path, settings)
    assert len(made.skipped) == 1


def test_a_file_name_that_is_not_utf_8_does_not_stop_the_run(
    dataset: VideoDataset, settings: RecordSettings, tmp_path: Path
) -> None:
    odd = replace(dataset.clips[0], name=os.fsdecode(b"a/caf\xe9.mp4"))
    made = write(replace(dataset, clips=(odd, *dataset.clips[1:])), tmp_path, settings)
    assert made.records == {"train": 5, "test": 2}
    assert odd.id in all_ids(select(tmp_path, "train").paths)
    assert write(replace(dataset, clips=(odd, *dataset.clips[1:])), tmp_path, settings) == made


def test_when_no_clip_can_be_read_nothing_is_left(
    dataset: VideoDataset, settings: RecordSettings, tmp_path: Path
) -> None:
    bad = with_bad(dataset, *range(7), path=tmp_path / "absent.mp4")
    message = r"^not one of 7 clips could be written; the first, \w/\d\.mp4: .*absent\.mp4: cannot be read as video"
    with pytest.raises(RecordError, match=message):
        write(bad, tmp_path, settings)
    assert list(tmp_path.iterdir()) == []


def test_a_split_whose_clips_are_all_bad_is_no_split(
    dataset: VideoDataset, settings: RecordSettings, tmp_path: Path
) -> None:
    bad = with_bad(dataset, 5, 6, path=tmp_path / "absent.mp4")
    made = write(bad, tmp_path, settings)
    assert made.records == {"train": 5}
    assert made.longest == 7
    assert not list(tmp_path.glob("test-*"))
    with pytest.raises(RecordError, match=r"unknown split 'test'; there are train$"):
        select(tmp_path, "test")
    assert write(bad, tmp_path, settings) == made


def test_a_shard_whose_clips_are_all_bad_is_empty(
    dataset: VideoDataset, settings: RecordSettings, tmp_path: Path
) -> None:
    write(with_bad(dataset, 0, path=tmp_path / "absent.mp4"), tmp_path, replace(settings, clips_per_shard=1))
    assert sorted(len(ids(path)) for path in tmp_path.glob("train-*")) == [0, 1, 1, 1, 1]
    assert len(select(tmp_path, "train").paths) == 4


def test_what_a_data_set_misses_is_in_the_manifest(
    dataset: VideoDataset, settings: RecordSettings, tmp_path: Path
) -> None:
    made = write(replace(dataset, missing=(("c/9.mp4", "no file"),)), tmp_path, settings)
    assert made.missing == (("c/9.mp4", "no file"),)
    assert manifest.read(tmp_path).missing == made.missing


def test_the_versions_of_what_decodes_are_told() -> None:
    assert all(isinstance(value, str) for value in shards.versions(RecordSettings(flow="tvl1")).values())


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b'{"clip": 1}'])
def test_reports_in_pieces_are_as_good_as_none(
    dataset: VideoDataset, settings: RecordSettings, whole: dict[str, bytes], tmp_path: Path, damage: bytes
) -> None:
    with pytest.raises(Stop):
        write(dataset, tmp_path, settings, on_clip=stop_after(5))
    for path in (tmp_path / ".unfinished").glob("*.json"):
        path.write_bytes(damage)
    write(dataset, tmp_path, settings)
    assert contents(tmp_path) == whole


def test_a_run_that_began_nothing_leaves_nothing(
    dataset: VideoDataset, settings: RecordSettings, tmp_path: Path
) -> None:
    def broken(tasks: object) -> Iterator[ClipReport]:
        raise Stop
        yield

    with pytest.raises(Stop):
        write(dataset, tmp_path, settings, run=broken)
    assert list(tmp_path.iterdir()) == []
