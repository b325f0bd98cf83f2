"""Write features of videos, window by window.

By default the 1024 averaged channels in front of the classifier, of every 64 frames, 8 apart; --endpoint names any
other layer. A VIDEO is a file, or a folder that is searched for videos. Each gives one file below --output, of the same
name, and of a folder in the same tree, with an array for each stream (windows, channels), the times of the windows in
seconds, and how they were made; keras_i3d.read_features reads it. No video is too short: a window it does not fill is
looped, or padded by --fill pad. One that cannot be read is skipped and listed at the end (exit code 3). The same
command again goes on where it stopped; more videos may be named then.

  keras-i3d features clip.mp4 --output features/
  keras-i3d features videos/ --output features/ --model run/best.keras --window 16 --stride 16
  keras-i3d features videos/ --output features/ --modality both --format h5
  keras-i3d features videos/ --output maps/ --endpoint Mixed_4f --pooling none --format h5
  keras-i3d features videos/ --output s3://bucket/features/ --scheduler tcp://host:8786
"""

from __future__ import annotations

import argparse
import json
import sys

from keras_i3d import exit_codes, quiet
from keras_i3d.commands.make_tfrecords import list_items
from keras_i3d.features.settings import FORMATS, POOLINGS, PRECISIONS, FeatureSettings
from keras_i3d.video.windows import FILLS

RETRY = "--retry-skipped tries what was skipped again, with --keep-truncated if need be"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    default = FeatureSettings()
    where = parser.add_argument_group("from where to where (a file or a folder may be an s3://, gs:// or http URL)")
    where.add_argument("videos", metavar="VIDEO", nargs="+", help="video file that FFmpeg reads, or folder of videos")
    where.add_argument(
        "--output", metavar="DIR", required=True, help="folder for the features: new, empty, or of the same command"
    )
    where.add_argument("--model", default="kinetics", help=".keras file of a run, or kinetics (default: kinetics)")
    where.add_argument(
        "--modality", choices=("rgb", "flow", "both"), help="of published weights (default: rgb); a file knows its own"
    )
    what = parser.add_argument_group("what is written")
    what.add_argument(
        "--endpoint",
        metavar="NAME",
        default=default.endpoint,
        help="features, in front of the classifier, or a layer, such as Mixed_5c or Logits (default: features)",
    )
    what.add_argument(
        "--pooling",
        choices=POOLINGS,
        default=default.pooling,
        help="over the time and space of a window; none keeps the map (default: mean)",
    )
    what.add_argument(
        "--window", type=int, metavar="N", help="frames of a window (default: 64, or what the network takes)"
    )
    what.add_argument("--stride", type=int, metavar="N", default=default.stride, help="frames apart (default: 8)")
    what.add_argument(
        "--fill",
        choices=FILLS,
        default=default.fill,
        help="of a window that the video does not fill: start it over, or repeat the last frame (default: loop)",
    )
    what.add_argument("--format", choices=FORMATS, default=default.file_format, help="(default: npz)")
    what.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=default.precision,
        help="what the network computes in (default: float32)",
    )
    what.add_argument(
        "--keep-truncated",
        action="store_true",
        help="use a video that ends early or is damaged up to there, and list it, instead of skipping it",
    )
    running = parser.add_argument_group("how it runs")
    running.add_argument(
        "--batch-size",
        type=int,
        metavar="N",
        default=default.batch_size,
        help="windows that the network sees at once; GPUs want more (default: 4)",
    )
    running.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="of a Dask cluster that does the work instead, such as tcp://host:8786; its workers must have this "
        "package, and see model, videos and output under the same names",
    )
    running.add_argument("--retry-skipped", action="store_true", help="try what an earlier run had to skip again")
    running.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    settings = FeatureSettings(
        endpoint=arguments.endpoint,
        pooling=arguments.pooling,
        window=arguments.window,
        stride=arguments.stride,
        fill=arguments.fill,
        batch_size=arguments.batch_size,
        precision=arguments.precision,
        file_format=arguments.format,
        keep_truncated=arguments.keep_truncated,
    )
    quiet.import_tensorflow()
    if arguments.scheduler:
        quiet.silence_dask()
    from keras_i3d.features.extract import extract_features

    report = extract_features(
        arguments.videos,
        model=arguments.model,
        output=arguments.output,
        settings=settings,
        modality=arguments.modality,
        scheduler=arguments.scheduler,
        retry_skipped=arguments.retry_skipped,
    )
    if arguments.json:
        print(json.dumps(report.to_json()))
    else:
        there = f", {report.present} were there" if report.present else ""
        print(f"{arguments.output}: {report.written} videos written, {report.windows} windows{there}")
    for title, pairs in (("skipped", report.skipped), ("kept although damaged:", report.damaged)):
        lines = [f"{video}: {reason.removeprefix(f'{video}: ')}" for video, reason in pairs.items()]
        list_items(title, lines, "report.json")
    if not report.skipped:
        return exit_codes.SKIPPED if report.damaged else exit_codes.DONE
    print(RETRY, file=sys.stderr)
    return exit_codes.SKIPPED if report.written or report.present else exit_codes.FAILED
