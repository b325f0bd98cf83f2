"""Measure how near extract_features comes to the bare network: windows per second, and the memory of a long video.

  pace    windows per second of extract_features' way from video files to vectors (decoding, windows, batches, files)
          against the bare network on as many batches that lie ready; both alternate in one run after a warm-up
  memory  largest resident size of a process that writes the features of a long video, against that of one which writes
          those of a video of a minute

One JSON line per case: medians, and the median and range of the ratio run by run; cpu_ratio is that of windows per
CPU-second of the process, which other work on the machine disturbs less. Without --videos it makes a video of
340x256, of --seconds. Without --model it is I3D of random values at --size. Example:

  python tools/bench_features.py
  python tools/bench_features.py --stride 64 --window 64 --runs 5 --videos clips/*
  python tools/bench_features.py --cases memory --hours 1 --size 32 --window 16 --stride 16
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

CASES = ("pace", "memory")
CLASSES = 400


def main() -> None:
    """Run the cases asked for and print one JSON line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=["pace"], help="default: pace")
    parser.add_argument("--videos", nargs="+", type=Path, metavar="FILE", help="videos to measure on (default: made)")
    parser.add_argument("--model", help=".keras file of a run (default: I3D of random values)")
    parser.add_argument("--size", type=int, default=224, help="of the random I3D's input (default: %(default)s)")
    parser.add_argument("--window", type=int, default=64, help="frames (default: %(default)s)")
    parser.add_argument("--stride", type=int, default=8, help="frames (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=4, help="windows (default: %(default)s)")
    parser.add_argument("--precision", default="float32", help="float32 or bfloat16 (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=8.0, help="of the made video (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="alternating runs of both sides (default: %(default)s)")
    parser.add_argument("--hours", type=float, default=1.0, help="of the long video (default: %(default)s)")
    options = parser.parse_args()
    if options.runs < 1 or min(options.seconds, options.hours) <= 0:
        parser.error("--runs must be at least 1, --seconds and --hours above 0")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = options.model or random_i3d(folder / "model", options.size)
        if "pace" in options.cases:
            pace(folder, model, options)
        if "memory" in options.cases:
            memory(folder, model, options)


def pace(folder: Path, model: str, options: argparse.Namespace) -> None:
    """Compare the way from files with the bare network."""
    import numpy as np

    from keras_i3d.features import endpoints, files
    from keras_i3d.features.extraction import FileSource, extract

    videos = options.videos or [made(folder / "made.mp4", options.seconds)]
    endpoint = endpoints.load(model, settings(options))
    sources = [FileSource(str(video)) for video in videos]
    ready = {
        stream: np.random.default_rng(0).integers(0, 256, (options.batch_size, *shape), np.uint8)
        for stream, shape in endpoint.shapes().items()
    }

    def ours() -> int:
        sink = lambda number: files.sink(folder / f"{number}.npz", "npz")  # noqa: E731
        return sum(outcome.windows for outcome in extract(endpoint, sources, sink))

    windows = ours()

    def bare() -> int:
        for _ in range(-(-windows // options.batch_size)):
            endpoint(ready)
        return windows

    rates, cpu_rates = alternate(ours, bare, options.runs)
    ratios = [one / other for one, other in zip(*rates, strict=True)]
    cpu_ratios = [one / other for one, other in zip(*cpu_rates, strict=True)]
    show(
        "pace",
        options,
        videos=len(videos),
        windows=windows,
        windows_per_s=round(statistics.median(rates[0]), 3),
        bare_windows_per_s=round(statistics.median(rates[1]), 3),
        ratio=round(statistics.median(ratios), 3),
        ratio_range=[round(min(ratios), 3), round(max(ratios), 3)],
        cpu_ratio=round(statistics.median(cpu_ratios), 3),
        cpu_ratio_range=[round(min(cpu_ratios), 3), round(max(cpu_ratios), 3)],
    )


Rates = tuple[list[float], list[float]]  # of both sides, run by run


def alternate(ours: Callable[[], int], theirs: Callable[[], int], runs: int) -> tuple[Rates, Rates]:
    """Return how much each run of both sides did per second of the clock and of the CPU, in turns after a warm-up."""
    rates: Rates = ([], [])
    cpu_rates: Rates = ([], [])
    for run in range(runs + 1):
        for side, work in enumerate((ours, theirs)):
            clock, cpu = time.perf_counter(), time.process_time()
            done = work()
            if run:
                rates[side].append(done / (time.perf_counter() - clock))
                cpu_rates[side].append(done / (time.process_time() - cpu))
    return rates, cpu_rates


def memory(folder: Path, model: str, options: argparse.Namespace) -> None:
    """Write the features of a long and of a short video, each in a process of its own."""
    program = (
        "import json, sys\n"
        "from keras_i3d.features.extract import extract_features\n"
        "from keras_i3d.features.settings import FeatureSettings\n"
        "settings = FeatureSettings(**json.loads(sys.argv[4]))\n"
        "done = extract_features(sys.argv[1], model=sys.argv[2], output=sys.argv[3], settings=settings)\n"
        "peak = [line for line in open('/proc/self/status') if line.startswith('VmHWM')][0].split()[1]\n"
        "print(done.windows, peak)\n"
    )
    found = {}
    for name, seconds in (("minute", 60.0), ("long", options.hours * 3600)):
        video = repeated(folder / f"{name}.mp4", seconds)
        chosen = {name: getattr(options, name) for name in ("window", "stride", "batch_size", "precision")}
        command = [sys.executable, "-c", program, str(video), model, str(folder / name), json.dumps(chosen)]
        begun = time.perf_counter()
        windows, kilobytes = map(int, subprocess.check_output(command, text=True).split())
        found |= {f"{name}_windows": windows, f"{name}_largest_resident_mb": round(kilobytes / 1024)}
        found[f"{name}_seconds"] = round(time.perf_counter() - begun, 1)
    show("memory", options, hours=options.hours, **found)


def settings(options: argparse.Namespace) -> Any:
    """Return the settings of the features that are asked for."""
    from keras_i3d.features.settings import FeatureSettings

    chosen = ("window", "stride", "batch_size", "precision")
    return FeatureSettings(**{name: getattr(options, name) for name in chosen})


def random_i3d(folder: Path, size: int) -> str:
    """Write I3D of random values as a finished model; returns its file."""
    import keras

    from keras_i3d import I3D
    from keras_i3d.clips.preparation import Preparation
    from keras_i3d.protocol import FPS, short_side_for

    keras.utils.set_random_seed(0)
    folder.mkdir()
    I3D(weights=None, input_shape=(None, size, size, 3)).save(folder / "best.keras")
    (folder / "labels.txt").write_text("".join(f"class {number}\n" for number in range(CLASSES)))
    Preparation("rgb", FPS, short_side_for(size), size).write(folder)
    return str(folder / "best.keras")


def made(path: Path, seconds: float) -> Path:
    """Write a video of 340x256 in which a soft picture drifts under a little noise."""
    from keras_i3d.video import encode

    path.write_bytes(encode.encode_video(drift(round(seconds * 25), 256, 340), fps=25.0, crf=23))
    return path


def drift(count: int, height: int, width: int) -> Iterator[Any]:
    """Yield frames of that picture."""
    import numpy as np

    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 200, (height // 16 + 1, width // 16 + 1, 3), np.uint8)
    picture = coarse.repeat(16, axis=0).repeat(16, axis=1)[:height, :width]
    noise = rng.integers(0, 24, (height, width, 3), np.uint8)
    for index in range(count):
        yield np.roll(picture, 3 * index, axis=1) + np.roll(noise, 17 * index, axis=0)


def repeated(path: Path, seconds: float) -> Path:
    """Write ten seconds of that video, 96x72, again and again, without encoding them anew."""
    import av

    from keras_i3d.video import encode

    content = encode.encode_video(drift(250, 72, 96), fps=25.0, crf=23)
    with av.open(io.BytesIO(content)) as source, av.open(str(path), "w") as copy:
        stream = source.streams.video[0]
        packets = [packet for packet in source.demux(stream) if packet.size]
        length = round(10 / stream.time_base)
        out = copy.add_stream_from_template(stream)
        for number in range(max(1, round(seconds / 10))):
            for packet in packets:
                packet.pts, packet.dts = packet.pts + bool(number) * length, packet.dts + bool(number) * length
                packet.stream = out
                copy.mux(packet)
    return path


def show(case: str, options: argparse.Namespace, **facts: object) -> None:
    """Print one JSON line."""
    import tensorflow as tf

    chosen = {name: getattr(options, name) for name in ("window", "stride", "batch_size", "precision", "size")}
    machine = {"python": platform.python_version(), "tensorflow": tf.__version__, "cores": os.cpu_count()}
    print(json.dumps({"case": case, **chosen, **facts, **machine}), flush=True)


if __name__ == "__main__":
    main()
