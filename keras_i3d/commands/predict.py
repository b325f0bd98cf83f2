"""Name the action in video files, or the classes of long ones over time.

The whole video is seen, in windows of at most ten seconds whose logits are averaged. The model is one of this machine,
or one behind a TensorFlow Serving; then nothing of TensorFlow is needed here (extra `client`). A folder stands for all
videos in it.

  keras-i3d predict clip.mp4 --model served/
  keras-i3d predict clip.mp4 --model run/best.keras --json
  keras-i3d predict videos/ --model kinetics
  keras-i3d predict *.mp4 --server localhost:8500 --name i3d --json      # gRPC
  keras-i3d predict clip.mp4 --server http://localhost:8501              # REST

With --timeline the classes are told over time, by a window of 64 frames that slides 8 frames at a time: as a table,
and with --output as CSV, JSON and a picture (SVG) of each video. A video that turns out to be damaged has no timeline.

  keras-i3d predict match.mp4 --model kinetics --timeline
  keras-i3d predict videos/ --model run/best.keras --timeline --smoothing-s 2 --output timelines/

Frames from a pipe or a camera are named window by window, while they come:

  ffmpeg -i rtsp://camera -f rawvideo -pix_fmt rgb24 -s 640x480 -r 25 - |
      keras-i3d predict - --frame-size 640x480 --fps 25 --model run/best.keras
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from keras_i3d import exit_codes, progress, quiet
from keras_i3d.commands import timelines
from keras_i3d.commands.timelines import Timelines
from keras_i3d.datasets import named_videos
from keras_i3d.extras import import_extra
from keras_i3d.run_folder import claim
from keras_i3d.serving import prediction
from keras_i3d.serving.prediction import Answering, Failure, Prediction


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "videos", metavar="VIDEO", nargs="+", help="video file of any format that FFmpeg reads, a folder of them, or -"
    )
    parser.add_argument("--model", help="exported SavedModel folder, .keras file of a run, or kinetics")
    parser.add_argument("--modality", choices=("rgb", "flow"), help="stream of published weights (default: rgb)")
    parser.add_argument(
        "--server", metavar="ADDRESS", help="in place of --model: host:8500 for gRPC, http://host:8501 for REST"
    )
    parser.add_argument(
        "--name", help=f"what the server calls the model, its --model_name (default: {prediction.SERVED_AS})"
    )
    parser.add_argument("--timeout-s", type=float, metavar="S", help="seconds a server's answer may take (default: 60)")
    parser.add_argument(
        "--in-flight", type=int, metavar="N", help="videos that a server is asked about at once (default: 4)"
    )
    parser.add_argument(
        "--attempts", type=int, metavar="N", help="how often a server that is away or busy is asked (default: 5)"
    )
    parser.add_argument("--top", type=int, default=prediction.TOP, help="how many classes to print (default: 5)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line, for each video")
    timelines.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    prediction.check_top(arguments.top)
    timelines.check_arguments(arguments)
    if arguments.videos == ["-"]:
        return _answer_pipe(arguments)
    found = named_videos.find(arguments.videos)
    videos = [video.path for video in found]
    names = [video.name for video in found]
    if arguments.output is not None:  # before hours of work
        named_videos.check_names(found)
        import_extra("cv2")
    with _output(arguments), _opened(arguments) as (answering, model, in_flight):
        asked = (Timelines if arguments.timeline else _Predictions)(arguments, answering, model, len(videos) > 1)
        return _answer(asked, videos, names, in_flight)


def _output(arguments: argparse.Namespace) -> AbstractContextManager[object]:
    """Make the output folder, where there is one, this command's own."""
    if arguments.output is None:
        return nullcontext()
    decisive = ("model", "modality", "server", "name", "top", *timelines.OF_TIMELINES)
    settings = {name: getattr(arguments, name) for name in decisive if name != "output"}
    return claim(arguments.output, "predict", {name: value for name, value in settings.items() if value is not None})


@contextmanager
def _opened(arguments: argparse.Namespace) -> Iterator[tuple[Answering, str, int]]:
    """Open the model or the server; gives what answers, what results call it, and how many videos at once."""
    if (arguments.model is None) == (arguments.server is None):
        raise ValueError("exactly one of --model and --server is wanted")
    unfit = ("name", "timeout_s", "in_flight", "attempts") if arguments.server is None else ("modality",)
    for option in unfit:
        if getattr(arguments, option) is not None:
            other = "--server" if arguments.server is None else "--model"
            raise ValueError(f"--{option.replace('_', '-')} is an option of {other}")
    import_extra("av")
    if arguments.server is None:
        quiet.import_tensorflow()
        from keras_i3d.serving.classifier import open_classifier

        yield open_classifier(arguments.model, modality=arguments.modality), arguments.model, 1
        return
    from keras_i3d.serving.client import ATTEMPTS, IN_FLIGHT, connect

    with connect(
        arguments.server,
        name=arguments.name or prediction.SERVED_AS,
        timeout_s=arguments.timeout_s,
        attempts=ATTEMPTS if arguments.attempts is None else arguments.attempts,
    ) as client:
        client.check()
        yield client, client.asked_as, IN_FLIGHT if arguments.in_flight is None else arguments.in_flight


@dataclass(frozen=True)
class _Predictions:
    """Asks for one answer a video, as the options want it."""

    arguments: argparse.Namespace
    answering: Answering
    model: str
    many: bool

    def each(self, videos: Sequence[str], **how: Any) -> Iterator[Prediction | Failure]:
        return prediction.predict_each(self.answering, videos, model=self.model, top=self.arguments.top, **how)

    def expected_windows(self, video: str) -> int | None:
        return None

    def written(self, found: Prediction) -> str:
        return json.dumps(found.to_json()) if self.arguments.json else _table(found, headed=self.many)

    def save(self, found: Prediction, name: str) -> None:
        pass


def _answer(asked: _Predictions | Timelines, videos: Sequence[str], names: Sequence[str], in_flight: int) -> int:
    many = len(videos) > 1
    # the bar turns what is printed on a terminal into lines above itself, on standard error, which a pipe must not get
    output = None if sys.stdout.isatty() else sys.stdout
    failures, windows = 0, itertools.count(1)
    total = len(videos) if many else asked.expected_windows(videos[0])
    with progress.bar("videos" if many else "windows of the video", total) as bar:
        on_window: Callable[[], None] = (lambda: bar.note(f"{next(windows)} windows")) if many else bar.advance
        outcomes = asked.each(videos, in_flight=in_flight, on_window=on_window)
        for outcome, name in zip(outcomes, names, strict=True):
            if many:
                bar.advance()
            if isinstance(outcome, Failure):
                failures += 1
                bar.log(f"keras-i3d predict: {' '.join(str(outcome).split())}")
                continue
            print(asked.written(outcome), file=output, flush=True)
            asked.save(outcome, name)
    if failures:
        return exit_codes.FAILED if failures == len(videos) else exit_codes.SKIPPED
    return exit_codes.DONE


def _answer_pipe(arguments: argparse.Namespace) -> int:
    with _opened(arguments) as (answering, _, _):
        for line in timelines.answer_pipe(arguments, answering, timelines.standard_input()):
            print(line, flush=True)
    return exit_codes.DONE


def _table(answer: Prediction, *, headed: bool) -> str:
    width = max(len(name) for name, _ in answer.top)
    lines = [f"{name:{width}}  {probability:7.2%}" for name, probability in answer.top]
    return "\n".join([f"{answer.video}:", *(f"  {line}" for line in lines), ""] if headed else lines)
