"""Runs that are killed, and runs of two processes: the program itself, as users start it.

KERAS_I3D_KILLS: how often the slow test kills its run, 5 times unless said.
"""

import json
import os
import random
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import mirrored_train
import pytest
from equal_runs import assert_equal_runs

# of conftest's tiny_recipe
TINY = ("--frames", "9", "--size", "32", "--epochs", "2", "--batch-size", "4", "--no-flips", "--checkpoint-steps", "1")


def started(
    records: Path, folder: Path, *options: str, program: tuple[str, ...] = ("-m", "keras_i3d"), **environment: str
) -> subprocess.Popen:
    command = [sys.executable, *program, "train", "--records", records, "--output", folder, *TINY, *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, env=os.environ | environment, **pipes)


def ended(*processes: subprocess.Popen) -> list[str]:
    """Wait until processes end as they should; returns what each wrote to standard error."""
    try:
        outputs = [process.communicate(timeout=400) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, (_, error) in zip(processes, outputs, strict=True):
        assert process.returncode == 0, error
    return [error for _, error in outputs]


def steps(folder: Path) -> int:
    path = folder / "steps.csv"
    return path.read_bytes().count(b"\n") - 1 if path.is_file() else 0


def kill(folder: Path, step: int, *processes: subprocess.Popen) -> None:
    """Kill a run somewhere behind a step: in a step, or while its state is written."""
    while steps(folder) < step:
        for process in processes:
            assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    time.sleep(random.uniform(0, 0.5))
    for process in processes:
        assert process.poll() is None
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_as_if_it_had_not_been(records, run_folder, tmp_path) -> None:
    kill(tmp_path / "run", random.randint(1, 6), started(records, tmp_path / "run"))
    assert not (tmp_path / "run/last.keras").exists()
    ended(started(records, tmp_path / "run"))
    assert_equal_runs(tmp_path / "run", run_folder)


@pytest.mark.slow
@pytest.mark.by_hand
def test_a_run_may_be_killed_again_and_again(records, run_folder, tmp_path) -> None:
    kills = int(os.environ.get("KERAS_I3D_KILLS", "5"))
    for step in sorted(random.choices(range(1, 8), k=kills)):
        kill(tmp_path / "run", step, started(records, tmp_path / "run"))
    ended(started(records, tmp_path / "run"))
    assert_equal_runs(tmp_path / "run", run_folder)


def workers(records: Path, folder: Path, *options: str) -> list[subprocess.Popen]:
    """Start two processes that train together, over loopback."""
    sockets = [socket.socket() for _ in range(2)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    members = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    told = [{"cluster": {"worker": members}, "task": {"type": "worker", "index": index}} for index in range(2)]
    return [started(records, folder, *options, TF_CONFIG=json.dumps(one)) for one in told]


def losses(folder: Path) -> list[float]:
    return [float(line.split(",")[1]) for line in (folder / "steps.csv").read_text().splitlines()[1:]]


@pytest.mark.slow
def test_two_processes_train_a_network_as_one_with_the_whole_batch(records, tmp_path) -> None:
    # without dropout, which draws other numbers for each slice of a batch
    options = ("--batch-size", "8", "--dropout-rate", "0", "--optimiser", "sgd", "--learning-rate", "0.0001")
    ended(started(records, tmp_path / "one", *options))
    errors = ended(*workers(records, tmp_path / "two", *options))
    epochs = [re.findall("^epoch.*val top-1.*$", error, re.MULTILINE) for error in errors]
    assert epochs[0] == epochs[1] and len(epochs[0]) == 2
    assert {path.name for path in (tmp_path / "one").iterdir()} == {path.name for path in (tmp_path / "two").iterdir()}
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert two[0] == pytest.approx(one[0], rel=5e-6)  # six digits, before any update
    # a sum in another order moves one ReLU over its kink, and a small network's losses far behind the sixth digit
    assert two == pytest.approx(one, rel=0.05)
    model = keras.saving.load_model(tmp_path / "two/last.keras")
    assert not any(layer.synchronized for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization))


# without dropout, as above
TWO_DEVICES = ("--accumulation", "2", "--average-momentum", "0.9", "--dropout-rate", "0", "--optimiser", "sgd")
TWO_DEVICES += ("--learning-rate", "0.0001")
MIRRORED = (mirrored_train.__file__,)


@pytest.mark.slow
def test_two_devices_train_a_network_as_one_with_the_whole_batch(records, tmp_path) -> None:
    ended(started(records, tmp_path / "one", *TWO_DEVICES))
    ended(started(records, tmp_path / "two", *TWO_DEVICES, program=MIRRORED))
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert two[0] == pytest.approx(one[0], rel=5e-6)
    assert two == pytest.approx(one, rel=0.05)


@pytest.mark.slow
@pytest.mark.by_hand
def test_a_run_of_two_devices_that_is_killed_goes_on(records, tmp_path) -> None:
    ended(started(records, tmp_path / "whole", *TWO_DEVICES, program=MIRRORED))
    kill(tmp_path / "run", 2, started(records, tmp_path / "run", *TWO_DEVICES, program=MIRRORED))
    ended(started(records, tmp_path / "run", *TWO_DEVICES, program=MIRRORED))
    assert_equal_runs(tmp_path / "run", tmp_path / "whole")


@pytest.mark.slow
def test_two_processes_end_where_the_first_may_not_write(records, tmp_path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/mine.txt").touch()
    processes = workers(records, tmp_path / "run")
    try:
        first, second = (process.communicate(timeout=200)[1] for process in processes)
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [1, 1]
    assert "holds files that are no run of this command" in first.splitlines()[-1]
    assert second.splitlines()[-1].endswith("the first worker could not claim the folder; its own error says why")


@pytest.mark.slow
@pytest.mark.by_hand
def test_two_processes_that_are_killed_go_on_together(records, tmp_path) -> None:
    ended(*workers(records, tmp_path / "whole"))
    kill(tmp_path / "run", 3, *workers(records, tmp_path / "run"))
    ended(*workers(records, tmp_path / "run"))
    assert_equal_runs(tmp_path / "run", tmp_path / "whole")
