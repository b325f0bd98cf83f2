"""Optical flow between consecutive frames, and its eight-bit coding.

The published flow weights were trained on OpenCV's Dual TV-L1 at its defaults, computed on the resized grey
frames at 25 fps and bounded to +-20 pixels (README and MediaPipe graph of google-deepmind/kinetics-i3d): they want
``tvl1``. The others are for networks of one's own, about a hundred times quicker:

* ``tvl1``: Zach, Pock & Bischof 2007; OpenCV's defaults (tau 0.25, lambda 0.15, theta 0.3, 5 scales of step 0.8,
  5 warps, epsilon 0.01, 30 inner and 10 outer iterations, median of 5).
* ``farneback``: Farnebäck 2003; OpenCV's defaults (5 levels of scale 0.5, window 13, 10 iterations, polynomials of 5
  pixels and sigma 1.1).
* ``dis``: dense inverse search, Kroeger et al. 2016; OpenCV's preset "medium".

Fields depend a little on OpenCV's version: 4.14 and 5.0 differ by 0.017 pixels on average in TV-L1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from keras_i3d.errors import MissingDependency
from keras_i3d.extras import import_extra
from keras_i3d.streams import FLOW_BOUND

KINDS = ("none", "tvl1", "farneback", "dis")
SMALLEST_FOR_DIS = 12  # pixels of the longer side; OpenCV refuses less


def opencv_version() -> str:
    """Return the version of OpenCV, such as ``"5.0.0"``, which flow depends on a little.

    Raises:
        MissingDependency: OpenCV is not installed.
    """
    return import_extra("cv2").__version__


def with_flow(frames: Iterable[np.ndarray], kind: str) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Pair each frame with the flow from it to the next, in the memory of two frames.

    Args:
        frames: uint8 arrays of shape (height, width, 3), RGB, all of one shape.
        kind: One of `KINDS`.

    Yields:
        (frame, field): the frame itself, and float32 of shape (height, width, 2), x then y, in pixels per frame,
        bounded to +-20. There are as many fields as frames: the last one is repeated, so that one index serves
        both. A single frame has no motion. With ``"none"`` every field is None.

    Raises:
        ValueError: The kind is unknown, or the frames have another shape or dtype.
        MissingDependency: OpenCV is missing, or for ``"tvl1"`` is installed without its contributed modules.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown flow {kind!r}; known: {', '.join(KINDS)}")
    if kind == "none":
        return ((frame, None) for frame in frames)
    return _with_fields(frames, kind)


def _with_fields(frames: Iterable[np.ndarray], kind: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    cv2 = import_extra("cv2")
    estimator = _ESTIMATORS[kind](cv2)
    before, grey_before, field = None, None, None
    for frame in frames:
        _check_frame(frame, kind, before)
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        if before is not None:
            # without a start: some estimators keep their last field, and pairs must not depend on each other
            field = estimator.calc(grey_before, grey, None).astype(np.float32, copy=False)
            np.clip(field, -FLOW_BOUND, FLOW_BOUND, out=field)
            yield before, field
        before, grey_before = frame, grey
    if before is not None:
        yield before, np.zeros((*before.shape[:2], 2), np.float32) if field is None else field.copy()


def _check_frame(frame: np.ndarray, kind: str, before: np.ndarray | None) -> None:
    dtype, shape = getattr(frame, "dtype", type(frame).__name__), np.shape(frame)
    if dtype != np.uint8 or len(shape) != 3 or shape[-1] != 3 or (before is not None and shape != before.shape):
        raise ValueError(f"frames must be uint8 (height, width, 3) of one shape, got {dtype} {shape}")
    if kind == "dis" and max(shape[:2]) < SMALLEST_FOR_DIS:
        raise ValueError(f"flow by dis needs a side of at least {SMALLEST_FOR_DIS} pixels, got {shape[0]}x{shape[1]}")


def tvl1(frames: np.ndarray, *, on_field: Callable[[], None] = lambda: None) -> np.ndarray:
    """Compute the TV-L1 flow from each frame to the next, as `with_flow` does, of a whole array.

    Args:
        frames: uint8 array of shape (time, height, width, 3), RGB.
        on_field: Called after each field; one takes 0.3 to 2.5 s at 256x340 on one core.

    Returns:
        float32 array of shape (time, height, width, 2), x then y, in pixels per frame, bounded to +-20.
        There are as many fields as frames: the last one is repeated, so that one index serves both. A
        single frame has no motion.

    Raises:
        ValueError: The frames have another shape or dtype.
        MissingDependency: OpenCV is missing, or is installed without its contributed modules.
    """
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not len(frames):
        raise ValueError(f"frames must be uint8 (time, height, width, 3), got {frames.dtype} {frames.shape}")
    fields = np.empty((*frames.shape[:3], 2), np.float32)
    for index, (_, field) in enumerate(with_flow(frames, "tvl1")):
        fields[index] = field
        if index < len(frames) - 1:
            on_field()
    return fields


def _dual_tvl1(cv2: Any) -> Any:
    factory = getattr(getattr(cv2, "optflow", None), "DualTVL1OpticalFlow_create", None)
    if factory is None:
        raise MissingDependency(
            "this OpenCV has no TV-L1 flow: opencv-python or opencv-python-headless was installed over "
            "opencv-contrib-python-headless. Mend it with: pip uninstall -y opencv-python "
            "opencv-python-headless && pip install --force-reinstall opencv-contrib-python-headless "
            "(farneback and dis need no contributed modules, but the published flow weights want TV-L1)"
        )
    return factory()


_ESTIMATORS = {
    "tvl1": _dual_tvl1,
    "farneback": lambda cv2: cv2.FarnebackOpticalFlow_create(),
    "dis": lambda cv2: cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM),
}


def to_stored(flow: np.ndarray) -> np.ndarray:
    """Code flow in eight bits as DeepMind's pipeline does: trunc((v + 20) * 255 / 40).

    Args:
        flow: float array in pixels per frame, of any shape; cut at +-20.

    Returns:
        uint8 array of the same shape; zero motion is 127.
    """
    return ((np.clip(flow, -FLOW_BOUND, FLOW_BOUND) + FLOW_BOUND) * (255 / (2 * FLOW_BOUND))).astype(np.uint8)


def from_stored(stored: Any) -> Any:
    """Decode eight-bit flow: v * 40 / 255 - 20, so zero motion reads as -0.078.

    Args:
        stored: Float array or tensor in [0, 255].

    Returns:
        The same shape, pixels per frame in [-20, 20].
    """
    return stored * (2 * FLOW_BOUND / 255) - FLOW_BOUND
