import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from written_records import context, examples, ids

from keras_i3d.datasets.dataset import LabelledClip
from keras_i3d.errors import StorageError
from keras_i3d.records.clip_file import ClipReport, ClipTask, file_stem, write
from keras_i3d.records.messages import values_of
from keras_i3d.records.settings import RecordSettings
from keras_i3d.video.decode import read_frames
from keras_i3d.video.encode import write_video

SETTINGS = RecordSettings(short_side=16)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return 50 frames, two seconds."""
    path = tmp_path_factory.mktemp("video") / "a.mp4"
    blocks = np.random.default_rng(0).integers(100, 140, (50, 2, 3, 3), np.uint8)
    write_video(path, blocks.repeat(8, axis=1).repeat(8, axis=2), fps=25)
    return path


def task(folder: Path, video: Path | str, settings: RecordSettings = SETTINGS, **clip) -> ClipTask:
    labelled = LabelledClip(str(video), "a/a.mp4", "a", ("train",))
    return ClipTask(replace(labelled, **clip), 3, "folder", settings, str(folder))


def frames_of(example) -> int:
    return len(example.feature_lists.feature_list["image/encoded"].feature)


def test_a_clip_becomes_records_and_a_report(video: Path, tmp_path: Path) -> None:
    seen = []
    one = task(tmp_path, video)
    report = write(one, lambda: seen.append(1))
    (example,) = examples(one.records_path)
    assert report.frames == (50,) and len(seen) == 50
    assert report.size == Path(one.records_path).stat().st_size
    assert ClipReport.from_json(json.loads(Path(one.report_path).read_text())) == report
    assert frames_of(example) == 50
    assert context(example, "clip/label/index") == 3
    assert context(example, "clip/data_path") == "a/a.mp4"


def test_every_label_of_a_clip_is_written(video: Path, tmp_path: Path) -> None:
    one = replace(task(tmp_path, video, further_labels=("c", "b")), further_indices=(5, 4))
    write(one)
    (example,) = examples(one.records_path)
    assert values_of(example.context.feature["clip/label/index"]) == [3, 5, 4]
    assert values_of(example.context.feature["clip/label/string"]) == [b"a", b"c", b"b"]


def test_stretches_are_cut_out_and_stamped(video: Path, tmp_path: Path) -> None:
    one = task(tmp_path, video, start_s=0.07, end_s=0.19)
    assert write(one).frames == (3,)
    (example,) = examples(one.records_path)
    assert context(example, "example/id") == one.clip.id
    assert context(example, "clip/start/timestamp") == 70_000


@pytest.mark.parametrize(
    ("record_s", "frames"),
    [(3, (50,)), (2, (50,)), (1.96, (49, 1)), (1, (25, 25)), (0.8, (20, 20, 10)), (0.04, (1,) * 50)],
)
@pytest.mark.parametrize("store", ["frames", "video"])
def test_a_long_video_becomes_several_records(
    video: Path, tmp_path: Path, record_s: float, frames: tuple[int, ...], store: str
) -> None:
    one = task(tmp_path, video, replace(SETTINGS, record_s=record_s, store=store, short_side=16))
    report = write(one)
    assert report.frames == frames
    parts = examples(one.records_path)
    times = [t for e in parts for f in e.feature_lists.feature_list["image/timestamp"].feature for t in values_of(f)]
    assert times == [40_000 * index for index in range(50)]
    names = ids(one.records_path)
    assert len(set(names)) == len(frames)
    if len(frames) > 1:
        assert names == [f"a/a.mp4#{number + 1}" for number in range(len(frames))]


def test_flow_goes_on_from_record_to_record(video: Path, tmp_path: Path) -> None:
    key = "FORWARD_FLOW/image/encoded"
    fields = []
    for record_s in (9.0, 1.0):
        settings = replace(SETTINGS, record_s=record_s, flow="dis", short_side=32)
        one = task(tmp_path / str(record_s), video, settings, end_s=1.4)
        (tmp_path / str(record_s)).mkdir()
        write(one)
        lists = [example.feature_lists.feature_list[key].feature for example in examples(one.records_path)]
        fields.append([value for features in lists for one in features for value in values_of(one)])
    assert len(fields[0]) == 35
    assert fields[0] == fields[1]


def test_a_stored_video_has_all_frames_nearly_as_they_were(video: Path, tmp_path: Path) -> None:
    one = task(tmp_path, video, replace(SETTINGS, store="video", crf=0))
    write(one)
    (example,) = examples(one.records_path)
    kept = read_frames(context_bytes(example), fps=None, short_side=None)
    assert kept.shape == (50, 16, 24, 3)
    original = read_frames(video, fps=None, short_side=None)
    assert np.abs(kept.astype(int) - original).mean() < 2  # colours at half resolution bleed over the blocks' edges
    assert "image/encoded" not in example.feature_lists.feature_list


def context_bytes(example) -> bytes:
    return values_of(example.context.feature["clip/encoded_media_bytes"])[0]


def test_an_untouched_video_is_the_file(video: Path, tmp_path: Path) -> None:
    settings = replace(SETTINGS, store="video", video_coding="untouched", flow="farneback", record_s=0.5)
    one = task(tmp_path, video, settings, start_s=0.4, end_s=1.0)
    assert write(one).frames == (15,)
    (example,) = examples(one.records_path)
    assert context_bytes(example) == video.read_bytes()
    assert context(example, "clip/start/timestamp") == 400_000
    assert context(example, "clip/encoded_media_start_timestamp") == 0
    assert len(example.feature_lists.feature_list["FORWARD_FLOW/image/encoded"].feature) == 15


@pytest.mark.parametrize("content", [b"", b"no video" * 100])
def test_a_bad_video_leaves_a_report_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.mp4").write_bytes(content)
    one = task(tmp_path, tmp_path / "bad.mp4")
    report = write(one)
    assert report.frames == () and str(tmp_path / "bad.mp4") in report.skipped
    assert "\n" not in report.skipped
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([Path(one.report_path).name, "bad.mp4"])


def test_a_truncated_video_is_skipped_or_kept_and_told(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    write_video(path, np.random.default_rng(0).integers(0, 256, (50, 64, 64, 3), np.uint8), fps=25)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert write(task(tmp_path, path)).skipped
    kept = write(task(tmp_path, path, replace(SETTINGS, keep_truncated=True)))
    assert kept.skipped is None
    assert 5 < kept.frames[0] < 45
    assert str(path) in kept.damaged


def test_every_clip_has_a_file_of_its_own_whatever_its_name() -> None:
    names = ["a/a.mp4", "a_a.mp4", "a/a.mp4 ", "ü", "x" * 5000, "a/caf\udce9.mp4", "../../etc", ""]
    stems = {file_stem(LabelledClip("p", name, "a", ("train",))) for name in names}
    assert len(stems) == len(names)
    assert all(len(stem) == 32 and stem.isalnum() for stem in stems)
    assert file_stem(LabelledClip("p", "a", "a", ("train",), 0.0, 1.0)) not in stems


def test_a_folder_that_cannot_be_written_is_no_fault_of_the_video(video: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="absent"):
        write(task(tmp_path / "absent", video))


@pytest.mark.parametrize(
    "settings",
    [{"short_side": 256}, {"short_side": 256, "store": "video"}, {"short_side": 2, "flow": "dis"}],
    ids=["jpeg", "h264", "dis"],
)
def test_frames_of_a_size_that_cannot_be_stored_are_an_error_of_the_video_alone(tmp_path: Path, settings: dict) -> None:
    path = tmp_path / "thin.mp4"
    write_video(path, np.zeros((3, 4, 2000 if settings["short_side"] > 9 else 8, 3), np.uint8), fps=25)
    report = write(task(tmp_path, path, replace(SETTINGS, **settings)))
    assert "cannot be stored (" in report.skipped or "flow of its frames cannot be computed (" in report.skipped
    assert not list(tmp_path.glob("*.tfrecord"))
