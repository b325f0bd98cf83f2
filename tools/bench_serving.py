"""Time one network in use under TensorFlow, ONNX Runtime, OpenVINO, LiteRT and PyTorch, in turns on the same clips.

The network is I3D, without --weights of random values. Every case runs from what its runtime loads: a SavedModel, an
ONNX file, and so on; PyTorch runs eagerly, a fresh module that pads as TensorFlow's SAME does with explicit zeros at
run time, as the common ports do. All cases take turns in one process, on the CPU, with the same number of threads.
One JSON line per case: seconds for a batch, median and range; clips per second; the ratio to the first case's
seconds, run by run; the largest difference of the logits from Keras in float32, as a share of their standard
deviation, and whether the best class is the same. Cases whose package is not installed are left out, which their line
says.

Examples:
  python tools/bench_serving.py --frames 16 --size 64
  python tools/bench_serving.py --cases tensorflow+fold+bfloat16 openvino+bfloat16 --repeats 9
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # all cases run on the CPU

FOLD, BFLOAT16, CHANNELS_LAST = "fold", "bfloat16", "channels_last"
PACKAGES = {  # whose versions the lines tell; LiteRT's converter and interpreter are TensorFlow's
    "tensorflow": ("tensorflow", "keras"),
    "onnx": ("onnxruntime", "tf2onnx"),
    "openvino": ("openvino",),
    "litert": ("tensorflow",),
    "pytorch": ("torch",),
}
CASES = (
    *("tensorflow", "tensorflow+fold", "tensorflow+bfloat16", "tensorflow+fold+bfloat16", "onnx", "openvino"),
    *("openvino+bfloat16", "pytorch", "pytorch+channels_last", "pytorch+channels_last+bfloat16", "litert"),
)
TOLERANCE = 1e-4  # of the logits' standard deviation, for float32
SETTLING_S = 0.2  # in which the threads of the case before stop looking for more work
OPEN = contextlib.ExitStack()  # the sessions of the cases, for as long as the program runs
Logits = Callable[[Any], Any]  # float32 clips (batch, time, height, width, channels) to float32 (batch, classes)


def main() -> None:
    """Run all cases in turns and print one JSON line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=64, help="frames of a clip (default: %(default)s)")
    parser.add_argument("--size", type=int, default=224, help="height and width of a clip (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=1, help="clips of a batch (default: %(default)s)")
    parser.add_argument("--modality", choices=("rgb", "flow"), default="rgb", help="stream (default: %(default)s)")
    parser.add_argument("--weights", help="name or file of I3D's weights (default: random values)")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of each case (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="threads of each case (default: as many as there are CPUs)")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES, metavar="CASE", help=", ".join(CASES))
    options = parser.parse_args()
    if min(options.frames, options.size, options.batch_size, options.repeats, options.threads or 1) < 1:
        parser.error("--frames, --size, --batch-size, --repeats and --threads must be at least 1")
    options.threads = options.threads or len(os.sched_getaffinity(0))
    for line in compared(options):
        print(json.dumps(line), flush=True)


def compared(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the lines of all cases, those that are left out last."""
    import numpy as np
    import tensorflow as tf

    from keras_i3d.errors import MissingDependency

    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(options.threads)
    shape = (options.batch_size, options.frames, options.size, options.size)
    clips = np.random.default_rng(0).uniform(-1, 1, (*shape, 3 if options.modality == "rgb" else 2)).astype("float32")
    network = i3d(clips, options)
    expected = logits_of(network)(clips)
    runs: dict[str, Logits] = {}
    left_out = []
    for case in options.cases:
        try:
            runs[case] = loaded(case, network, options)
        except MissingDependency as error:
            left_out.append({"case": case, "left_out": str(error)})
    differences, best = {}, {}
    for case, run in runs.items():
        answer = np.asarray(run(clips))
        differences[case] = float(np.abs(answer - expected).max() / expected.std())
        best[case] = bool((answer.argmax(1) == expected.argmax(1)).all())
        if BFLOAT16 not in case and not differences[case] <= TOLERANCE:
            raise SystemExit(f"{case} is another network: its logits differ by {differences[case]:.1e} of their spread")
    seconds: dict[str, list[float]] = {case: [] for case in runs}
    for _ in range(options.repeats):
        for case, run in runs.items():
            seconds[case].append(timed(run, clips))
    first = next(iter(seconds.values()), [])
    lines = [
        {
            "case": case,
            "seconds": summary(seconds[case]),
            "clips_per_s": options.batch_size / statistics.median(seconds[case]),
            f"ratio_to_{next(iter(seconds))}": summary([a / b for a, b in zip(seconds[case], first, strict=True)]),
            "difference_of_logits": differences[case],
            "same_top1": best[case],
            **setting(case, options),
        }
        for case in runs
    ]
    return [*lines, *left_out]


def i3d(clips: Any, options: argparse.Namespace) -> Any:
    """Return I3D for clips of one length, with weights or with random values that keep the spread of a clip."""
    import keras
    import numpy as np

    from keras_i3d import I3D

    keras.utils.set_random_seed(0)
    network = I3D(weights=options.weights, modality=options.modality, input_shape=clips.shape[1:])
    generator = np.random.default_rng(1)
    # statistics of a real pass over noise would nearly cancel it, and what is left would be rounding
    draws = {"moving_variance": (0.3, 0.7), "moving_mean": (-0.2, 0.2), "beta": (-0.2, 0.2)}
    for variable in network.variables if not options.weights else ():
        if variable.name in draws:
            variable.assign(generator.uniform(*draws[variable.name], variable.shape))
    return network


def logits_of(network: Any) -> Logits:
    """Return a Keras network up to its logits."""
    import keras

    part = keras.Model(network.inputs[0], network.get_layer("Logits").output)
    return lambda clips: part(clips, training=False).numpy()


def loaded(case: str, network: Any, options: argparse.Namespace) -> Logits:
    """Return a case ready to run.

    Raises:
        MissingDependency: Its package is not installed.
    """
    runtime, *ways = case.split("+")
    if runtime == "tensorflow":
        return tensorflow_case(network, ways, options)
    if runtime == "pytorch":
        return pytorch_case(network, ways, options.threads)
    return exported_case(runtime, network, ways, options)


def tensorflow_case(network: Any, ways: list[str], options: argparse.Namespace) -> Logits:
    """Return the signature ``clip`` of an export of fixed shape, loaded as a server does."""
    from keras_i3d.serving.check import loaded as served
    from keras_i3d.serving.export import export
    from keras_i3d.serving.options import ServingOptions

    choice = ServingOptions(
        precision=BFLOAT16 if BFLOAT16 in ways else "float32",
        fold_batch_norm=FOLD in ways,
        shape=(options.batch_size, options.frames, None, None),
    )
    (tensor,) = network.inputs
    with tempfile.TemporaryDirectory() as folder:
        run = OPEN.enter_context(served(export(finished(network), folder, choice)))
    return lambda clips: run("clip", {tensor.name: clips})["logits"]


def exported_case(runtime: str, network: Any, ways: list[str], options: argparse.Namespace) -> Logits:
    """Return the network as another runtime loads it, of fixed shape."""
    from keras_i3d.serving.runtimes import RUNTIMES, export_runtime, openvino

    load = partial(openvino.load, precision="bfloat16") if BFLOAT16 in ways else RUNTIMES[runtime].load
    with tempfile.TemporaryDirectory() as folder:
        done = export_runtime(
            finished(network),
            Path(folder) / "model",
            runtime=runtime,
            frames=options.frames,
            batch=options.batch_size,
        )
        answer = load(done.file, options.threads)
    (stream,) = done.shapes
    return lambda clips: answer({stream: clips})["logits"]


def finished(network: Any) -> Any:
    """Return the network as a finished model."""
    from keras_i3d.clips.preparation import Preparation
    from keras_i3d.finished_model import FinishedModel
    from keras_i3d.protocol import FPS, short_side_for

    (tensor,) = network.inputs
    size, classes = tensor.shape[2], network.get_layer("Logits").output.shape[-1]
    names = tuple(f"class {number}" for number in range(classes))
    return FinishedModel(network, names, Preparation(tensor.name, FPS, short_side_for(size), size))


def pytorch_case(network: Any, ways: list[str], threads: int) -> Logits:
    """Return the network in PyTorch, with the same values; in bfloat16 its head stays in float32, as in Keras."""
    from keras_i3d.extras import import_extra

    torch = import_extra("torch")
    torch.set_num_threads(threads)
    dtype = torch.bfloat16 if BFLOAT16 in ways else torch.float32
    layout = torch.channels_last_3d if CHANNELS_LAST in ways else torch.contiguous_format
    model = pytorch_i3d(network).eval().to(memory_format=layout)
    model.trunk.to(dtype)

    def run(clips: Any) -> Any:
        with torch.inference_mode():
            moved = torch.from_numpy(clips).permute(0, 4, 1, 2, 3).to(dtype=dtype, memory_format=layout)
            return model(moved).numpy()

    return run


def pytorch_i3d(network: Any) -> Any:
    """Return a PyTorch module of the table of Inception-v1, filled from a Keras network."""
    import torch
    from torch import nn
    from torch.nn import functional

    from keras_i3d.models.architecture import HEAD, HEAD_CONV, HEAD_WINDOW, ROWS, Conv, Pool, layer_name
    from keras_i3d.models.inception import EPSILON
    from keras_i3d.models.time_plan import I3D_PLAN as PLAN

    def tensor(value: Any) -> Any:
        return nn.Parameter(torch.tensor(value.numpy()), requires_grad=False)

    def padded(x: Any, window: tuple[int, ...], strides: tuple[int, ...]) -> Any:
        pads: list[int] = []
        for size, extent, stride in zip(reversed(x.shape[2:]), reversed(window), reversed(strides), strict=True):
            missing = max((-(-size // stride) - 1) * stride + extent - size, 0)
            pads += [missing // 2, missing - missing // 2]
        return functional.pad(x, pads)

    def convolution(name: str, **options: Any) -> Any:
        layer = network.get_layer(f"{name}__conv_3d")
        *size, taken, given = layer.kernel.shape
        module = nn.Conv3d(taken, given, tuple(size), stride=layer.strides, bias=layer.use_bias)
        module.weight = nn.Parameter(torch.tensor(layer.kernel.numpy()).permute(4, 3, 0, 1, 2), requires_grad=False)
        if layer.use_bias:
            module.bias = tensor(layer.bias)
        return module

    class Unit(nn.Module):
        """Padding, convolution, batch norm, ReLU."""

        def __init__(self, scope: str) -> None:
            super().__init__()
            name = layer_name(scope)
            self.convolution = convolution(name)
            norm = network.get_layer(f"{name}__batch_norm")
            self.norm = nn.BatchNorm3d(norm.beta.shape[0], eps=EPSILON)
            self.norm.bias = tensor(norm.beta)
            self.norm.running_mean.copy_(tensor(norm.moving_mean))
            self.norm.running_var.copy_(tensor(norm.moving_variance))

        def forward(self, x: Any) -> Any:
            x = padded(x, self.convolution.kernel_size, self.convolution.stride)
            return functional.relu(self.norm(self.convolution(x)))

    class MaxPool(nn.Module):
        """Padding by zeros, which no maximum behind a ReLU notices, and a pool."""

        def __init__(self, window: tuple[int, int, int], strides: tuple[int, int, int]) -> None:
            super().__init__()
            self.window, self.strides = window, strides

        def forward(self, x: Any) -> Any:
            return functional.max_pool3d(padded(x, self.window, self.strides), self.window, self.strides)

    class Mixed(nn.Module):
        """An Inception block."""

        def __init__(self, row: Any) -> None:
            super().__init__()
            last = f"Conv3d_{row.branch_2_spelling}_3x3"
            pool = MaxPool((PLAN.pool.get(row.tag, 1), 3, 3), (1, 1, 1))
            units = [["0a_1x1"], ["0a_1x1", "0b_3x3"], ["0a_1x1", last[7:]], ["0b_1x1"]]
            self.branches = nn.ModuleList(
                nn.Sequential(
                    *([pool] if number == 3 else []),
                    *(Unit(f"{row.scope}/Branch_{number}/Conv3d_{unit}") for unit in branch),
                )
                for number, branch in enumerate(units)
            )

        def forward(self, x: Any) -> Any:
            return torch.cat([branch(x) for branch in self.branches], dim=1)

    def module(row: Any) -> Any:
        if isinstance(row, Conv):
            return Unit(row.scope)
        if isinstance(row, Pool):
            stride = (PLAN.stride.get(row.tag, 1), row.stride, row.stride)
            return MaxPool((PLAN.pool.get(row.tag, 1), row.size, row.size), stride)
        return Mixed(row)

    class Network(nn.Module):
        """I3D up to its logits."""

        def __init__(self) -> None:
            super().__init__()
            self.trunk = nn.Sequential(*(module(row) for row in ROWS))
            self.head = convolution(layer_name(HEAD_CONV))

        def forward(self, x: Any) -> Any:
            x = self.trunk(x).float()  # PyTorch has no such average pool in bfloat16 on CPUs
            window = [min(pair) for pair in zip((PLAN.pool[HEAD], HEAD_WINDOW, HEAD_WINDOW), x.shape[2:], strict=True)]
            return self.head(functional.avg_pool3d(x, window, stride=1)).mean(dim=(2, 3, 4))

    return Network()


def timed(run: Logits, clips: Any) -> float:
    """Return the seconds of a run; all cases bring their logits to the host, so nothing is left running."""
    time.sleep(SETTLING_S)
    start = time.perf_counter()
    run(clips)
    return time.perf_counter() - start


def summary(values: list[float]) -> dict[str, Any]:
    """Return the median and the range."""
    return {"median": statistics.median(values), "range": [min(values), max(values)]}


def setting(case: str, options: argparse.Namespace) -> Mapping[str, Any]:
    """Return what the numbers depend on."""
    packages = PACKAGES[case.partition("+")[0]]
    return {
        "frames": options.frames,
        "size": options.size,
        "batch_size": options.batch_size,
        "repeats": options.repeats,
        "threads": options.threads,
        "weights": options.weights,
        "versions": {
            "python": platform.python_version(),
            **{package: importlib.metadata.version(package) for package in packages},
        },
    }


if __name__ == "__main__":
    main()
