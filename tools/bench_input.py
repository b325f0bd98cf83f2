"""Measure the way from a video file to batches: decoding, encoding, two workers against one, memory, the pipeline.

Both sides of each case alternate in one run after a warm-up. One JSON line per case: medians, and the median and
range of the ratios run by run, above 1 where the first side does more in the same time. Speeds of decoding count
CPU seconds of one process with one decoder thread; those of workers count seconds on the clock.

  decode   frames per CPU-second of read_frames' way, against bare PyAV: decode, resize to the same size, to numpy
  record   clips to records with JPEG, against bare PyAV and the same JPEG encoding
  workers  clips per second of two processes, against one
  memory   largest resident size of a process that writes the records of a long video
  pipeline clips per second of batches for training, 64 frames of records of 250, against bare decoding of as many
           frames by TensorFlow into one tensor, whole pictures of bytes, on as many threads; also by CPU-second, for
           float16 and bfloat16, and how many frames of a record are decoded for a clip

Without --videos it makes an H.264 video of 1280x720 and one of 320x240, ten seconds each. Example:

  python tools/bench_input.py --runs 7
  python tools/bench_input.py --cases memory --hours 1
"""

import argparse
import io
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np

from keras_i3d.datasets.dataset import LabelledClip, VideoDataset
from keras_i3d.records import clip_file, coding, schema, selection, tfrecord
from keras_i3d.records.clip_file import ClipTask
from keras_i3d.records.making import make_tfrecords
from keras_i3d.records.settings import RecordSettings
from keras_i3d.video import decode, encode

CASES = ("decode", "record", "workers", "memory", "pipeline")
SHORT_SIDE = 256
RECORD_FRAMES, CLIP_FRAMES = 250, 64

if TYPE_CHECKING:
    import tensorflow as tf


def main() -> None:
    """Run the cases asked for and print one JSON line for each video, or each case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", nargs="+", metavar="FILE", help="videos to measure on (default: made ones)")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES, help="default: all")
    parser.add_argument("--runs", type=int, default=7, help="alternating runs of both sides (default: %(default)s)")
    parser.add_argument("--clips", type=int, default=200, help="of the case workers (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of the case pipeline (default: all)")
    parser.add_argument("--hours", type=float, default=1.0, help="of the case memory (default: %(default)s)")
    arguments = parser.parse_args()
    if min(arguments.runs, arguments.clips, arguments.threads) < 1 or arguments.hours <= 0:
        parser.error("--runs, --clips and --threads must be at least 1, --hours above 0")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        videos = [Path(video) for video in arguments.videos or ()] or list(_made(folder))
        if "decode" in arguments.cases:
            for video in videos:
                sides = partial(_frames_of_ours, video), partial(_frames_of_pyav, video)
                report("decode", alternate(*sides, arguments.runs, time.process_time), video=video.name)
        if "record" in arguments.cases:
            for video in videos:
                task = _task(video, folder)
                sides = partial(_record, task), partial(_jpegs_of_pyav, video)
                report("record", alternate(*sides, arguments.runs, time.process_time), video=video.name)
        if "workers" in arguments.cases:
            two, one = (partial(_make, videos[-1], arguments.clips, count) for count in (2, 1))
            report("workers", alternate(two, one, min(arguments.runs, 3), time.monotonic), clips=arguments.clips)
        if "memory" in arguments.cases:
            _memory(folder, arguments.hours)
        if "pipeline" in arguments.cases:
            for video in videos:
                _pipeline(folder, video, arguments.runs, arguments.threads)


def _made(folder: Path) -> Iterator[Path]:
    """Write videos of ten seconds in which a soft picture drifts under a little noise."""
    for height, width in ((720, 1280), (240, 320)):
        path = folder / f"{width}x{height}.mp4"
        path.write_bytes(encode.encode_video(_drift(250, height, width), fps=25.0, crf=23))
        yield path


def _drift(count: int, height: int, width: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 200, (height // 16 + 1, width // 16 + 1, 3), np.uint8)
    picture = coarse.repeat(16, axis=0).repeat(16, axis=1)[:height, :width]
    noise = rng.integers(0, 24, (height, width, 3), np.uint8)
    for index in range(count):
        yield np.roll(picture, 3 * index, axis=1) + np.roll(noise, 17 * index, axis=0)


def _frames_of_ours(video: Path) -> int:
    return sum(1 for _ in decode.iterate_frames(video, fps=None, short_side=SHORT_SIDE, threads=1))


def _frames_of_pyav(video: Path) -> int:
    return sum(1 for _ in _bare(video))


def _bare(video: Path) -> Iterator[np.ndarray]:
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        ratio = SHORT_SIDE / min(stream.width, stream.height)
        width, height = round(stream.width * ratio), round(stream.height * ratio)
        for frame in container.decode(stream):
            yield frame.to_ndarray(format="rgb24", width=width, height=height, interpolation="BILINEAR")


def _jpegs_of_pyav(video: Path) -> int:
    return sum(bool(coding.encode_jpeg(frame, 95)) for frame in _bare(video))


def _task(video: Path, folder: Path) -> ClipTask:
    with av.open(str(video)) as container:
        fps = float(container.streams.video[0].average_rate)
    clip = LabelledClip(str(video), video.name, "a", ("train",))
    return ClipTask(clip, 0, "bench", RecordSettings(fps=fps), str(folder))


def _record(task: ClipTask) -> int:
    return sum(clip_file.write(task).frames)


def _make(video: Path, clips: int, workers: int) -> int:
    many = tuple(LabelledClip(str(video), f"{number}.mp4", "a", ("train",)) for number in range(clips))
    with tempfile.TemporaryDirectory() as folder:
        made = make_tfrecords(VideoDataset("folder", many, ("a",)), folder, RecordSettings(), workers=workers)
    return made.records["train"]


def _memory(folder: Path, hours: float) -> None:
    """Write the records of a long video in a process of its own, and report the memory that it took."""
    video = folder / "long.mp4"
    _repeat(encode.encode_video(_drift(250, 240, 320), fps=25.0, crf=23), video, round(hours * 360))
    program = (
        "import resource, sys\n"
        "from keras_i3d.datasets.dataset import LabelledClip\n"
        "from keras_i3d.records.clip_file import ClipTask, write\n"
        "from keras_i3d.records.settings import RecordSettings\n"
        "clip = LabelledClip(sys.argv[1], 'long.mp4', 'a', ('train',))\n"
        "frames = write(ClipTask(clip, 0, 'bench', RecordSettings(flow=sys.argv[3]), sys.argv[2])).frames\n"
        "print(sum(frames), len(frames), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    command = [sys.executable, "-c", program, str(video), str(folder), "none"]
    frames_read, records, kilobytes = map(int, subprocess.check_output(command, text=True).split())
    show("memory", hours=hours, frames=frames_read, records=records, largest_resident_mb=round(kilobytes / 1024))


def _repeat(content: bytes, target: Path, times: int) -> None:
    """Write the packets of a video of ten seconds again and again, without encoding them anew."""
    with av.open(io.BytesIO(content)) as source, av.open(str(target), "w") as copy:
        stream = source.streams.video[0]
        packets = [packet for packet in source.demux(stream) if packet.size]
        length = round(10 / stream.time_base)
        out = copy.add_stream_from_template(stream)
        for number in range(times):
            for packet in packets:
                packet.pts, packet.dts = packet.pts + bool(number) * length, packet.dts + bool(number) * length
                packet.stream = out
                copy.mux(packet)


def _pipeline(folder: Path, video: Path, runs: int, threads: int) -> None:
    """Compare batches for training with bare decoding, and count the frames that are decoded."""
    from keras_i3d import quiet

    quiet.import_tensorflow()
    import tensorflow as tf

    from keras_i3d.clips import examples, pipeline

    frames = list(_repeated(_bare(video), RECORD_FRAMES))
    shards = [str(folder / f"{video.name}-{number}.tfrecord") for number in range(4)]
    for shard in shards:
        _write_records(shard, [[coding.encode_jpeg(frame, 95) for frame in frames]] * 16, frames[0].shape[:2])
    size = sum(Path(shard).stat().st_size for shard in shards) // 64
    # an epoch longer than what is timed: its beginning, where the buffer is filled that shuffles it, is the warm-up's
    chosen = selection.Selection(tuple(shards * 8), records=512, record_size=size)
    for dtype in examples.TRANSFER_DTYPES:
        ours = pipeline.training_clips(
            chosen, frames=CLIP_FRAMES, batch_size=6, transfer_dtype=dtype, short_side=SHORT_SIDE
        )
        sides = (partial(_paces, ours, 6, threads), partial(_paces, _bare_clips(shards), 1, threads))
        paces = [[side() for side in sides] for _ in range(runs)]
        for index, name in enumerate(("clock", "cpu")):
            facts = {"video": video.name, "dtype": dtype, "threads": threads, "tensorflow": tf.__version__}
            rates = tuple([pair[side][index] for pair in paces] for side in range(2))
            report("pipeline", rates, seconds=name, jpeg_bytes=round(_mean_size(frames)), **facts)
    show("pipeline", video=video.name, record_frames=RECORD_FRAMES, frames_decoded_for_a_clip=_decoded(folder, frames))


def _repeated(frames: Iterator[np.ndarray], count: int) -> Iterator[np.ndarray]:
    return itertools.islice(itertools.cycle(frames), count)


def _mean_size(frames: list[np.ndarray]) -> float:
    return statistics.mean(len(coding.encode_jpeg(frame, 95)) for frame in frames)


def _write_records(path: str, records: Iterable[list[bytes]], size: tuple[int, int]) -> None:
    with open(path, "wb") as file:  # noqa: PTH123
        for number, jpegs in enumerate(records):
            source = schema.Source(str(number), "bench", f"{number}.mp4", 0, "a", ("train",))
            tfrecord.write(file, schema.to_example(source, schema.Pictures(size, 25.0, 0.0, len(jpegs), jpegs=jpegs)))


def _bare_clips(shards: list[str]) -> "tf.data.Dataset":
    """Decode as many frames as a clip has, by TensorFlow's own means, into one tensor of bytes."""
    import tensorflow as tf

    def decoded(record: "tf.Tensor") -> "tf.Tensor":
        return schema.decode_images(schema.parse(record, ("rgb",))["rgb"][:CLIP_FRAMES], "rgb")

    records = tf.data.TFRecordDataset(shards).repeat()
    return records.map(decoded, num_parallel_calls=tf.data.AUTOTUNE).prefetch(6)


def _paces(dataset: "tf.data.Dataset", clips: int, threads: int) -> tuple[float, float]:
    """Return how many clips come per second of the clock and of the CPU, once they flow; `clips` lie in an element."""
    import tensorflow as tf

    options = tf.data.Options()
    options.threading.private_threadpool_size = threads
    options.threading.max_intra_op_parallelism = 1
    elements = iter(dataset.with_options(options))
    for _ in range(24 // clips):
        next(elements)
    clock, cpu = time.monotonic(), time.process_time()
    for _ in range(120 // clips):
        next(elements)
    return 120 / (time.monotonic() - clock), 120 / (time.process_time() - cpu)


def _decoded(folder: Path, frames: list[np.ndarray]) -> int:
    """Count the frames of a record without which its middle clip cannot be had.

    Each of as many records as there are frames lacks another one, and those that fail are counted.
    """
    from keras_i3d.clips import pipeline

    jpegs = [coding.encode_jpeg(frame, 95) for frame in frames]
    lacking = ([*jpegs[:index], b"no picture", *jpegs[index + 1 :]] for index in range(len(jpegs)))
    path = str(folder / "lacking.tfrecord")
    _write_records(path, lacking, frames[0].shape[:2])
    clips = pipeline.centre_clips([path], frames=CLIP_FRAMES, size=224, batch_size=1)
    return len(jpegs) - sum(1 for _ in clips.ignore_errors())


def alternate(
    ours: Callable[[], int], theirs: Callable[[], int], runs: int, clock: Callable[[], float]
) -> tuple[list[float], list[float]]:
    """Return how much each run of both sides did per second; they take turns after one run that does not count."""
    rates: tuple[list[float], list[float]] = ([], [])
    for run in range(runs + 1):
        for side, work in zip(rates, (ours, theirs), strict=True):
            begun = clock()
            done = work()
            if run:
                side.append(done / (clock() - begun))
    return rates


def report(case: str, rates: tuple[Iterable[float], Iterable[float]], **facts: object) -> None:
    """Print the speeds of both sides and their ratio."""
    ours, theirs = map(list, rates)
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    show(
        case,
        **facts,
        ours_per_s=round(statistics.median(ours), 1),
        theirs_per_s=round(statistics.median(theirs), 1),
        ratio=round(statistics.median(ratios), 3),
        ratio_range=[round(min(ratios), 3), round(max(ratios), 3)],
    )


def show(case: str, **facts: object) -> None:
    """Print one JSON line."""
    machine = {"python": platform.python_version(), "av": av.__version__, "cores": os.cpu_count()}
    print(json.dumps({"case": case, **facts, **machine}), flush=True)


if __name__ == "__main__":
    main()
