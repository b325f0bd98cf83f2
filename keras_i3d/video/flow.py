"""Optical flow between consecutive frames, and its eight-bit coding.

The published flow weights were trained on OpenCV's Dual TV-L1 at its defaults, computed on the resized grey
frames at 25 fps and bounded to +-20 pixels (README and MediaPipe graph of google-deepmind/kinetics-i3d): they want
``tvl1``, or ``opencv``, which is the same. The others are quicker still, and for networks of one's own:

* ``tvl1``: Zach, Pock & Bischof 2007, as `keras_i3d.video.tvl1` explains it. Made to give OpenCV 5.0's fields, to the
  bit where OpenCV was built and runs as it was when it was tried (its wheel for x86-64, on AVX-512).
* ``opencv``: OpenCV's own implementation of the same, at its defaults (tau 0.25, lambda 0.15, theta 0.3, 5 scales of
  step 0.8, 5 warps, epsilon 0.01, 30 inner and 10 outer iterations, median of 5): the reference, and far slower.
* ``farneback``: Farnebäck 2003; OpenCV's defaults (5 levels of scale 0.5, window 13, 10 iterations, polynomials of 5
  pixels and sigma 1.1).
* ``dis``: dense inverse search, Kroeger et al. 2016; OpenCV's preset "medium".

OpenCV's fields depend a little on its version: 4.14 and 5.0 differ by 0.017 pixels on average in TV-L1.
"""

from __future__ import annotations

import itertools
import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from keras_i3d.errors import KerasI3DError, MissingDependency, first_line
from keras_i3d.extras import import_extra
from keras_i3d.streams import FLOW_BOUND
from keras_i3d.tvl1_parameters import DEFAULTS, Parameters
from keras_i3d.workers import cores

KINDS = ("none", "tvl1", "opencv", "farneback", "dis")
SMALLEST_FOR_DIS = 12  # pixels of the longer side; OpenCV refuses less
Estimator = Callable[[np.ndarray, np.ndarray], np.ndarray]  # two grey pictures to the field between them


def opencv_version() -> str:
    """Return the version of OpenCV, such as ``"5.0.0"``, which flow depends on a little.

    Raises:
        MissingDependency: OpenCV is not installed.
    """
    return import_extra("cv2").__version__


def tvl1_versions() -> dict[str, str]:
    """Return the version of what compiles ``tvl1``.

    Raises:
        MissingDependency: numba is not installed.
    """
    return {"numba": import_extra("numba").__version__}


def with_flow(
    frames: Iterable[np.ndarray], kind: str, *, threads: int = 1
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Pair each frame with the flow from it to the next, in the memory of a few frames.

    Args:
        frames: uint8 arrays of shape (height, width, 3), RGB, all of one shape.
        kind: One of `KINDS`.
        threads: Fields of ``"tvl1"`` that are computed at once, at least 1; so many frames more are held. The other
            kinds use OpenCV's own threads.

    Yields:
        (frame, field): the frame itself, and float32 of shape (height, width, 2), x then y, in pixels per frame,
        bounded to +-20. There are as many fields as frames: the last one is repeated, so that one index serves
        both. A single frame has no motion. With ``"none"`` every field is None.

    Raises:
        ValueError: The kind is unknown, or the frames have another shape or dtype.
        MissingDependency: OpenCV is missing, or numba for ``"tvl1"``, or OpenCV's contributed modules for
            ``"opencv"``.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown flow {kind!r}; known: {', '.join(KINDS)}")
    if threads < 1:
        raise ValueError(f"threads must be at least 1, got {threads}")
    if kind == "none":
        return ((frame, None) for frame in frames)
    return _with_fields(frames, kind, threads if kind == "tvl1" else 1)


def _with_fields(frames: Iterable[np.ndarray], kind: str, threads: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    cv2 = import_extra("cv2")
    estimate = _ESTIMATORS[kind]()

    def pairs() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        nonlocal last
        before = grey_before = None
        for frame in frames:
            check_frame(frame, before)
            _check_side(frame, kind)
            last, grey = frame, cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
            if before is not None:
                yield before, grey_before, grey
            before, grey_before = frame, grey

    last, field = None, None
    for before, field in _in_order(lambda pair: (pair[0], _bounded(estimate(*pair[1:]))), pairs(), threads):
        yield before, field
    if last is not None:
        yield last, np.zeros((*last.shape[:2], 2), np.float32) if field is None else field.copy()


def _in_order(function: Callable[[Any], Any], items: Iterable[Any], threads: int) -> Iterator[Any]:
    """Map a function, so many items at once, in the order of the items."""
    if threads == 1:
        yield from map(function, items)
        return
    pool, waiting = ThreadPoolExecutor(threads, "flow"), deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:  # where the caller wants no more, after those that are under way
        pool.shutdown(cancel_futures=True)


def _bounded(field: np.ndarray) -> np.ndarray:
    field = field.astype(np.float32, copy=False)
    return np.clip(field, -FLOW_BOUND, FLOW_BOUND, out=field)


def check_frame(frame: np.ndarray, before: np.ndarray | None = None) -> None:
    """Raise ValueError where a frame is not uint8 (height, width, 3), or not of the shape of the one before it."""
    dtype, shape = getattr(frame, "dtype", type(frame).__name__), np.shape(frame)
    if dtype != np.uint8 or len(shape) != 3 or shape[-1] != 3 or (before is not None and shape != before.shape):
        raise ValueError(f"frames must be uint8 (height, width, 3) of one shape, got {dtype} {shape}")
    if not all(shape):
        raise ValueError(f"frames must have pixels, got {shape}")


def _check_side(frame: np.ndarray, kind: str) -> None:
    shape = frame.shape
    if kind == "dis" and max(shape[:2]) < SMALLEST_FOR_DIS:
        raise ValueError(f"flow by dis needs a side of at least {SMALLEST_FOR_DIS} pixels, got {shape[0]}x{shape[1]}")


def tvl1(
    frames: np.ndarray,
    *,
    threads: int | None = None,
    rounded: bool = False,
    on_field: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """Compute the TV-L1 flow from each frame to the next (Zach, Pock & Bischof 2007), with OpenCV's parameters.

    `keras_i3d.video.tvl1` explains the algorithm. ``tools/bench_flow.py`` compares its speed and its fields
    with OpenCV's on your videos. The first call of a fresh
    installation takes some ten seconds more, to compile.

    Args:
        frames: uint8 array of shape (time, height, width, 3), RGB, or grey of shape (time, height, width) or
            (time, height, width, 1), of any size from 1x1. Sides below 40 pixels have fewer than five scales.
        threads: Fields computed at once, at least 1; by default as many as there are cores.
        rounded: Whether images are warped as OpenCV 4 did, which rounds positions to 1/32 pixel; by default as in
            OpenCV 5, which does not. The two differ by some hundredths of a pixel.
        on_field: Called after each field.

    Returns:
        float32 array of shape (time, height, width, 2), x then y, in pixels per frame, bounded to +-20.
        There are as many fields as frames: the last one is repeated, so that one index serves both. A
        single frame has no motion.

    Raises:
        ValueError: The frames have another shape or dtype; `threads` is less than 1.
        MissingDependency: numba or OpenCV, which makes the frames grey, is missing.
        KerasI3DError: What numba compiled and kept on disk is damaged.
    """
    _check_frames(frames)
    if threads is not None and (type(threads) is not int or threads < 1):
        raise ValueError(f"threads must be a number of threads, at least 1; got {threads!r}")
    if type(rounded) is not bool:
        raise ValueError(f"rounded is true or false, got {rounded!r}")
    estimate = _tvl1(Parameters(rounded=rounded))
    greys = _grey(frames)
    fields = np.zeros((*greys.shape, 2), np.float32)
    pairs = itertools.pairwise(greys)
    for index, field in enumerate(_in_order(lambda pair: _bounded(estimate(*pair)), pairs, threads or cores())):
        fields[index] = field
        on_field()
    if len(fields) > 1:
        fields[-1] = fields[-2]
    return fields


def _check_frames(frames: np.ndarray) -> None:
    wanted = "uint8 (time, height, width, 3), or of grey (time, height, width) or (time, height, width, 1)"
    if not isinstance(frames, np.ndarray):
        raise ValueError(f"frames must be one array, {wanted}, got {type(frames).__name__}")
    shape = frames.shape
    if frames.dtype != np.uint8 or len(shape) < 3 or shape[3:] not in ((), (1,), (3,)) or not all(shape):
        raise ValueError(f"frames must be {wanted}, got {frames.dtype} {shape}")
    if len(shape) == 3 and shape[2] == 3:
        raise ValueError(
            f"{shape} is one RGB picture, or of grey ones 3 pixels wide, to be given as (time, height, 3, 1)"
        )


def compile_tvl1() -> None:
    """Compile TV-L1 if no process did before, so that those which are started next need not.

    Raises:
        MissingDependency: numba is missing.
    """
    tvl1(np.zeros((2, 20, 20), np.uint8), threads=1)  # of two scales, so that pictures are resized


def _grey(frames: np.ndarray) -> np.ndarray:
    if frames.ndim == 4 and frames.shape[-1] == 3:
        cv2 = import_extra("cv2")
        return np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames])
    return frames.reshape(frames.shape[:3])


def _tvl1(parameters: Parameters = DEFAULTS) -> Estimator:
    import_extra("numba")
    from keras_i3d.video import tvl1 as implementation

    def estimate(before: np.ndarray, after: np.ndarray) -> np.ndarray:
        try:
            return implementation.between(before, after, parameters)
        except (EOFError, pickle.UnpicklingError) as error:
            raise KerasI3DError(
                f"what numba compiled and kept in {implementation.cache_folder()} is damaged ({first_line(error)}); "
                "delete the files *.nbi and *.nbc there, and it compiles anew"
            ) from error

    return estimate


def _opencv_tvl1() -> Estimator:
    factory = getattr(getattr(import_extra("cv2"), "optflow", None), "DualTVL1OpticalFlow_create", None)
    if factory is None:
        raise MissingDependency(
            "this OpenCV has no TV-L1 flow: opencv-python or opencv-python-headless was installed over "
            "opencv-contrib-python-headless. Mend it with: pip uninstall -y opencv-python "
            "opencv-python-headless && pip install --force-reinstall opencv-contrib-python-headless "
            "(tvl1, farneback and dis need no contributed modules)"
        )
    return _without_start(factory())


def _farneback() -> Estimator:
    return _without_start(import_extra("cv2").FarnebackOpticalFlow_create())


def _dis() -> Estimator:
    cv2 = import_extra("cv2")
    return _without_start(cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM))


def _without_start(opencvs: Any) -> Estimator:
    """Return an estimator of OpenCV's: some keep their last field, and pairs must not depend on each other."""
    return lambda before, after: opencvs.calc(before, after, None)


_ESTIMATORS = {"tvl1": _tvl1, "opencv": _opencv_tvl1, "farneback": _farneback, "dis": _dis}


def to_stored(flow: np.ndarray) -> np.ndarray:
    """Code flow in eight bits as DeepMind's pipeline does: trunc((v + 20) * 255 / 40).

    Args:
        flow: float array in pixels per frame, of any shape; cut at +-20.

    Returns:
        uint8 array of the same shape; zero motion is 127.
    """
    return ((np.clip(flow, -FLOW_BOUND, FLOW_BOUND) + FLOW_BOUND) * (255 / (2 * FLOW_BOUND))).astype(np.uint8)


def as_stored(flow: np.ndarray) -> np.ndarray:
    """Return flow as those read it who store it in eight bits: what flow networks see in training.

    Args:
        flow: float array in pixels per frame, of any shape; cut at +-20.

    Returns:
        float32 array of the same shape, pixels per frame.
    """
    return from_stored(to_stored(flow).astype(np.float32))


def from_stored(stored: Any) -> Any:
    """Decode eight-bit flow: v * 40 / 255 - 20, so zero motion reads as -0.078.

    Args:
        stored: Float array or tensor in [0, 255].

    Returns:
        The same shape, pixels per frame in [-20, 20].
    """
    return stored * (2 * FLOW_BOUND / 255) - FLOW_BOUND
