"""Train from scratch, on fixed features and by fine-tuning, and compare: RGB, flow, both; batch norm frozen or trained.

A network for each stream is trained on made videos of eight motions (`keras_i3d.datasets.motion`). Then, for each seed,
`keras-i3d benchmark own` transfers it to a small set of other such videos (40 to train on, 80 to test), or to those of
--records. The whole takes 40 minutes on two cores for three seeds. One JSON line per row: mean top-1 over the seeds,
and each one's. What is done stays in OUTPUT, and the same command goes on.

  python tools/bench_transfer.py --output transfer/ --seeds 0 1 2
  python tools/bench_transfer.py --output transfer/ --records mine/ --epochs 20 --seeds 0 1 2
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from keras_i3d.datasets import folder as class_folders
from keras_i3d.datasets import motion
from keras_i3d.records import making
from keras_i3d.records.settings import RecordSettings

SIZE, SHORT_SIDE, FRAMES = 64, 73, 16
BEFORE = motion.MotionVideos({"train": 20, "val": 4, "test": 2}, seed=1)
AFTER = motion.MotionVideos({"train": 5, "val": 2, "test": 10}, seed=2)
CLIP = {"frames": FRAMES, "size": SIZE, "batch_size": 8, "dropout_rate": 0.2}


def main() -> None:
    """Make the videos, train, and print a JSON line for each row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder of videos, records and runs")
    parser.add_argument("--records", type=Path, help="what to transfer to, with flow (default: other made videos)")
    parser.add_argument("--epochs", type=int, default=12, help="of original and fixed (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=60, help="updates of full (default: %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the transfers (default: 0)")
    options = parser.parse_args()
    trained = {stream: pretrained(options.output, stream) for stream in ("rgb", "flow")}
    records = options.records or made(options.output / "after", AFTER)
    rows: dict[tuple[str, str], list[float]] = {}
    for seed in options.seeds:
        cases = {
            "": ["--transfers", "original", "fixed", *changes(epochs=options.epochs, seed=seed)],
            " frozen": full(options.steps, seed, frozen=True),
            " trained": full(options.steps, seed, frozen=False),
        }
        for case, arguments in cases.items():
            place = options.output / f"{records.name}{case.replace(' ', '-')}-{seed}"
            told = ["benchmark", "own", "--records", records, "--output", place, "--weights", *trained.values()]
            run([*told, *arguments])
            for line in json.loads((place / "result.json").read_text("utf-8")):
                rows.setdefault((line["transfer"] + case, line["modality"]), []).append(line["top1"])
    for (transfer, modality), values in rows.items():
        row = {"transfer": transfer, "stream": modality, "top1": statistics.mean(values), "of_seeds": values}
        print(json.dumps(row), flush=True)


def pretrained(output: Path, stream: str) -> Path:
    """Train a network on the first videos; returns its file."""
    records = made(output / "before", BEFORE)
    options = [f"--{name.replace('_', '-')}={value}" for name, value in CLIP.items()]
    folder = output / f"before-{stream}"
    run(
        ["train", "--records", records, "--output", folder, "--modality", stream, "--no-flips", "--epochs=10", *options]
    )
    return folder / "best.keras"


def made(folder: Path, videos: motion.MotionVideos) -> Path:
    """Write videos and their records, unless they are there; returns the folder of records."""
    source = folder.with_name(f"{folder.name}-videos")
    if not (folder / "manifest.json").is_file():
        list(motion.write_videos(source, videos))
        making.make_tfrecords(
            class_folders.read_folder(source), folder, RecordSettings(short_side=SHORT_SIDE, flow="tvl1"), workers=0
        )
    return folder


def full(steps: int, seed: int, *, frozen: bool) -> list[str]:
    """Return the arguments of fine-tuning."""
    course = changes(steps=steps, seed=seed, warmup_steps=5, accumulation=1, frozen_batch_norm=frozen)
    return ["--transfers", "full", *course]


def changes(**fields: float) -> list[str]:
    """Return the arguments that change fields of every recipe."""
    every = CLIP | {"flips": False} | fields
    return [part for name, value in every.items() for part in ("--set", f"{name}={json.dumps(value)}")]


def run(arguments: list) -> None:
    """Run a command of the package, in a process of its own; its table goes to standard error."""
    subprocess.run([sys.executable, "-m", "keras_i3d", *map(str, arguments)], check=True, stdout=sys.stderr)


if __name__ == "__main__":
    main()
