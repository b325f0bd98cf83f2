"""Build the trunk: the only reader of the table of Inception-v1.

A unit is convolution without bias, batch norm without scale (epsilon 1e-3), ReLU, as in Sonnet 1's
``Unit3D`` of google-deepmind/kinetics-i3d ``i3d.py``. Every convolution and pool pads as TensorFlow's SAME
does. The last layer of a unit or block bears the bare scope, so every end point of the original is
``model.get_layer(name)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from keras_i3d.models import architecture
from keras_i3d.models.architecture import Conv, Mixed, Pool, TimePlan, layer_name

EPSILON = 1e-3


@dataclass(frozen=True)
class BatchNorm:
    """What training needs to choose of batch norm.

    Attributes:
        momentum: Share of the old moving statistics kept at each step; 0.999 in the original.
        synchronized: Whether the replicas of a distribution strategy share their statistics.
    """

    momentum: float = 0.999
    synchronized: bool = False


def kernel_initializer(channels: int, size: tuple[int, ...]) -> keras.Initializer:
    """Return Sonnet 1's default: a normal of deviation 1 / sqrt(fan in), truncated at two deviations."""
    return keras.initializers.TruncatedNormal(stddev=1 / math.sqrt(channels * math.prod(size)))


def conv_unit(
    x: Any,
    scope: str,
    filters: int,
    size: tuple[int, int, int],
    *,
    strides: tuple[int, int, int] = (1, 1, 1),
    batch_norm: BatchNorm,
) -> Any:
    """Apply convolution, batch norm and ReLU.

    Args:
        x: Keras tensor of shape (batch, time, height, width, channels).
        scope: The unit's name in the checkpoint.
        filters: Output channels.
        size: Kernel extent in (time, height, width).
        strides: Strides in (time, height, width).
        batch_norm: Momentum and synchronisation.

    Returns:
        Keras tensor of shape (batch, time', height', width', filters).
    """
    x = layers.Conv3D(
        filters,
        size,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer=kernel_initializer(x.shape[-1], size),
        name=layer_name(f"{scope}/conv_3d"),
    )(x)
    x = layers.BatchNormalization(
        scale=False,
        epsilon=EPSILON,
        momentum=batch_norm.momentum,
        synchronized=batch_norm.synchronized,
        name=layer_name(f"{scope}/batch_norm"),
    )(x)
    return layers.Activation("relu", name=layer_name(scope))(x)


def mixed_block(x: Any, row: Mixed, plan: TimePlan, batch_norm: BatchNorm) -> Any:
    """Apply one Inception block; arguments and result as in `conv_unit`."""
    conv_time, pool_time = plan.conv.get(row.tag, 1), plan.pool.get(row.tag, 1)

    def unit(x: Any, branch: int, spelling: str, filters: int, size: int) -> Any:
        scope = f"{row.scope}/Branch_{branch}/Conv3d_{spelling}_{size}x{size}"
        extent = (conv_time if size > 1 else 1, size, size)
        return conv_unit(x, scope, filters, extent, batch_norm=batch_norm)

    branch_1 = unit(unit(x, 1, "0a", row.branch_1[0], 1), 1, "0b", row.branch_1[1], 3)
    branch_2 = unit(unit(x, 2, "0a", row.branch_2[0], 1), 2, row.branch_2_spelling, row.branch_2[1], 3)
    pooled = layers.MaxPooling3D(
        (pool_time, 3, 3),
        strides=1,
        padding="same",
        name=layer_name(f"{row.scope}/Branch_3/MaxPool3d_0a_3x3"),
    )(x)
    branches = [unit(x, 0, "0a", row.branch_0, 1), branch_1, branch_2, unit(pooled, 3, "0b", row.branch_3, 1)]
    return layers.Concatenate(name=row.scope)(branches)


def trunk(x: Any, plan: TimePlan, batch_norm: BatchNorm) -> Any:
    """Apply all rows of the table, from the first convolution to Mixed_5c.

    Args:
        x: Keras tensor of shape (batch, time, height, width, channels).
        plan: Temporal extent of every layer.
        batch_norm: Momentum and synchronisation.

    Returns:
        Keras tensor of shape (batch, time', height', width', 1024).
    """
    for row in architecture.ROWS:
        if isinstance(row, Mixed):
            x = mixed_block(x, row, plan, batch_norm)
            continue
        stride = (plan.stride.get(row.tag, 1), row.stride, row.stride)
        if isinstance(row, Conv):
            size = (plan.conv.get(row.tag, 1), row.size, row.size)
            x = conv_unit(x, row.scope, row.filters, size, strides=stride, batch_norm=batch_norm)
        elif isinstance(row, Pool):
            size = (plan.pool.get(row.tag, 1), row.size, row.size)
            x = layers.MaxPooling3D(size, strides=stride, padding="same", name=row.scope)(x)
    return x
