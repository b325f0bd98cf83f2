"""Name the action in frames while they come, from a camera, a pipe, or any other source."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from keras_i3d.serving import prediction, windowed
from keras_i3d.serving.prediction import TOP, Answering
from keras_i3d.serving.windowed import STRIDE, Model
from keras_i3d.video.decode import HIGHEST_FPS, LOWEST_FPS
from keras_i3d.video.resizing import Resizer
from keras_i3d.video.timing import exact, resampled
from keras_i3d.video.windows import LOOP, Sliding


@dataclass(frozen=True)
class WindowPrediction:
    """What a model says of a window.

    Attributes:
        start_s: Where the window begins, in seconds after the first frame.
        end_s: Where it ends.
        top: (class name, probability), best first.
    """

    start_s: float
    end_s: float
    top: tuple[tuple[str, float], ...]

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values, each class with its probability by name."""
        top = [{"class": name, "probability": probability} for name, probability in self.top]
        return asdict(self) | {"top": top}


def predict_stream(
    frames: Iterable[np.ndarray],
    *,
    model: Model | None = None,
    server: str | Answering | None = None,
    fps: float = 25.0,
    window: int | None = None,
    stride: int = STRIDE,
    top: int = TOP,
    fill: str = LOOP,
) -> Iterator[WindowPrediction]:
    """Name the action in frames while they come.

    A camera, by OpenCV, which gives blue first (`frames` may be any generator)::

        def camera():
            device = cv2.VideoCapture(0)
            while (read := device.read())[0]:
                yield read[1][..., ::-1]

        for found in keras_i3d.predict_stream(camera(), model="run/best.keras", fps=30):
            print(f"{found.start_s:.1f} s", found.top[0])

    A pipe of raw frames, as ``ffmpeg -i ... -f rawvideo -pix_fmt rgb24 -s 640x480 -`` writes it::

        def pipe(file):
            while len(raw := file.read(480 * 640 * 3)) == 480 * 640 * 3:
                yield np.frombuffer(raw, np.uint8).reshape(480, 640, 3)

    Args:
        frames: uint8 arrays of shape (height, width, 3), RGB, of any size, all of one. They are resized to the
            model's short side, and taken at its rate: of each tick the frame nearest in time. An array may be
            overwritten once the next frame is asked for.
        model: As in `keras_i3d.predict`, or one that `keras_i3d.serving.classifier.open_classifier` opened.
        server: In place of a model: a server's address, or a client by `keras_i3d.serving.client.connect`.
        fps: Of the frames that come. A camera's are those that are taken of it: where the model is slower than
            the camera, fewer than the camera makes.
        window: Frames of a window, at the model's rate; None for as many as the model takes, or 64.
        stride: Frames from one window to the next, at the model's rate.
        top: How many classes each prediction has, at least 1.
        fill: What the last window is filled up with, ``"loop"`` or ``"pad"``, where the stream ends within it.

    Returns:
        An iterator of a prediction for each window. A prediction comes with the last frame of its window; where
        rates differ, with the one after it; where flow is computed, a few frames later, one for each core.

    Raises:
        ValueError: An option is out of range; while iterating, a frame is none, or of another size than the first:
            the message has its index.
        ModelFileError: The model cannot be loaded.
        PredictionError: While iterating: the model refuses a window.
        ServerError: The server cannot be reached, or gives no answer.
    """
    prediction.check_top(top)
    if isinstance(frames, (str, bytes, os.PathLike)):
        raise ValueError(f"frames must be arrays, one by one; got {frames!r}. Of a file: keras_i3d.timeline")
    if not LOWEST_FPS <= fps <= HIGHEST_FPS:
        raise ValueError(f"fps, of the frames that come, must be above 0 and at most 1000; got {fps}")
    with ExitStack() as stack:
        answering, _ = stack.enter_context(windowed.opened(model, server))
        sliding = windowed.sliding_for(answering, window=window, stride=stride, fill=fill)
        return _predictions(answering, _prepared(frames, fps, answering), sliding, top, stack.pop_all())


def _predictions(
    answering: Answering, frames: Iterable[np.ndarray], sliding: Sliding, top: int, stack: ExitStack
) -> Iterator[WindowPrediction]:
    with stack:
        for window, logits in windowed.answers(answering, frames, sliding):
            best = prediction.best_classes(logits, answering.class_names, answering.activation, top)
            yield WindowPrediction(*window.times(answering.preparation.fps), best)


def _prepared(frames: Iterable[np.ndarray], fps: float, answering: Answering) -> Iterator[np.ndarray]:
    """Yield frames of the model's short side at its rate."""
    wanted = answering.preparation
    resizer = Resizer(wanted.short_side)
    scaled = (resizer.resize(frame) for frame in _checked(frames))
    if exact(fps) == exact(wanted.fps):
        return scaled  # resampling would hold each back until the next one comes
    period = 1 / exact(fps)
    timed = ((index * period, frame) for index, frame in enumerate(scaled))
    return resampled(timed, wanted.fps, Fraction(0), None)


def _checked(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    first = None
    for index, frame in enumerate(frames):
        dtype, shape = getattr(frame, "dtype", None), np.shape(frame)
        is_frame = isinstance(frame, np.ndarray) and dtype == np.uint8 and len(shape) == 3 and shape[-1] == 3
        if not is_frame or not all(shape):
            received = f"{dtype} {shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
            raise ValueError(f"frame {index} must be uint8 (height, width, 3), RGB; got {received}")
        first = first or shape
        if shape != first:
            raise ValueError(f"frame {index} is of shape {shape}, those before it of {first}; a stream keeps its size")
        yield frame
