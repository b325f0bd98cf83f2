"""Time training steps of a network, and measure their memory: mixed precision, rematerialisation, XLA.

Every case runs in a process of its own, which tells its peak memory; then, with --alternate, all cases take turns in
one process, which tells the ratios of their times. One JSON line per case: medians and ranges in seconds, clips per
second, bytes, floating-point operations per second and their share of the GPU's peak. Operations are counted as thrice
those of the forward pass, also where rematerialisation does more. Runs on every backend of Keras (KERAS_BACKEND), with
clips of random numbers; a GPU's process holds one case alone, so --alternate is for CPUs. Examples:

  python tools/bench_model.py --frames 64 --size 112 --batch-size 1 --cases float32 bfloat16 --alternate
  PYTHONPATH=. KERAS_BACKEND=jax python tools/bench_model.py --cases float32 bfloat16 float16 bfloat16+rematerialise
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # what JAX reserves is not what a step needs

REMATERIALISED, XLA = "+rematerialise", "+xla"  # JAX compiles by XLA anyway
CASES = [f"{dtype}{more}" for dtype in ("float32", "bfloat16", "float16") for more in ("", REMATERIALISED, XLA)]
# Operations per second without sparsity, of NVIDIA's data sheets; float32 convolutions run in TF32 by default
PEAKS = {
    "H200": {"float32": 494.7e12, "bfloat16": 989.4e12, "float16": 989.4e12},
    "H100": {"float32": 494.7e12, "bfloat16": 989.4e12, "float16": 989.4e12},
    "A100": {"float32": 156e12, "bfloat16": 312e12, "float16": 312e12},
    "V100": {"float32": 15.7e12, "float16": 125e12},
}


def main() -> None:
    """Run all cases and print one JSON line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="i3d", help="name of the network (default: %(default)s)")
    parser.add_argument("--frames", type=int, help="frames of a clip (default: the network's, 64 for i3d)")
    parser.add_argument("--size", type=int, help="height and width of a clip (default: the network's, 224 for i3d)")
    parser.add_argument("--batch-size", type=int, default=6, help="clips of a step (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="timed steps of each case (default: %(default)s)")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=["float32", "bfloat16"], metavar="CASE")
    parser.add_argument("--alternate", action="store_true", help="let the cases take turns in one process as well")
    parser.add_argument("--one", choices=CASES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if min(options.runs, options.batch_size) < 1:
        parser.error("--runs and --batch-size must be at least 1")
    if options.one:
        print(json.dumps(alone(options.one, options)), flush=True)
        return
    for case in options.cases:
        done = subprocess.run(
            [sys.executable, __file__, *sys.argv[1:], "--one", case], stdout=subprocess.PIPE, text=True
        )
        if done.returncode:
            print(json.dumps({"case": case, "failed": done.returncode}), flush=True)
        else:
            print(done.stdout.splitlines()[-1], flush=True)
    if options.alternate:
        print(json.dumps(alternating(options)), flush=True)


def alone(case: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return the time and memory of one case, the only one of this process."""
    training_step, flops = step(case, options)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    training_step()
    seconds = [timed(training_step) for _ in range(options.runs)]
    name, peak_memory = device()
    if peak_memory is None:  # a CPU's: by how much the process grew, in kB on Linux
        peak_memory = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    median = statistics.median(seconds)
    rate = 3 * flops * options.batch_size / median
    peak = next((peaks.get(dtype_of(case)) for make, peaks in PEAKS.items() if make in name), None)
    return {
        "case": case,
        **setting(options),
        "step": summary(seconds),
        "clips_per_s": options.batch_size / median,
        "peak_memory": peak_memory,
        "flops_per_s": rate,
        "share_of_peak": peak and rate / peak,
        "device": name,
    }


def alternating(options: argparse.Namespace) -> dict[str, Any]:
    """Return the times of all cases in turns, and their ratios to the first case's, run by run."""
    steps = {case: step(case, options)[0] for case in options.cases}
    for training_step in steps.values():
        training_step()
    seconds: dict[str, list[float]] = {case: [] for case in steps}
    for _ in range(options.runs):
        for case, training_step in steps.items():
            seconds[case].append(timed(training_step))
    first = seconds[options.cases[0]]
    ratios = {case: [one / base for one, base in zip(own, first, strict=True)] for case, own in seconds.items()}
    return {
        "case": "alternating",
        **setting(options),
        "step": {case: summary(own) for case, own in seconds.items()},
        f"ratio_to_{options.cases[0]}": {case: summary(own) for case, own in ratios.items()},
    }


def step(case: str, options: argparse.Namespace) -> tuple[Callable[[], Any], int]:
    """Return a training step of a case on one batch, and the floating-point operations of a clip's forward pass."""
    import keras
    import numpy as np

    from keras_i3d.models import costs, networks
    from keras_i3d.training import precision, rematerialisation

    keras.utils.set_random_seed(0)
    chosen = networks.network(options.network)
    protocol = chosen.protocol()
    network = networks.build(
        options.network,
        modality=chosen.modality,
        frames=options.frames or protocol.train_frames,
        size=options.size or protocol.size,
        any_length=False,
    )
    flops = costs.flops(network)
    dtype = dtype_of(case)
    network = precision.prepared(network, precision.POLICIES[dtype], on_cpu=device()[1] is None)
    optimiser = keras.optimizers.SGD(0.01, momentum=0.9)
    if dtype == "float16":
        optimiser = keras.optimizers.LossScaleOptimizer(optimiser)
    model = network
    if case.endswith(REMATERIALISED):
        model = Forward(network, rematerialisation.rematerialised(network)).model
    jit_compile = case.endswith(XLA) or keras.backend.backend() != "tensorflow"
    model.compile(optimiser, keras.losses.SparseCategoricalCrossentropy(), jit_compile=jit_compile)
    random = np.random.default_rng(0)
    clips = {
        # on the device before the clock runs, as a pipeline's prefetching would have it
        tensor.name: keras.ops.convert_to_tensor(
            random.uniform(-1, 1, (options.batch_size, *tensor.shape[1:])).astype("float32")
        )
        for tensor in network.inputs
    }
    inputs = clips if len(clips) > 1 else next(iter(clips.values()))
    labels = keras.ops.convert_to_tensor(random.integers(0, network.outputs[0].shape[-1], options.batch_size))
    return lambda: model.train_on_batch(inputs, labels), flops


def dtype_of(case: str) -> str:
    """Return what a case computes in."""
    return case.partition("+")[0]


class Forward:
    """A model whose call is another function of a network.

    Args:
        network: Has the variables.
        forward: Computes as it does.
    """

    def __init__(self, network: Any, forward: Callable[..., Any]) -> None:
        import keras

        class Model(keras.Model):
            def __init__(self) -> None:
                super().__init__(name=network.name)
                self.network = network

            def call(self, inputs: Any, training: bool = False) -> Any:
                return forward(inputs, training=training)

        self.model = Model()
        self.model.built = True


def timed(work: Callable[[], Any]) -> float:
    """Return the seconds of a step; ``train_on_batch`` brings its loss to the host, so nothing is left running."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def device() -> tuple[str, int | None]:
    """Return the name of the device, and the peak of the memory taken on it so far; None for a CPU."""
    import keras

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        if gpus:
            name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
            return name, tf.config.experimental.get_memory_info("GPU:0")["peak"]
    elif backend == "jax":
        import jax

        if jax.default_backend() == "gpu":
            one = jax.devices()[0]
            return one.device_kind, one.memory_stats()["peak_bytes_in_use"]
    else:
        import torch

        if torch.cuda.is_available():
            return torch.cuda.get_device_name(), torch.cuda.max_memory_allocated()
    return f"CPU, {len(os.sched_getaffinity(0))} cores", None


def summary(values: list[float]) -> dict[str, Any]:
    """Return the median and the range."""
    return {"median": statistics.median(values), "range": [min(values), max(values)]}


def setting(options: argparse.Namespace) -> dict[str, Any]:
    """Return what the numbers depend on."""
    import keras

    backend = keras.backend.backend()
    return {
        "network": options.network,
        "frames": options.frames,
        "size": options.size,
        "batch_size": options.batch_size,
        "runs": options.runs,
        "versions": {
            "python": platform.python_version(),
            "keras": keras.__version__,
            backend: __import__(backend).__version__,
        },
    }


if __name__ == "__main__":
    main()
