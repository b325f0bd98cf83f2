"""Show that every network gives the same logits on every Keras backend, in two halves::

    python tests/backends/same_logits.py write FOLDER                      # with TensorFlow
    KERAS_BACKEND=jax python tests/backends/same_logits.py check FOLDER    # or torch; TensorFlow need not be installed

The first writes weights (``.weights.h5``, and one ``.keras``), inputs and logits; the second builds the networks,
loads those weights and compares. Standard output has a line for each network; the exit code is 1 where one differs.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_i3d.checkpoints import load
from keras_i3d.checkpoints.names import Weight, weights_of
from keras_i3d.errors import CheckpointMismatch

TOLERANCE = 1e-4  # of the logits' standard deviation: the same float32 sums in another order

SMALL = {"weights": None, "classes": 11, "classifier_activation": None}
RGB, FLOW = (9, 33, 40, 3), (9, 33, 40, 2)
# name -> (builder, its arguments, shape of each input)
NETWORKS: dict[str, tuple[str, dict[str, Any], dict[str, tuple[int, ...]]]] = {
    "i3d": ("i3d.I3D", {"input_shape": RGB}, {"rgb": RGB}),
    "i3d_flow": ("i3d.I3D", {"input_shape": FLOW, "modality": "flow"}, {"flow": FLOW}),
    "i3d_any_shape": ("i3d.I3D", {"input_shape": (None, None, None, 3)}, {"rgb": RGB}),
    "i3d_features": ("i3d.I3D", {"input_shape": RGB, "include_top": False, "pooling": "avg"}, {"rgb": RGB}),
    "inception_v1": ("inception_v1.InceptionV1", {"input_shape": (65, 72, 3)}, {"rgb": (65, 72, 3)}),
    "two_stream_i3d": ("two_stream_i3d.TwoStreamI3D", {"input_shape": (9, 33, 40)}, {"rgb": RGB, "flow": FLOW}),
    "convnet_lstm": ("convnet_lstm.ConvNetLSTM", {"input_shape": (3, 33, 40, 3)}, {"rgb": (3, 33, 40, 3)}),
    "c3d": ("c3d.C3D", {"input_shape": (16, 32, 32, 3)}, {"rgb": (16, 32, 32, 3)}),
    "two_stream": (
        "two_stream.TwoStream",
        {"input_shape": (2, 33, 40)},
        {"rgb": (2, 33, 40, 3), "flow": (20, 33, 40, 2)},
    ),
    "fused_two_stream": (
        "fused_two_stream.FusedTwoStream",
        {"input_shape": (5, 129, 129)},
        {"rgb": (5, 129, 129, 3), "flow": (50, 129, 129, 2)},
    ),
}
ARCHIVED = "i3d"  # this one is written as .keras too


def deterministic() -> Any:
    """Return the module that makes weights and inputs from names."""
    path = Path(__file__).parents[1] / "golden" / "deterministic.py"
    spec = importlib.util.spec_from_file_location("deterministic", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build(name: str) -> keras.Model:
    """Build a network of the list, with random weights."""
    builder, options, _ = NETWORKS[name]
    module, function = builder.split(".")
    return getattr(importlib.import_module(f"keras_i3d.models.{module}"), function)(**SMALL | options)


def live_name(weight: Weight) -> str:
    """Return a name whose last part tells `deterministic.weight` the range that keeps activations alive."""
    part = weight.variable.name
    kinds = {"moving_mean": "moving_mean", "moving_variance": "moving_variance", "beta": "beta", "bias": "b"}
    kind = next((short for ending, short in kinds.items() if part.endswith(ending)), "w")
    return "/".join((*weight.layers, part, kind))


def logits_of(model: keras.Model, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """Return a network's output for inputs by name."""
    given = next(iter(inputs.values())) if len(inputs) == 1 else inputs
    return model.predict(given, verbose=0)


def inputs_for(name: str) -> dict[str, np.ndarray]:
    """Return two clips in [-1, 1) for each input of a network."""
    golden = deterministic()
    inputs = {}
    for key, shape in NETWORKS[name][2].items():
        time_axis = (1,) if len(shape) == 3 else ()  # an image is a clip of one frame
        inputs[key] = golden.clip((2, *time_axis, *shape), f"{name} {key}").reshape(2, *shape)
    return inputs


def write(folder: Path, names: list[str]) -> Iterator[str]:
    """Write weights, inputs and logits of networks; yield a line about each."""
    folder.mkdir(parents=True, exist_ok=True)
    golden = deterministic()
    for name in names:
        model = build(name)
        for weight in weights_of(model):
            weight.variable.assign(golden.weight(live_name(weight), weight.shape, name))
        inputs = inputs_for(name)
        logits = logits_of(model, inputs)
        model.save_weights(folder / f"{name}.weights.h5")
        if name == ARCHIVED:
            model.save(folder / f"{name}.keras")
        np.savez(folder / f"{name}.npz", logits=logits, **inputs)
        yield f"{name}: logits {list(logits.shape)}, deviation {logits.std():.4g}"
        if not logits.std() > 1e-3:
            raise AssertionError(f"{name}: dead logits say nothing about a backend")


def check(folder: Path, names: list[str]) -> Iterator[str]:
    """Load what `write` wrote on this backend and compare; yield a line about each network."""
    for name in names:
        with np.load(folder / f"{name}.npz") as stored:
            inputs = {key: stored[key] for key in stored.files if key != "logits"}
            expected = stored["logits"]
        endings = (".weights.h5", ".keras") if name == ARCHIVED else (".weights.h5",)
        for ending in endings:
            model = build(name)
            load.load_checkpoint(model, folder / f"{name}{ending}")
            error = np.abs(logits_of(model, inputs) - expected).max() / expected.std()
            yield f"{name}{ending}: differs by {error:.1e} of the logits' deviation"
            if not error <= TOLERANCE:
                raise AssertionError(f"{name}{ending}: differs by {error}, allowed is {TOLERANCE}")


def check_refusal(folder: Path, name: str, other: str) -> str:
    """Show that another network's file, and a cut one, are refused and change nothing."""
    model = build(name)
    before = [keras.ops.convert_to_numpy(variable.value).copy() for variable in model.variables]
    cut = folder / "cut.weights.h5"
    cut.write_bytes((folder / f"{name}.weights.h5").read_bytes()[:-1000])
    for wrong in (folder / f"{other}.weights.h5", cut):
        try:
            load.load_checkpoint(model, wrong)
        except CheckpointMismatch as error:
            last = f"{error}"
        else:
            raise AssertionError(f"{name} loaded {wrong}")
    cut.unlink()
    for variable, value in zip(model.variables, before, strict=True):
        if not np.array_equal(keras.ops.convert_to_numpy(variable.value), value):
            raise AssertionError(f"{variable.path} was changed by a file that was refused")
    return f"{name}: refused {other}.weights.h5 and a cut file ({last.split(':', 1)[1].strip()})"


def main(arguments: list[str] | None = None) -> int:
    """Run one half."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("half", choices=("write", "check"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), metavar="NAME")
    options = parser.parse_args(arguments)
    backend = keras.backend.backend()
    sys.stdout.write(f"{options.half} on {backend}\n")
    for line in (write if options.half == "write" else check)(options.folder, options.networks):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    if options.half == "check":
        if len(options.networks) > 1:
            sys.stdout.write(f"{check_refusal(options.folder, *options.networks[:2])}\n")
        if backend != "tensorflow" and "tensorflow" in sys.modules:
            raise AssertionError("TensorFlow was imported")
    return 0


if __name__ == "__main__":
    sys.exit(main())
