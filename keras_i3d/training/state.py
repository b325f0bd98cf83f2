"""All that a stopped run needs to go on, in one HDF5 file that is either whole or absent.

It holds every variable of the network and of the optimiser in their order, those of random numbers among them (which
Keras leaves out of its own files), and facts of the run as JSON.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from keras_i3d.errors import TrainingError, first_line
from keras_i3d.whole_file import replacing

FILE_NAME = "state.h5"
_FACTS = "facts"


Values = Mapping[str, Sequence[np.ndarray]]


def values(variables: Mapping[str, Sequence[Any]]) -> Values:
    """Read Keras variables, in groups; where several processes train, all of them must do so at once."""
    return {group: [np.asarray(variable) for variable in members] for group, members in variables.items()}


def save(folder: Path, values: Values, facts: Mapping[str, Any]) -> None:
    """Write the state of a run.

    Args:
        folder: The run folder.
        values: Of the variables, in groups.
        facts: JSON values.

    Raises:
        TrainingError: It cannot be written; the state before it is kept.
    """
    try:
        with replacing(folder / FILE_NAME) as aside, h5py.File(aside, "w") as file:
            file.attrs[_FACTS] = json.dumps(facts)
            for group, arrays in values.items():
                file.create_group(group)
                for number, array in enumerate(arrays):
                    file.create_dataset(f"{group}/{number:04d}", data=array)
    except OSError as error:  # HDF5 hides which in its text
        size = sum(array.nbytes for arrays in values.values() for array in arrays)
        full = folder.is_dir() and shutil.disk_usage(folder).free < 1.1 * size
        why = f"{size / 1e6:.0f} MB are needed, the disk is full" if full else first_line(error)
        raise TrainingError(
            f"{folder / FILE_NAME}: the state cannot be written ({why}); once it can, the same command goes on from "
            "the one that was written last"
        ) from error


def facts(folder: Path) -> dict[str, Any] | None:
    """Return the facts of a stopped run, None where there is none.

    Raises:
        TrainingError: The file is damaged.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        return None
    try:
        with h5py.File(path, "r") as file:
            return json.loads(file.attrs[_FACTS])
    except (OSError, KeyError, ValueError) as error:
        raise _damaged(path, error) from error


def restore(folder: Path, variables: Mapping[str, Sequence[Any]]) -> None:
    """Give variables the values that `save` wrote.

    Raises:
        TrainingError: The file is damaged, or of other variables; nothing is assigned then.
    """
    path = folder / FILE_NAME
    try:
        with h5py.File(path, "r") as file:
            stored = {group: [file[group][name][()] for name in sorted(file[group])] for group in variables}
    except (OSError, KeyError, ValueError) as error:
        raise _damaged(path, error) from error
    for group, members in variables.items():
        if [value.shape for value in stored[group]] != [tuple(variable.shape) for variable in members]:
            raise _damaged(path, ValueError(f"its {group} is another network's"))
    for group, members in variables.items():
        for variable, value in zip(members, stored[group], strict=True):
            variable.assign(value)


def remove(folder: Path) -> None:
    """Remove the state of a run that has ended."""
    (folder / FILE_NAME).unlink(missing_ok=True)


def _damaged(path: Path, error: BaseException) -> TrainingError:
    return TrainingError(
        f"{path}: the state of the stopped run cannot be used ({first_line(error)}); delete the folder to start anew"
    )
