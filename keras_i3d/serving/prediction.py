"""Name the action in a video file with any classifier, one of this machine or one behind a server.

The whole video is seen, in windows of at most ten seconds whose logits are averaged. Nothing here imports TensorFlow
or Keras, which a client of a server goes without.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

from keras_i3d import progress
from keras_i3d.clips.preparation import Preparation
from keras_i3d.errors import PredictionError, ServerError, VideoError
from keras_i3d.extras import import_extra
from keras_i3d.protocol import WHOLE_VIDEO_FRAMES
from keras_i3d.video import decode, flow
from keras_i3d.workers import cores

TOP = 5
PATIENCE = 3  # videos
SERVED_AS = "i3d"  # the model's name, where the server was told no other
Result = TypeVar("Result")


class Answering(Protocol):
    """What answers on windows of a video: `keras_i3d.serving.classifier.Classifier`, or a client of a server.

    Attributes:
        class_names: In the order of the logits.
        preparation: The frames that it wants.
        activation: ``"softmax"``, or ``"sigmoid"`` where several classes may hold at once.
        frames: Frames of a window, where it takes so many alone; None for any number.
        max_frames: Of the longest window that it takes; None for any.
    """

    @property
    def class_names(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def preparation(self) -> Preparation: ...  # noqa: D102

    @property
    def activation(self) -> str: ...  # noqa: D102

    @property
    def frames(self) -> int | None: ...  # noqa: D102

    @property
    def max_frames(self) -> int | None: ...  # noqa: D102

    def logits(self, window: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the float32 logits, (classes,), of one window as `windows` yields it."""
        ...


@dataclass(frozen=True)
class Prediction:
    """What a model says of a video.

    Attributes:
        video: Path of the video file.
        model: As it was asked for; of a server its address and the model's name.
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


@dataclass(frozen=True)
class Failure:
    """A video that got no answer.

    Attributes:
        video: Path of the video file.
        error: Why: the video cannot be decoded, or model or server refused it. Without its traceback, which would
            keep the frames in memory.
    """

    video: str
    error: VideoError | PredictionError | ServerError

    def __str__(self) -> str:
        text = str(self.error)
        return text if text.startswith(self.video) else f"{self.video}: {text}"


def predict(
    video: str | os.PathLike,
    *,
    model: str | os.PathLike | None = None,
    server: str | None = None,
    name: str = SERVED_AS,
    timeout_s: float | None = None,
    top: int = TOP,
    modality: str | None = None,
) -> Prediction:
    """Name the action in a video file, with a model of this machine or with one behind a server.

    Args:
        video: Video file of any format that FFmpeg reads.
        model: An exported SavedModel folder, a ``.keras`` file of a run folder, or a name of published
            weights, such as ``"kinetics"``.
        server: In place of a model: the address of a TensorFlow Serving, ``"host:8500"`` for gRPC or
            ``"http://host:8501"`` for REST. Nothing of TensorFlow is needed on this machine then.
        name: What the server calls the model.
        timeout_s: Seconds that an answer of the server may take; None for the default of
            `keras_i3d.serving.client.connect`.
        top: How many classes to return, at least 1.
        modality: Stream of published weights; other models know their own.

    Raises:
        VideoError: The file cannot be decoded.
        ModelFileError: The model cannot be loaded.
        WeightsUnavailable: Published weights can be neither found nor fetched.
        ServerError: The server cannot be reached, or has no such model.
        ValueError: ``top`` is less than 1, or not exactly one of ``model`` and ``server`` is given.
    """
    if (model is None) == (server is None):
        raise ValueError(f"exactly one of model and server is wanted, got model={model!r}, server={server!r}")
    check_top(top)
    import_extra("av")
    if server is not None:
        from keras_i3d.serving.client import connect

        with connect(server, name=name, timeout_s=timeout_s) as client:
            return _with_bar(client, video, client.asked_as, top)
    from keras_i3d.serving.classifier import open_classifier

    return _with_bar(open_classifier(model, modality=modality), video, os.fspath(model), top)


def check_top(top: int) -> None:
    """Raise ValueError unless at least one class is asked for."""
    if top < 1:
        raise ValueError(f"top must be at least 1, got {top}")


def _with_bar(answering: Answering, video: str | os.PathLike, model: str, top: int) -> Prediction:
    with progress.bar("windows of the video") as bar:
        return predict_with(answering, video, model=model, top=top, on_window=bar.advance)


def predict_with(
    answering: Answering,
    video: str | os.PathLike,
    *,
    model: str,
    top: int = TOP,
    on_window: Callable[[], None] = lambda: None,
) -> Prediction:
    """Name the action in a video file.

    Args:
        answering: What answers on its windows.
        video: Video file of any format that FFmpeg reads.
        model: What the result calls the model.
        top: How many classes to return, at least 1.
        on_window: Called after each window.

    Raises:
        VideoError: The file cannot be decoded.
        PredictionError: The model that `answering` stands for refuses a window.
        ServerError: The server that it stands for gives no answer.
    """
    total, seen = np.zeros(len(answering.class_names)), 0
    most = min(WHOLE_VIDEO_FRAMES, answering.max_frames or WHOLE_VIDEO_FRAMES)
    for window in windows(video, answering.preparation, answering.frames or most):
        frames = len(next(iter(window.values())))
        total += answering.logits(_filled(window, answering.frames or frames)).astype(float) * frames
        seen += frames
        on_window()
    best = best_classes(total / seen, answering.class_names, answering.activation, top)
    return Prediction(os.fspath(video), model, seen, best)


def predict_each(
    answering: Answering,
    videos: Sequence[str | os.PathLike],
    *,
    model: str,
    top: int = TOP,
    in_flight: int = 1,
    on_window: Callable[[], None] = lambda: None,
) -> Iterator[Prediction | Failure]:
    """Name the actions in several video files; one that fails does not stop the others.

    Args:
        answering: What answers on their windows.
        videos: Video files of any format that FFmpeg reads.
        model: What the results call the model.
        top: How many classes to return, at least 1.
        in_flight: Videos decoded and asked about at once, at least 1; above 1, `answering` must bear several threads.
        on_window: Called after each window.

    Yields:
        For each video, in their order, what the model says of it or why there is no answer.

    Raises:
        ValueError: `in_flight` is less than 1.
    """

    def ask(video: str | os.PathLike, each_window: Callable[[], None]) -> Prediction:
        return predict_with(answering, video, model=model, top=top, on_window=each_window)

    return ask_each(ask, videos, in_flight=in_flight, on_window=on_window)


def ask_each(
    ask: Callable[[str | os.PathLike, Callable[[], None]], Result],
    videos: Sequence[str | os.PathLike],
    *,
    in_flight: int = 1,
    on_window: Callable[[], None] = lambda: None,
) -> Iterator[Result | Failure]:
    """Ask about several videos; one that fails does not stop the others.

    Args:
        ask: Takes a video and what is to be called after each of its windows.
        videos: What is asked about.
        in_flight: How many at once, at least 1.
        on_window: Called after each window.

    Yields:
        For each video, in their order, its answer or why there is none.

    Raises:
        ValueError: `in_flight` is less than 1.
    """
    if in_flight < 1:
        raise ValueError(f"in_flight must be at least 1, got {in_flight}")

    is_over = threading.Event()
    unheard: list[str] = []  # videos in a row that a server was not there for

    def each_window() -> None:
        if is_over.is_set():
            raise CancelledError
        on_window()

    def answer(video: str | os.PathLike) -> Result | Failure:
        if len(unheard) >= PATIENCE:
            gone = f"not asked, since the server was gone for {PATIENCE} videos in a row"
            return Failure(os.fspath(video), ServerError(gone, "UNAVAILABLE"))
        try:
            found = ask(video, each_window)
            unheard.clear()
            return found
        except (VideoError, PredictionError, ServerError) as error:
            if getattr(error, "code", None) == "UNAVAILABLE":
                unheard.append(os.fspath(video))
            error.__cause__ = error.__context__ = None
            return Failure(os.fspath(video), error.with_traceback(None))

    if in_flight == 1:
        yield from map(answer, videos)
        return
    pool = ThreadPoolExecutor(in_flight, "predict")
    try:
        waiting: deque[Future] = deque()
        for video in videos:  # answers that wait for a slow one before them are few
            waiting.append(pool.submit(answer, video))
            if len(waiting) > 2 * in_flight:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:  # where the caller wants no more, after the windows that are on their way
        is_over.set()
        pool.shutdown(cancel_futures=True)


def batches(window: Mapping[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
    """Return a window as a batch, by modality (count, time, height, width, channels): itself, as often as wanted."""
    return {name: np.repeat(array[np.newaxis], count, axis=0) for name, array in window.items()}


def _filled(window: dict[str, np.ndarray], frames: int) -> dict[str, np.ndarray]:
    """Return a window of so many frames; one that has less starts over, as a short video does in training."""
    indices = np.arange(frames)
    return {name: array if len(array) == frames else array[indices % len(array)] for name, array in window.items()}


def windows(
    video: str | os.PathLike, preparation: Preparation, frames: int = WHOLE_VIDEO_FRAMES
) -> Iterator[dict[str, np.ndarray]]:
    """Yield what a model wants of a video, window by window.

    Args:
        video: Video file of any format that FFmpeg reads.
        preparation: What the model wants: rate, short side, streams.
        frames: Frames of a window; the last one may have less.

    Yields:
        By modality, uint8 ``rgb`` (time, height, width, 3) and float32 ``flow`` (time, height, width, 2) in pixels per
        frame, TV-L1 through the eight bits in which records hold it. Both have as many frames; the last frame of the
        video repeats the flow of the one before it.

    Raises:
        VideoError: The file cannot be decoded.
    """
    decoded = decode.iterate_frames(video, fps=preparation.fps, short_side=preparation.short_side)
    coming = by_modality(decoded, preparation)
    while pieces := list(itertools.islice(coming, frames)):
        yield stacked(pieces)


def by_modality(frames: Iterable[np.ndarray], preparation: Preparation) -> Iterator[dict[str, np.ndarray]]:
    """Yield, frame by frame, what a model wants of it, as `windows` describes it; each field is computed once.

    Args:
        frames: uint8 (height, width, 3), RGB, of the model's rate and short side, all of one shape.
        preparation: What the model wants.
    """
    wanted = preparation.given
    for picture, field in flow.with_flow(frames, "tvl1" if "flow" in wanted else "none", threads=cores()):
        piece = {"rgb": picture} if "rgb" in wanted else {}
        if "flow" in wanted:
            piece["flow"] = flow.as_stored(field)
        yield piece


def stacked(pieces: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return frames as `by_modality` yields them as one window, by modality (time, height, width, channels)."""
    return {name: np.stack([piece[name] for piece in pieces]) for name in pieces[0]}


def best_classes(
    logits: np.ndarray, class_names: Sequence[str], activation: str, top: int
) -> tuple[tuple[str, float], ...]:
    """Return (class name, probability) of the most probable classes, best first.

    Args:
        logits: Float array of shape (classes,).
        class_names: In the order of the logits.
        activation: ``"softmax"``, or ``"sigmoid"`` where several classes may hold at once.
        top: How many classes at most.
    """
    return best_of(probabilities(logits, activation), class_names, top)


def best_of(shares: np.ndarray, class_names: Sequence[str], top: int) -> tuple[tuple[str, float], ...]:
    """Return (class name, probability) of the most probable classes, best first, of probabilities (classes,)."""
    order = np.argsort(-shares, kind="stable")[:top]
    return tuple((class_names[index], float(shares[index])) for index in order)


def probabilities(logits: np.ndarray, activation: str) -> np.ndarray:
    """Return the probabilities of float logits, (..., classes), of the same shape and dtype."""
    if activation == "sigmoid":
        return 1 / (1 + np.exp(-np.clip(logits, -700, None)))
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
