"""A model whose answers can be reckoned by hand."""

from collections.abc import Mapping

import numpy as np

from keras_i3d.clips.preparation import Preparation


class Brightness:
    """Answers with its window's mean red, green and blue, in [0, 1] and times `scale`, as the logits of three classes.

    Attributes:
        windows: All that it was asked about.
    """

    class_names = ("red", "green", "blue")

    def __init__(
        self,
        *,
        short_side: int = 16,
        fps: float = 25.0,
        frames: int | None = None,
        max_frames: int | None = None,
        activation: str = "softmax",
        scale: float = 1.0,
    ) -> None:
        self.preparation = Preparation("rgb", fps, short_side, 16)
        self.frames, self.max_frames, self.activation, self.scale = frames, max_frames, activation, scale
        self.windows: list[np.ndarray] = []

    def logits(self, window: Mapping[str, np.ndarray]) -> np.ndarray:
        self.windows.append(window["rgb"])
        return (self.scale * window["rgb"].mean(axis=(0, 1, 2)) / 255).astype(np.float32)
