"""Pooling whose window shrinks to its map."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_i3d")
class ShrinkingAveragePooling(keras.layers.Layer):
    """Average pooling of stride 1 whose window shrinks to the map where the map is smaller.

    Needed only where an axis is unknown until run time; where all are known, Keras's own average pooling
    serves, and the saved model needs nothing of this package.

    Args:
        pool_size: Largest window, for each axis between batch and channels.
        **options: Of ``keras.layers.Layer``.

    Call: (batch, time, height, width, channels) to (batch, time', height', width', channels), with
    n' = n - min(n, window) + 1 on each axis; likewise without time.
    """

    def __init__(self, pool_size: tuple[int, ...], **options: Any) -> None:
        super().__init__(**options)
        self.pool_size = tuple(pool_size)

    def call(self, inputs: Any) -> Any:
        """Pool; on a traced graph with unknown axes, by cutting the whole windows out of a SAME pool."""
        sizes = ops.shape(inputs)[1:-1]
        if all(isinstance(size, int) for size in sizes):
            window = tuple(min(pair) for pair in zip(self.pool_size, sizes, strict=True))
            return ops.average_pool(inputs, window, strides=1, padding="valid")
        # TensorFlow's SAME pool averages over the part of the window that lies on the map, so its values
        # where a whole window fits are VALID's, and the middle one of a short axis is the axis's mean.
        pooled = ops.average_pool(inputs, self.pool_size, strides=1, padding="same")
        for axis, (size, window) in enumerate(zip(sizes, self.pool_size, strict=True), start=1):
            before = ops.minimum((window - 1) // 2, (size - 1) // 2)
            length = ops.maximum(size - window + 1, 1)
            pooled = ops.take(pooled, before + ops.arange(length), axis=axis)
        return pooled

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the pooled map; unknown axes stay unknown."""
        sizes = zip(input_shape[1:-1], self.pool_size, strict=True)
        middle = (None if size is None else size - min(size, window) + 1 for size, window in sizes)
        return (input_shape[0], *middle, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor needs."""
        return {**super().get_config(), "pool_size": self.pool_size}
