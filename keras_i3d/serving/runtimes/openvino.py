"""OpenVINO's files, ``model.xml`` and ``model.bin``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import numpy as np

from keras_i3d.extras import import_extra
from keras_i3d.serving.runtimes.network import OUTPUTS, ClipNetwork
from keras_i3d.serving.runtimes.runtime import Answer, Runtime

PRECISIONS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}  # as OpenVINO spells them
TELEMETRY = "openvino_telemetry"


def write(network: ClipNetwork, folder: Path) -> None:
    """Write ``model.xml`` and ``model.bin``: inputs by stream, outputs ``logits`` and ``probabilities``, float32.

    A file cannot say what to compute in: on CPUs that have bfloat16, OpenVINO takes it unless the program that loads
    the file sets ``INFERENCE_PRECISION_HINT`` to ``f32``.
    """
    openvino = import_quietly()
    model = openvino.convert_model(network.function())
    for ports, names in ((model.inputs, tuple(network.shapes)), (model.outputs, OUTPUTS)):
        for port in ports:
            (name,) = set(names) & port.get_names()
            port.get_tensor().set_names({name})
    openvino.save_model(model, folder / RUNTIME.file, compress_to_fp16=False)


def load(path: Path, threads: int | None = None, *, precision: str = "float32") -> Answer:
    """Load a file into OpenVINO, on the CPU.

    Args:
        path: Of ``model.xml``.
        threads: Number of threads; None leaves it to OpenVINO.
        precision: What to compute in: ``"float32"``, ``"bfloat16"`` or ``"float16"``, where the CPU can.
    """
    options = {"INFERENCE_PRECISION_HINT": PRECISIONS[precision], "PERFORMANCE_HINT": "LATENCY"}
    if threads is not None:
        options["INFERENCE_NUM_THREADS"] = threads
    model = import_quietly().Core().compile_model(path, "CPU", options)

    def answer(clips: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        outputs = model(dict(clips))
        return {name: outputs[name] for name in OUTPUTS}

    return answer


def import_quietly() -> ModuleType:
    """Import OpenVINO without its telemetry, which reports every import and conversion over the network, unasked.

    Where the program has imported OpenVINO before, that stays as it is.

    Raises:
        MissingDependency: It is not installed.
    """
    if "openvino" in sys.modules or TELEMETRY in sys.modules:
        return import_extra("openvino")
    sys.modules[TELEMETRY] = None  # to an import it is not installed, and OpenVINO has a stand-in for that case
    try:
        return import_extra("openvino")
    finally:
        del sys.modules[TELEMETRY]


RUNTIME = Runtime("OpenVINO", "model.xml", import_quietly, write, load)
