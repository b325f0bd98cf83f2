import json
from dataclasses import replace
from pathlib import Path

import pytest

from keras_i3d.errors import RecordError
from keras_i3d.records import manifest
from keras_i3d.records.clip_file import ClipReport
from keras_i3d.records.manifest import Manifest, ShardReport, records_by_split

CLIPS = (
    ClipReport("a", (9, 4), 100),
    ClipReport("b", skipped="cut short"),
    ClipReport("c", (20,), 50, damaged="ends early"),
)
MADE = Manifest(
    {"flow": "none"},
    {"name": "ucf101", "digest": "0", "classes": 2, "divisions": 3},
    {
        "ucf101-00000-of-00002.tfrecord": ShardReport(CLIPS, {"train1": 3, "test2": 2}, 150, "ab"),
        "ucf101-00001-of-00002.tfrecord": ShardReport((ClipReport("d", (7,), 9),), {"train1": 1}, 9, "cd"),
    },
    (("e", "no such file"),),
    {"av": "18"},
)


def test_it_comes_back_as_it_was_written(tmp_path: Path) -> None:
    MADE.write(tmp_path)
    assert manifest.read(tmp_path) == MADE
    assert manifest.read(str(tmp_path)) == MADE


def test_it_sums_up_its_shards(tmp_path: Path) -> None:
    assert MADE.records == {"train1": 4, "test2": 2}
    assert MADE.longest == 20
    assert MADE.skipped == (("b", "cut short"),)
    assert MADE.damaged == (("c", "ends early"),)
    MADE.write(tmp_path)
    written = json.loads((tmp_path / "manifest.json").read_text())
    assert (written["records"], written["frames"], written["longest"]) == ({"train1": 4, "test2": 2}, 40, 20)
    assert (written["skipped"], written["damaged"]) == ({"b": "cut short"}, {"c": "ends early"})
    assert written["missing"] == {"e": "no such file"}


def test_records_are_counted_in_every_split_that_their_clip_is_in() -> None:
    names_of = [["train1", "test2"], ["train1"], ["test2"]]
    assert records_by_split(names_of, CLIPS) == {"train1": 2, "test2": 3}


def test_it_says_whether_a_record_may_have_several_labels(tmp_path: Path) -> None:
    assert not MADE.multi_label
    replace(MADE, dataset=MADE.dataset | {"multi_label": True}).write(tmp_path)
    assert manifest.read(tmp_path).multi_label


def test_a_missing_manifest_is_told(tmp_path: Path) -> None:
    message = r": no finished folder of records, which `keras-i3d make-tfrecords` writes \(.*No such file"
    with pytest.raises(RecordError, match=message):
        manifest.read(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"settings": {}, "dataset": {}, "shards": {"a": 1}}', '{"skipped": [1]}', "ü"]
)
def test_a_damaged_manifest_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(RecordError, match=rf"^{tmp_path}: no finished folder of records"):
        manifest.read(tmp_path)
