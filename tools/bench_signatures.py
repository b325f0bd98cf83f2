"""Time every signature of an exported model, and see on videos how far exports of other precision agree with it.

The model is exported in float32, with batch norm folded, and in bfloat16, each loaded as a server does; all take turns
in one process on the CPU. One JSON line per export and signature: seconds for one clip of raw frames, median and range;
the ratio to float32's, run by run; the bytes of a request. With --videos (a folder per class) one line per export
more: how many videos it names rightly and alike with float32, and the largest difference of logits as a share of their
standard deviation; and one of float32 on frames of the videos' own size, which the graph resizes, against frames that
the decoder has resized. Examples:

  python tools/bench_signatures.py
  python tools/bench_signatures.py --model keras_i3d_demo/i3d/best.keras --videos keras_i3d_demo/videos/test
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

MOST_FRAMES = 250  # of a video


def main() -> None:
    """Export, time in turns, compare, and print one JSON line for each result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help=".keras file of a run (default: I3D of random values, 224x224, 400 classes)")
    parser.add_argument("--frames", type=int, default=64, help="frames of the clip (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of each (default: %(default)s)")
    parser.add_argument("--videos", type=Path, metavar="DIR", help="videos to name, a folder per class")
    options = parser.parse_args()
    if min(options.frames, options.repeats) < 1:
        parser.error("--frames and --repeats must be at least 1")

    from keras_i3d import finished_model
    from keras_i3d.serving.check import loaded
    from keras_i3d.serving.export import export
    from keras_i3d.serving.options import ServingOptions
    from keras_i3d.serving.signatures import Signatures

    finished = finished_model.load(options.model) if options.model else random_i3d()
    choices = {
        "float32": ServingOptions(),
        "float32+fold": ServingOptions(fold_batch_norm=True),
        "bfloat16+fold": ServingOptions(precision="bfloat16"),
    }
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        runs = {case: stack.enter_context(loaded(export(finished, folder, choices[case]))) for case in choices}
        for line in timings(runs, Signatures(finished), options):
            print(json.dumps(line), flush=True)
        if options.videos:
            for line in agreements(runs, finished, options.videos):
                print(json.dumps(line), flush=True)


def random_i3d() -> Any:
    """Return I3D of random values as a finished model."""
    import keras

    from keras_i3d import I3D
    from keras_i3d.clips.preparation import Preparation
    from keras_i3d.finished_model import FinishedModel
    from keras_i3d.protocol import FPS, short_side_for

    keras.utils.set_random_seed(0)
    network = I3D(weights=None, input_shape=(None, 224, 224, 3))
    names = tuple(f"class {number}" for number in range(400))
    return FinishedModel(network, names, Preparation("rgb", FPS, short_side_for(224), 224))


def timings(runs: Mapping[str, Any], signatures: Any, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield a line for every signature of every export."""
    for name in signatures.names:
        inputs = request(signatures, name, options.frames)
        seconds: dict[str, list[float]] = {case: [] for case in runs}
        for repeat in range(options.repeats + 1):  # the first is not counted
            for case, run in runs.items():
                start = time.perf_counter()
                run(name, inputs)
                if repeat:
                    seconds[case].append(time.perf_counter() - start)
        for case, own in seconds.items():
            ratios = [one / first for one, first in zip(own, seconds["float32"], strict=True)]
            yield {
                "signature": name,
                "case": case,
                "frames": options.frames,
                "seconds": {"median": statistics.median(own), "range": [min(own), max(own)]},
                "ratio_to_float32": statistics.median(ratios),
                "request_bytes": sum(map(size_of, inputs.values())),
            }


def request(signatures: Any, name: str, frames: int) -> dict[str, Any]:
    """Return one clip of smooth noise as a signature takes it; pictures as JPEGs."""
    import numpy as np
    import tensorflow as tf

    generator = np.random.default_rng(0)
    inputs = {}
    for spec in signatures.specs(name):
        shape = signatures.request_shapes(name, frames=frames)[spec.name]
        if spec.dtype == tf.string:
            side = signatures.finished.preparation.short_side
            coarse = generator.integers(0, 256, (frames, 16, 16, 3)).astype("float32")
            pictures = tf.cast(tf.image.resize(coarse, (side, round(side * 4 / 3))), tf.uint8)
            files = [tf.io.encode_jpeg(picture).numpy() if len(shape) > 1 else b"" for picture in pictures]
            inputs[spec.name] = np.array(files[: shape[-1]], object).reshape(shape)
        elif spec.dtype == tf.uint8:
            inputs[spec.name] = generator.integers(0, 256, shape, np.uint8)
        else:
            inputs[spec.name] = generator.uniform(-1, 1, shape).astype(np.float32)
    return inputs


def size_of(array: Any) -> int:
    """Return the bytes of an array, or of the strings in it."""
    return sum(map(len, array.flat)) if array.dtype == object else array.nbytes


def agreements(runs: Mapping[str, Any], finished: Any, folder: Path) -> Iterator[dict[str, Any]]:
    """Yield a line for every export, and one for frames of raw size."""
    import numpy as np

    from keras_i3d.video import decode

    preparation, classes = finished.preparation, list(finished.class_names)
    videos = sorted(path for path in folder.rglob("*") if path.is_file())
    logits: dict[str, list[Any]] = {case: [] for case in [*runs, "raw size"]}
    for path in videos:
        frames = decode.read_frames(path, fps=preparation.fps, short_side=preparation.short_side)[:MOST_FRAMES]
        raw = decode.read_frames(path, fps=preparation.fps, short_side=None)[:MOST_FRAMES]
        for case, run in runs.items():
            logits[case].append(run("serving_default", {"rgb": frames[np.newaxis]})["logits"][0])
        logits["raw size"].append(runs["float32"]("serving_default", {"rgb": raw[np.newaxis]})["logits"][0])
    wanted = np.array(logits["float32"])
    truth = [classes.index(path.parent.name) if path.parent.name in classes else -1 for path in videos]
    for case, own in logits.items():
        found = np.array(own)
        yield {
            "case": case,
            "videos": len(videos),
            "top1": float(np.mean(found.argmax(1) == truth)) if -1 not in truth else None,
            "same_top1_as_float32": float(np.mean(found.argmax(1) == wanted.argmax(1))),
            "difference_of_logits": float(np.abs(found - wanted).max() / wanted.std()),
        }


if __name__ == "__main__":
    main()
