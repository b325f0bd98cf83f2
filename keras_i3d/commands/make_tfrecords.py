"""Turn videos into TFRecord shards of RGB frames and optical flow.

Reads a folder with one folder of videos per class, with or without folders train, val and test above them, or
a CSV table with the header path,label,start_s,end_s,split (the last three may be absent or empty). Without
splits, 80 % of the videos go to train and 20 % to test, by the SHA-256 of their names.

Writes SPLIT-00000-of-00004.tfrecord, labels.txt and manifest.json. A video that cannot be read is skipped and
listed at the end (exit code 3). The same command again goes on where it stopped.

  keras-i3d make-tfrecords --folder videos/ --output records/
  keras-i3d make-tfrecords --csv clips.csv --output records/ --flow tvl1
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext

from keras_i3d import progress, quiet
from keras_i3d.datasets.dataset import VideoDataset
from keras_i3d.errors import RecordError
from keras_i3d.extras import import_extra
from keras_i3d.records import shards
from keras_i3d.records.shards import FLOWS, Manifest, RecordSettings
from keras_i3d.run_folder import claim

EXIT_SKIPPED = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    default = RecordSettings()
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--folder", metavar="DIR", help="folder with one folder of videos per class")
    source.add_argument("--csv", metavar="FILE", help="table path,label,start_s,end_s,split")
    parser.add_argument("--output", metavar="DIR", required=True, help="folder for the shards, new or empty")
    parser.add_argument("--labels", metavar="FILE", help="class names, one a line, that fix the order of the classes")
    parser.add_argument(
        "--flow",
        choices=FLOWS,
        default=default.flow,
        help="optical flow to store beside the frames; tvl1 is OpenCV's TV-L1, the one that the published "
        "flow weights need, and costs about a second per frame and core at 256 pixels (default: none)",
    )
    parser.add_argument("--fps", type=float, default=default.fps, help="frames per second (default: 25)")
    parser.add_argument(
        "--short-side", type=int, default=default.short_side, help="shorter side in pixels (default: 256)"
    )
    parser.add_argument("--jpeg-quality", type=int, default=default.jpeg_quality, help="1 to 100 (default: 95)")
    parser.add_argument("--clips-per-shard", type=int, default=default.clips_per_shard, help="at most (default: 64)")
    parser.add_argument("--seed", type=int, default=default.seed, help="of the order of the clips (default: 0)")
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count(),
        help="processes; the result is the same (default: all cores)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from keras_i3d import labels
    from keras_i3d.datasets.folder import read_folder
    from keras_i3d.datasets.table import read_table

    settings = RecordSettings(
        **{field.name: getattr(arguments, field.name) for field in dataclasses.fields(RecordSettings)}
    )
    class_names = labels.read(arguments.labels) if arguments.labels else None
    if arguments.folder:
        dataset = read_folder(arguments.folder, class_names=class_names)
    else:
        dataset = read_table(arguments.csv, class_names=class_names)
    quiet.import_tensorflow()
    manifest = make(dataset, arguments.output, settings, workers=arguments.workers)

    counts = ", ".join(f"{count} {split}" for split, count in manifest.clips.items())
    print(f"{arguments.output}: {counts} clips of {len(dataset.class_names)} classes")
    return report_skipped(manifest)


def report_skipped(manifest: Manifest) -> int:
    """List the clips that could not be written on standard error; returns the exit code that says so."""
    for clip, reason in manifest.skipped:
        print(f"skipped {clip}: {reason}", file=sys.stderr)
    return EXIT_SKIPPED if manifest.skipped else 0


def make(
    dataset: VideoDataset, output: str | os.PathLike, settings: RecordSettings, *, workers: int | None
) -> Manifest:
    """Write the records of a data set with a pool of processes and a progress bar.

    Args:
        dataset: What to write.
        output: Folder for the shards.
        settings: What decides their content.
        workers: Processes; 1 prepares the clips in this one, None takes all cores.

    Raises:
        OutputFolderError: The output folder holds something else.
        RecordError: Not one clip could be written.
        ValueError: The number of workers is less than 1.
    """
    workers = min(os.cpu_count() or 1 if workers is None else workers, len(dataset.clips))
    if workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}")
    for module in ("av", "cv2"):
        import_extra(module)
    claimed = dataclasses.asdict(settings) | {"dataset": dataset.digest()}
    with (
        _workers_alive(),
        claim(output, "make-tfrecords", claimed) as folder,
        progress.bar("videos to records", len(dataset.clips)) as bar,
        _pool(workers) as executor,
    ):
        return shards.write(dataset, folder, settings, executor=executor, workers=workers, on_clip=bar.advance)


@contextmanager
def _workers_alive() -> Iterator[None]:
    try:
        yield
    except BrokenExecutor as error:
        raise RecordError(
            "a worker process was killed, perhaps for want of memory; the same command goes on from the last "
            "finished shard, with fewer --workers if need be"
        ) from error


def _pool(workers: int) -> AbstractContextManager[Executor | None]:
    """Return a pool of fresh processes (TensorFlow does not survive a fork), or None for one worker."""
    if workers == 1:
        return nullcontext()
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)


def _start_worker() -> None:
    """Make a worker quiet, and keep it to one core: the pool fills the others."""
    quiet.import_tensorflow()
    import_extra("cv2").setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent answers Ctrl-C for all
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Wait for the parent's end, however it comes, and end this worker too."""
    multiprocessing.parent_process().join()
    os._exit(1)
