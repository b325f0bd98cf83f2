"""Show the whole product at work, without network or data.

Makes a small data set of encoded video files whose classes differ in motion alone, writes records, trains an
I3D, evaluates it on videos it has not seen, exports a SavedModel, and answers on one video file through it.
Beside it stands the same network with the per-frame plan (all temporal kernels, pools and strides 1), which
cannot see motion. Leaves report.html to look at, and result.json. The same command again goes on where it
stopped. With --videos it runs the same on your own folder of videos, one folder per class.

  keras-i3d demo
  keras-i3d demo --videos my_videos/ --output my_demo/
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import platform
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_i3d import __version__, progress
from keras_i3d.commands import make_tfrecords, train
from keras_i3d.datasets import folder as class_folders
from keras_i3d.errors import DatasetError
from keras_i3d.evaluation.evaluate import evaluate
from keras_i3d.records import making
from keras_i3d.records.manifest import Manifest
from keras_i3d.records.settings import RecordSettings
from keras_i3d.run_folder import claim
from keras_i3d.serving.prediction import predict
from keras_i3d.training.recipe import Recipe
from keras_i3d.whole_file import write_json

if TYPE_CHECKING:
    from keras_i3d.evaluation.result import Evaluation
    from keras_i3d.figures.report import Example
    from keras_i3d.serving.prediction import Prediction

# Small enough for two cores and a quarter of an hour. The classes name directions, so nothing is mirrored.
RECIPE = Recipe(frames=16, size=64, epochs=10, batch_size=8, learning_rate=1e-3, dropout_rate=0.2, flips=False)
SHORT_SIDE = 73  # 64 x 256 / 224
PLANS = {
    "I3D": ("i3d", "kernels inflated in time, as in the paper"),
    "per-frame": ("per_frame", "the same network, all temporal kernels, pools and strides 1"),
}


@dataclass(frozen=True)
class Outcome:
    """What became of one network."""

    history: list[dict[str, float]]
    evaluation: Evaluation
    parameters: int
    seconds: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--output", metavar="DIR", default="keras_i3d_demo", help="default: keras_i3d_demo")
    parser.add_argument("--videos", metavar="DIR", help="your own videos, one folder per class")
    parser.add_argument(
        "--clips-per-class", type=int, default=40, help="made training videos of each class (default: 40)"
    )
    parser.add_argument("--epochs", type=int, default=RECIPE.epochs, help=f"default: {RECIPE.epochs}")
    parser.add_argument("--seed", type=int, default=0, help="of the videos and the training (default: 0)")
    parser.add_argument("--workers", type=int, default=None, help="processes for the records (default: all cores)")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    if arguments.clips_per_class < 1:
        raise ValueError(f"clips-per-class must be at least 1, got {arguments.clips_per_class}")
    train.repeat_exactly(None)
    started = time.monotonic()
    recipe = dataclasses.replace(RECIPE, epochs=arguments.epochs, seed=arguments.seed)
    videos = None if arguments.videos is None else str(Path(arguments.videos).resolve())
    settings = {
        "videos": videos,
        "clips_per_class": None if videos else arguments.clips_per_class,
        "epochs": arguments.epochs,
        "seed": arguments.seed,
    }
    with claim(arguments.output, "demo", settings) as folder:
        source = Path(videos) if videos else _make_videos(folder / "videos", arguments)
        dataset = class_folders.read_folder(source)
        settings = RecordSettings(short_side=SHORT_SIDE, seed=arguments.seed)
        manifest = making.make_tfrecords(dataset, folder / "records", settings, workers=arguments.workers)
        _check_splits(source, manifest)
        recipe = dataclasses.replace(recipe, batch_size=min(recipe.batch_size, manifest.records["train"]))
        outcomes = {
            name: _train_and_evaluate(name, folder, dataclasses.replace(recipe, time_plan=plan))
            for name, (plan, _) in PLANS.items()
        }
        served = _export(folder)
        question = _first_of_each_class(outcomes["I3D"].evaluation)[0]
        answer = predict(source / outcomes["I3D"].evaluation.answers.ids[question], model=served)
        result = _write_results(folder, source, recipe, outcomes, answer)
    _print_summary(folder, outcomes, answer, result, seconds=time.monotonic() - started)
    return make_tfrecords.report_skipped(manifest)


def _check_splits(source: Path, manifest: Manifest) -> None:
    missing = [split for split in ("train", "test") if split not in manifest.records]
    if missing:
        raise DatasetError(
            f"{source}: no video for the split {missing[0]}; put videos into folders train/CLASS and test/CLASS, "
            "or add some (without such folders a fifth goes to test, by the hash of the names)"
        )


def _make_videos(target: Path, arguments: argparse.Namespace) -> Path:
    from keras_i3d.datasets import motion

    if target.is_dir():
        return target
    count = arguments.clips_per_class
    videos = motion.MotionVideos({"train": count, "val": -(-count // 5), "test": -(-count // 2)}, seed=arguments.seed)
    aside = target.with_name(f".{target.name}")
    shutil.rmtree(aside, ignore_errors=True)
    total = sum(videos.clips_per_class.values()) * len(motion.CLASSES)
    with progress.bar("making videos", total) as bar:
        for _ in motion.write_videos(aside, videos):
            bar.advance()
    aside.rename(target)
    return target


def _train_and_evaluate(name: str, folder: Path, recipe: Recipe) -> Outcome:
    from keras_i3d.models.saved import load_model

    run_folder, started = folder / recipe.time_plan, time.monotonic()
    history = train.train(folder / "records", run_folder, recipe, description=f"training {name}")
    seconds = time.monotonic() - started
    evaluation = evaluate(run_folder / "best.keras", folder / "records", split="test")
    return Outcome(history, evaluation, load_model(run_folder / "best.keras").count_params(), seconds)


def _export(folder: Path) -> Path:
    from keras_i3d.serving.export import export, versions

    served = folder / "served"
    if not served.is_dir() or not versions(served):
        export(folder / "i3d" / "best.keras", served)
    return served


def _first_of_each_class(evaluation: Evaluation) -> list[int]:
    """Return the place of the first test video of each class that has one."""
    truth = list(evaluation.answers.truth)
    return [truth.index(index) for index in range(len(evaluation.class_names)) if index in truth]


def _write_results(
    folder: Path, source: Path, recipe: Recipe, outcomes: dict[str, Outcome], answer: Prediction
) -> dict[str, Any]:
    """Write result.json, which holds nothing that differs from run to run, and report.html."""
    import keras
    import tensorflow as tf

    from keras_i3d.figures import report

    reference = outcomes["I3D"].evaluation
    classes = len(reference.class_names)
    result = {
        "classes": classes,
        "test_videos": reference.metrics.videos,
        "chance": 1 / classes,
        "networks": {
            name: {
                "top1": outcome.evaluation.metrics.top1,
                "mean_class_accuracy": outcome.evaluation.metrics.mean_class_accuracy,
                "history": outcome.history,
            }
            for name, outcome in outcomes.items()
        },
        "served": answer.to_json() | {"video": Path(answer.video).relative_to(source).as_posix(), "model": "served"},
    }
    write_json(folder / "result.json", result)
    runs = [
        report.RunResult(
            name=name,
            description=PLANS[name][1],
            history=outcome.history,
            top1=outcome.evaluation.metrics.top1,
            mean_class_accuracy=outcome.evaluation.metrics.mean_class_accuracy,
            confusion=outcome.evaluation.metrics.confusion,
            parameters=outcome.parameters,
            train_seconds=outcome.seconds,
        )
        for name, outcome in outcomes.items()
    ]
    facts = [
        ("keras_i3d", __version__),
        ("TensorFlow, Keras", f"{tf.__version__}, {keras.__version__}"),
        ("Python, machine", f"{platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores"),
        ("Training clips", f"{recipe.frames} frames of {recipe.size}x{recipe.size}"),
        (
            "Recipe",
            ", ".join(f"{key} {value}" for key, value in recipe.to_json().items() if key != "time_plan"),
        ),
    ]
    report.write(
        folder / "report.html",
        report.Report(
            title="I3D sees motion",
            introduction=_introduction(recipe, classes, reference.metrics.videos),
            facts=facts,
            class_names=list(reference.class_names),
            runs=runs,
            examples=_examples(source, outcomes),
            chance=1 / classes,
            served_answer=result["served"],
        ),
    )
    return result


def _introduction(recipe: Recipe, classes: int, videos: int) -> str:
    return (
        f"Two networks were trained on the same videos of {classes} classes, for {recipe.epochs} epochs each, "
        f"and asked about {videos} videos that they had not seen. I3D looks through kernels that reach over "
        "time; the per-frame network looks at every frame alone and averages."
    )


def _examples(source: Path, outcomes: dict[str, Outcome]) -> list[Example]:
    import numpy as np

    from keras_i3d.figures.report import Example
    from keras_i3d.models.i3d import decode_predictions
    from keras_i3d.video import decode

    reference = outcomes["I3D"].evaluation
    examples = []
    for place in _first_of_each_class(reference):
        path = source / reference.answers.ids[place]
        answers = {}
        for name, outcome in outcomes.items():
            logits = outcome.evaluation.answers.logits[place]
            probabilities = np.exp(logits - logits.max())
            best = decode_predictions([probabilities / probabilities.sum()], 3, class_names=reference.class_names)[0]
            answers[name] = [(class_name, value) for _, class_name, value in best]
        examples.append(
            Example(
                frames=decode.read_frames(path, short_side=96, end_s=10.0),
                video_path=path,
                true_class=reference.class_names[reference.answers.truth[place]],
                answers=answers,
            )
        )
    return examples


def _print_summary(
    folder: Path, outcomes: dict[str, Outcome], answer: Prediction, result: dict[str, Any], *, seconds: float
) -> None:
    print(f"top-1 on {result['test_videos']} unseen videos of {result['classes']} classes:")
    for name, outcome in outcomes.items():
        print(f"  {name:10} {outcome.evaluation.metrics.top1:6.1%}   ({PLANS[name][1]})")
    print(f"  {'chance':10} {result['chance']:6.1%}")
    print(f"the served model says of {result['served']['video']}: {answer.top[0][0]} ({answer.top[0][1]:.1%})")
    print(f"look at {folder / 'report.html'}   ({seconds / 60:.1f} minutes; numbers in result.json)")
