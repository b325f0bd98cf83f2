"""ONNX files, for ONNX Runtime and all else that reads them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_i3d.extras import import_extra
from keras_i3d.serving.runtimes.network import OUTPUTS, ClipNetwork
from keras_i3d.serving.runtimes.runtime import Answer, Runtime

OPSET = 17  # ONNX Runtime reads it from 1.12 on
AXES = ("batch", "time", "height", "width", "channels")


def need() -> None:
    """Raise MissingDependency unless all is installed that writing and checking needs."""
    for module in ("tf2onnx", "onnx", "onnxruntime"):
        import_extra(module)


def write(network: ClipNetwork, folder: Path) -> None:
    """Write ``model.onnx``: inputs by stream, outputs ``logits`` and ``probabilities``, open axes by name."""
    tf2onnx, onnx = import_extra("tf2onnx"), import_extra("onnx")
    model, _ = tf2onnx.convert.from_function(network.function(), input_signature=network.specs(), opset=OPSET)
    for value in model.graph.input:
        _name_axes(value, ("batch", f"{value.name}_time", *AXES[2:]))
    for value in model.graph.output:
        _name_axes(value, ("batch", "classes"))
    onnx.save(model, str(folder / RUNTIME.file))


def load(path: Path, threads: int | None = None) -> Answer:
    """Load a file into ONNX Runtime, on the CPU."""
    onnxruntime = import_extra("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0  # 0 leaves it to ONNX Runtime
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def answer(clips: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return dict(zip(OUTPUTS, session.run(list(OUTPUTS), dict(clips)), strict=True))

    return answer


def _name_axes(value: Any, names: tuple[str, ...]) -> None:
    """Give the open axes of a value names that mean something, in the place of the converter's numbers."""
    for axis, name in zip(value.type.tensor_type.shape.dim, names, strict=True):
        if not axis.HasField("dim_value"):
            axis.dim_param = name


RUNTIME = Runtime("ONNX", "model.onnx", need, write, load)
