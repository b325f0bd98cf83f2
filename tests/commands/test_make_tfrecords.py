import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from keras_i3d import cli
from keras_i3d.errors import MissingDependency
from keras_i3d.records import manifest

TOOL = Path(__file__).parents[2] / "tools" / "make_tfrecords.py"


@pytest.fixture
def videos(motion_folder, tmp_path) -> Path:
    """Return a folder of two classes with two videos each, not split."""
    for name in ("grows", "shrinks"):
        (tmp_path / "videos" / name).mkdir(parents=True)
        for number, split in enumerate(("train", "val")):
            shutil.copy(motion_folder / split / name / "000.mp4", tmp_path / "videos" / name / f"{number}.mp4")
    return tmp_path / "videos"


def run(*arguments: object) -> int:
    return cli.main(["make-tfrecords", "--short-side", "32", "--workers", "0", *map(str, arguments)])


def table_of(videos: Path, *lines: str) -> Path:
    path = videos.parent / "clips.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_tool_and_the_command_write_the_same_bytes(videos, tmp_path, capsys) -> None:
    assert run("--folder", videos, "--output", tmp_path / "a") == 0
    assert "records of 2 classes" in capsys.readouterr().out
    tool = [sys.executable, TOOL, "--short-side", "32", "--folder", videos, "--output", tmp_path / "b"]
    subprocess.run(tool, check=True, capture_output=True)  # with as many workers as there are cores
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "b").iterdir())
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_a_table_cuts_segments_and_names_splits(videos, tmp_path) -> None:
    table = table_of(
        videos,
        "path,label,start_s,end_s,split",
        "videos/grows/0.mp4,up,0,0.2,train",
        "videos/grows/0.mp4,up,0.2,,test",
        "videos/shrinks/0.mp4,down,,,train",
    )
    assert run("--csv", table, "--output", tmp_path / "records", "--flow", "tvl1") == 0
    made = manifest.read(tmp_path / "records")
    assert made.records == {"train": 2, "test": 1}
    assert made.longest == 12
    assert made.settings["flow"] == "tvl1"
    assert (tmp_path / "records/labels.txt").read_text() == "down\nup\n"


def test_a_table_of_several_labels_is_read_back_with_all_of_them(videos, tmp_path, capsys) -> None:
    import tensorflow as tf

    from keras_i3d.records import schema
    from keras_i3d.records.selection import select
    from keras_i3d.records.survey import Survey, files_of, look_into

    names = ("a longer name than the others have", "grows", "moves")
    table = table_of(
        videos,
        "path,label,split",
        f"videos/grows/0.mp4,moves;{names[0]};grows,train",
        "videos/grows/1.mp4,,train",
        "videos/shrinks/0.mp4,grows,train",
    )
    assert run("--csv", table, "--multi-label", "--dry-run") == 0
    assert "labels of a clip: 1.3 in the mean, at most 3" in capsys.readouterr().out
    assert run("--csv", table, "--multi-label", "--output", tmp_path / "records") == 0
    assert (tmp_path / "records/labels.txt").read_text().splitlines() == list(names)
    assert json.loads((tmp_path / "records/manifest.json").read_text())["dataset"]["multi_label"] is True
    chosen = select(tmp_path / "records", "train")
    assert (chosen.multi_label, chosen.records, chosen.without_label) == (True, 3, 0)
    survey = Survey()
    for path in files_of([str(tmp_path / "records")], survey):
        look_into(path, survey)
    found = {clip.id: dict(zip(clip.label_indices, clip.label_names, strict=True)) for clip in survey.clips}
    expected = {2: "moves", 0: names[0], 1: "grows"}
    assert found == {"videos/grows/0.mp4": expected, "videos/grows/1.mp4": {}, "videos/shrinks/0.mp4": {1: "grows"}}
    capsys.readouterr()
    assert cli.main(["inspect", str(tmp_path / "records")]) == 0
    assert f"2 moves, 0 {names[0]}" in capsys.readouterr().out
    parsed = [schema.parse(one, ["rgb"], label_classes=3) for one in tf.data.TFRecordDataset(chosen.paths)]
    hot = {one["id"].numpy().decode(): one["label"].numpy().tolist() for one in parsed}
    assert hot == {name: [float(index in labels) for index in range(3)] for name, labels in found.items()}


def test_charades_has_several_labels_without_being_told(videos, tmp_path) -> None:
    from keras_i3d.records.selection import select

    lists = videos.parent / "Charades"
    lists.mkdir()
    (lists / "Charades_v1_classes.txt").write_text("c000 Growing\nc001 Moving\n")
    for part, rows in (("train", "0,c001 0.0 0.3;c000 0.1 0.4"), ("test", "1,")):
        (lists / f"Charades_v1_{part}.csv").write_text(f"id,actions\n{rows}\n")
    assert run("--charades", videos / "grows", "--annotations", lists, "--output", tmp_path / "records") == 0
    made = manifest.read(tmp_path / "records")
    assert (made.dataset["name"], made.multi_label, made.records) == ("charades", True, {"train": 1, "test": 1})
    assert select(tmp_path / "records", "test").multi_label
    assert (tmp_path / "records/labels.txt").read_text() == "Growing\nMoving\n"


def test_flow_is_off_by_default(videos, tmp_path) -> None:
    run("--folder", videos, "--output", tmp_path / "records")
    assert manifest.read(tmp_path / "records").settings["flow"] == "none"


@pytest.mark.parametrize("kind", ["text", "empty", "truncated", "frameless"])
def test_a_bad_video_is_skipped_listed_and_told_by_the_exit_code(videos, tmp_path, capsys, kind) -> None:
    bad = videos / "grows" / "bad.mp4"
    good = (videos / "grows" / "0.mp4").read_bytes()
    if kind == "frameless":
        from keras_i3d.extras import import_extra

        av = import_extra("av")
        with av.open(str(bad), "w") as container:
            stream = container.add_stream("aac", rate=44100, layout="mono")
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            silence.rate = 44100
            container.mux([*stream.encode(silence), *stream.encode(None)])
    else:
        bad.write_bytes({"text": b"not a video" * 99, "empty": b"", "truncated": good[: len(good) // 2]}[kind])
    assert run("--folder", videos, "--output", tmp_path / "records") == 3
    error = capsys.readouterr().err
    assert "skipped grows/bad.mp4: " in error and str(bad) in error
    written = json.loads((tmp_path / "records/manifest.json").read_text())
    assert sum(written["records"].values()) == 4
    assert list(written["skipped"]) == ["grows/bad.mp4"]


def test_the_same_command_again_changes_nothing(videos, tmp_path) -> None:
    def times() -> dict[str, int]:
        files = (tmp_path / "records").iterdir()
        return {path.name: path.stat().st_mtime_ns for path in files if path.name != "run.json"}  # which the lock is on

    run("--folder", videos, "--output", tmp_path / "records")
    before = times()
    assert run("--folder", videos, "--output", tmp_path / "records") == 0
    assert before == times()


def test_a_folder_that_cannot_be_read_is_named(videos, tmp_path, open_folder, as_nobody, capsys) -> None:
    assert run("--folder", tmp_path / "absent", "--output", tmp_path / "records") == 1
    assert "absent: cannot be read as a folder (No such file or directory)" in capsys.readouterr().err
    (open_folder / "locked").mkdir(mode=0o000)
    with as_nobody():
        assert run("--folder", open_folder / "locked", "--output", open_folder / "records") == 1
    assert "locked: cannot be read as a folder (Permission denied)" in capsys.readouterr().err
    assert not (tmp_path / "records").exists()


@pytest.mark.parametrize(
    ("header", "line", "message"),
    [
        ("path,start_s", "a.mp4,1", "the header lacks the column label; columns are path,label,start_s,end_s,split"),
        ("path,label,split", "a.mp4,up,dev", "line 2: unknown split 'dev'; splits are train, val, test"),
        ("path,label", "a.mp4,sideways", "unknown class 'sideways'; the classes are down, up"),
    ],
)
def test_a_wrong_table_is_one_line_that_names_the_place(videos, tmp_path, capsys, header, line, message) -> None:
    (tmp_path / "labels.txt").write_text("down\nup\n")
    table = table_of(videos, header, line)
    assert run("--csv", table, "--output", tmp_path / "r", "--labels", tmp_path / "labels.txt") == 1
    error = capsys.readouterr().err
    assert message in error and "clips.csv" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "r").exists()


def test_when_no_clip_can_be_written_nothing_is_left(tmp_path, capsys) -> None:
    (tmp_path / "videos/grows").mkdir(parents=True)
    (tmp_path / "videos/grows/a.mp4").write_bytes(b"x")
    assert run("--folder", tmp_path / "videos", "--output", tmp_path / "records") == 1
    assert "not one of 1 clips could be written; the first, grows/a.mp4: " in capsys.readouterr().err
    assert not (tmp_path / "records").exists()


def test_an_output_folder_of_other_settings_or_things_is_left_alone(videos, tmp_path, capsys) -> None:
    run("--folder", videos, "--output", tmp_path / "records")
    assert run("--folder", videos, "--output", tmp_path / "records", "--fps", "10") == 1
    assert "holds a run of `make-tfrecords` with other settings (fps 25.0 there, 10.0 asked)" in capsys.readouterr().err
    shutil.copy(videos / "grows/0.mp4", videos / "grows/9.mp4")
    assert run("--folder", videos, "--output", tmp_path / "records") == 1
    assert "other settings (clips 4 there, 5 asked, dataset" in capsys.readouterr().err
    (tmp_path / "home").mkdir()
    (tmp_path / "home/thesis.txt").write_text("x")
    assert run("--folder", videos, "--output", tmp_path / "home") == 1
    assert "home: holds files that are no run of this command" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["thesis.txt"]


def test_a_missing_package_is_named_with_the_pip_line(videos, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    assert run("--folder", videos, "--output", tmp_path / "records") == 1
    assert "pip install 'keras-i3d[video]'" in capsys.readouterr().err
    assert issubclass(MissingDependency, ImportError)
    assert not (tmp_path / "records").exists()


def test_two_sources_are_wrong_usage() -> None:
    with pytest.raises(SystemExit) as caught:
        run("--folder", "a", "--csv", "b", "--output", "c")
    assert caught.value.code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--folder", "x"], "--output is wanted: the folder for the shards"),
        (["--output", "x"], "a source is wanted: one of --folder, --csv, --ucf101, --hmdb51, --kinetics, --charades"),
        (["--folder", "x", "--output", "y", "--annotations", "z"], "--annotations belongs to --ucf101"),
        (["--folder", "x", "--output", "y", "--trimmed"], "--trimmed belongs to --kinetics, got --folder"),
        (["--ucf101", "x", "--output", "y", "--annotations", "a", "b"], "--ucf101 takes one folder of --annotations"),
        (["--folder", "x", "--output", "y", "--multi-label"], "--multi-label belongs to --csv, got --folder"),
    ],
)
def test_what_is_missing_or_out_of_place_is_named(capsys, arguments, message) -> None:
    assert run(*arguments) == 2
    assert message in capsys.readouterr().err


def test_a_dry_run_says_what_was_found_and_writes_nothing(videos, tmp_path, capsys) -> None:
    assert run("--folder", videos, "--output", tmp_path / "records", "--dry-run") == 0
    assert "folder: 4 clips of 4 videos, 2 classes" in capsys.readouterr().out
    assert run("--folder", videos, "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["class_names"] == ["grows", "shrinks"]
    assert not (tmp_path / "records").exists()


def ucf101_of(videos: Path, folder: Path) -> Path:
    """Return UCF-101 in small: two classes of two videos, three splits, and a video that is not there."""
    lists = folder / "ucfTrainTestlist"
    lists.mkdir(parents=True)
    (lists / "classInd.txt").write_text("1 Grows\n2 Shrinks\n")
    names = []
    for name in ("Grows", "Shrinks"):
        (folder / "UCF-101" / name).mkdir(parents=True)
        for number in (0, 1):
            names.append(f"{name}/v_{name}_g0{number + 1}_c01.avi")
            shutil.copy(videos / name.lower() / f"{number}.mp4", folder / "UCF-101" / names[-1])
    for split in (1, 2, 3):
        train = names[::2] if split == 1 else names[1::2]
        absent = ["Grows/v_Grows_g09_c01.avi"]
        lines = [f"{name} {1 + (name[0] == 'S')}\n" for name in (*train, *absent)]
        (lists / f"trainlist0{split}.txt").write_text("".join(lines))
        (lists / f"testlist0{split}.txt").write_text("".join(f"{name}\n" for name in names if name not in train))
    return folder


def test_a_video_of_three_splits_is_written_once_and_read_by_each(videos, tmp_path, capsys) -> None:
    from keras_i3d.clips.pipeline import whole_videos
    from keras_i3d.records.selection import select

    assert run("--ucf101", ucf101_of(videos, tmp_path / "ucf"), "--output", tmp_path / "records") == 3
    output = capsys.readouterr()
    assert "2 train1, 2 test1, 2 train2, 2 test2, 2 train3, 2 test3 records of 2 classes" in output.out
    assert "missing" in output.err and "v_Grows_g09_c01" in output.err
    assert len(list((tmp_path / "records").glob("*.tfrecord"))) == 1
    for split, number in (("train", 1), ("train1", 1), ("test1", 2), ("train3", 2), ("test3", 1)):
        chosen = select(tmp_path / "records", split)
        read = [(int(label), name.decode()) for _, label, name in whole_videos(chosen, size=28).as_numpy_iterator()]
        names = [f"{name}/v_{name}_g0{number}_c01.avi" for name in ("Grows", "Shrinks")]
        assert sorted(read) == list(enumerate(names)), split


def test_shards_are_compared_with_the_manifest(videos, tmp_path, capsys) -> None:
    run("--folder", videos, "--output", tmp_path / "records")
    capsys.readouterr()
    assert run("--output", tmp_path / "records", "--verify") == 0
    assert "all is as the manifest says, shards: 1" in capsys.readouterr().out
    shard = next((tmp_path / "records").glob("train-*"))
    shard.write_bytes(shard.read_bytes()[:-1])
    assert run("--output", tmp_path / "records", "--verify") == 1
    error = capsys.readouterr().err
    assert shard.name in error and "run the command that made them again" in error
    assert run("--output", tmp_path / "records", "--verify", "--json") == 1
    assert len(json.loads(capsys.readouterr().out)["problems"]) == 1
    assert run("--folder", videos, "--output", tmp_path / "records") == 0
    assert run("--output", tmp_path / "records", "--verify") == 0


def test_a_repaired_video_is_tried_again_when_told_to(videos, tmp_path, capsys) -> None:
    (videos / "grows/bad.mp4").write_bytes(b"")
    assert run("--folder", videos, "--output", tmp_path / "records") == 3
    shutil.copy(videos / "grows/0.mp4", videos / "grows/bad.mp4")
    assert run("--folder", videos, "--output", tmp_path / "records") == 3
    capsys.readouterr()
    assert run("--folder", videos, "--output", tmp_path / "records", "--retry-skipped", "--json") == 0
    assert sum(json.loads(capsys.readouterr().out)["records"].values()) == 5


def test_a_stored_video_is_a_fraction_of_the_pictures_and_trains_alike(videos, tmp_path) -> None:
    import numpy as np

    from keras_i3d.clips.pipeline import whole_videos
    from keras_i3d.records.selection import select

    read = {}
    for store in ("frames", "video"):
        run("--folder", videos, "--output", tmp_path / store, "--store", store, "--crf", "1")
        chosen = select(tmp_path / store, "train")
        read[store] = {name: x["rgb"] for x, _, name in whole_videos(chosen, size=28).as_numpy_iterator()}
    sizes = [sum(path.stat().st_size for path in (tmp_path / s).glob("*.tfrecord")) for s in ("frames", "video")]
    assert sizes[1] < 0.5 * sizes[0]
    assert read["frames"].keys() == read["video"].keys()
    for name, frames in read["frames"].items():
        assert np.abs(frames - read["video"][name]).mean() < 0.03  # two lossy codecs


@pytest.mark.parametrize(("option", "value"), [("--fps", "0"), ("--short-side", "0"), ("--workers", "-1")])
def test_a_number_out_of_range_is_named(videos, tmp_path, capsys, option, value) -> None:
    assert run("--folder", videos, "--output", tmp_path / "records", option, value) == 2
    assert f"{option[2:].replace('-', '_')} must be" in capsys.readouterr().err
    assert not (tmp_path / "records").exists()


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_run_leaves_no_worker_and_goes_on(videos, tmp_path, signal_number) -> None:
    for number in range(2, 200):
        shutil.copy(videos / "grows/0.mp4", videos / f"grows/{number}.mp4")
    arguments = ["--folder", str(videos), "--output", str(tmp_path / "records"), "--clips-per-shard", "4"]
    process = subprocess.Popen(
        [sys.executable, TOOL, "--short-side", "32", "--workers", "2", *arguments],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while process.poll() is None and not list((tmp_path / "records").glob("*.tfrecord")):
        time.sleep(0.05)
    process.send_signal(signal_number)
    process.wait()
    for _ in range(200):
        if not workers_of(process.pid):
            break
        time.sleep(0.1)
    assert workers_of(process.pid) == []
    assert run(*arguments) == 0
    assert sum(manifest.read(tmp_path / "records").records.values()) == 202
    assert not list((tmp_path / "records").glob(".writing-*"))


def workers_of(session: int) -> list[str]:
    """Return the processes of a session that still run."""
    listing = subprocess.run(["ps", "-eo", "sid=,stat=,args="], check=True, capture_output=True, text=True).stdout
    rows = [line.split(None, 2) for line in listing.splitlines()]
    return [row[2] for row in rows if row[0] == str(session) and not row[1].startswith("Z")]
