"""Layers that converters can take, in the place of those that they cannot, with the same results."""

from __future__ import annotations

from typing import Any

from keras import layers, ops

from keras_i3d.layers import BatchNormLSTM, ShrinkingAveragePooling


class PoolingByPlanes(layers.Layer):
    """A 3-D pool as two 2-D pools, over space and then over time.

    The maximum of maxima is the maximum, and the mean of means of windows that lie wholly on the map is the mean.

    Args:
        pool: The 3-D pool: a maximum, or a mean without padding.

    Call: (batch, time, height, width, channels), all known when it is traced, to the pool's result.
    """

    def __init__(self, pool: layers.Layer) -> None:
        super().__init__(name=pool.name)
        self.reduce = ops.max_pool if isinstance(pool, layers.MaxPooling3D) else ops.average_pool
        self.window, self.shrinks = tuple(pool.pool_size), isinstance(pool, ShrinkingAveragePooling)
        self.strides = (1, 1, 1) if self.shrinks else tuple(pool.strides)
        self.padding = "valid" if self.shrinks else pool.padding
        self.shape_after = pool.compute_output_shape

    def call(self, inputs: Any) -> Any:
        """Pool over the planes, and over time with all places of a plane in a row."""
        batch, time, height, width, channels = inputs.shape
        shrunk = tuple(map(min, self.window, inputs.shape[1:4])) if self.shrinks else self.window
        x = ops.reshape(inputs, (batch * time, height, width, channels))
        x = self.reduce(x, shrunk[1:], self.strides[1:], self.padding)
        height, width = x.shape[1:3]
        if shrunk[0] > 1 or self.strides[0] > 1:
            x = ops.reshape(x, (batch, time, height * width, channels))
            x = self.reduce(x, (shrunk[0], 1), (self.strides[0], 1), self.padding)
            time = x.shape[1]
        return ops.reshape(x, (batch, time, height, width, channels))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the pool's result."""
        return self.shape_after(input_shape)


class UnrolledLSTM(BatchNormLSTM):
    """`BatchNormLSTM` in use, with its steps written out one after the other in place of a loop.

    Call: (batch, time, channels), the time known when it is traced, to (batch, time, units).
    """

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Run over time; `training` is of no account."""
        output = cell = ops.zeros((ops.shape(inputs)[0], self.units), inputs.dtype)
        outputs = []
        for place in range(inputs.shape[1]):
            moments = [moving[min(place, self.steps - 1)] for moving in self.moving]
            output, cell, *_ = self._step(output, cell, ops.matmul(inputs[:, place], self.kernel), moments)
            outputs.append(output)
        return ops.stack(outputs, axis=1)


def is_mean_or_maximum(layer: Any) -> bool:
    """Tell whether `PoolingByPlanes` can stand for a layer."""
    if isinstance(layer, layers.AveragePooling3D):
        return layer.padding == "valid"
    return isinstance(layer, layers.MaxPooling3D | ShrinkingAveragePooling)
