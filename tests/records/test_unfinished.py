import json
from pathlib import Path

import pytest
from written_records import ids

from keras_i3d.datasets.dataset import VideoDataset
from keras_i3d.errors import RecordError
from keras_i3d.records import clip_file
from keras_i3d.records.clip_file import ClipReport, ClipTask
from keras_i3d.records.plan import PlannedShard
from keras_i3d.records.settings import RecordSettings
from keras_i3d.records.unfinished import Unfinished

SHARD = "train-00000-of-00001.tfrecord"


@pytest.fixture
def unfinished(tmp_path: Path) -> Unfinished:
    return Unfinished(tmp_path)


@pytest.fixture
def tasks(dataset: VideoDataset, settings: RecordSettings, unfinished: Unfinished) -> list[ClipTask]:
    return [ClipTask(clip, 0, "folder", settings, unfinished.folder) for clip in dataset.clips[:3]]


def test_clips_are_joined_in_their_order_and_leave_nothing(
    unfinished: Unfinished, tasks: list[ClipTask], tmp_path: Path
) -> None:
    reports = [clip_file.write(task) for task in reversed(tasks)][::-1]
    joined = unfinished.join(SHARD, tasks, reports, [["train"], ["train"], []])
    assert ids(tmp_path / SHARD) == [task.clip.id for task in tasks]
    assert joined.size == (tmp_path / SHARD).stat().st_size == sum(report.size for report in reports)
    assert joined.records == {"train": 2}
    assert [path.name for path in Path(unfinished.folder).iterdir()] == [f"{SHARD}.json"]
    assert Unfinished(tmp_path).shard_reports()[SHARD].to_json() == joined.to_json()


def test_only_whole_clips_are_found_again(unfinished: Unfinished, tasks: list[ClipTask]) -> None:
    reports = [clip_file.write(task) for task in tasks]
    assert unfinished.clip_reports(tasks) == {task.clip.id: r for task, r in zip(tasks, reports, strict=True)}
    Path(tasks[0].records_path).write_bytes(b"cut")
    Path(tasks[1].records_path).unlink()
    assert list(unfinished.clip_reports(tasks)) == [tasks[2].clip.id]
    Path(tasks[2].report_path).unlink()
    assert unfinished.clip_reports(tasks) == {}


def test_a_skipped_clip_is_not_finished(unfinished: Unfinished, tasks: list[ClipTask]) -> None:
    clip_file.write(tasks[0])
    skipped = ClipReport(tasks[0].clip.id, skipped="was damaged").to_json()
    Path(tasks[0].report_path).write_text(json.dumps(skipped))
    assert unfinished.clip_reports(tasks) == {}


def test_a_clip_that_changed_behind_its_report_is_not_joined(
    unfinished: Unfinished, tasks: list[ClipTask], tmp_path: Path
) -> None:
    reports = [clip_file.write(task) for task in tasks]
    Path(tasks[1].records_path).write_bytes(b"cut")
    with pytest.raises(RecordError, match=r"\.tfrecord: has 3 bytes where \d+ were written$"):
        unfinished.join(SHARD, tasks, reports, [[], [], []])
    assert not (tmp_path / SHARD).exists()


def test_a_shard_is_taken_apart_into_what_it_was_joined_of(
    unfinished: Unfinished, tasks: list[ClipTask], tmp_path: Path
) -> None:
    reports = [clip_file.write(task) for task in tasks]
    before = [Path(task.records_path).read_bytes() for task in tasks]
    joined = unfinished.join(SHARD, tasks, reports, [[], [], []])
    unfinished.take_apart(PlannedShard(SHARD, tuple(task.clip for task in tasks)), joined)
    assert [Path(task.records_path).read_bytes() for task in tasks] == before
    assert len(unfinished.clip_reports(tasks)) == 3
    assert unfinished.shard_reports() == {}


def test_what_a_killed_process_was_writing_is_removed(unfinished: Unfinished, tmp_path: Path) -> None:
    left = Path(unfinished.folder) / ".writing-x"
    left.touch()
    Unfinished(tmp_path)
    assert not left.exists()


def test_nothing_is_left_in_the_end(unfinished: Unfinished, tasks: list[ClipTask], tmp_path: Path) -> None:
    clip_file.write(tasks[0])
    unfinished.clear()
    assert list(tmp_path.iterdir()) == []
