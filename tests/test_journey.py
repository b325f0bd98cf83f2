"""The whole journey through the command line, as the README shows it, on videos of a few frames."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[1] / "tools" / "make_tfrecords.py"
COMMAND = Path(sys.executable).with_name("keras-i3d")
SMALL = ["--frames", "9", "--size", "32", "--epochs", "1", "--batch-size", "4"]


def run(*arguments: object, cwd: Path) -> str:
    done = subprocess.run([*map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and "Warning" not in done.stderr, done.stderr
    return done.stdout


@pytest.mark.slow
def test_from_a_table_of_videos_to_a_served_action(motion_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(motion_folder, tmp_path / "videos")
    lines = ["path,label,start_s,end_s,split"]
    for path in sorted((tmp_path / "videos").rglob("*.mp4")):
        split, name = path.relative_to(tmp_path / "videos").parts[:2]
        lines.append(f"{path.relative_to(tmp_path)},{name},0,0.4,{split}")
    (tmp_path / "clips.csv").write_text("\n".join(lines) + "\n")

    make = [sys.executable, TOOL, "--csv", "clips.csv", "--output", "records/", "--flow", "tvl1", "--short-side", "37"]
    assert "16 train, 8 val, 8 test records of 8 classes" in run(*make, cwd=tmp_path)
    train = [COMMAND, "train", "--records", "records/", "--output", "run/", "--modality", "rgb", *SMALL]
    assert "run/best.keras: epoch 1 of 1" in run(*train, cwd=tmp_path)
    evaluate = [COMMAND, "evaluate", "--model", "run/best.keras", "--records", "records/", "--split", "test", "--json"]
    assert json.loads(run(*evaluate, cwd=tmp_path))["videos"] == 8
    assert run(COMMAND, "export", "--model", "run/best.keras", "--output", "served/", cwd=tmp_path) == "served/1\n"
    video = "videos/test/grows/000.mp4"
    answers = [
        json.loads(run(COMMAND, "predict", video, "--model", model, "--json", cwd=tmp_path))["top"]
        for model in ("served/", "run/best.keras")
    ]
    assert [one["class"] for one in answers[0]] == [one["class"] for one in answers[1]]
    assert [one["probability"] for one in answers[0]] == pytest.approx(
        [one["probability"] for one in answers[1]], abs=1e-5
    )


REAL_CLIPS = {  # file -> (class, seconds)
    "test.avi": ("applying eye makeup", 6),
    "structuralize.mp4": ("shooting a basketball", 10),
    "test.mp4": ("cleaning a pool", 10),
    "v_GGSY1Qvo990.mp4": ("clean and jerk", 18),
    "v_ZNVhz7ctTq0.mp4": ("walking a dog", 14),
}


def segments(folder: Path) -> str:
    """Return a table that cuts each clip into stretches of two seconds: the early ones train, the late ones test."""
    lines = ["path,label,start_s,end_s,split"]
    for name, (label, seconds) in REAL_CLIPS.items():
        starts = range(0, seconds, 2)
        for start in starts:
            split = "train" if start < 0.6 * seconds else "test"
            lines.append(f"{folder / name},{label},{start},{start + 2},{split}")
    return "\n".join(lines) + "\n"


@pytest.mark.slow
@pytest.mark.by_hand
def test_late_segments_of_real_clips_are_told_by_a_network_trained_on_early_ones(
    shared_videos: Path, tmp_path: Path
) -> None:
    (tmp_path / "clips.csv").write_text(segments(shared_videos))
    make = [sys.executable, TOOL, "--csv", "clips.csv", "--output", "records/", "--flow", "tvl1", "--short-side", "73"]
    assert "19 train, 10 test records of 5 classes" in run(*make, cwd=tmp_path)
    small = ["--frames", "16", "--size", "64", "--epochs", "20", "--batch-size", "6"]
    run(COMMAND, "train", "--records", "records/", "--output", "run/", *small, cwd=tmp_path)
    evaluate = [COMMAND, "evaluate", "--model", "run/best.keras", "--records", "records/", "--split", "test", "--json"]
    # ten videos: training on so few swings with its rounding, from eight to all ten; the largest class alone is three
    assert json.loads(run(*evaluate, cwd=tmp_path))["top1"] >= 0.7
    run(COMMAND, "export", "--model", "run/best.keras", "--output", "served/", cwd=tmp_path)
    clip = shared_videos / "test.mp4"
    answer = json.loads(run(COMMAND, "predict", clip, "--model", "served/", "--json", cwd=tmp_path))
    assert answer["frames"] == 250
    assert answer["top"][0]["class"] == "cleaning a pool"
