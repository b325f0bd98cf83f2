"""How training clips are varied, as data: mirrored, at other scales, in other light.

The paper's training crops and mirrors alone (Carreira & Zisserman 2017, section 2.5); the others are options, off by
default. One draw serves a whole clip, so that nothing flickers, and all its streams where it moves pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

_GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601, as JPEG and OpenCV weigh the colours


@dataclass(frozen=True)
class Augmentation:
    """What is drawn anew for every training clip.

    Attributes:
        flips: Whether half of the clips are mirrored; classes that name a direction forbid it.
        scale_jitter: Least and most of the factor on the short side that frames are resized to before the crop;
            each whole number of pixels between is equally likely. None leaves it at 256 for a crop of 224.
        brightness: Added to rgb, within +- this share of its range.
        contrast: Distance to the clip's mean grey is multiplied by a factor within 1 +- this.
        saturation: Distance to each pixel's grey is multiplied by a factor within 1 +- this.
        hue: Colours are turned around the colour circle, within +- this share of it, at most 0.5.
    """

    flips: bool = True
    scale_jitter: tuple[float, float] | None = None
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0

    def __post_init__(self) -> None:
        for name, most in (("brightness", 1.0), ("contrast", 1.0), ("saturation", 1.0), ("hue", 0.5)):
            value = getattr(self, name)
            if not _is_number(value) or not 0 <= value <= most:
                raise ValueError(f"{name} must be a number from 0 to {most:g}, got {value!r}")
        if self.scale_jitter is not None:
            object.__setattr__(self, "scale_jitter", _factors(self.scale_jitter))  # JSON brings a list

    @property
    def changes_light(self) -> bool:
        """Whether rgb values are changed at all."""
        return any((self.brightness, self.contrast, self.saturation, self.hue))

    def short_sides(self, short_side: int, size: int) -> tuple[int, int]:
        """Return least and most pixels of the short side before the crop.

        Args:
            short_side: Pixels without jitter.
            size: Of the crop.

        Raises:
            ValueError: The least is smaller than the crop.
        """
        if self.scale_jitter is None:
            return short_side, short_side
        least, most = (int(short_side * factor + 0.5) for factor in self.scale_jitter)
        if least < size:
            raise ValueError(
                f"scale_jitter {self.scale_jitter} gives short sides from {least} pixels, smaller than the crop of "
                f"{size}; its least factor must be at least {math.ceil(1000 * size / short_side) / 1000:g}"
            )
        return least, most


def relit(frames: Any, augmentation: Augmentation, seed: Any) -> Any:
    """Change brightness, contrast, saturation and hue of a clip, in this order, by one draw.

    Args:
        frames: float32 tensor of shape (time, height, width, 3), RGB in [0, 255].
        augmentation: How much.
        seed: int tensor of shape (2,), for stateless random numbers.

    Returns:
        float32 tensor of the same shape, in [0, 255].
    """
    draws = tf.random.stateless_uniform([4], seed, -1.0, 1.0)
    if augmentation.brightness:
        frames = _bounded(frames + draws[0] * augmentation.brightness * 255.0)
    if augmentation.contrast:
        mean = tf.reduce_mean(_grey(frames))
        frames = _bounded(mean + (frames - mean) * (1.0 + draws[1] * augmentation.contrast))
    if augmentation.saturation:
        grey = _grey(frames)
        frames = _bounded(grey + (frames - grey) * (1.0 + draws[2] * augmentation.saturation))
    if augmentation.hue:
        frames = _bounded(tf.image.adjust_hue(frames, draws[3] * augmentation.hue))
    return frames


def _grey(frames: Any) -> Any:
    return tf.reduce_sum(frames * tf.constant(_GREY), axis=-1, keepdims=True)


def _bounded(frames: Any) -> Any:
    return tf.clip_by_value(frames, 0.0, 255.0)


def _factors(value: Any) -> tuple[float, float]:
    is_pair = isinstance(value, tuple | list) and len(value) == 2 and all(map(_is_number, value))
    if not is_pair or not 0 < value[0] <= value[1]:
        raise ValueError(f"scale_jitter must be two factors above 0, the smaller one first, or None; got {value!r}")
    return float(value[0]), float(value[1])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
