"""Name the action in a video file.

The whole video is seen, in windows of at most ten seconds whose logits are averaged.

  keras-i3d predict clip.mp4 --model served/
  keras-i3d predict clip.mp4 --model run/best.keras --json
  keras-i3d predict clip.mp4 --model kinetics
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from keras_i3d import progress, quiet

if TYPE_CHECKING:
    import numpy as np

    from keras_i3d.clips.preparation import Preparation


@dataclass(frozen=True)
class Prediction:
    """What a model says of a video.

    Attributes:
        video: Path of the video file.
        model: As it was asked for.
        frames: Number of frames seen.
        top: (class name, probability), best first.
    """

    video: str
    model: str
    frames: int
    top: tuple[tuple[str, float], ...]

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values, each class with its probability by name."""
        top = [{"class": name, "probability": probability} for name, probability in self.top]
        return asdict(self) | {"top": top}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("video", help="video file of any format that FFmpeg reads")
    parser.add_argument("--model", required=True, help="exported SavedModel folder, .keras file of a run, or kinetics")
    parser.add_argument("--modality", default="rgb", choices=("rgb", "flow"), help="stream of published weights")
    parser.add_argument("--top", type=int, default=5, help="how many classes to print (default: 5)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    quiet.import_tensorflow()
    result = predict(arguments.video, model=arguments.model, top=arguments.top, modality=arguments.modality)
    if arguments.json:
        print(json.dumps(result.to_json()))
    else:
        width = max(len(name) for name, _ in result.top)
        for name, probability in result.top:
            print(f"{name:{width}}  {probability:7.2%}")
    return 0


def predict(video: str | os.PathLike, *, model: str | os.PathLike, top: int = 5, modality: str = "rgb") -> Prediction:
    """Name the action in a video file.

    Args:
        video: Video file of any format that FFmpeg reads.
        model: An exported SavedModel folder, a ``.keras`` file of a run folder, or a name of published
            weights, such as ``"kinetics"``.
        top: How many classes to return, at least 1.
        modality: Stream of published weights; other models know their own.

    Raises:
        VideoError: The file cannot be decoded.
        ModelFileError: The model cannot be loaded.
        WeightsUnavailable: Published weights can be neither found nor fetched.
        ValueError: ``top`` is less than 1.
    """
    import numpy as np

    from keras_i3d.extras import import_extra
    from keras_i3d.models.i3d import decode_predictions
    from keras_i3d.serving.classifier import open_classifier

    if top < 1:
        raise ValueError(f"top must be at least 1, got {top}")
    import_extra("av")
    classifier = open_classifier(model, modality=modality)
    total, seen = np.zeros(len(classifier.class_names)), 0
    with progress.bar("windows of the video") as bar:
        for window in _windows(video, classifier.preparation):
            total += classifier.logits({classifier.preparation.modality: window}).astype(float) * len(window)
            seen += len(window)
            bar.advance()
    logits = total / seen
    probabilities = np.exp(logits - logits.max())
    probabilities /= probabilities.sum()
    best = decode_predictions(probabilities[np.newaxis], top, class_names=classifier.class_names)[0]
    return Prediction(os.fspath(video), os.fspath(model), seen, tuple((name, value) for _, name, value in best))


def _windows(video: str | os.PathLike, preparation: Preparation) -> Iterator[np.ndarray]:
    """Yield what the model wants of the video, frames or flow, at most 250 frames at a time."""
    import numpy as np

    from keras_i3d.clips.sampling import WHOLE_VIDEO_FRAMES
    from keras_i3d.video import decode, flow

    def stream(frames: list[np.ndarray]) -> np.ndarray:
        stacked = np.stack(frames)
        if preparation.modality == "rgb":
            return stacked
        return flow.from_stored(flow.to_stored(flow.tvl1(stacked)).astype(np.float32))  # as records hold it

    frames: list[np.ndarray] = []
    for frame in decode.iterate_frames(video, fps=preparation.fps, short_side=preparation.short_side):
        frames.append(frame)
        if len(frames) == WHOLE_VIDEO_FRAMES:
            yield stream(frames)
            frames = []
    if frames:
        yield stream(frames)
