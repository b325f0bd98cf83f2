"""Explain what a finished model says of a video: where, and when, the evidence for a class lies."""

from __future__ import annotations

import difflib
import os
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from keras_i3d import finished_model
from keras_i3d.errors import PredictionError, first_line
from keras_i3d.explanation.grad_cam import GradCam
from keras_i3d.explanation.seen import Box, Part, Seen, see
from keras_i3d.explanation.stretched import folded, lines_between
from keras_i3d.finished_model import FinishedModel
from keras_i3d.models.positions import Positions
from keras_i3d.serving.prediction import best_classes

DEFAULT_LAYER = "Mixed_5c"
DEFAULT_LAYERS = {"c3d": "conv5b"}  # of the networks that are not made of Inception-v1
TOP = 5


@dataclass(frozen=True, eq=False)
class StreamEvidence:
    """What speaks for a class in one stream.

    Attributes:
        map: float32 (steps, height, width) in [0, 1]: Grad-CAM of the layer, divided by its maximum over the whole
            clip. All zeros where nothing speaks for the class.
        peak: That maximum.
        seconds: float64 (steps,): where in time the steps lie, in seconds after the first explained frame. Where a
            short video started over, to fill what the network sees at once, the steps go on beyond its end.
        heat: float32 (time, height, width) in [0, 1]: the map on every frame, on the pixels of the box.
        over_time: float32 (time,) in [0, 1]: the mean of the heat over space, for every frame.
    """

    map: np.ndarray
    peak: float
    seconds: np.ndarray
    heat: np.ndarray
    over_time: np.ndarray


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a model says of a video, and why.

    Attributes:
        video: Path of the video file.
        class_name: The class that is explained.
        class_index: Its place among the outputs.
        probability: What the model gives it, over the explained part.
        top: (class name, probability) of the best classes, best first.
        layer: Whose map it is.
        frames: uint8 (time, height, width, 3), RGB: the explained part, at the network's rate and short side.
        start_s: Of the first of them, in seconds after the first frame of the video.
        fps: Their rate.
        box: The part of each frame that the network sees.
        streams: The evidence, by stream: ``"rgb"``, ``"flow"``, or ``"both"`` behind where two streams were joined.
    """

    video: str
    class_name: str
    class_index: int
    probability: float
    top: tuple[tuple[str, float], ...]
    layer: str
    frames: np.ndarray
    start_s: float
    fps: float
    box: Box
    streams: dict[str, StreamEvidence]

    @property
    def end_s(self) -> float:
        """The end of the last frame, in seconds after the first frame of the video."""
        return self.start_s + len(self.frames) / self.fps

    @property
    def has_evidence(self) -> bool:
        """Whether anything speaks for the class, in any stream."""
        return any(stream.peak > 0 for stream in self.streams.values())

    def to_json(self) -> dict[str, Any]:
        """Return all but the pictures as JSON values."""
        return {
            "video": self.video,
            "class": self.class_name,
            "class_index": self.class_index,
            "probability": self.probability,
            "top": [{"class": name, "probability": probability} for name, probability in self.top],
            "layer": self.layer,
            "start_s": self.start_s,
            "end_s": self.end_s,
            "fps": self.fps,
            "frames": len(self.frames),
            "frame_size": list(self.frames.shape[1:3]),
            "seen": asdict(self.box),
            "streams": {
                name: {
                    "map_shape": list(stream.map.shape),
                    "peak": stream.peak,
                    "step_seconds": stream.seconds.round(4).tolist(),
                    "over_time": stream.over_time.astype(float).round(5).tolist(),
                }
                for name, stream in self.streams.items()
            },
        }


class Explainer:
    """Explains videos with one model.

    Args:
        finished: Of any network whose layers have maps over time and space.
        layer: Name of one; None for the last map before the classifier (``Mixed_5c``; of C3D ``conv5b``).

    Raises:
        ValueError: The network has no such layer.
    """

    def __init__(self, finished: FinishedModel, layer: str | None = None) -> None:
        self.finished = finished
        self.layer = layer or DEFAULT_LAYERS.get(finished.preparation.network, DEFAULT_LAYER)
        self._grad_cam = GradCam(finished.network, self.layer)

    def explain(
        self, video: str | os.PathLike, class_name: str | int | None = None, *, part: Part | None = None
    ) -> Explanation:
        """Explain one video; arguments and errors as in `explain`."""
        class_index = None if class_name is None else class_of(class_name, self.finished.class_names)
        seen = see(video, self.finished, part or Part())
        try:
            found = self._grad_cam.activations(seen.clips)
        except tf.errors.OpError as error:
            raise PredictionError(f"{os.fspath(video)}: the network fails on it ({first_line(error)})") from error
        logits = found.logits.mean(axis=0)
        if not np.isfinite(logits).all():
            raise PredictionError(f"{os.fspath(video)}: the network answers with what are no finite numbers")
        if class_index is None:
            class_index = int(logits.argmax())
        places = self._grad_cam.positions(seen.clips, self.finished.protocol.streams)
        streams = {
            name: _evidence_of(maps, places[name], seen, self.finished.preparation.size)
            for name, maps in self._grad_cam.evidence(found, class_index).items()
        }
        names = self.finished.class_names
        ranked = best_classes(logits, range(len(names)), self.finished.activation, len(names))
        return Explanation(
            video=os.fspath(video),
            class_name=names[class_index],
            class_index=class_index,
            probability=dict(ranked)[class_index],
            top=tuple((names[index], probability) for index, probability in ranked[:TOP]),
            layer=self.layer,
            frames=seen.frames,
            start_s=seen.start_s,
            fps=seen.fps,
            box=seen.box,
            streams=streams,
        )


def explain(
    video: str | os.PathLike,
    *,
    model: str | os.PathLike,
    class_name: str | int | None = None,
    layer: str | None = None,
    modality: str | None = None,
    part: Part | None = None,
) -> Explanation:
    """Tell where in a video, and when, the evidence for a class lies (Grad-CAM).

    Args:
        video: Video file of any format that FFmpeg reads.
        model: A ``.keras`` file of a run folder, or a name of published weights, such as ``"kinetics"``.
        class_name: The class to explain, by name or index; None for the one that the model names.
        layer: Whose map is looked at, such as ``"Mixed_4f"``; None for the last one before the classifier.
        modality: Stream of published weights; a file knows its own.
        part: Which part of the video; by default what a test sees: the middle, at most ten seconds for I3D.

    Raises:
        VideoError: The file cannot be decoded.
        ModelFileError: The model cannot be loaded.
        WeightsUnavailable: Published weights can be neither found nor fetched.
        PredictionError: The network fails on the video.
        ValueError: The model has no such class or layer.
    """
    return Explainer(finished_model.load(model, modality=modality), layer).explain(video, class_name, part=part)


def class_of(wanted: str | int, names: tuple[str, ...]) -> int:
    """Return the index of a class that is asked for by name or, where no class has that name, by its index.

    Raises:
        ValueError: There is none; the message names those that are near.
    """
    if wanted in names:
        return names.index(wanted)
    if str(wanted).isdecimal() and int(wanted) < len(names):
        return int(wanted)
    near = difflib.get_close_matches(str(wanted), names, n=3)
    hint = f"near are {', '.join(near)}" if near else f"such as {', '.join(names[:3])}"
    raise ValueError(f"unknown class {wanted!r}; the model has {len(names)}, by name or 0 to {len(names) - 1}: {hint}")


def _evidence_of(maps: np.ndarray, places: tuple[Positions, ...], seen: Seen, size: int) -> StreamEvidence:
    """Return evidence (windows, steps, height, width) as one map over the frames."""
    peak = float(maps.max())
    joined = (maps / peak if peak > 0 else maps).reshape(-1, *maps.shape[2:]).astype(np.float32)
    window = len(seen.order) // len(maps)
    time = np.add.outer(np.arange(len(maps)) * window, places[0].all()).ravel()
    onto_time = folded(lines_between(time, np.arange(len(seen.order))), seen.order)
    onto_space = [
        lines_between(axis.all(), (np.arange(pixels) + 0.5) * size / pixels - 0.5)
        for axis, pixels in zip(places[1:], (seen.box.height, seen.box.width), strict=True)
    ]
    over_steps = np.einsum("ts,shw->thw", onto_time, joined, optimize=True)
    heat = np.einsum("hy,tyx,wx->thw", onto_space[0], over_steps, onto_space[1], optimize=True)
    return StreamEvidence(joined, peak, time / seen.fps, heat, heat.mean(axis=(1, 2)))
