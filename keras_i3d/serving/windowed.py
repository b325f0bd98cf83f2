"""Answers of a model on windows that slide over frames, be they a file's or a camera's."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from keras_i3d.errors import PredictionError
from keras_i3d.extras import import_extra
from keras_i3d.serving import prediction
from keras_i3d.serving.prediction import Answering
from keras_i3d.video.windows import LOOP, Sliding, Window

WINDOW, STRIDE = 64, 8  # frames; 64 are a training clip of the paper
Model = str | os.PathLike | Answering


@contextmanager
def opened(model: Model | None, server: str | Answering | None) -> Iterator[tuple[Answering, str]]:
    """Open a model or a server while the block runs; gives what answers, and what results call it.

    Args:
        model: As `keras_i3d.serving.prediction.predict` takes it, or an open one, which stays open.
        server: In its place, the address of a server, or a client, which stays open.

    Raises:
        ValueError: Not exactly one of them is given.
        KerasI3DError: It cannot be opened; a server is not asked yet.
    """
    if (model is None) == (server is None):
        raise ValueError(f"exactly one of model and server is wanted, got model={model!r}, server={server!r}")
    import_extra("av")
    given: Any = server if model is None else model
    if hasattr(given, "logits"):
        yield given, getattr(given, "asked_as", type(given).__name__)
    elif model is None:
        from keras_i3d.serving.client import connect

        with connect(given) as client:
            yield client, client.asked_as
    else:
        from keras_i3d.serving.classifier import open_classifier

        yield open_classifier(given), os.fspath(given)


def sliding_for(answering: Answering, *, window: int | None = None, stride: int = STRIDE, fill: str = LOOP) -> Sliding:
    """Return how windows slide that a model takes.

    Args:
        answering: The model.
        window: Frames of a window; None for as many as the model takes, or 64 (less where it takes only less).
        stride: Frames from one to the next.
        fill: What the last window is filled up with, as `keras_i3d.video.windows.Sliding` tells.

    Raises:
        ValueError: A number is out of range, or the model takes no window of so many frames.
    """
    most = answering.max_frames
    if window is None:
        window = answering.frames or min(WINDOW, most or WINDOW)
    sliding = Sliding(window, stride, fill)
    if answering.frames is not None and window != answering.frames:
        raise ValueError(f"the model was exported for windows of {answering.frames} frames alone; got window={window}")
    if most is not None and window > most:
        raise ValueError(f"the model takes windows of at most {most} frames; got window={window}")
    return sliding


def answers(
    answering: Answering, frames: Iterable[np.ndarray], sliding: Sliding
) -> Iterator[tuple[Window, np.ndarray]]:
    """Yield each window with the float32 logits, (classes,), of the model on it, in the memory of two windows.

    Args:
        answering: The model.
        frames: uint8 (height, width, 3), RGB, of the model's rate and short side, all of one shape; each is taken
            once, and the flow from it to the next is computed once.
        sliding: How windows lie.

    Raises:
        PredictionError: The model refuses a window, or its logits are no finite numbers.
        ServerError: A server gives no answer.
    """
    for window in sliding.over(prediction.by_modality(frames, answering.preparation)):
        logits = np.asarray(answering.logits(prediction.stacked(window.frames)), np.float32)
        if not np.isfinite(logits).all():
            start_s, end_s = window.times(answering.preparation.fps)
            raise PredictionError(
                f"the model's logits from {start_s:.2f} to {end_s:.2f} s are no finite numbers: its weights are damaged"
            )
        yield window, logits
