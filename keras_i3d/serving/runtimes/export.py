"""Write a finished model for another runtime, and see that it answers there as it does in Keras."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_i3d import labels, storage
from keras_i3d.errors import KerasI3DError, ModelFileError, OutputFolderError, first_line
from keras_i3d.finished_model import FinishedModel
from keras_i3d.serving.runtimes import litert, onnx, openvino
from keras_i3d.serving.runtimes.network import LOGITS, OUTPUTS, clip_network, convertible, example_clips
from keras_i3d.serving.runtimes.runtime import Runtime

RUNTIMES: Mapping[str, Runtime] = {"onnx": onnx.RUNTIME, "openvino": openvino.RUNTIME, "litert": litert.RUNTIME}
TOLERANCE = 1e-4  # converters reorder sums and fold batch norm into convolutions, which makes about 1e-6
REASON = 300  # characters of a converter's error that a message of one line quotes


@dataclass(frozen=True)
class RuntimeExport:
    """What was written.

    Attributes:
        folder: Holds the model, ``labels.txt`` and ``preparation.json``.
        file: What the runtime loads.
        shapes: Of the clips, float32 (batch, time, height, width, channels) in [-1, 1], by stream; None for an axis
            that may have any length.
        difference: The largest from Keras on random clips: of the logits as a share of their standard deviation, of
            the probabilities as it is.
    """

    folder: Path
    file: Path
    shapes: Mapping[str, tuple[int | None, ...]]
    difference: float


def export_runtime(
    finished: FinishedModel,
    output: str | os.PathLike,
    *,
    runtime: str = "onnx",
    frames: int | None = None,
    batch: int | None = None,
) -> RuntimeExport:
    """Write the network of a finished model for another runtime.

    It takes prepared clips, inputs ``rgb``, ``flow`` or both, float32 (batch, time, height, width, channels) in
    [-1, 1], and gives ``logits`` and ``probabilities``, float32 (batch, classes). Class names and how a video becomes
    such a clip lie beside it. It is written aside, compared with Keras on random clips, and appears by one rename.

    Args:
        finished: The model.
        output: Folder to write, absent or empty.
        runtime: ``"onnx"``, ``"openvino"`` or ``"litert"``.
        frames: Consecutive frames of the video that a clip covers; by default any number, if the network takes any.
            LiteRT, and a network with an LSTM in every runtime, take one number, by default as many as in training.
        batch: Clips of a batch; by default any number, in LiteRT one.

    Raises:
        ValueError: The runtime is unknown, or `frames` or `batch` does not fit the network.
        MissingDependency: A package that this needs is not installed.
        ModelFileError: The network cannot be converted, or answers otherwise than in Keras.
        OutputFolderError: The folder holds something, or cannot be written.
    """
    if runtime not in RUNTIMES:
        raise ValueError(f"unknown runtime {runtime!r}; known: {', '.join(RUNTIMES)}")
    chosen, folder = RUNTIMES[runtime], storage.local_path(output)
    if folder is None:
        raise OutputFolderError(f"{output}: a model is exported to a folder of this machine, not to a URL")
    output = folder
    network = clip_network(finished, frames=frames, batch=batch, is_fixed=chosen.has_fixed_shapes)
    chosen.need()
    aside = _aside(output)
    try:
        written = aside / "model"
        written.mkdir()
        name = f"the network {finished.preparation.network}"
        part = convertible(network, has_3d_pools=chosen.has_3d_pools, folds_batch_norm=chosen.folds_batch_norm)
        _attempt(f"{name} cannot be converted to {chosen.title}", chosen.write, part, written)
        failed = f"{name}, converted to {chosen.title}, does not run there"
        answer = _attempt(failed, chosen.load, written / chosen.file, None)
        difference = max(
            difference_of(_attempt(failed, answer, clips), network.answer(clips))
            for clips in example_clips(finished, network)
        )
        if not difference <= TOLERANCE:
            raise ModelFileError(
                f"{name}, converted to {chosen.title}, answers otherwise than in Keras: {difference:.1e} of the "
                f"logits' standard deviation, where at most {TOLERANCE:.0e} are allowed; nothing was written"
            )
        labels.write(written / labels.FILE_NAME, finished.class_names)
        finished.preparation.write(written)
        written.rename(output)
    except OSError as error:
        raise OutputFolderError(f"{output}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return RuntimeExport(output, output / chosen.file, network.shapes, difference)


def difference_of(answers: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> float:
    """Return the larger of two differences of answers; NaN where one is.

    Args:
        answers: Of a runtime, ``logits`` and ``probabilities``, float (batch, classes).
        expected: Of Keras.

    Returns:
        The largest difference of the logits as a share of the expected ones' standard deviation, or that of the
        probabilities.
    """
    spread = float(expected[LOGITS].std()) or 1.0
    scales = {name: spread if name == LOGITS else 1.0 for name in OUTPUTS}
    for name in OUTPUTS:
        if answers[name].shape != expected[name].shape:
            raise ModelFileError(f"{name} have the shape {answers[name].shape}, {expected[name].shape} is expected")
    return float(np.max([np.abs(answers[name] - expected[name]).max() / scales[name] for name in OUTPUTS]))


def _aside(output: Path) -> Path:
    """Return a new folder beside an output folder, which must be absent or empty."""
    try:
        foreign = sorted(output.iterdir()) if output.exists() else []
        if foreign:
            raise OutputFolderError(f"{output}: holds {foreign[0].name!r}; the output folder must be new or empty")
        output.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=".exporting-", dir=output.parent))
    except OSError as error:
        raise OutputFolderError(f"{output}: cannot be used as output folder ({error.strerror})") from error


def _attempt(failed: str, work: Callable[..., Any], *arguments: Any) -> Any:
    """Do what another project's code does, whose errors have no common class; a full disk stays an OSError."""
    try:
        return work(*arguments)
    except (KerasI3DError, OSError):
        raise
    except Exception as error:
        raise ModelFileError(f"{failed} ({first_line(error)[:REASON]})") from error
