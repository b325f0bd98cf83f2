"""Measure how far generated videos are from real ones: the Fréchet Video Distance.

REAL and GENERATED are each a folder of videos, an .npy file of an array (videos, time, height, width, 3), or an .npz of
statistics that --save-real or --save-generated wrote. Every frame is resized to 224x224, or what --model takes, and the
network's answers, averaged over time, are compared as two Gaussians (Unterthiner et al. 2018). Smaller is more alike, 0
is equal. The number depends on how many videos there are and of how many frames: compare only with numbers of as many.

  keras-i3d fvd real/ generated/ --frames 16
  keras-i3d fvd real/ generated/ --frames 16 --save-real real.npz --resamples 100
  keras-i3d fvd real.npz generated/ --frames 16 --json
  keras-i3d fvd real.npy generated.npy --range -1 1
  keras-i3d fvd real/ generated/ --model run/best.keras --endpoint features

A video that cannot be read, or is too short, is an error; with --on-damage skip and --on-short skip it is left out,
told, and the exit code is 3.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_i3d import exit_codes, progress, quiet
from keras_i3d.extras import import_extra
from keras_i3d.fvd import interval, measure
from keras_i3d.fvd.options import BATCH_SIZE, WHAT_TO_DO, FvdOptions
from keras_i3d.fvd.statistics import VideoStatistics, checked_path
from keras_i3d.fvd.videos import VideoSetWarning, open_set

if TYPE_CHECKING:
    from keras_i3d.fvd.measure import VideoDistance

SETS = ("real", "generated")
MODEL = "kinetics"
OF_LOOKING = ("model", "range", "fps")  # which saved statistics have behind them


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("real", metavar="REAL", help="folder of videos, .npy array, or .npz of saved statistics")
    parser.add_argument("generated", metavar="GENERATED", help="the same")
    parser.add_argument("--model", help=".keras file of a run, or published weights (default: kinetics)")
    parser.add_argument(
        "--endpoint",
        choices=("logits", "features"),
        default="logits",
        help="logits as in the paper, or the features before the classifier (default: logits)",
    )
    parser.add_argument(
        "--frames", type=int, metavar="N", help="the first N frames of each video (default: all, equally many in all)"
    )
    parser.add_argument("--fps", type=float, help="frames per second that files are brought to (default: their own)")
    parser.add_argument(
        "--range",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="what the values of .npy arrays of floats mean: 0 1, -1 1 or 0 255",
    )
    parser.add_argument(
        "--batch-size", type=int, default=BATCH_SIZE, metavar="N", help=f"videos at once (default: {BATCH_SIZE})"
    )
    for name in ("damage", "short"):
        what = {"damage": "a file that cannot be read", "short": "a video of fewer than --frames"}[name]
        parser.add_argument(
            f"--on-{name}", choices=WHAT_TO_DO, default="stop", help=f"what to do at {what} (default: stop)"
        )
    parser.add_argument("--save-real", metavar="FILE.npz", help="keep the statistics of REAL, to be used in its place")
    parser.add_argument("--save-generated", metavar="FILE.npz", help="the same of GENERATED")
    parser.add_argument(
        "--resamples", type=int, default=0, metavar="N", help="draws of a 95%% interval, such as 100 (default: none)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the draws (default: 0)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    options = FvdOptions(
        fps=arguments.fps,
        batch_size=arguments.batch_size,
        on_damage=arguments.on_damage,
        on_short=arguments.on_short,
        seed=arguments.seed,
    )
    interval.check(arguments.resamples, options.level)
    outputs = {name: getattr(arguments, f"save_{name}") for name in SETS}
    for path in outputs.values():
        if path is not None and not checked_path(path).parent.is_dir():
            raise ValueError(f"{path}: there is no folder {Path(path).parent} to keep statistics in")
    real, generated = _statistics(arguments, options, outputs)
    with progress.bar("resamples", arguments.resamples) as bar, warnings.catch_warnings():
        warnings.simplefilter("ignore", VideoSetWarning)  # the result has them too
        drawn = {"resamples": arguments.resamples, "level": options.level, "seed": options.seed}
        result = measure.distance_between(real, generated, **drawn, on_resample=bar.advance)
    _show(arguments, result)
    return exit_codes.SKIPPED if real.skipped or generated.skipped else exit_codes.DONE


def _statistics(
    arguments: argparse.Namespace, options: FvdOptions, outputs: dict[str, str | None]
) -> list[VideoStatistics]:
    """Return the statistics of both sets, from files or from looking at the videos, and keep each once it is there."""
    asked = {"endpoint": arguments.endpoint, "frames": arguments.frames}
    found = {name: measure.opened_statistics(getattr(arguments, name), **asked) for name in SETS}
    sets = {
        name: open_set(getattr(arguments, name), name=name, fps=options.fps)
        for name, statistics in found.items()
        if statistics is None
    }
    unused = [name for name in OF_LOOKING if not sets and getattr(arguments, name) is not None]
    if unused:
        raise ValueError(f"--{unused[0]} is of videos, and both sets are saved statistics, which are taken as they are")
    for name, statistics in found.items():
        if statistics is not None and outputs[name] is not None:
            statistics.save(outputs[name])
    if sets:
        import_extra("av")
        quiet.import_tensorflow()
        from keras_i3d.fvd import seeing

        network = seeing.opened_network(arguments.model or MODEL, arguments.endpoint)
    for name, opened in sets.items():
        like = next((statistics.making for statistics in found.values() if statistics is not None), None)
        with progress.bar(f"{name} videos", opened.count) as bar:
            found[name] = seeing.video_statistics(
                opened,
                model=network,
                value_range=arguments.range,
                frames=arguments.frames,
                options=options,
                name=getattr(arguments, name),
                like=like,
                on_video=bar.advance,
            )
        if outputs[name] is not None:
            found[name].save(outputs[name])
    return list(found.values())


def _show(arguments: argparse.Namespace, result: VideoDistance) -> None:
    for text in result.warnings:
        print(f"keras-i3d fvd: warning: {text}", file=sys.stderr)
    for name in SETS:
        for video, reason in getattr(result, name)["skipped"]:
            text = reason if reason.startswith(video) else f"{video}: {reason}"
            print(f"keras-i3d fvd: left out of {name}: {text}", file=sys.stderr)
    if arguments.json:
        asked = {"real": {"source": arguments.real}, "generated": {"source": arguments.generated}}
        fields = result.to_json()
        print(json.dumps(fields | {name: asked[name] | fields[name] for name in SETS}))
        return
    print("\n".join(_table(result)))


def _table(result: VideoDistance) -> list[str]:
    making = result.making
    rows: list[tuple[str, Any]] = [("FVD", f"{result.distance:.5g}")]
    if result.interval is not None:
        low, high = result.interval
        rows.append((f"{result.level:.0%} interval", f"{low:.5g} to {high:.5g}   ({result.resamples} halves)"))
    for name in SETS:
        one = getattr(result, name)
        sizes = ", ".join(one["sizes"]) if len(one["sizes"]) <= 3 else f"{len(one['sizes'])} sizes"
        left_out = f", {len(one['skipped'])} left out" if one["skipped"] else ""
        rows.append((name, f"{one['videos']} videos of {sizes}{left_out}"))
    rows.append(("seen", f"{making.frames} frames, resized to {making.size}x{making.size}"))
    rows.append(("by", f"{making.model}, its {making.endpoint}"))
    return [f"{label:14}  {value}" for label, value in rows]
