"""LiteRT files (TensorFlow Lite), for phones and small computers, by TensorFlow's own converter.

LiteRT takes clips of one shape alone, and has 3-D convolutions but no 3-D pools: those are taken apart. Batch norms are
folded beforehand: its converter tries to, and fails behind C3D's dense layers, whose size it minds.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_i3d.serving.names import DEFAULT
from keras_i3d.serving.runtimes.network import OUTPUTS, ClipNetwork
from keras_i3d.serving.runtimes.runtime import Answer, Runtime


def need() -> None:
    """Need nothing: TensorFlow brings converter and interpreter."""


def write(network: ClipNetwork, folder: Path) -> None:
    """Write ``model.tflite`` with the one signature ``serving_default``: inputs by stream, outputs by name."""
    with tempfile.TemporaryDirectory() as saved:
        network.save(Path(saved))
        converter = tf.lite.TFLiteConverter.from_saved_model(saved, signature_keys=[DEFAULT])
        (folder / RUNTIME.file).write_bytes(converter.convert())


def load(path: Path, threads: int | None = None) -> Answer:
    """Load a file into TensorFlow's interpreter."""
    with warnings.catch_warnings():
        # TensorFlow announces since 2.19 that it will hand its interpreter over to another package, and still has it
        warnings.simplefilter("ignore", UserWarning)
        interpreter = tf.lite.Interpreter(str(path), num_threads=threads)
    runner = interpreter.get_signature_runner(DEFAULT)

    def answer(clips: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        outputs = runner(**clips)
        return {name: outputs[name] for name in OUTPUTS}

    return answer


RUNTIME = Runtime(
    "LiteRT", "model.tflite", need, write, load, has_fixed_shapes=True, has_3d_pools=False, folds_batch_norm=False
)
