"""Optical flow between consecutive frames, and its eight-bit coding.

The published flow weights were trained on OpenCV's Dual TV-L1 at its defaults, computed on the resized grey
frames at 25 fps and bounded to +-20 pixels (README and MediaPipe graph of google-deepmind/kinetics-i3d).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_i3d.errors import MissingDependency
from keras_i3d.extras import import_extra
from keras_i3d.streams import FLOW_BOUND


def tvl1(frames: np.ndarray, *, on_field: Callable[[], None] = lambda: None) -> np.ndarray:
    """Compute the TV-L1 flow (Zach, Pock & Bischof 2007) from each frame to the next, with OpenCV.

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
    cv2 = import_extra("cv2")
    estimator = _estimator(cv2)
    fields = np.zeros((*frames.shape[:3], 2), np.float32)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    for index in range(len(frames) - 1):
        fields[index] = estimator.calc(grey[index], grey[index + 1], None)
        on_field()
    if len(frames) > 1:
        fields[-1] = fields[-2]
    return np.clip(fields, -FLOW_BOUND, FLOW_BOUND, out=fields)


def _estimator(cv2: Any) -> Any:
    factory = getattr(getattr(cv2, "optflow", None), "DualTVL1OpticalFlow_create", None)
    if factory is None:
        raise MissingDependency(
            "this OpenCV has no TV-L1 flow: opencv-python or opencv-python-headless was installed over "
            "opencv-contrib-python-headless. Mend it with: pip uninstall -y opencv-python "
            "opencv-python-headless && pip install --force-reinstall opencv-contrib-python-headless"
        )
    return factory()


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
