import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from keras_i3d import cli
from keras_i3d.commands import demo
from keras_i3d.protocol import short_side_for

COMMAND = Path(sys.executable).with_name("keras-i3d")


def run(*arguments: object, cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run([COMMAND, "demo", *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.by_hand
def test_the_demo_leaves_a_report_and_its_numbers_repeat(tmp_path: Path) -> None:
    results = []
    for name in ("a", "b"):
        done = run("--output", name, "--epochs", "1", "--clips-per-class", "2", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr, done.stderr
        assert "top-1 on 8 unseen videos of 8 classes:" in done.stdout
        assert (tmp_path / name / "report.html").stat().st_size > 100_000
        assert (tmp_path / name / "served/1/saved_model.pb").is_file()
        results.append(json.loads((tmp_path / name / "result.json").read_text()))
    assert results[0] == results[1]
    assert set(results[0]["networks"]) == {"I3D", "per-frame"}

    again = run("--output", "a", "--epochs", "1", "--clips-per-class", "2", cwd=tmp_path)  # nothing is left to do
    assert again.returncode == 0, again.stderr
    assert json.loads((tmp_path / "a/result.json").read_text()) == results[0]
    assert [path.name for path in (tmp_path / "a/served").iterdir()] == ["1"]


@pytest.mark.slow
def test_the_demo_runs_on_ones_own_videos(motion_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(motion_folder, tmp_path / "videos")
    (tmp_path / "videos/train/grows/bad.mp4").write_bytes(b"no video")
    done = run("--videos", "videos", "--output", "mine", "--epochs", "1", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "skipped train/grows/bad.mp4: " in done.stderr
    assert "top-1 on 8 unseen videos of 8 classes:" in done.stdout
    assert not (tmp_path / "mine/videos").exists()


def test_the_records_need_no_resizing_for_the_recipe() -> None:
    assert short_side_for(demo.RECIPE.size) == demo.SHORT_SIDE


def test_no_class_of_the_demo_is_mirrored() -> None:
    assert not demo.RECIPE.flips


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--clips-per-class", "0"], 2, "clips-per-class must be at least 1, got 0"),
        (["--epochs", "0"], 2, "epochs must be at least 1, got 0"),
        (["--videos", "absent"], 1, "absent: cannot be read as a folder (No such file or directory)"),
    ],
)
def test_a_wrong_argument_is_one_line_and_leaves_nothing(
    tmp_path, monkeypatch, capsys, arguments, code, message
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["demo", *arguments]) == code
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_videos_without_a_test_split_are_refused_before_training(motion_folder, tmp_path, capsys) -> None:
    (tmp_path / "videos").mkdir()
    shutil.copytree(motion_folder / "train", tmp_path / "videos/train")
    assert cli.main(["demo", "--videos", str(tmp_path / "videos"), "--output", str(tmp_path / "out")]) == 1
    assert "videos: no video for the split test; put videos into folders train/CLASS" in capsys.readouterr().err
    assert not (tmp_path / "out/i3d").exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path, monkeypatch, capsys) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    assert cli.main(["demo", "--output", str(tmp_path)]) == 1
    assert "holds files that are no run of this command" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
