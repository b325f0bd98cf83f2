"""Time how long I3D takes to be built and to be loaded, beside Keras's own InceptionV3.

Both sides alternate in one process after a warm-up; one JSON line per case: medians and ranges in seconds, and the
median of the ratios run by run. I3D has 12.7 million parameters in 230 variables, InceptionV3 23.9 million in 378.
Files lie in a temporary folder, so they are read from the page cache. Example:

  python tools/bench_models.py --runs 9
"""

import argparse
import gc
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from keras_i3d import quiet


def main() -> None:
    """Run all cases and print one JSON line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9, help="alternating runs of both sides (default: %(default)s)")
    runs = parser.parse_args().runs
    if runs < 1:
        parser.error(f"--runs must be at least 1, got {runs}")
    quiet.import_tensorflow()
    import keras

    import keras_i3d

    keras.utils.set_random_seed(0)
    build_ours, build_theirs = (
        (lambda: keras_i3d.I3D(weights=None)),
        (lambda: keras.applications.InceptionV3(weights=None)),
    )
    report("build", alternate(build_ours, build_theirs, runs))
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / f"{name}.weights.h5") for name in ("i3d", "inception_v3")]
        models = [build_ours(), build_theirs()]
        for model, path in zip(models, paths, strict=True):
            model.save_weights(path)
        ours, theirs = models
        load_theirs = lambda: theirs.load_weights(paths[1])  # noqa: E731
        report("load", alternate(lambda: keras_i3d.load_checkpoint(ours, paths[0]), load_theirs, runs))
        # what I3D("kinetics") does from its second use on
        both = alternate(
            lambda: keras_i3d.I3D(weights=paths[0]), lambda: keras.applications.InceptionV3(weights=paths[1]), runs
        )
        report("build and load", both)


def alternate(ours: Callable, theirs: Callable, runs: int) -> tuple[list[float], list[float]]:
    """Return the seconds of each run of both sides, which take turns after one run that does not count."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for run in range(runs + 1):
        for side, work in zip(seconds, (ours, theirs), strict=True):
            gc.collect()
            start = time.perf_counter()
            result = work()
            elapsed = time.perf_counter() - start
            del result
            if run:
                side.append(elapsed)
    return seconds


def report(case: str, seconds: tuple[list[float], list[float]]) -> None:
    """Print a case as one line of JSON."""
    import h5py
    import keras
    import tensorflow as tf

    ours, theirs = ({"median_s": statistics.median(side), "range_s": [min(side), max(side)]} for side in seconds)
    ratios = [own / other for own, other in zip(*seconds, strict=True)]
    line = {
        "case": case,
        "i3d": ours,
        "inception_v3": theirs,
        "ratio": statistics.median(ratios),
        "ratio_range": [min(ratios), max(ratios)],
        "runs": len(ratios),
        "precision": keras.config.floatx(),
        "cores": len(os.sched_getaffinity(0)),
        "versions": {
            "python": platform.python_version(),
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
            "h5py": h5py.__version__,
        },
    }
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
