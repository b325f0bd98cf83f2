"""Turn videos into TFRecord shards of RGB frames and optical flow.

Sources: a folder with one folder of videos per class, with or without folders train, val and test above them; a
CSV table with the header path,label,start_s,end_s,split (the last three may be absent or empty); UCF-101, HMDB-51,
Kinetics or Charades as they are distributed. Without splits, 80 % of the videos go to train and 20 % to test, by the
SHA-256 of their names. --dry-run says what was found. With --multi-label a line of the table may have several
labels, as in run;jump, or none.

Writes train-00000-of-00004.tfrecord and so on (ucf101-00000-of-00004.tfrecord where every video belongs to several
splits; the records say to which), labels.txt and manifest.json. A video that cannot be read is skipped and listed at
the end (exit code 3). The same command again goes on where it stopped. Readers filter by --split train, or train2.

  keras-i3d make-tfrecords --folder videos/ --output records/
  keras-i3d make-tfrecords --csv clips.csv --output records/ --flow tvl1
  keras-i3d make-tfrecords --ucf101 UCF-101/ --output records/ --store video
  keras-i3d make-tfrecords --csv actions.csv --multi-label --output records/
  keras-i3d make-tfrecords --kinetics k400/ --output s3://bucket/k400/ --scheduler tcp://host:8786
  keras-i3d make-tfrecords --output records/ --verify
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Callable, Sequence

from keras_i3d import exit_codes, labels, progress, quiet
from keras_i3d.datasets import summary
from keras_i3d.datasets.dataset import VideoDataset
from keras_i3d.records import manifest, verification
from keras_i3d.records.making import make_tfrecords
from keras_i3d.records.manifest import Manifest
from keras_i3d.records.settings import FLOW_DEVICES, STORES, VIDEO_CODINGS, RecordSettings
from keras_i3d.video import flow

RETRY = "--retry-skipped tries what was skipped again, with other limits or --keep-truncated if need be"
SHOWN_SKIPPED = 20  # of skipped videos; the manifest has all

SOURCES = {
    "folder": ("DIR", "folder with one folder of videos per class"),
    "csv": ("FILE", "table path,label,start_s,end_s,split"),
    "ucf101": ("DIR", "UCF-101: folders of classes, and ucfTrainTestlist/"),
    "hmdb51": ("DIR", "HMDB-51: folders of classes, and testTrainMulti_7030_splits/"),
    "kinetics": ("DIR", "Kinetics-400, -600 or -700: videos in whatever folders, and the CSV files"),
    "charades": ("DIR", "Charades: folder of videos, and Charades/ with the tables; a clip has several labels"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    where = parser.add_argument_group(
        "from where to where (a folder, a file or a video may be an s3://, gs:// or http URL)"
    )
    source = where.add_mutually_exclusive_group()
    for name, (metavar, text) in SOURCES.items():
        source.add_argument(f"--{name}", metavar=metavar, help=text)
    where.add_argument(
        "--annotations",
        metavar="PATH",
        nargs="+",
        help="where the split files of UCF-101 or HMDB-51 or the tables of Charades lie, or the CSV files of Kinetics "
        "(default: below DIR)",
    )
    where.add_argument(
        "--trimmed",
        action="store_true",
        help="Kinetics: files that are named without times are cut to their stretch already (default: such a file is "
        "the whole video, cut at the times of the CSV file)",
    )
    where.add_argument(
        "--multi-label",
        action="store_true",
        help="CSV table: the column label holds any number of labels, separated by ';'; a clip without one is of no "
        "class",
    )
    where.add_argument("--output", metavar="DIR", help="folder for the shards: new, empty, or of the same command")
    where.add_argument("--labels", metavar="FILE", help="class names, one a line, that fix the order of the classes")
    _add_content(parser.add_argument_group("what the records hold"))
    _add_damage(parser.add_argument_group("what becomes of damaged and hostile files"))
    running = parser.add_argument_group("how it runs")
    running.add_argument(
        "--workers",
        type=int,
        help="processes on this machine; the result is the same (default: all cores; 0: no other process)",
    )
    running.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="of a Dask cluster that does the work instead, such as tcp://host:8786; its workers must have this "
        "package, and see videos and output under the same names",
    )
    running.add_argument("--retry-skipped", action="store_true", help="try what an earlier run had to skip again")
    running.add_argument("--dry-run", action="store_true", help="say what was found, and stop")
    running.add_argument(
        "--verify", action="store_true", help="compare the shards of --output with their manifest, and stop"
    )
    running.add_argument("--json", action="store_true", help="print one JSON object")


def _add_content(group: argparse._ArgumentGroup) -> None:
    default = RecordSettings()
    group.add_argument(
        "--flow",
        choices=flow.KINDS,
        default=default.flow,
        help="optical flow to store beside the frames. The published flow weights need tvl1, which takes some "
        "50 ms per frame and core at 256 pixels; opencv is the implementation that it follows, far slower; dis and "
        "farneback are quicker, differ from it by half a pixel and more, and are for networks that are trained on them "
        "(default: none)",
    )
    group.add_argument(
        "--flow-device",
        choices=FLOW_DEVICES,
        default=default.flow_device,
        help="where tvl1 is computed: cpu, or gpu by Keras's backend, the same but for rounding (not tried on one "
        "yet); the processes share the GPU, so --workers is 2 then, unless you say otherwise (default: cpu)",
    )
    group.add_argument(
        "--store",
        choices=STORES,
        default=default.store,
        help="a JPEG of each frame, or a video in each record, an eighth to a tenth of the size, that training "
        "decodes "
        "(default: frames)",
    )
    group.add_argument(
        "--video-coding",
        choices=VIDEO_CODINGS,
        default=default.video_coding,
        help="of --store video: the prepared frames as H.264, or the file as it is (default: h264)",
    )
    group.add_argument("--fps", type=float, default=default.fps, help="frames per second (default: 25)")
    group.add_argument(
        "--short-side", type=int, default=default.short_side, help="shorter side in pixels (default: 256)"
    )
    group.add_argument("--jpeg-quality", type=int, default=default.jpeg_quality, help="1 to 100 (default: 95)")
    group.add_argument(
        "--crf", type=int, default=default.crf, help="of H.264, 0 (lossless) to 51 (smallest) (default: %(default)s)"
    )
    group.add_argument(
        "--record-s",
        type=float,
        default=default.record_s,
        metavar="SECONDS",
        help="longest record; longer videos become several (default: %(default)g)",
    )
    group.add_argument("--clips-per-shard", type=int, default=default.clips_per_shard, help="at most (default: 64)")
    group.add_argument("--seed", type=int, default=default.seed, help="of the order of the clips (default: 0)")


def _add_damage(group: argparse._ArgumentGroup) -> None:
    default = RecordSettings()
    group.add_argument(
        "--keep-truncated",
        action="store_true",
        help="keep a video that ends early or is damaged up to there, and list it, instead of skipping it",
    )
    for name, kind, text in (
        ("frames", int, "most frames decoded of one file"),
        ("pixels", int, "most pixels of one frame of a file"),
        ("seconds", float, "most seconds spent on decoding one file"),
    ):
        option = f"max_{name}"
        group.add_argument(
            f"--{option.replace('_', '-')}",
            type=kind,
            metavar="N",
            default=getattr(default, option),
            help=f"{text} (default: %(default)s)",
        )


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    if arguments.output is None and not arguments.dry_run:
        raise ValueError("--output is wanted: the folder for the shards")
    if arguments.verify:
        return _verify(arguments)
    settings = RecordSettings(
        **{field.name: getattr(arguments, field.name) for field in dataclasses.fields(RecordSettings)}
    )
    dataset = _dataset(arguments)
    if arguments.dry_run:
        print(json.dumps(summary.to_dict(dataset)) if arguments.json else summary.to_text(dataset))
        return exit_codes.SKIPPED if dataset.missing else 0
    print(summary.to_text(dataset), file=sys.stderr)
    if arguments.scheduler:
        quiet.silence_dask()
    elif arguments.flow_device == "gpu" and os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
        quiet.import_tensorflow()
    made = make_tfrecords(
        dataset,
        arguments.output,
        settings,
        workers=arguments.workers,
        scheduler=arguments.scheduler,
        retry_skipped=arguments.retry_skipped,
    )
    _print_result(arguments, made)
    return report_skipped(made, hint=RETRY)


def _dataset(arguments: argparse.Namespace) -> VideoDataset:
    """Read the data set that the arguments name."""
    from keras_i3d import datasets

    readers: dict[str, Callable[..., VideoDataset]] = {
        "folder": datasets.read_folder,
        "csv": datasets.read_table,
        "ucf101": datasets.read_ucf101,
        "hmdb51": datasets.read_hmdb51,
        "kinetics": datasets.read_kinetics,
        "charades": datasets.read_charades,
    }
    given = [name for name in SOURCES if getattr(arguments, name) is not None]
    if not given:
        raise ValueError(f"a source is wanted: one of {', '.join(f'--{name}' for name in SOURCES)}")
    name = given[0]
    options = {"class_names": labels.read(arguments.labels) if arguments.labels else None}
    if arguments.annotations:
        if name in ("folder", "csv"):
            raise ValueError(f"--annotations belongs to --ucf101, --hmdb51, --kinetics and --charades, got --{name}")
        if name != "kinetics" and len(arguments.annotations) > 1:
            raise ValueError(f"--{name} takes one folder of --annotations, got {len(arguments.annotations)}")
        options["annotations"] = arguments.annotations if name == "kinetics" else arguments.annotations[0]
    if arguments.trimmed:
        if name != "kinetics":
            raise ValueError(f"--trimmed belongs to --kinetics, got --{name}")
        options["trimmed"] = True
    if arguments.multi_label:
        if name != "csv":
            raise ValueError(f"--multi-label belongs to --csv, got --{name}")
        options["multi_label"] = True
    return readers[name](getattr(arguments, name), **options)


def _print_result(arguments: argparse.Namespace, made: Manifest) -> None:
    if arguments.json:
        result = {
            "output": arguments.output,
            "records": made.records,
            "classes": made.dataset["classes"],
            "skipped": dict(made.skipped),
            "damaged": dict(made.damaged),
            "missing": dict(made.missing),
        }
        print(json.dumps(result))
        return
    if arguments.kinetics and any("no video frame between" in reason for _, reason in made.skipped):
        print("if files named without times are cut to their stretch already, add --trimmed", file=sys.stderr)
    counts = ", ".join(f"{count} {split}" for split, count in made.records.items())
    classes = made.dataset["classes"]
    print(f"{arguments.output}: {counts} records of {classes} {'class' if classes == 1 else 'classes'}")


def _verify(arguments: argparse.Namespace) -> int:
    made = manifest.read(arguments.output)
    with progress.bar("verifying shards", len(made.shards)) as bar:
        found = verification.problems(arguments.output, on_shard=bar.advance)
    if arguments.json:
        print(json.dumps({"output": arguments.output, "shards": len(made.shards), "problems": found}))
    elif not found:
        print(f"{arguments.output}: all is as the manifest says, shards: {len(made.shards)}")
    for problem in found:
        print(problem, file=sys.stderr)
    if found:
        print(
            "run the command that made them again, which writes shards that are missing or of another size anew; "
            "delete those that are damaged otherwise before",
            file=sys.stderr,
        )
    return 1 if found else 0


def list_items(title: str, items: Sequence[str], file_name: str) -> None:
    """List on standard error what was left out, and of many the file that names them all."""
    for item in items[:SHOWN_SKIPPED]:
        print(f"{title} {item}", file=sys.stderr)
    if len(items) > SHOWN_SKIPPED:
        print(f"{title} {len(items) - SHOWN_SKIPPED} more, all of which {file_name} names", file=sys.stderr)


def report_skipped(made: Manifest, *, hint: str = "") -> int:
    """List the clips that could not be written on standard error, and a hint; returns the exit code that says so."""
    for title, pairs in (
        ("skipped", made.skipped),
        ("kept although damaged:", made.damaged),
        ("missing", made.missing),
    ):
        lines = [f"{clip}: {reason.removeprefix(f'{clip}: ')}" for clip, reason in pairs]
        list_items(title, lines, "manifest.json")
    if made.skipped and hint:
        print(hint, file=sys.stderr)
    return exit_codes.SKIPPED if made.skipped or made.missing or made.damaged else 0
