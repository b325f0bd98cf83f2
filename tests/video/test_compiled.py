import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_i3d.video.compiled import compiled, fma

PACKAGE = Path(sys.modules["keras_i3d"].__file__).parents[1]
ADDS = """
from keras_i3d.video.compiled import compiled

@compiled
def added(a, b):
    return a + b

assert added(1, 2) == 3
print(sum(added.stats.cache_hits.values()), sum(added.stats.cache_misses.values()))
"""


def run(script: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": str(PACKAGE), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_what_one_process_compiled_the_next_one_finds(tmp_path: Path) -> None:
    script = tmp_path / "adds.py"
    script.write_text(ADDS)
    assert run(script) == "0 1"
    assert run(script) == "1 0"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_where_nothing_can_be_written_it_works_too(tmp_path: Path) -> None:
    script = tmp_path / "adds.py"
    script.write_text(ADDS)
    tmp_path.chmod(0o500)
    try:
        assert run(script, HOME="/proc", XDG_CACHE_HOME="/proc") == "0 0"
    finally:
        tmp_path.chmod(0o700)


def test_where_no_file_is_known_it_works_too() -> None:
    scope: dict = {"compiled": compiled}
    exec(compile("@compiled\ndef added(a, b):\n    return a + b\n", "<nowhere>", "exec"), scope)
    assert scope["added"](1, 2) == 3


def test_a_product_and_a_sum_are_rounded_once() -> None:
    @compiled
    def both(a: float, b: float, c: float) -> tuple[float, float]:
        return fma(a, b, c), a * b + c

    near_one = np.float32(1) + np.float32(2**-12)
    once, twice = both(near_one, near_one, np.float32(-1))
    assert once == np.float32(2**-11 + 2**-24)
    assert twice == np.float32(2**-11)
