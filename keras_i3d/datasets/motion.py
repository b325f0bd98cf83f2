"""Make small videos whose classes differ in motion alone.

A textured shape on a still background moves in one of four directions, turns in one of two, grows or
shrinks. Every clip draws a path for each of the four quantities (x, y, angle, size); the class says which one
runs with time and in which direction, the others stand still at a random point of their path. So a single
frame has the same distribution in all classes, and the frames of a clip in another order may be of its opposite.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_i3d.extras import import_extra
from keras_i3d.video.encode import write_video

# class -> (quantity that runs with time, its direction); image rows run downwards
CLASSES: dict[str, tuple[str, int]] = {
    "grows": ("size", 1),
    "moves down": ("y", 1),
    "moves left": ("x", -1),
    "moves right": ("x", 1),
    "moves up": ("y", -1),
    "shrinks": ("size", -1),
    "turns anticlockwise": ("angle", -1),
    "turns clockwise": ("angle", 1),
}
QUANTITIES = ("x", "y", "angle", "size")


@dataclass(frozen=True)
class MotionVideos:
    """How many videos to make, and how they look.

    Attributes:
        clips_per_class: Videos of each class by split.
        frames: Length of a video.
        size: Height and width in pixels, even.
        fps: Frames per second.
        seed: Of the random draws; one seed gives the same frames everywhere.
    """

    clips_per_class: Mapping[str, int]
    frames: int = 24
    size: int = 96
    fps: float = 25.0
    seed: int = 0


def write_videos(folder: str | os.PathLike, videos: MotionVideos) -> Iterator[Path]:
    """Write ``folder/SPLIT/CLASS/NNN.mp4``; yields each path when its file is whole.

    Raises:
        MissingDependency: OpenCV or PyAV is not installed.
    """
    splits = list(videos.clips_per_class)
    for split, count in videos.clips_per_class.items():
        for class_index, name in enumerate(CLASSES):
            target = Path(folder) / split / name.replace(" ", "_")
            target.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                rng = np.random.default_rng([videos.seed, splits.index(split), class_index, number])
                path = target / f"{number:03d}.mp4"
                write_video(path, render(name, videos.frames, videos.size, rng), fps=videos.fps)
                yield path


def render(class_name: str, frames: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw one clip.

    Args:
        class_name: A key of `CLASSES`.
        frames: Length.
        size: Height and width in pixels.
        rng: Source of everything random.

    Returns:
        uint8 array of shape (frames, size, size, 3), RGB.
    """
    cv2 = import_extra("cv2")
    background = _background(size, rng)
    sprite, mask = _sprite(rng)
    paths = _paths(class_name, frames, size, rng)
    clip = np.empty((frames, size, size, 3), np.uint8)
    centre = (sprite.shape[0] - 1) / 2
    for index in range(frames):
        scale = 2 * paths["size"][index] / sprite.shape[0]
        matrix = cv2.getRotationMatrix2D((centre, centre), -paths["angle"][index], scale)
        matrix[:, 2] += paths["x"][index] - centre, paths["y"][index] - centre
        colour = cv2.warpAffine(sprite, matrix, (size, size), flags=cv2.INTER_LINEAR)
        alpha = cv2.warpAffine(mask, matrix, (size, size), flags=cv2.INTER_LINEAR)[..., None]
        clip[index] = np.rint(background * (1 - alpha) + colour * alpha)
    return clip


def _paths(class_name: str, frames: int, size: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw the value of each quantity at each frame: pixels, degrees (clockwise), pixels of radius."""
    running, direction = CLASSES[class_name]
    time = (np.arange(frames) + 0.5) / frames - 0.5
    speed = rng.uniform(0.8, 1.2, len(QUANTITIES))
    still = rng.uniform(-0.5, 0.5, len(QUANTITIES))
    sign = rng.choice((-1, 1), len(QUANTITIES))
    phase = {
        name: speed[i] * (direction * time if name == running else np.full(frames, sign[i] * still[i]))
        for i, name in enumerate(QUANTITIES)
    }
    x, y = rng.uniform(0.4, 0.6, 2)
    return {
        "x": size * (x + 0.45 * phase["x"]),
        "y": size * (y + 0.45 * phase["y"]),
        "angle": rng.uniform(0, 360) + 240 * phase["angle"],
        "size": size * rng.uniform(0.24, 0.28) * 2.2 ** phase["size"],
    }


def _background(size: int, rng: np.random.Generator) -> np.ndarray:
    """Return a soft random colour field, float32 (size, size, 3) in [0, 255]."""
    cv2 = import_extra("cv2")
    coarse = rng.uniform(30, 150, (3, 3, 3)).astype(np.float32)
    fine = rng.uniform(-12, 12, (size // 6, size // 6, 3)).astype(np.float32)
    field = [cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC) for grid in (coarse, fine)]
    return np.clip(sum(field), 0, 255)


def _sprite(rng: np.random.Generator, side: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """Return a shape that no turn maps onto itself: colours (side, side, 3), and its mask in [0, 1]."""
    cv2 = import_extra("cv2")
    corners = int(rng.integers(3, 8))
    angles = 2 * np.pi * (np.arange(corners) + rng.uniform(0, 0.6, corners)) / corners
    radii = rng.uniform(0.65, 1.0, corners) * (side / 2 - 3)
    points = np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, None] + side / 2
    mask = np.zeros((side, side), np.float32)
    cv2.fillPoly(mask, [np.rint(points * 16).astype(np.int32)], 1.0, lineType=cv2.LINE_AA, shift=4)
    light, dark = rng.uniform(170, 255, 3), rng.uniform(0, 90, 3)
    rows = np.arange(side)[:, None] + 0 * np.arange(side)
    stripes = (rows // int(rng.integers(10, 18))) % 2 == 0
    colours = np.where(stripes[..., None], light, dark).astype(np.float32)
    colours[:, side // 2 :] = np.roll(colours, 1, axis=2)[:, side // 2 :]  # one half in other colours
    return colours, mask
