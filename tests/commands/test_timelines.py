"""`keras-i3d predict --timeline`, and `keras-i3d predict -` on a pipe."""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import serving_double
from moving_textures import moving_texture

from keras_i3d import cli
from keras_i3d.commands import timelines
from keras_i3d.serving.export import export
from keras_i3d.serving.timeline import Timeline
from keras_i3d.video import encode
from keras_i3d.video.windows import Sliding

WINDOWS = ("--window", "9", "--stride", "3")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Return a folder of three videos, two of them of one name, of different sizes and lengths, and of other files."""
    folder = tmp_path_factory.mktemp("videos")
    for name, shape in {"a.mp4": (30, 32, 48), "in/a.mp4": (12, 48, 32), "in/b.MP4": (5, 32, 32)}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(encode.encode_video(moving_texture(*shape), fps=25))
    (folder / "notes.txt").write_text("no video")
    return folder


def told(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_table_tells_the_classes_over_time(folder, models, capsys) -> None:
    arguments = ["predict", str(folder / "a.mp4"), "--model", models["rgb"], "--timeline", *WINDOWS]
    assert cli.main([*arguments, "--json"]) == 0
    (result,) = told(capsys)
    assert (result["video"], result["frames"], len(result["windows"])) == (str(folder / "a.mp4"), 30, 8)
    assert cli.main(arguments) == 0
    captured = capsys.readouterr()
    head, *lines = captured.out.splitlines()
    assert head == f"{folder / 'a.mp4'}: 0:01.2, 8 windows of 0.36 s"
    assert len(lines) == len(result["segments"])
    for line, segment in zip(lines, result["segments"], strict=True):
        assert re.match(r"  0:0\d\.\d - 0:0\d\.\d  ", line)
        assert segment["class"] in line
        assert f"{segment['top'][0]['probability']:.0%}" in line
    assert "8/8" in captured.err  # the number of windows is known beforehand


def test_a_folder_is_searched_and_each_video_has_its_files(folder, models, tmp_path, capsys) -> None:
    output = tmp_path / "out"
    arguments = ["predict", str(folder), "--model", models["rgb"], "--timeline", *WINDOWS, "--output", str(output)]
    assert cli.main(arguments) == 0
    assert capsys.readouterr().out.count(" windows of 0.36 s") + 1 == 3
    names = {f"{name}.{kind}" for name in ("a.mp4", "in/a.mp4", "in/b.MP4") for kind in ("csv", "json", "svg")}
    assert {path.relative_to(output).as_posix() for path in output.rglob("*.*")} == names | {"run.json"}
    with (output / "in/a.mp4.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    result = json.loads((output / "in/a.mp4.json").read_text())
    assert header[:2] == ["start_s", "end_s"]
    assert [[float(row[0]), float(row[1])] for row in rows] == [[0, 0.36], [0.12, 0.48]]
    best = result["windows"][1]["top"][0]
    assert float(rows[1][header.index(best["class"])]) == pytest.approx(best["probability"], abs=1e-5)
    assert ElementTree.parse(output / "a.mp4.svg").getroot().tag.endswith("svg")


def test_without_a_timeline_a_folder_is_searched_too(folder, models, tmp_path, capsys) -> None:
    assert cli.main(["predict", str(folder), "--model", models["rgb"], "--json"]) == 0
    assert [one["video"] for one in told(capsys)] == [str(folder / name) for name in ("a.mp4", "in/a.mp4", "in/b.MP4")]
    (tmp_path / "notes.txt").write_text("no video")
    assert cli.main(["predict", str(tmp_path), "--model", models["rgb"]]) == 1
    assert f"{tmp_path}: no video in this folder (*.3gp, *.avi" in capsys.readouterr().err


def test_a_damaged_video_fails_alone_and_leaves_no_file(folder, models, tmp_path, capsys) -> None:
    shutil.copy(folder / "a.mp4", tmp_path / "good.mp4")
    content = bytearray((folder / "a.mp4").read_bytes())
    content[len(content) // 2 : len(content) // 2 + 5000] = bytes(5000)
    (tmp_path / "bad.mp4").write_bytes(content)
    arguments = ["predict", str(tmp_path), "--model", models["rgb"], "--timeline", "--output", str(tmp_path / "out")]
    assert cli.main([*arguments, "--json"]) == 3
    captured = capsys.readouterr()
    assert [json.loads(line)["video"] for line in captured.out.splitlines()] == [str(tmp_path / "good.mp4")]
    assert f"keras-i3d predict: {tmp_path / 'bad.mp4'}: " in captured.err
    written = {f"good.mp4.{kind}" for kind in ("csv", "json", "svg")}
    assert {path.name for path in (tmp_path / "out").iterdir()} == written | {"run.json"}


def test_nothing_is_written_into_a_folder_of_others(folder, models, tmp_path, capsys) -> None:
    arguments = ["predict", str(folder / "a.mp4"), "--model", models["rgb"], "--timeline", *WINDOWS, "--output"]
    (tmp_path / "a.json").write_text("mine")
    assert cli.main([*arguments, str(tmp_path)]) == 1
    assert "holds files that are no run of this command" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert cli.main([*arguments, str(tmp_path / "out")]) == 0
    assert cli.main([*arguments, str(tmp_path / "out"), "--smoothing-s", "1"]) == 1
    assert "with other settings (smoothing_s" in capsys.readouterr().err


def test_a_server_answers_in_place_of_a_model(folder, models, tmp_path, capsys) -> None:
    export(models["rgb"], tmp_path / "served")
    arguments = ["predict", str(folder), "--timeline", *WINDOWS, "--smoothing-s", "0.3", "--json"]
    assert cli.main([*arguments, "--model", str(tmp_path / "served")]) == 0
    here = told(capsys)
    with serving_double.serve({"actions": tmp_path / "served"}) as double:
        assert cli.main([*arguments, "--server", double.grpc, "--name", "actions", "--in-flight", "2"]) == 0
        there = told(capsys)
        assert cli.main([*arguments, "--server", double.grpc, "--name", "actions", "--window", "2000"]) == 2
        assert "takes windows of at most 1000 frames; got window=2000" in capsys.readouterr().err
    for ours, theirs in zip(here, there, strict=True):
        assert theirs["model"] == f"actions at {double.grpc}"
        assert [one["class"] for one in ours["segments"]] == [one["class"] for one in theirs["segments"]]
        assert [one["start_s"] for one in ours["windows"]] == [one["start_s"] for one in theirs["windows"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.mp4", "--window", "9"], "--window is an option of --timeline"),
        (["a.mp4", "--output", "out"], "--output is an option of --timeline"),
        (["a.mp4", "--smoothing-s", "1"], "--smoothing-s is an option of --timeline"),
        (
            ["a.mp4", "--timeline", "--smoothing-s", "-1"],
            "smoothing_s must be a number of seconds, 0 or more; got -1.0",
        ),
        (["a.mp4", "--timeline", "--threshold", "2"], "threshold must be a probability in [0, 1], got 2.0"),
        (["a.mp4", "--timeline", "--fps", "30"], "--fps is of frames from standard input, VIDEO is then -"),
        (["a.mp4", "--frame-size", "2x2"], "--frame-size is of frames from standard input, VIDEO is then -"),
        (["-"], "tell their size by --frame-size WxH"),
        (["-", "--frame-size", "640"], "--frame-size is width x height in pixels, such as 640x480; got '640'"),
        (["-", "--frame-size", "0x5"], "--frame-size is width x height in pixels, such as 640x480; got '0x5'"),
        (["-", "a.mp4"], "- is standard input, which is read alone"),
        (["-", "--frame-size", "2x2", "--output", "x"], "--output wants a whole video"),
    ],
)
def test_options_that_do_not_fit_are_wrong_usage(arguments: list[str], message: str, capsys) -> None:
    assert cli.main(["predict", *arguments, "--model", "m"]) == 2
    assert message in capsys.readouterr().err


def test_options_that_the_model_refuses_are_wrong_usage(folder, models, capsys) -> None:
    arguments = ["predict", str(folder / "a.mp4"), "--model", models["rgb"], "--timeline"]
    for options, message in (
        (["--window", "0"], "window is a number of frames, at least 1; got 0"),
        (["--stride", "-3"], "stride is a number of frames, at least 1; got -3"),
        (["--window", "5000"], "the model takes windows of at most 1000 frames; got window=5000"),
    ):
        assert cli.main([*arguments, *options]) == 2
        assert message in capsys.readouterr().err


def test_two_videos_are_not_written_to_one_file(folder, models, tmp_path, capsys) -> None:
    twins = [str(folder / "a.mp4"), str(folder / "in/a.mp4")]
    assert cli.main(["predict", *twins, "--model", "m", "--timeline", "--output", str(tmp_path / "out")]) == 2
    message = f"what is written of {twins[0]} and {twins[1]} would both be called 'a.mp4'; give the folder above both"
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def timeline_of(best: list[int], classes: int = 3) -> Timeline:
    logits = np.eye(classes, dtype=np.float32)[best] * 3
    firsts = np.arange(len(best)) * 25
    times = np.stack([firsts, firsts + 25], axis=1) / 25
    names = ("run", "jump", "a class with a name that is much too long for a table")
    return Timeline("a.mp4", "m", names, "softmax", 25.0, 25 * len(best), Sliding(25, 25), times, logits)


def test_a_tables_lines_are_aligned_and_few() -> None:
    lines = timelines.table(timeline_of([0, 0, 1, 2])).splitlines()
    assert lines == [
        "a.mp4: 0:04.0, 4 windows of 1 s",
        "  0:00.0 - 0:02.0  run                                91% █████████▏  jump 5\u00a0%",
        "  0:02.0 - 0:03.0  jump                               91% █████████▏  run 5\u00a0%",
        "  0:03.0 - 0:04.0  a class with a name that is muc…   91% █████████▏  run 5\u00a0%",
    ]
    many = timelines.table(timeline_of([0, 1, 1] * 1300)).splitlines()
    assert len(many) == 42
    assert many[-1].startswith("  and 2560 shorter stretches; --smoothing-s and --threshold make fewer of them")
    starts = [line.split(" - ")[0].strip() for line in many[1:-1]]
    assert starts == sorted(starts, key=lambda time: [int(part) for part in re.split("[:.]", time)])


def test_where_no_class_reaches_the_threshold_none_is_named() -> None:
    _, line = timelines.table(timeline_of([0, 1]), threshold=0.95).splitlines()
    assert re.fullmatch(r"  0:00\.0 - 0:02\.0  - +run 48\u00a0%", line)


# --- a pipe


def test_frames_of_a_pipe_are_named_while_they_come(models, tmp_path) -> None:
    command = [sys.executable, "-m", "keras_i3d", "predict", "-", "--frame-size", "48x32", "--model", models["rgb"]]
    with subprocess.Popen(
        [*command, *WINDOWS, "--top", "2", "--json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=False
    ) as process:
        for count, start_s, end_s in ((9, 0, 0.36), (3, 0.12, 0.48)):
            process.stdin.write(moving_texture(count, 32, 48).tobytes())
            process.stdin.flush()
            found = json.loads(process.stdout.readline())  # comes though the pipe is open
            assert (found["start_s"], found["end_s"], len(found["top"])) == (start_s, end_s, 2)
        process.stdin.write(moving_texture(1, 32, 48).tobytes())
        process.stdin.close()
        last = json.loads(process.stdout.readline())
        assert (last["start_s"], last["end_s"]) == (0.24, 13 / 25)
        assert process.stdout.read() == b""
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "standard input is empty; raw frames (rgb24) are wanted"),
        (
            bytes(2 * 300 + 7),
            "standard input ends within frame 2, after 7 of 300 bytes; are the frames rgb24 of 10x10?",
        ),
    ],
)
def test_a_pipe_that_ends_within_a_frame_is_told(models, monkeypatch, capsys, content: bytes, message: str) -> None:
    monkeypatch.setattr(timelines, "standard_input", lambda: io.BytesIO(content))
    arguments = ["predict", "-", "--frame-size", "10x10", "--fps", "50", "--model", models["rgb"]]
    assert cli.main(arguments) == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"keras-i3d predict: {message}"


def test_a_pipes_lines_tell_times_and_classes(models, monkeypatch, capsys) -> None:
    monkeypatch.setattr(timelines, "standard_input", lambda: io.BytesIO(moving_texture(20, 32, 48).tobytes()))
    arguments = ["predict", "-", "--frame-size", "48x32", "--model", models["rgb"], "--timeline", "--top", "2"]
    assert cli.main([*arguments, *WINDOWS]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:17] for line in lines[:2]] == [" 0:00.0 -  0:00.4", " 0:00.1 -  0:00.5"]
    assert all(line.count("%") == 2 for line in lines)
