"""Whether two run folders are equal to the last bit."""

from pathlib import Path

import keras
import numpy as np


def weights_of(path: Path) -> list[np.ndarray]:
    """Return the weights of a .keras file."""
    return [np.array(variable) for variable in keras.saving.load_model(path, compile=False).weights]


def assert_equal_runs(folder: Path, other: Path) -> None:
    """Compare the files' names, the numbers of every step and epoch, and the weights."""
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in other.iterdir())
    for name in ("steps.csv", "history.json"):
        assert (folder / name).read_bytes() == (other / name).read_bytes()
    for name in ("last.keras", "best.keras"):
        for mine, its in zip(weights_of(folder / name), weights_of(other / name), strict=True):
            assert np.array_equal(mine, its)
