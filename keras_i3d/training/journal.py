"""What a run writes down as it goes: a line of ``steps.csv`` for each update, ``history.json``, TensorBoard's events.

A run that goes on after it was stopped takes out of ``steps.csv`` what it will do again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from keras_i3d.errors import TrainingError
from keras_i3d.whole_file import replacing, write_json

HISTORY = "history.json"
STEPS = "steps.csv"
EVENTS = "tensorboard"
COLUMNS = ("step", "loss", "top1", "learning_rate")


class Journal:
    """The files of one run.

    Args:
        folder: The run folder.
        step: Updates that are done; lines of later ones are taken out.
        tensorboard: Whether to write events for TensorBoard, into the folder ``tensorboard``.
        is_written: Whether to write at all: of several processes the first does.
    """

    def __init__(self, folder: Path, step: int, *, tensorboard: bool = True, is_written: bool = True) -> None:
        self._folder, self._file, self._events = folder, None, None
        if not is_written:
            return
        _cut(folder / STEPS, step)
        self._file = (folder / STEPS).open("a", encoding="ascii", newline="")
        if not self._file.tell():
            self._row(COLUMNS)
        if tensorboard:
            self._events = tf.summary.create_file_writer(str(folder / EVENTS))

    def step(self, step: int, numbers: Mapping[str, float], clips_per_second: float) -> None:
        """Write down an update, counted from 1.

        Args:
            step: Which one.
            numbers: ``loss``, ``top1`` and ``learning_rate``.
            clips_per_second: For TensorBoard alone: a run that is repeated has other ones.
        """
        self._row([str(step), *(repr(float(numbers[column])) for column in COLUMNS[1:])])
        self._scalars(step, {"train/" + name: value for name, value in numbers.items()})
        self._scalars(step, {"clips_per_second": clips_per_second})

    def epoch(self, step: int, history: Sequence[Mapping[str, float]]) -> None:
        """Write down the epoch that `history` ends with."""
        if self._file:
            write_json(self._folder / HISTORY, list(history))
        self._scalars(step, {"epoch/" + name: value for name, value in history[-1].items() if name != "epoch"})
        if self._events:
            self._events.flush()

    def flush(self) -> None:
        """Write what is still in memory, before a state is saved that takes it for written."""
        if self._file:
            self._file.flush()
        if self._events:
            self._events.flush()

    def close(self) -> None:
        """Close the files."""
        if self._file:
            self._file.close()
        if self._events:
            self._events.close()

    def _row(self, cells: Sequence[str]) -> None:
        if self._file:
            self._file.write(",".join(cells) + "\n")

    def _scalars(self, step: int, values: Mapping[str, float]) -> None:
        if self._events:
            with self._events.as_default():
                for name, value in values.items():
                    tf.summary.write(name, tf.constant(value, tf.float32), step=step, metadata=_scalar_metadata())


def _scalar_metadata() -> Any:
    """Say that a value is a scalar; ``tf.summary.scalar`` does it too, but wants TensorBoard installed."""
    metadata = tf.compat.v1.SummaryMetadata()
    metadata.plugin_data.plugin_name = "scalars"
    metadata.data_class = 1  # DATA_CLASS_SCALAR, which the generated class does not name
    return metadata


def read_history(folder: Path) -> list[dict[str, Any]]:
    """Return the metrics of each finished epoch of a run folder.

    Raises:
        TrainingError: The file is damaged.
    """
    try:
        return json.loads((folder / HISTORY).read_text("utf-8"))
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise TrainingError(f"{folder / HISTORY}: damaged ({error}); delete the folder to start anew") from error


def _cut(path: Path, step: int) -> None:
    """Keep the header and the lines of the first `step` updates."""
    if not path.is_file():
        return
    kept = path.read_text("ascii", errors="replace").splitlines(keepends=True)[: step + 1]
    with replacing(path) as aside:
        aside.write_text("".join(kept), "ascii", errors="replace")
