"""Compare this package's TV-L1 flow with OpenCV's, in speed and in values, on your videos.

Of each video some pairs of consecutive frames, evenly spread, are resampled and resized as for records. All cases take
turns on them in one process, each on one core but for jax and those that say otherwise:

  opencv     OpenCV's Dual TV-L1, the reference
  tvl1       keras_i3d.video.flow.tvl1: compiled by numba
  tvl1-2     the same, pairs in 2 threads (any number)
  graph      keras_i3d.layers.TVL1Flow in a TensorFlow graph
  graph-xla  the same, compiled by XLA for each size of frames
  jax        the same in jax.jit, if the backend is JAX (KERAS_BACKEND=jax)
  dis, farneback   other algorithms of OpenCV's

For each video and for all of them a row of the table: milliseconds per pair, the median and the range over the repeats;
how many times OpenCV's speed, run by run; the end-point error (EPE) against OpenCV's field in pixels, mean and 99th
percentile; the share of values that are equal, and within one level, in the eight bits of records; and the share of
fields that are equal to the bit. The first run of each case and size, which compiles, is not counted. Examples:

  python tools/bench_flow.py videos/*.mp4
  python tools/bench_flow.py --pairs 10 --repeats 5 --cases opencv tvl1 tvl1-2 --json flow.json videos/*.mp4
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from keras_i3d import progress, quiet
from keras_i3d.errors import KerasI3DError
from keras_i3d.video import decode, flow

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

REFERENCE = "opencv"
DEFAULT_CASES = ("opencv", "tvl1", "tvl1-2", "graph-xla")
ALL = "all"
Pairs = np.ndarray  # uint8 (pairs, 2, height, width, 3)
Case = Callable[[Pairs], np.ndarray]  # to float32 (pairs, height, width, 2)


def main() -> int:
    """Measure, and print the table."""
    options = _options()
    try:
        cases = {name: case(name) for name in options.cases}
        if options.json:
            options.json.touch()  # before an hour goes into figures that could not be written
        rows = measure(options, cases)
    except (KerasI3DError, ValueError, OSError, ImportError) as error:
        print(f"bench_flow: {error}", file=sys.stderr)
        return 1
    Console(width=None if sys.stdout.isatty() else 120).print(table(rows))
    if options.json:
        lines = (json.dumps(each | versions()) for each in rows)
        options.json.write_text("".join(f"{line}\n" for line in lines))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--cases", nargs="+", default=DEFAULT_CASES, help=f"default: {' '.join(DEFAULT_CASES)}")
    parser.add_argument("--pairs", type=int, default=6, help="of each video at most (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="timed runs of each case (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="of each video, from its start (default: %(default)g)"
    )
    parser.add_argument("--fps", type=float, default=decode.FPS, help="default: %(default)g")
    parser.add_argument("--short-side", type=int, default=decode.SHORT_SIDE, help="default: %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there too, one JSON object a line")
    options = parser.parse_args()
    if min(options.pairs, options.repeats) < 1:
        parser.error("--pairs and --repeats must be at least 1")
    options.cases = list(dict.fromkeys([REFERENCE, *options.cases]))
    return options


def case(name: str) -> Case:
    """Return what computes the flow of pairs in a case.

    Raises:
        ValueError: The case is unknown.
    """
    import cv2

    cv2.setNumThreads(1)
    threads = re.fullmatch(r"tvl1(?:-([1-9]\d*))?", name)
    if threads:
        count = int(threads[1] or 1)
        return lambda pairs: np.stack(_in_threads(pairs, count))
    if name in ("opencv", "dis", "farneback"):
        return lambda pairs: np.stack([next(flow.with_flow(pair, name))[1] for pair in pairs])
    if name in ("graph", "graph-xla"):
        return _tensorflow_case(jit_compile=name == "graph-xla")
    if name == "jax":
        return _jax_case()
    raise ValueError(f"unknown case {name!r}; known: opencv, tvl1, tvl1-N, graph, graph-xla, jax, dis, farneback")


def _in_threads(pairs: Pairs, threads: int) -> list[np.ndarray]:
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda pair: flow.tvl1(pair, threads=1)[0], pairs))


def _tensorflow_case(*, jit_compile: bool) -> Case:
    quiet.import_tensorflow()
    import tensorflow as tf

    from keras_i3d.layers import TVL1Flow

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    layer = TVL1Flow()
    compute = tf.function(lambda pairs: layer(pairs)[:, 0], jit_compile=jit_compile)
    return lambda pairs: compute(tf.constant(pairs)).numpy()


def _jax_case() -> Case:
    import jax

    from keras_i3d.layers import TVL1Flow

    layer = TVL1Flow()
    compute = jax.jit(lambda pairs: layer(pairs)[:, 0])
    return lambda pairs: np.asarray(compute(pairs))


def measure(options: argparse.Namespace, cases: dict[str, Case]) -> list[dict[str, Any]]:
    """Return a row of figures for each video and case, and for each case over all of them."""
    found = {}
    with progress.bar("videos", len(options.videos)) as bar:
        for video in options.videos:
            pairs = pairs_of(video, options)
            seconds, fields = in_turns(pairs, cases, options.repeats)
            found[str(video)] = (seconds, fields)
            bar.advance()
    rows = [
        row(name, case, seconds, [fields[case]], [fields[REFERENCE]])
        for name, (seconds, fields) in found.items()
        for case in cases
    ]
    parts = list(found.values())
    totals = {case: [sum(run) for run in zip(*(seconds[case] for seconds, _ in parts), strict=True)] for case in cases}
    fields = {case: [each[case] for _, each in parts] for case in cases}
    return rows + [row(ALL, case, totals, fields[case], fields[REFERENCE]) for case in cases]


def pairs_of(video: Path, options: argparse.Namespace) -> Pairs:
    """Return pairs of consecutive frames, evenly spread over a video.

    Raises:
        VideoError: It cannot be decoded.
        ValueError: It has a single frame.
    """
    frames = decode.read_frames(video, fps=options.fps, short_side=options.short_side, end_s=options.seconds)
    if len(frames) < 2:
        raise ValueError(f"{video}: has {len(frames)} frame, and a pair is wanted")
    count = min(options.pairs, len(frames) - 1)
    first = np.unique(np.linspace(0, len(frames) - 2, count + 2).round().astype(int)[1:-1] if count > 1 else [0])
    return np.stack([frames[first], frames[first + 1]], axis=1)


def in_turns(
    pairs: Pairs, cases: dict[str, Case], repeats: int
) -> tuple[dict[str, list[float]], dict[str, np.ndarray]]:
    """Return the seconds of each run of each case, and their fields."""
    fields = {
        name: compute(pairs) if "graph" in name or name == "jax" else compute(pairs[:1])
        for name, compute in cases.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(repeats):
        for name, compute in cases.items():
            start = time.perf_counter()
            fields[name] = compute(pairs)
            seconds[name].append(time.perf_counter() - start)
    return seconds, fields


def row(
    video: str,
    case: str,
    seconds: dict[str, list[float]],
    fields: Sequence[np.ndarray],
    reference: Sequence[np.ndarray],
) -> dict[str, Any]:
    """Return the figures of a case: of its speed and of its agreement with the reference."""
    count = sum(map(len, fields))
    own = [1000 * each / count for each in seconds[case]]
    errors = np.concatenate(
        [np.linalg.norm(one - other, axis=-1).ravel() for one, other in zip(fields, reference, strict=True)]
    )
    levels = np.concatenate(
        [
            np.abs(flow.to_stored(one).astype(int) - flow.to_stored(other)).ravel()
            for one, other in zip(fields, reference, strict=True)
        ]
    )
    equal = [
        np.array_equal(*pair)
        for one, other in zip(fields, reference, strict=True)
        for pair in zip(one, other, strict=True)
    ]
    return {
        "video": video,
        "case": case,
        "pairs": count,
        "ms_per_pair": {"median": statistics.median(own), "range": [min(own), max(own)]},
        "times_opencv": statistics.median(
            other / one for one, other in zip(seconds[case], seconds[REFERENCE], strict=True)
        ),
        "epe_mean": float(errors.mean()),
        "epe_p99": float(np.percentile(errors, 99)),
        "equal": float((levels == 0).mean()),
        "within_one": float((levels <= 1).mean()),
        "bits_equal": sum(equal) / len(equal),
    }


def versions() -> dict[str, str]:
    """Return what the figures depend on."""
    return {"opencv": flow.opencv_version(), **flow.tvl1_versions(), "machine": platform.machine()}


def table(rows: Sequence[dict[str, Any]]) -> Table:
    """Return the rows for the eye, a section for each video."""
    result = Table(title=f"TV-L1 flow against OpenCV {flow.opencv_version()}")
    result.add_column("video", max_width=24)
    result.add_column("case", no_wrap=True)
    for name in ("ms per pair", "x OpenCV", "EPE mean", "p99", "equal %", "within 1 %", "bits %"):
        result.add_column(name, justify="right", no_wrap=True)
    for each in rows:
        is_first = each["case"] == REFERENCE
        if is_first:
            result.add_section()
        low, high = each["ms_per_pair"]["range"]
        result.add_row(
            f"{each['video']} ({each['pairs']})" if is_first else "",
            each["case"],
            f"{each['ms_per_pair']['median']:.1f} ({low:.1f} to {high:.1f})",
            f"{each['times_opencv']:.1f}",
            f"{each['epe_mean']:.4f}",
            f"{each['epe_p99']:.3f}",
            *(f"{100 * each[name]:.2f}" for name in ("equal", "within_one", "bits_equal")),
        )
    return result


if __name__ == "__main__":
    sys.exit(main())
