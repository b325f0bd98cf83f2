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
from keras_i3d.records import shards

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
    return cli.main(["make-tfrecords", "--short-side", "32", "--workers", "1", *map(str, arguments)])


def table_of(videos: Path, *lines: str) -> Path:
    path = videos.parent / "clips.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_tool_and_the_command_write_the_same_bytes(videos, tmp_path, capsys) -> None:
    assert run("--folder", videos, "--output", tmp_path / "a") == 0
    assert "clips of 2 classes" in capsys.readouterr().out
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
    manifest = shards.read_manifest(tmp_path / "records")
    assert manifest.clips == {"train": 2, "test": 1}
    assert manifest.longest == 12
    assert manifest.settings["flow"] == "tvl1"
    assert (tmp_path / "records/labels.txt").read_text() == "down\nup\n"


def test_flow_is_off_by_default(videos, tmp_path) -> None:
    run("--folder", videos, "--output", tmp_path / "records")
    assert shards.read_manifest(tmp_path / "records").settings["flow"] == "none"


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
    manifest = json.loads((tmp_path / "records/manifest.json").read_text())
    assert sum(manifest["clips"].values()) == 4
    assert [clip for clip, _ in manifest["skipped"]] == ["grows/bad.mp4"]


def test_the_same_command_again_changes_nothing(videos, tmp_path) -> None:
    run("--folder", videos, "--output", tmp_path / "records")
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "records").iterdir()}
    assert run("--folder", videos, "--output", tmp_path / "records") == 0
    assert before == {path.name: path.stat().st_mtime_ns for path in (tmp_path / "records").iterdir()}


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
    assert "other settings (dataset" in capsys.readouterr().err
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


@pytest.mark.parametrize("arguments", [[], ["--folder", "x"], ["--folder", "a", "--csv", "b", "--output", "c"]])
def test_wrong_usage_exits_with_2(arguments) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert caught.value.code == 2


@pytest.mark.parametrize(("option", "value"), [("--fps", "0"), ("--short-side", "0"), ("--workers", "0")])
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
    assert sum(shards.read_manifest(tmp_path / "records").clips.values()) == 202
    assert not list((tmp_path / "records").glob(".writing-*"))


def workers_of(session: int) -> list[str]:
    """Return the processes of a session that still run."""
    listing = subprocess.run(["ps", "-eo", "sid=,stat=,args="], check=True, capture_output=True, text=True).stdout
    rows = [line.split(None, 2) for line in listing.splitlines()]
    return [row[2] for row in rows if row[0] == str(session) and not row[1].startswith("Z")]
