"""Several frames as one."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_i3d")
class StackFrames(keras.layers.Layer):
    """Turn every group of consecutive frames into one frame with the channels of all of them.

    Args:
        frames: Frames of a group.
        **options: Of ``keras.layers.Layer``.

    Call: (batch, groups x frames, height, width, channels) to (batch, groups, height, width, frames x
    channels); the first frame's channels come first.
    """

    def __init__(self, frames: int, **options: Any) -> None:
        super().__init__(**options)
        self.frames = frames

    def call(self, inputs: Any) -> Any:
        """Regroup the axes."""
        batch, steps, height, width, channels = ops.shape(inputs)
        grouped = ops.reshape(inputs, (batch, steps // self.frames, self.frames, height, width, channels))
        moved = ops.transpose(grouped, (0, 1, 3, 4, 2, 5))
        return ops.reshape(moved, (batch, steps // self.frames, height, width, self.frames * channels))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the result; unknown axes stay unknown."""
        batch, steps, height, width, channels = input_shape
        groups = None if steps is None else steps // self.frames
        return (batch, groups, height, width, self.frames * channels)

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor needs."""
        return {**super().get_config(), "frames": self.frames}
