"""Runs of make-tfrecords that are killed at random moments, and go on.

In small here; at full size by hand: ``KERAS_I3D_KILLS=30 pytest -m slow tests/commands/test_make_tfrecords_killed.py``.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from written_records import contents

from keras_i3d.video.encode import write_video

KILLS = int(os.environ.get("KERAS_I3D_KILLS", "4"))


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return sixty videos of two classes, long enough that a kill meets them in the middle."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(60):
        path = folder / "ab"[number % 2] / f"{number}.mp4"
        path.parent.mkdir(exist_ok=True)
        frames = np.random.default_rng(number).integers(0, 256, (20 + number % 7, 96, 128, 3), np.uint8)
        write_video(path, frames, fps=25)
    return folder


def start(videos: Path, output: Path) -> subprocess.Popen:
    options = ["--short-side", "96", "--flow", "farneback", "--clips-per-shard", "7", "--workers", "2"]
    command = [sys.executable, "-m", "keras_i3d", "make-tfrecords", "--folder", videos, "--output", output, *options]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def children_of(process: subprocess.Popen) -> list[int]:
    listing = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], check=True, capture_output=True, text=True).stdout
    rows = [line.split(None, 2) for line in listing.splitlines()]
    return [int(row[0]) for row in rows if int(row[1]) == process.pid and "spawn_main" in row[2]]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs ps")
def test_a_run_killed_at_any_moment_goes_on_and_gives_the_same_bytes(videos: Path, tmp_path: Path) -> None:
    begun = time.monotonic()
    assert start(videos, tmp_path / "whole").wait() == 0
    seconds, whole = time.monotonic() - begun, contents(tmp_path / "whole")
    whole.pop("run.json")
    moments = random.Random(0)
    met = 0
    for number in range(KILLS):
        output = tmp_path / str(number)
        process, begun = start(videos, output), time.monotonic()
        time.sleep(moments.uniform(0.05, 1) * seconds)
        victims = children_of(process) if number % 2 else []  # every other time a worker, which the run survives
        if process.poll() is None:
            met += 1
            os.kill(moments.choice(victims) if victims else process.pid, signal.SIGKILL)
        else:  # quicker than the first, whose files were not in memory yet
            seconds = min(seconds, time.monotonic() - begun) * 0.9
        status = process.wait()
        if status:
            assert status == -signal.SIGKILL
            assert start(videos, output).wait() == 0
        written = contents(output)
        written.pop("run.json")
        assert written == whole, f"kill number {number}"
    assert met >= KILLS / 2  # or the runs were over before
