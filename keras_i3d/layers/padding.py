"""Padding in space and time."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_i3d")
class SamePadding3D(keras.layers.Layer):
    """Pad as SAME does for a window that follows, with zeros in space and zeros or edges in time.

    Needed where time and space pad differently, which no Keras convolution can.

    Args:
        window: Extent of the window that follows, in (time, height, width); 1 for an axis not to be padded.
        strides: Its strides.
        time: ``"zeros"``, or ``"edge"``: the first and the last step are repeated.
        **options: Of ``keras.layers.Layer``.

    Call: (batch, time, height, width, channels) to the same with longer axes; the window in VALID manner then
    gives n / stride steps, rounded up.
    """

    def __init__(
        self, window: tuple[int, int, int], strides: tuple[int, int, int], time: str = "zeros", **options: Any
    ) -> None:
        super().__init__(**options)
        self.window, self.strides, self.time = tuple(window), tuple(strides), time

    def call(self, inputs: Any) -> Any:
        """Pad."""
        sizes = ops.shape(inputs)[1:4]
        time, *space = (self._pads(size, axis) for axis, size in enumerate(sizes))
        if self.time == "edge":
            steps = ops.arange(-time[0], sizes[0] + time[1])
            inputs, time = ops.take(inputs, ops.clip(steps, 0, sizes[0] - 1), axis=1), (0, 0)
        return ops.pad(inputs, [(0, 0), time, *space, (0, 0)])

    def _pads(self, size: Any, axis: int) -> tuple[Any, Any]:
        window, stride = self.window[axis], self.strides[axis]
        missing = (-(-size // stride) - 1) * stride + window - size
        missing = max(missing, 0) if isinstance(size, int) else ops.maximum(missing, 0)
        return missing // 2, missing - missing // 2

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the result; unknown axes stay unknown."""
        middle = (
            None if size is None else size + sum(self._pads(size, axis)) for axis, size in enumerate(input_shape[1:4])
        )
        return (input_shape[0], *middle, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor needs."""
        return {**super().get_config(), "window": self.window, "strides": self.strides, "time": self.time}
