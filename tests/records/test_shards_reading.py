"""Finding shards, reading their manifest, and what records must have to fit."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from keras_i3d.errors import RecordError
from keras_i3d.records.shards import (
    Manifest,
    RecordSettings,
    ShardReport,
    check_fits,
    find,
    read_manifest,
    shard_name,
)

SETTINGS = RecordSettings(short_side=16, clips_per_shard=2)


@pytest.mark.parametrize(
    ("index", "count", "name"),
    [(7, 128, "train-00007-of-00128.tfrecord"), (123456, 200000, "train-123456-of-200000.tfrecord")],
)
def test_shards_are_named_as_others_name_them(index: int, count: int, name: str) -> None:
    assert shard_name("train", index, count) == name


def test_shards_are_found_in_their_order(tmp_path: Path) -> None:
    for index in (2, 0, 1):
        (tmp_path / shard_name("train", index, 3)).touch()
    (tmp_path / shard_name("val", 0, 1)).touch()
    (tmp_path / "train.tfrecord").touch()
    assert find(tmp_path, "train") == [str(tmp_path / shard_name("train", index, 3)) for index in range(3)]
    assert find(str(tmp_path), "val") == [str(tmp_path / shard_name("val", 0, 1))]


def test_a_missing_shard_is_counted(tmp_path: Path) -> None:
    for index in (0, 2):
        (tmp_path / shard_name("train", index, 3)).touch()
    with pytest.raises(RecordError, match=rf"^{tmp_path}: 2 of the 3 shards of split 'train' are there$"):
        find(tmp_path, "train")


def test_a_missing_split_is_told_with_those_that_are_there(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / shard_name(split, 0, 1)).touch()
    with pytest.raises(RecordError, match=rf"^{tmp_path}: no records of split 'val'; its splits are test, train$"):
        find(tmp_path, "val")


@pytest.mark.parametrize("name", [".", "absent"])
def test_a_folder_without_shards_says_so(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecordError, match=r": no records of split 'train'; it holds no shard at all$"):
        find(tmp_path / name, "train")


def test_a_missing_manifest_is_told(tmp_path: Path) -> None:
    message = r": no finished folder of records, which `keras-i3d make-tfrecords` writes \(.*No such file"
    with pytest.raises(RecordError, match=message):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"settings": {}, "dataset": "", "clips": {}, "longest": 1}',
        '{"skipped": [1]}',
        "\N{LATIN SMALL LETTER U}",
    ],
)
def test_a_damaged_manifest_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(RecordError, match=rf"^{tmp_path}: no finished folder of records"):
        read_manifest(tmp_path)


def manifest(**changes) -> Manifest:
    shard = {"train-00000-of-00001.tfrecord": ShardReport("train", (9,))}
    return Manifest(settings=asdict(replace(SETTINGS, **changes)), dataset="digest", shards=shard)


def test_records_that_fit_pass() -> None:
    check_fits("records", manifest(), modality="rgb", fps=25)
    check_fits("records", manifest(flow="tvl1"), modality="rgb", fps=25.0)
    check_fits("records", manifest(flow="tvl1", fps=12.5), modality="flow", fps=12.5)


def test_records_without_flow_are_refused_where_flow_is_wanted() -> None:
    message = r"^records: holds no flow; make it again with `make-tfrecords --flow tvl1`$"
    with pytest.raises(RecordError, match=message):
        check_fits("records", manifest(), modality="flow", fps=25)


def test_records_of_another_rate_are_refused() -> None:
    with pytest.raises(RecordError, match=r"^records: has 12\.5 frames per second, 25 are wanted$"):
        check_fits("records", manifest(fps=12.5), modality="rgb", fps=25)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flow": "farneback"}, r"unknown flow 'farneback'; known: none, tvl1"),
        ({"fps": 0.0}, r"fps must be above 0, got 0\.0"),
        ({"fps": float("nan")}, r"fps must be above 0, got nan"),
        ({"short_side": 0}, r"short_side must be 1 to 4096, got 0"),
        ({"short_side": 4097}, r"short_side must be 1 to 4096, got 4097"),
        ({"jpeg_quality": 0}, r"jpeg_quality must be 1 to 100, got 0"),
        ({"jpeg_quality": 101}, r"jpeg_quality must be 1 to 100, got 101"),
        ({"clips_per_shard": 0}, r"clips_per_shard must be 1 to 1000000, got 0"),
    ],
)
def test_wrong_settings_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        RecordSettings(**change)


@pytest.mark.parametrize("change", [{"fps": float("inf")}, {"seed": -1}])
def test_settings_that_cannot_work_are_refused(change: dict) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(change))} must be"):
        RecordSettings(**change)
