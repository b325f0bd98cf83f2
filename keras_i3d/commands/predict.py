"""Name the action in video files.

The whole video is seen, in windows of at most ten seconds whose logits are averaged. The model is one of this machine,
or one behind a TensorFlow Serving; then nothing of TensorFlow is needed here (extra `client`).

  keras-i3d predict clip.mp4 --model served/
  keras-i3d predict clip.mp4 --model run/best.keras --json
  keras-i3d predict clip.mp4 --model kinetics
  keras-i3d predict *.mp4 --server localhost:8500 --name i3d --json      # gRPC
  keras-i3d predict clip.mp4 --server http://localhost:8501              # REST
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from keras_i3d import exit_codes, progress, quiet
from keras_i3d.extras import import_extra
from keras_i3d.serving import prediction
from keras_i3d.serving.prediction import Answering, Failure, Prediction


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("videos", metavar="VIDEO", nargs="+", help="video file of any format that FFmpeg reads")
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


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    prediction.check_top(arguments.top)
    with _opened(arguments) as (answering, model, in_flight):
        return _answer(arguments, answering, model, in_flight)


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

        yield open_classifier(arguments.model, modality=arguments.modality or "rgb"), arguments.model, 1
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


def _answer(arguments: argparse.Namespace, answering: Answering, model: str, in_flight: int) -> int:
    many = len(arguments.videos) > 1
    # the bar turns what is printed on a terminal into lines above itself, on standard error, which a pipe must not get
    output = None if sys.stdout.isatty() else sys.stdout
    failures = 0
    with progress.bar("videos" if many else "windows of the video", len(arguments.videos) if many else None) as bar:
        on_window: Callable[[], None] = (lambda: None) if many else bar.advance
        outcomes = prediction.predict_each(
            answering,
            arguments.videos,
            model=model,
            top=arguments.top,
            in_flight=in_flight,
            on_window=on_window,
        )
        for outcome in outcomes:
            if many:
                bar.advance()
            if isinstance(outcome, Failure):
                failures += 1
                bar.log(f"keras-i3d predict: {' '.join(str(outcome).split())}")
            elif arguments.json:
                print(json.dumps(outcome.to_json()), file=output, flush=True)
            else:
                print(_table(outcome, headed=many), file=output, flush=True)
    if failures:
        return exit_codes.FAILED if failures == len(arguments.videos) else exit_codes.SKIPPED
    return exit_codes.DONE


def _table(answer: Prediction, *, headed: bool) -> str:
    width = max(len(name) for name, _ in answer.top)
    lines = [f"{name:{width}}  {probability:7.2%}" for name, probability in answer.top]
    return "\n".join([f"{answer.video}:", *(f"  {line}" for line in lines), ""] if headed else lines)
