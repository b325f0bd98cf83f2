"""What a step needs is compared with what was measured; what there is, with files like those of Linux."""

import os
import re
import stat
from pathlib import Path

import keras
import pytest

from keras_i3d.models import costs
from keras_i3d.models.i3d import I3D
from keras_i3d.models.two_stream_i3d import TwoStreamI3D
from keras_i3d.training import memory, precision
from keras_i3d.training.memory import Available, TrainingStep

SHAPE = {"rgb": (64, 112, 112, 3)}


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return I3D(weights=None, input_shape=(None, None, None, 3), classes=400)


@pytest.fixture(scope="module")
def shortened(network) -> keras.Model:
    return precision.prepared(network, "mixed_bfloat16", SHAPE, on_cpu=False)


def test_in_float32_the_estimate_is_that_of_the_costs(network) -> None:
    for optimiser in ("sgd", "adam"):
        expected = costs.training_memory(network, SHAPE, optimiser=optimiser)
        assert memory.estimate(TrainingStep(network, SHAPE, 6, optimiser)) == expected.total(6)


def test_the_estimate_is_near_what_was_measured(network, shortened) -> None:
    # Megabytes by which the peak resident memory of a process rose with each clip (tools/bench_model.py, TensorFlow
    # 2.21, CPU). What is kept and what is in flight do not peak together in long clips, so the estimate is high.
    measurements = [(network, False, 250), (network, True, 150), (shortened, False, 183), (shortened, True, 148)]
    for trained, again, measured in measurements:
        one, two = (memory.estimate(TrainingStep(trained, SHAPE, clips, rematerialise=again)) for clips in (1, 2))
        assert 0.9 * measured < (two - one) / 1e6 < 1.6 * measured


def test_weights_take_their_copies_and_slots(network) -> None:
    trainable, _ = costs.parameters(network)
    plain = memory.estimate(TrainingStep(network, SHAPE, 1))
    assert memory.estimate(TrainingStep(network, SHAPE, 1, "adam")) - plain == 4 * trainable
    assert memory.estimate(TrainingStep(network, SHAPE, 1, more_slots=2)) - plain == 8 * trainable
    assert memory.estimate(TrainingStep(network, SHAPE, 1, policy="mixed_bfloat16")) - plain == 2 * trainable


def test_rematerialisation_saves_in_each_of_two_streams() -> None:
    both = TwoStreamI3D(weights=None, input_shape=(None, None, None), classes=5)
    shapes = {**SHAPE, "flow": (64, 112, 112, 2)}
    fixed = memory.estimate(TrainingStep(both, shapes, 0))
    assert memory.estimate(TrainingStep(both, shapes, 1, rematerialise=True)) - fixed < 0.5 * (
        memory.estimate(TrainingStep(both, shapes, 1)) - fixed
    )


def test_what_fits_is_told_in_one_line(network) -> None:
    (line,) = memory.lines(TrainingStep(network, SHAPE, 6), there_is=Available(62_000_000_000, "are free"))
    assert line == "a step needs about 2.3 GB of memory, 62 GB are free"


def test_what_does_not_fit_is_told_with_remedies(network) -> None:
    there_is = Available(1_000_000_000, "are on the GPU")
    first, second = memory.lines(TrainingStep(network, SHAPE, 6), there_is=there_is)
    assert first == "a step needs about 2.3 GB of memory, 1.0 GB are on the GPU"
    assert second == (
        "it will hardly fit; what helps: --batch-size 2 with --accumulation 3, --rematerialise (about 1.2 GB), fewer "
        "--frames, a smaller --size"
    )
    (_, second) = memory.lines(
        TrainingStep(network, SHAPE, 6, rematerialise=True), there_is=Available(100_000_000, "are free")
    )
    assert second == "it will hardly fit; what helps: fewer --frames, a smaller --size"
    _, of_two = memory.lines(TrainingStep(network, SHAPE, 6), devices=2, there_is=there_is)
    assert "--batch-size 4 with --accumulation 3, " in of_two


def test_this_machine_has_memory(network) -> None:
    there_is = memory.available()
    assert there_is is None or there_is.size > 0
    (line,) = memory.lines(TrainingStep(network, {"rgb": (9, 32, 32, 3)}, 1))
    assert re.fullmatch(r"a step needs about 0.2 GB of memory(, \d+(\.\d)? GB are (free|on the GPU))?", line)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_the_free_memory_is_what_linux_calls_available(tmp_path: Path) -> None:
    root = write(tmp_path, {"proc/meminfo": "MemTotal: 2000 kB\nMemFree: 10 kB\nMemAvailable:  500 kB\n"})
    assert memory._of_machine(root) == 512_000


def test_without_linux_the_free_memory_is_all_memory(tmp_path: Path) -> None:
    assert memory._of_machine(tmp_path) == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            {
                "proc/self/cgroup": "0::/job/step\n",
                "sys/fs/cgroup/job/step/memory.max": "max\n",
                "sys/fs/cgroup/job/step/memory.current": "10\n",
                "sys/fs/cgroup/job/memory.max": "1000\n",
                "sys/fs/cgroup/job/memory.current": "400\n",
                "sys/fs/cgroup/job/memory.stat": "anon 100\ninactive_file 150\n",
            },
            [750],
        ),
        (
            {
                "proc/self/cgroup": "3:cpu,cpuacct:/other\n2:memory:/job\n",
                "sys/fs/cgroup/memory/job/memory.limit_in_bytes": "1000\n",
                "sys/fs/cgroup/memory/job/memory.usage_in_bytes": "1100\n",
                "sys/fs/cgroup/memory/job/memory.stat": "cache 9\ntotal_inactive_file 50\n",
            },
            [0],
        ),
        ({"proc/self/cgroup": "0::/\n"}, []),
        ({}, []),
    ],
)
def test_limits_of_control_groups_count(tmp_path: Path, files: dict[str, str], expected: list[int]) -> None:
    assert list(memory._of_control_groups(write(tmp_path, files))) == expected


def test_the_smallest_gpu_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text('#!/bin/sh\n[ "$1" = --query-gpu=memory.total ] && printf "81559\\n40960\\n"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert memory._of_gpus() == 40960 * 2**20
    program.unlink()
    assert memory._of_gpus() is None
