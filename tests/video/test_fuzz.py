"""Videos damaged in every way give frames or a VideoError, in bounded memory, and never take the process down."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import damaged_videos
import pytest
from damaged_videos import DAMAGES, damaged, write_damaged
from numbered_videos import write_at

TWENTY = range(0, 800, 40)
COUNT = 65  # five of each kind of damage
MEMORY_MB = 400  # the decoders and numpy take about 80


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    fast = {"options": {"movflags": "faststart"}}
    write_at(folder / "a.mp4", "libx264", TWENTY, **fast)
    write_at(folder / "b.avi", "mpeg4", TWENTY, audio_s=0.8)
    write_at(folder / "c.mkv", "libx264", TWENTY)
    write_at(folder / "d.webm", "libvpx-vp9", TWENTY)
    write_at(folder / "e.ts", "mpeg2video", TWENTY)
    write_at(folder / "f.gif", "gif", TWENTY, pix_fmt="rgb8")
    write_at(folder / "g.mov", "png", TWENTY)
    return folder


def test_every_damaged_file_gives_frames_or_an_error_of_ours(videos: Path, tmp_path: Path) -> None:
    assert write_damaged(videos, tmp_path / "damaged", COUNT, seed=0) == COUNT
    command = [sys.executable, damaged_videos.__file__, str(tmp_path / "damaged")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    assert run.returncode == 0, f"{lines[-1]}\n{run.stderr}"
    results = [line for line in lines if "file" in line]
    assert len(results) == COUNT
    kinds = Counter(result["outcome"].split(":")[0] for result in results)
    assert set(kinds) == {"frames", "VideoError", "TruncatedVideo"}, kinds
    assert all(result["frames"] for result in results if result["outcome"] == "frames")
    assert lines[-1]["peak_mb"] < MEMORY_MB


def test_damage_is_drawn_from_its_seed(videos: Path) -> None:
    contents = {path.name: path.read_bytes() for path in videos.iterdir()}
    first, again, other = (list(damaged(contents, 30, seed)) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert {name.split("-")[1] for name, _ in first} == set(DAMAGES)
    assert len({name for name, _ in first}) == 30


def test_the_tool_writes_the_same_copies(videos: Path, tmp_path: Path) -> None:
    tool = Path(__file__).parents[2] / "tools" / "fuzz_videos.py"
    options = ["--videos", videos, "--output", tmp_path / "out", "--count", "14", "--seed", "3"]
    subprocess.run([sys.executable, tool, *map(str, options)], check=True)
    contents = {path.name: path.read_bytes() for path in videos.iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == dict(damaged(contents, 14, 3))
