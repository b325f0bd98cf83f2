from dataclasses import asdict, replace
from pathlib import Path

import pytest

from keras_i3d.errors import RecordError
from keras_i3d.records.clip_file import ClipReport
from keras_i3d.records.manifest import Manifest, ShardReport
from keras_i3d.records.selection import check_fits, has, select
from keras_i3d.records.settings import RecordSettings


def made(folder: Path, records: dict[str, dict[str, int]], *, divisions: int = 1, **changes) -> Manifest:
    """Write a manifest, and shards of three bytes."""
    reports = {}
    for name, counts in records.items():
        (folder / name).write_bytes(b"abc")
        reports[name] = ShardReport((ClipReport("a", (9,), 3),), counts, 3, "")
    facts = {"name": "x", "digest": "", "classes": 2, "divisions": divisions, "without_label": {"test": 2}}
    result = Manifest(asdict(RecordSettings(**changes)), facts, reports)
    result.write(folder)
    return result


def test_the_shards_of_a_part_are_found_in_their_order(tmp_path: Path) -> None:
    names = [f"train-0000{index}-of-00003.tfrecord" for index in range(3)]
    made(tmp_path, {name: {"train": 2} for name in names} | {"val-00000-of-00001.tfrecord": {"val": 1}})
    chosen = select(tmp_path, "train")
    assert chosen.paths == tuple(str(tmp_path / name) for name in names)
    assert (chosen.records, chosen.part, chosen.store, chosen.without_label) == (6, None, "frames", 0)
    assert chosen.record_size == 3
    assert select(str(tmp_path), "val1").paths == (str(tmp_path / "val-00000-of-00001.tfrecord"),)


def test_of_several_divisions_one_is_chosen_and_the_others_are_to_be_left_out(tmp_path: Path) -> None:
    counts = [{"train1": 2, "test2": 1}, {"test1": 2, "train2": 3}, {"train1": 1, "train2": 1}]
    made(tmp_path, {f"x-0000{i}-of-00003.tfrecord": count for i, count in enumerate(counts)}, divisions=2)
    chosen = select(tmp_path, "train2")
    assert [Path(path).name[6] for path in chosen.paths] == ["1", "2"]
    assert (chosen.records, chosen.part, chosen.division) == (4, "train", 2)
    assert select(tmp_path, "train") == select(tmp_path, "train1")


@pytest.mark.parametrize(
    ("divisions", "records", "split"),
    [(1, {"train": 1}, "val"), (1, {"train": 1}, "train2"), (2, {"train1": 1}, "train3"), (2, {"train1": 1}, "x")],
)
def test_a_missing_split_is_told_with_those_that_are_there(
    tmp_path: Path, divisions: int, records: dict[str, int], split: str
) -> None:
    result = made(tmp_path, {"x-00000-of-00001.tfrecord": records}, divisions=divisions)
    with pytest.raises(RecordError, match=rf"^{tmp_path}: unknown split '{split}'; there are {next(iter(records))}$"):
        select(tmp_path, split)
    assert not has(result, split)
    assert has(result, "train")


def test_it_knows_whether_a_record_may_have_several_labels(tmp_path: Path) -> None:
    one = made(tmp_path, {"test-00000-of-00001.tfrecord": {"test": 2}})
    assert not select(tmp_path, "test").multi_label
    replace(one, dataset=one.dataset | {"multi_label": True}).write(tmp_path)
    assert select(tmp_path, "test").multi_label


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    made(tmp_path, {"train-00000-of-00001.tfrecord": {"train": 2}})
    (tmp_path / "train-00000-of-00001.tfrecord").unlink()
    with pytest.raises(RecordError, match=r"00000-of-00001\.tfrecord: is missing; the same `make-tfrecords` again"):
        select(tmp_path, "train")


def test_a_shard_of_another_size_is_named(tmp_path: Path) -> None:
    made(tmp_path, {"train-00000-of-00001.tfrecord": {"train": 2}})
    (tmp_path / "train-00000-of-00001.tfrecord").write_bytes(b"ab")
    with pytest.raises(RecordError, match=r"tfrecord: has 2 bytes where the manifest says 3; the same"):
        select(tmp_path, "train")


@pytest.mark.parametrize("name", [".", "absent"])
def test_a_folder_without_records_says_so(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecordError, match=r"no finished folder of records"):
        select(tmp_path / name, "train")


def test_records_that_fit_pass(tmp_path: Path) -> None:
    check_fits("records", made(tmp_path, {}), modality="rgb", fps=25)
    check_fits("records", made(tmp_path, {}, flow="tvl1"), modality="rgb", fps=25.0)
    check_fits("records", made(tmp_path, {}, flow="dis", fps=12.5), modality="flow", fps=12.5)


def test_records_without_flow_are_refused_where_flow_is_wanted(tmp_path: Path) -> None:
    message = r"^records: holds no flow; make it again with `make-tfrecords --flow tvl1`$"
    with pytest.raises(RecordError, match=message):
        check_fits("records", made(tmp_path, {}), modality="flow", fps=25)


def test_records_of_another_rate_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"^records: has 12\.5 frames per second, 25 are wanted$"):
        check_fits("records", made(tmp_path, {}, fps=12.5), modality="rgb", fps=25)


def test_what_is_without_a_label_is_counted(tmp_path: Path) -> None:
    made(tmp_path, {"test-00000-of-00001.tfrecord": {"test": 2}})
    assert select(tmp_path, "test").without_label == 2
