"""Look inside: where a model looks, what its first filters are, and what flow it sees.

Of each VIDEO, three files tell where and when the evidence for a class lies, by Grad-CAM: an annotated video, a strip
of some frames (.png), and the numbers (.json). The class is the one that the model names, unless --class asks for
another. What is explained is what a test sees: the centre of the frames, of the middle ten seconds (--start-s, --end-s
and --frames choose others). The last layer is surest of the class and coarse; earlier ones are finer.

  keras-i3d explain clip.mp4 --model run/best.keras
  keras-i3d explain a.mp4 b.mp4 --model run/best.keras --class "playing violin" --layer Mixed_4f --output why/
  keras-i3d explain clip.mp4 --model kinetics --modality flow --start-s 3 --end-s 6

With --filters, the filters of the first layer over time, as an animation and as a sheet. With --flow, the optical flow
of each VIDEO as colours beside it; no model is needed.

  keras-i3d explain --filters --model kinetics --output filters/
  keras-i3d explain --flow clip.mp4 --output flow/

A video that cannot be read is skipped, and told. docs/explain.md tells how to read the pictures.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_i3d import exit_codes, progress, quiet, whole_file
from keras_i3d.datasets import named_videos
from keras_i3d.errors import PredictionError, VideoError
from keras_i3d.extras import import_extra
from keras_i3d.protocol import FPS, WHOLE_VIDEO_FRAMES
from keras_i3d.run_folder import claim

if TYPE_CHECKING:
    from keras_i3d.explanation.explain import Explanation
    from keras_i3d.explanation.seen import Part
    from keras_i3d.figures.explanation import Picture

OUTPUT = "explained"
STEPS_PER_SECOND = 3  # of the filters' animation
MODEL_OPTIONS = ("class_name", "layer", "modality")
PART_OPTIONS = ("frames", "start_s", "end_s")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "videos", metavar="VIDEO", nargs="*", help="video file of any format that FFmpeg reads, or a folder of them"
    )
    parser.add_argument("--model", help=".keras file of a run, or a name of published weights such as kinetics")
    parser.add_argument("--output", metavar="DIR", default=OUTPUT, help="folder to write to (default: %(default)s)")
    parser.add_argument(
        "--class",
        dest="class_name",
        metavar="NAME",
        help="class to explain, or its index (default: the model's answer)",
    )
    parser.add_argument("--layer", help="whose map is looked at (default: Mixed_5c; of C3D conv5b)")
    parser.add_argument("--modality", choices=("rgb", "flow"), help="stream of published weights (default: rgb)")
    parser.add_argument(
        "--frames", type=int, metavar="N", help="look at N frames at most, the middle ones (default: as a test does)"
    )
    parser.add_argument(
        "--start-s", type=float, metavar="S", help="look at what begins S seconds after the first frame"
    )
    parser.add_argument("--end-s", type=float, metavar="S", help="and ends S seconds after it")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--filters", action="store_true", help="show the first layer's filters instead")
    kinds.add_argument("--flow", action="store_true", help="show the videos' optical flow instead")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line, for each video")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    _check(arguments)
    found = named_videos.find(arguments.videos) if arguments.videos else []
    named_videos.check_names(found)
    names = {video.path: video.name for video in found}
    for module in ("av", "cv2"):
        import_extra(module)
    quiet.import_tensorflow()
    if arguments.filters:
        return _show_filters(arguments)
    from keras_i3d.explanation.seen import Part

    chosen = {option: getattr(arguments, option) for option in PART_OPTIONS}
    part = Part(**{option: value for option, value in chosen.items() if value is not None})
    make = _flow_maker(part) if arguments.flow else _explanation_maker(arguments, part)
    with claim(arguments.output, "explain", _settings(arguments)) as folder:
        return _each(arguments, names, lambda video, name: make(video, _stem(folder / name)))


def _check(arguments: argparse.Namespace) -> None:
    what = "--filters" if arguments.filters else "--flow" if arguments.flow else None
    unfit = {
        "--filters": ("class_name", "layer", *PART_OPTIONS),
        "--flow": ("model", *MODEL_OPTIONS),
        None: (),
    }[what]
    for option in unfit:
        if getattr(arguments, option) is not None:
            spelt = option.replace("class_name", "class").replace("_", "-")
            raise ValueError(f"--{spelt} does not go with {what}")
    if what != "--flow" and arguments.model is None:
        raise ValueError("--model is wanted: a .keras file, or a name of published weights")
    if arguments.filters and arguments.videos:
        raise ValueError(f"--filters shows a model and takes no videos, got {arguments.videos[0]}")
    if not arguments.filters and not arguments.videos:
        raise ValueError("at least one VIDEO is wanted, or --filters")


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    chosen = {name: getattr(arguments, name) for name in ("filters", "flow", "model", *MODEL_OPTIONS, *PART_OPTIONS)}
    return {name: value for name, value in chosen.items() if value not in (None, False)}


def _stem(path: Path) -> Path:
    """Return a path whose folder is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _each(arguments: argparse.Namespace, names: dict[str, str], make: Callable[[str, str], dict[str, Any]]) -> int:
    failures = 0
    with progress.bar("videos", len(names)) as bar:
        for video, name in names.items():
            try:
                made = make(video, name)
            except (VideoError, PredictionError) as error:
                failures += 1
                text = " ".join(str(error).split())
                bar.log(f"keras-i3d explain: {text if text.startswith(video) else f'{video}: {text}'}")
            else:
                _print(made, as_json=arguments.json)
            bar.advance()
    if failures:
        return exit_codes.FAILED if failures == len(names) else exit_codes.SKIPPED
    return exit_codes.DONE


def _print(made: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(made), flush=True)
        return
    print(made["says"])
    for path in made["files"]:
        print(f"  {path}", flush=True)


def _explanation_maker(arguments: argparse.Namespace, part: Part) -> Callable[[str, Path], dict[str, Any]]:
    from keras_i3d import finished_model
    from keras_i3d.explanation.explain import Explainer, class_of
    from keras_i3d.figures import explanation as figure

    finished = finished_model.load(arguments.model, modality=arguments.modality)
    explainer = Explainer(finished, arguments.layer)
    if arguments.class_name is not None:
        class_of(arguments.class_name, finished.class_names)

    def make(video: str, stem: Path) -> dict[str, Any]:
        found = explainer.explain(video, arguments.class_name, part=part)
        picture = picture_of(found)
        files = [stem.with_name(f"{stem.name}_explained{suffix}") for suffix in (".mp4", ".png", ".json")]
        _write_video(files[0], figure.video_frames(picture), found.fps)
        _write_png(files[1], figure.strip(picture))
        whole_file.write_json(files[2], {"model": arguments.model} | found.to_json())
        says = f"{video}: {picture.title} ({found.start_s:.2f} to {found.end_s:.2f} s, {len(found.frames)} frames)"
        return {"says": says, "files": [str(file) for file in files], "class": found.class_name} | {
            "probability": found.probability,
            "has_evidence": found.has_evidence,
        }

    return make


def picture_of(found: Explanation) -> Picture:
    """Return an explanation as what is drawn of it."""
    from keras_i3d.figures.explanation import Picture
    from keras_i3d.figures.style import shorten

    nothing = "" if found.has_evidence else "  ·  nothing speaks for this class"
    span = f"{found.start_s:.2f} to {found.end_s:.2f} s"
    return Picture(
        title=f"{shorten(found.class_name, 28)}  {found.probability:.1%}",
        subtitle=f"{shorten(Path(found.video).name, 40)}, {span}  ·  Grad-CAM of {found.layer}{nothing}",
        frames=found.frames,
        seconds=found.start_s + np.arange(len(found.frames)) / found.fps,
        corner=(found.box.top, found.box.left),
        heat={name: stream.heat for name, stream in found.streams.items()},
        over_time={name: stream.over_time for name, stream in found.streams.items()},
    )


def _flow_maker(part: Part) -> Callable[[str, Path], dict[str, Any]]:
    from keras_i3d.explanation.seen import middle
    from keras_i3d.figures.flow_frames import flow_frames
    from keras_i3d.video import decode, flow

    def make(video: str, stem: Path) -> dict[str, Any]:
        options = {"fps": FPS, "short_side": decode.SHORT_SIDE, "start_s": part.start_s, "end_s": part.end_s}
        frames, first = middle(video, part.frames or WHOLE_VIDEO_FRAMES, **options)
        start_s = part.start_s + first / FPS
        fields = flow.tvl1(frames)
        file = stem.with_name(f"{stem.name}_flow.mp4")
        drawn = flow_frames(frames, fields, title=Path(video).name, start_s=start_s, fps=FPS)
        _write_video(file, drawn, FPS)
        span = f"{start_s:.2f} to {start_s + len(frames) / FPS:.2f} s, {len(frames)} frames"
        return {"says": f"{video}: flow ({span})", "files": [str(file)]}

    return make


def _show_filters(arguments: argparse.Namespace) -> int:
    from keras_i3d import finished_model
    from keras_i3d.explanation.first_layer import first_kernels
    from keras_i3d.figures import filters
    from keras_i3d.video.animation import encode_animation

    network = finished_model.load(arguments.model, modality=arguments.modality).network
    kernels = first_kernels(network)
    for stream, kernel in kernels.items():
        filters.over_time(kernel)  # refuses, before anything is written
        if not np.isfinite(kernel).all():
            raise ValueError(f"{arguments.model}: the first kernel of {stream} holds what are no finite numbers")
    with claim(arguments.output, "explain", _settings(arguments)) as folder:
        for stream, kernel in kernels.items():
            words = {"title": f"First filters of {Path(arguments.model).name}, {stream}"}
            words["subtitle"] = "each filter by its own largest weight"
            files = [folder / f"filters_{stream}.png", folder / f"filters_{stream}_sheet.png"]
            moving = encode_animation(filters.animation(kernel, **words), fps=STEPS_PER_SECOND)
            with whole_file.replacing(files[0]) as aside:
                aside.write_bytes(moving)
            _write_png(files[1], filters.sheet(kernel, **words))
            says = f"{stream}: {kernel.shape[-1]} filters of {'x'.join(map(str, kernel.shape[:-2]))}"
            _print({"says": says, "files": [str(file) for file in files]}, as_json=arguments.json)
    return exit_codes.DONE


def _write_video(path: Path, frames: Iterable[np.ndarray], fps: float) -> None:
    from keras_i3d.video.encode import encode_video

    content = encode_video(frames, fps=fps)
    with whole_file.replacing(path) as aside:
        aside.write_bytes(content)


def _write_png(path: Path, picture: np.ndarray) -> None:
    cv2 = import_extra("cv2")
    _, encoded = cv2.imencode(".png", picture[..., ::-1])
    with whole_file.replacing(path) as aside:
        aside.write_bytes(encoded.tobytes())
