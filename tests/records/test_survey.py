import json
from pathlib import Path

import pytest
import video_records

from keras_i3d.errors import RecordError, StorageError
from keras_i3d.records import survey
from keras_i3d.records.messages import sequence_example
from keras_i3d.records.survey import Survey


def looked_into(*paths: Path) -> Survey:
    found = Survey()
    for path in survey.files_of([str(path) for path in paths], found):
        survey.look_into(path, found)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of two shards of three records, a manifest, and what else may lie there."""
    records = [
        video_records.record("a", count=3, label=(7, "läuft"), splits=("train", "test"), flow=True),
        video_records.record("b", count=4, label=(2, "springt"), splits=("train", "unused")),
        video_records.record("c", count=5, label=None, splits=("test", "train"), video=b"mp4"),
    ]
    video_records.write(tmp_path / "all-00000-of-00002.tfrecord", records[:2])
    video_records.write(tmp_path / "all-00001-of-00002.tfrecord", records[2:])
    (tmp_path / "manifest.json").write_text(json.dumps({"settings": {"fps": 25.0}}))
    (tmp_path / "labels.txt").write_text("läuft\n")
    (tmp_path / ".clips").mkdir()
    (tmp_path / ".writing-x.tfrecord").write_bytes(b"half")
    return tmp_path


def test_a_folder_is_all_its_shards_added_up(folder: Path) -> None:
    found = looked_into(folder)
    assert [Path(file.path).name for file in found.files] == [
        "all-00000-of-00002.tfrecord",
        "all-00001-of-00002.tfrecord",
    ]
    assert found.totals() == {
        "bytes": sum(path.stat().st_size for path in folder.glob("all*")),
        "records": 3,
        "frames": 12,
        "seconds": pytest.approx(0.48),
        "datasets": ["folder"],
        "classes": {"2": "springt", "7": "läuft"},
        "unlabelled": 1,
        "splits": {"split/1": {"train": 2, "test": 1}, "split/2": {"test": 1, "unused": 1, "train": 1}},
        "rgb": {"JPEG": 2, "video": 1},
        "flow": {"PNG": 1},
    }
    assert found.complaints == []
    assert found.manifests == {str(folder): {"settings": {"fps": 25.0}}}


def test_keys_are_counted_over_all_records(folder: Path) -> None:
    keys = looked_into(folder).keys
    assert keys["list", "image/encoded"].records == 2
    assert keys["list", "FORWARD_FLOW/image/encoded"].records == 1
    assert keys["context", "clip/label/index"] == survey.KeyUse(["int64"], 2, "7")
    assert keys["context", "clip/encoded_media_bytes"].kinds == ["bytes"]


def test_a_key_of_two_kinds_shows_both(tmp_path: Path) -> None:
    records = [sequence_example({"key": value}, {}) for value in (1, "text", 2)]
    found = looked_into(video_records.write(tmp_path / "a", records))
    assert found.keys["context", "key"] == survey.KeyUse(["int64", "bytes"], 3, "1")


def test_everything_is_json(folder: Path) -> None:
    found = looked_into(folder)
    read = json.loads(json.dumps(found.to_json()))
    assert read["records"] == 3
    assert [clip["id"] for file in read["files"] for clip in file["clips"]] == ["a", "b", "c"]
    assert read["files"][0]["clips"][0]["flow"] == {"count": 3, "coding": "PNG", "height": 16, "width": 24}
    assert {"place": "context", "key": "split/1", "kinds": ["bytes"], "records": 3, "example": "train"} in read["keys"]
    assert read["manifests"] == {str(folder): {"settings": {"fps": 25.0}}}


def test_damage_is_kept_beside_what_could_be_read(folder: Path) -> None:
    first = folder / "all-00000-of-00002.tfrecord"
    first.write_bytes(first.read_bytes()[:-1])
    found = looked_into(folder)
    assert [clip.id for clip in found.clips] == ["a", "c"]
    assert found.files[0].damage.startswith(f"{first}: record 1, counted from 0, is damaged or cut short")
    assert found.files[1].damage is None
    assert found.complaints == [found.files[0].damage]


def test_shards_that_their_names_promise_are_missed(folder: Path) -> None:
    (folder / "all-00000-of-00002.tfrecord").unlink()
    video_records.write(folder / "val-00002-of-00003", [])
    assert looked_into(folder).complaints == [
        f"{folder}: 1 of the 2 shards all-*-of-00002.tfrecord are there",
        f"{folder}: 1 of the 3 shards val-*-of-00003 are there",
    ]


def test_shards_of_others_are_found_by_their_names(tmp_path: Path) -> None:
    for name in ("a.tfrecord", "b.tfrecords", "kinetics_700_train_25fps_rgb_flow-00000-of-00001", "c.tfrec", "d.csv"):
        video_records.write(tmp_path / name, [video_records.record(name)])
    assert [clip.id for clip in looked_into(tmp_path).clips] == [
        "a.tfrecord",
        "b.tfrecords",
        "c.tfrec",
        "kinetics_700_train_25fps_rgb_flow-00000-of-00001",
    ]


def test_a_file_may_have_any_name(tmp_path: Path) -> None:
    assert [
        clip.id for clip in looked_into(video_records.write(tmp_path / "any", [video_records.record("a")])).clips
    ] == ["a"]


@pytest.mark.parametrize(
    ("content", "message"), [("{half", r"no manifest that can be read"), ("[1]", "no manifest, but a list")]
)
def test_a_damaged_manifest_is_a_problem_and_no_end(folder: Path, content: str, message: str) -> None:
    (folder / "manifest.json").write_text(content)
    found = looked_into(folder)
    assert len(found.clips) == 3
    (problem,) = found.problems
    assert problem.startswith(f"{folder}/manifest.json: {message}")


def test_a_folder_without_shards_and_no_folder_at_all_are_errors(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").touch()
    with pytest.raises(RecordError, match=r"holds no shard; their names end in \.tfrecord"):
        looked_into(tmp_path)
    with pytest.raises(RecordError, match="absent: no such file or folder; a TFRecord file is wanted"):
        looked_into(tmp_path / "absent")


def test_remote_folders_and_shards_are_read_alike(folder: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    remote = fsspec.filesystem("memory")
    for path in folder.glob("all*"):
        remote.pipe_file(f"/survey/{path.name}", path.read_bytes())
    found = Survey()
    files = survey.files_of(["memory://survey", "memory://survey/all-00001-of-00002.tfrecord"], found)
    for path in files:
        survey.look_into(path, found)
    assert [clip.id for clip in found.clips] == ["a", "b", "c", "c"]
    with pytest.raises(StorageError):
        survey.files_of(["memory://nowhere"], Survey())
