"""The classifiers behind the trunks; every network ends in the layers ``Logits`` and ``Predictions``.

Inception-v1's and I3D's is an average pool, dropout, a 1x1x1 convolution and a mean over what is left, as in
google-deepmind/kinetics-i3d ``i3d.py``: ``Logits`` is the mean over time of the logits (not of the features).
Where the feature map is smaller than the pool's window the window shrinks to it; the original refuses. Where it
is larger than 7x7 the logits are averaged over space too; the original refuses to squeeze.
"""

from __future__ import annotations

from typing import Any

from keras import layers

from keras_i3d.layers import ShrinkingAveragePooling
from keras_i3d.models.architecture import HEAD, HEAD_CONV, HEAD_POOL, HEAD_WINDOW, layer_name
from keras_i3d.models.inception import kernel_initializer, rank_of

DENSE = "Logits__dense"  # the classifier of the networks without a convolutional one


def average_pool(x: Any, pool_time: int) -> Any:
    """Apply the last average pool of (pool_time, 7, 7), stride 1, VALID, no larger than the map."""
    rank = rank_of(x)
    sizes, window = x.shape[1:-1], (pool_time, HEAD_WINDOW, HEAD_WINDOW)[-rank:]
    name = layer_name(HEAD_POOL, rank)
    if None in sizes:
        return ShrinkingAveragePooling(window, name=name)(x)
    window = tuple(min(pair) for pair in zip(window, sizes, strict=True))
    pooling = {2: layers.AveragePooling2D, 3: layers.AveragePooling3D}[rank]
    return pooling(window, strides=1, padding="valid", name=name)(x)


def classifier(x: Any, *, classes: int, pool_time: int, dropout_rate: float, activation: str | None) -> Any:
    """Apply the head of Inception-v1 to the trunk's map.

    Args:
        x: Keras tensor of shape (batch, time, height, width, 1024), or without time.
        classes: Number of classes.
        pool_time: Temporal window of the average pool.
        dropout_rate: Share of features dropped in training, in [0, 1).
        activation: Of the layer ``Predictions``; None leaves it out.

    Returns:
        Keras tensor of shape (batch, classes), float32 under every dtype policy.
    """
    rank = rank_of(x)
    x = average_pool(x, pool_time)
    x = layers.Dropout(dropout_rate, name="Dropout_0b")(x)
    convolution = {2: layers.Conv2D, 3: layers.Conv3D}[rank]
    x = convolution(
        classes,
        1,
        kernel_initializer=kernel_initializer(x.shape[-1], (1,)),
        dtype="float32",
        name=layer_name(f"{HEAD_CONV}/conv_3d", rank),
    )(x)
    mean = {2: layers.GlobalAveragePooling2D, 3: layers.GlobalAveragePooling3D}[rank]
    return predictions(mean(dtype="float32", name=HEAD)(x), activation)


def features(x: Any, pooling: str | None) -> Any:
    """Return what a network without classifier ends in: the trunk's map, or its mean or maximum.

    Args:
        x: Keras tensor of shape (batch, time, height, width, channels), or without time.
        pooling: None for the map, ``"avg"`` or ``"max"`` for (batch, channels).
    """
    if pooling is None:
        return x
    kinds = {"avg": (layers.GlobalAveragePooling2D, layers.GlobalAveragePooling3D)}
    kinds["max"] = (layers.GlobalMaxPooling2D, layers.GlobalMaxPooling3D)
    return kinds[pooling][rank_of(x) - 2](name=f"{pooling}_pool")(x)


def predictions(logits: Any, activation: str | None) -> Any:
    """Apply the layer ``Predictions``, in float32; None leaves it out."""
    if activation is None:
        return logits
    return layers.Activation(activation, dtype="float32", name="Predictions")(logits)
