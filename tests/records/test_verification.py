from pathlib import Path

import pytest

from keras_i3d.datasets.dataset import VideoDataset
from keras_i3d.errors import RecordError
from keras_i3d.records.settings import RecordSettings
from keras_i3d.records.shards import write
from keras_i3d.records.verification import problems

SHARD = "train-00001-of-00003.tfrecord"


@pytest.fixture
def folder(dataset: VideoDataset, settings: RecordSettings, tmp_path: Path) -> Path:
    write(dataset, tmp_path, settings)
    return tmp_path


def test_whole_records_have_no_problem(folder: Path) -> None:
    seen = []
    assert problems(folder, on_shard=lambda: seen.append(1)) == []
    assert len(seen) == 4


def test_a_missing_shard_is_a_problem(folder: Path) -> None:
    (folder / SHARD).unlink()
    assert problems(folder) == [f"{folder / SHARD}: is missing"]


@pytest.mark.parametrize("place", [0, 9, 20, 500, -1])
def test_a_changed_byte_is_a_problem(folder: Path, place: int) -> None:
    content = bytearray((folder / SHARD).read_bytes())
    content[place] ^= 1
    (folder / SHARD).write_bytes(content)
    (problem,) = problems(folder)
    assert problem.startswith(f"{folder / SHARD}: ") and "damaged" in problem


def test_a_cut_shard_is_a_problem(folder: Path) -> None:
    content = (folder / SHARD).read_bytes()
    for keep in (0, 1, len(content) // 2, len(content) - 1):
        (folder / SHARD).write_bytes(content[:keep])
        assert len(problems(folder)) == 1


def test_whole_records_of_another_shard_are_a_problem(folder: Path) -> None:
    (folder / SHARD).write_bytes((folder / "train-00000-of-00003.tfrecord").read_bytes())
    (problem,) = problems(folder)
    assert "has another content than the manifest says (SHA-256 " in problem


def test_a_record_too_many_is_a_problem(folder: Path) -> None:
    (folder / SHARD).write_bytes((folder / SHARD).read_bytes() * 2)
    assert problems(folder) == [f"{folder / SHARD}: has 4 records where the manifest says 2"]


def test_shards_and_labels_of_others_are_problems(folder: Path) -> None:
    (folder / "train-00000-of-00009.tfrecord").touch()
    (folder / "labels.txt").write_text("a\nb\nc\n")
    assert problems(folder) == [
        f"{folder}/train-00000-of-00009.tfrecord: is a shard that the manifest does not name",
        f"{folder}/labels.txt: has 3 classes where the manifest says 2",
    ]
    (folder / "labels.txt").unlink()
    assert len(problems(folder)) == 2


def test_a_folder_without_manifest_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no finished folder of records"):
        problems(tmp_path)
