"""The classifier behind the trunk: average pool, dropout, 1x1x1 convolution, mean over what is left.

As in google-deepmind/kinetics-i3d ``i3d.py``: ``Logits`` is the mean over time of the logits (not of the
features). Where the feature map is smaller than the pool's window the window shrinks to it; the original
refuses. Where it is larger than 7x7 the logits are averaged over space too; the original refuses to squeeze.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from keras_i3d.models.architecture import HEAD, HEAD_CONV, HEAD_WINDOW, layer_name
from keras_i3d.models.inception import kernel_initializer

POOL_NAME = "AvgPool3D"


@keras.saving.register_keras_serializable(package="keras_i3d")
class ShrinkingAveragePooling3D(layers.Layer):
    """Average pooling of stride 1 whose window shrinks to the map where the map is smaller.

    Needed only where an axis is unknown until run time; where all are known, Keras's own
    ``AveragePooling3D`` serves, and the saved model needs nothing of this package.

    Args:
        pool_size: Largest window in (time, height, width).
        **options: Of ``keras.layers.Layer``.

    Call: (batch, time, height, width, channels) to (batch, time', height', width', channels), with
    n' = n - min(n, window) + 1 on each axis.
    """

    def __init__(self, pool_size: tuple[int, int, int], **options: Any) -> None:
        super().__init__(**options)
        self.pool_size = tuple(pool_size)

    def call(self, inputs: Any) -> Any:
        """Pool; on a traced graph with unknown axes, by cutting the whole windows out of a SAME pool."""
        sizes = ops.shape(inputs)[1:4]
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
        sizes = zip(input_shape[1:4], self.pool_size, strict=True)
        middle = (None if size is None else size - min(size, window) + 1 for size, window in sizes)
        return (input_shape[0], *middle, input_shape[4])

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor needs."""
        return {**super().get_config(), "pool_size": self.pool_size}


def average_pool(x: Any, pool_time: int) -> Any:
    """Apply the last average pool of (pool_time, 7, 7), stride 1, VALID, no larger than the map."""
    sizes, window = x.shape[1:4], (pool_time, HEAD_WINDOW, HEAD_WINDOW)
    if None in sizes:
        return ShrinkingAveragePooling3D(window, name=POOL_NAME)(x)
    window = tuple(min(pair) for pair in zip(window, sizes, strict=True))
    return layers.AveragePooling3D(window, strides=1, padding="valid", name=POOL_NAME)(x)


def classifier(x: Any, *, classes: int, pool_time: int, dropout_rate: float, activation: str | None) -> Any:
    """Apply the head to the trunk's map.

    Args:
        x: Keras tensor of shape (batch, time, height, width, 1024).
        classes: Number of classes.
        pool_time: Temporal window of the average pool.
        dropout_rate: Share of features dropped in training, in [0, 1).
        activation: Of the layer ``Predictions``; None leaves it out.

    Returns:
        Keras tensor of shape (batch, classes), float32 under every dtype policy.
    """
    x = average_pool(x, pool_time)
    x = layers.Dropout(dropout_rate, name="Dropout_0b")(x)
    x = layers.Conv3D(
        classes,
        1,
        kernel_initializer=kernel_initializer(x.shape[-1], (1,)),
        dtype="float32",
        name=layer_name(f"{HEAD_CONV}/conv_3d"),
    )(x)
    x = layers.GlobalAveragePooling3D(dtype="float32", name=HEAD)(x)
    if activation is not None:
        x = layers.Activation(activation, dtype="float32", name="Predictions")(x)
    return x
