"""Videos of a texture that moves evenly, and OpenCV's TV-L1 flow of videos."""

from itertools import pairwise

import cv2
import numpy as np


def moving_texture(frames: int, height: int, width: int, *, seed: int = 0) -> np.ndarray:
    """Return uint8 (frames, height, width, 3); the motion is up to 1.5 pixels per frame in x and in y."""
    generator = np.random.default_rng(seed)
    blurred = cv2.GaussianBlur(generator.uniform(0, 1, (height + 32, width + 32, 3)).astype(np.float32), (0, 0), 3)
    texture = (blurred - blurred.min()) / np.ptp(blurred) * 255
    dx, dy = generator.uniform(-1.5, 1.5, 2)
    x, y = np.meshgrid(np.arange(width) + 16, np.arange(height) + 16)
    shifts = [
        [(place + step * time).astype(np.float32) for place, step in ((x, dx), (y, dy))] for time in range(frames)
    ]
    shifted = [cv2.remap(texture, *places, cv2.INTER_CUBIC) for places in shifts]
    return np.stack(shifted).round().clip(0, 255).astype(np.uint8)


def opencv_flow(frames: np.ndarray) -> np.ndarray:
    """Return OpenCV's flow from each frame to the next, float32 (frames - 1, height, width, 2), unbounded."""
    pictures = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    # an estimator of its own for each pair: after a small picture one computes fewer scales of all that follow
    make = cv2.optflow.DualTVL1OpticalFlow_create
    return np.stack([make().calc(one, other, None) for one, other in pairwise(pictures)])


def end_point_errors(flow: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the distance of two flows at every pixel."""
    return np.linalg.norm(np.asarray(flow) - np.asarray(other), axis=-1)
