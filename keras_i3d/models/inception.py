"""Build the trunk: the only reader of the table of Inception-v1.

A unit is convolution without bias, batch norm without scale (epsilon 1e-3), ReLU, as in Sonnet 1's
``Unit3D`` of google-deepmind/kinetics-i3d ``i3d.py``. Every convolution and pool pads as TensorFlow's SAME
does. The last layer of a unit or block bears the bare scope, so every end point of the original is
``model.get_layer(name)``. Of an image (batch, height, width, channels) the same builder makes the 2-D network.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from keras_i3d.layers import SamePadding3D
from keras_i3d.models import architecture
from keras_i3d.models.architecture import Conv, Mixed, Pool, layer_name
from keras_i3d.models.time_plan import TimePlan

EPSILON = 1e-3


@dataclass(frozen=True)
class BatchNorm:
    """What training needs to choose of batch norm.

    Attributes:
        momentum: Share of the old moving statistics kept at each step; 0.999 in the original.
        synchronized: Whether the replicas of a distribution strategy share their statistics.

    Raises:
        ValueError: The momentum is not in [0, 1).
    """

    momentum: float = 0.999
    synchronized: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.momentum, str) or not 0 <= self.momentum < 1:
            raise ValueError(f"batch_norm_momentum must be in [0, 1), got {self.momentum!r}")

    def relu(self, x: Any, name: str, *, end: str | None = None) -> Any:
        """Apply batch norm without scale, and ReLU.

        Args:
            x: Keras tensor, channels last.
            name: Of the unit; the batch norm is ``<name>__batch_norm``.
            end: Name of the last layer, by default `name`.
        """
        x = layers.BatchNormalization(
            scale=False,
            epsilon=EPSILON,
            momentum=self.momentum,
            synchronized=self.synchronized,
            name=f"{name}__batch_norm",
        )(x)
        return layers.Activation("relu", name=end or name)(x)


def kernel_initializer(channels: int, size: tuple[int, ...]) -> keras.Initializer:
    """Return Sonnet 1's default: a normal of deviation 1 / sqrt(fan in), truncated at two deviations."""
    return keras.initializers.TruncatedNormal(stddev=1 / math.sqrt(channels * math.prod(size)))


def rank_of(x: Any) -> int:
    """Return the axes of a Keras tensor between batch and channels: 3 for video, 2 for an image."""
    return len(x.shape) - 2


def conv_unit(
    x: Any,
    scope: str,
    filters: int,
    size: tuple[int, int, int],
    *,
    strides: tuple[int, int, int] = (1, 1, 1),
    batch_norm: BatchNorm,
    padding: str = "zeros",
    end: str | None = None,
) -> Any:
    """Apply convolution, batch norm and ReLU.

    Args:
        x: Keras tensor of shape (batch, time, height, width, channels), or an image without time.
        scope: The unit's name in the checkpoint.
        filters: Output channels.
        size: Kernel extent in (time, height, width); an image takes the last two.
        strides: Strides in (time, height, width).
        batch_norm: Momentum and synchronisation.
        padding: ``"zeros"`` or ``"edge"``, in time.
        end: Name of the last layer, by default `scope`.

    Returns:
        Keras tensor of shape (batch, time', height', width', filters).
    """
    rank = rank_of(x)
    has_edges = padding == "edge" and rank == 3 and size[0] > 1
    if has_edges:
        x = SamePadding3D(size, strides, "edge", name=layer_name(f"{scope}/padding"))(x)
    convolution = {2: layers.Conv2D, 3: layers.Conv3D}[rank]
    x = convolution(
        filters,
        size[-rank:],
        strides=strides[-rank:],
        padding="valid" if has_edges else "same",
        use_bias=False,
        kernel_initializer=kernel_initializer(x.shape[-1], size[-rank:]),
        name=layer_name(f"{scope}/conv_3d", rank),
    )(x)
    return batch_norm.relu(x, layer_name(scope, rank), end=end and layer_name(end, rank))


@dataclass(frozen=True)
class Trunk:
    """The builder of all rows of the table, from the first convolution to Mixed_5c.

    Attributes:
        plan: Temporal extent of every layer; of no account for an image.
        batch_norm: Momentum and synchronisation.
    """

    plan: TimePlan
    batch_norm: BatchNorm = BatchNorm()

    def __call__(self, x: Any) -> Any:
        """Return the map of Mixed_5c.

        Args:
            x: Keras tensor of shape (batch, time, height, width, channels), or (batch, height, width, channels).

        Returns:
            Keras tensor of shape (batch, time', height', width', 1024), or without time.
        """
        for row in architecture.ROWS:
            if isinstance(row, Conv):
                x = self._unit(x, row.scope, row.tag, row.filters, row.size, row.stride)
            elif isinstance(row, Pool):
                x = self._pool(x, row.scope, row.tag, row.size, row.stride)
            else:
                x = self._mixed_block(x, row)
        return x

    def _unit(self, x: Any, scope: str, tag: str, filters: int, size: int, stride: int = 1) -> Any:
        extent, step = self.plan.conv.get(tag, 1), self.plan.stride.get(tag, 1)
        how = {"batch_norm": self.batch_norm, "padding": self.plan.padding}
        if tag not in self.plan.separable or extent == 1:
            return conv_unit(x, scope, filters, (extent, size, size), strides=(step, stride, stride), **how)
        x = conv_unit(x, scope, filters, (1, size, size), strides=(1, stride, stride), end=f"{scope}/spatial", **how)
        return conv_unit(x, f"{scope}/temporal", filters, (extent, 1, 1), strides=(step, 1, 1), end=scope, **how)

    def _pool(self, x: Any, scope: str, tag: str, size: int, stride: int) -> Any:
        rank = rank_of(x)
        pooling = {2: layers.MaxPooling2D, 3: layers.MaxPooling3D}[rank]
        return pooling(
            (self.plan.pool.get(tag, 1), size, size)[-rank:],
            # the pools of the Mixed blocks step by 1, whatever the plan says of their block
            strides=(self.plan.stride.get(tag, 1), stride, stride)[-rank:],
            padding="same",
            name=layer_name(scope, rank),
        )(x)

    def _mixed_block(self, x: Any, row: Mixed) -> Any:
        def unit(x: Any, branch: int, spelling: str, filters: int, size: int) -> Any:
            scope = f"{row.scope}/Branch_{branch}/Conv3d_{spelling}_{size}x{size}"
            if size == 1:  # 1x1 convolutions stay 1 in time
                return conv_unit(x, scope, filters, (1, 1, 1), batch_norm=self.batch_norm)
            return self._unit(x, scope, row.tag, filters, size)

        pooled = self._pool(x, f"{row.scope}/Branch_3/MaxPool3d_0a_3x3", row.tag, 3, 1)
        branches = [
            unit(x, 0, "0a", row.branch_0, 1),
            unit(unit(x, 1, "0a", row.branch_1[0], 1), 1, "0b", row.branch_1[1], 3),
            unit(unit(x, 2, "0a", row.branch_2[0], 1), 2, row.branch_2_spelling, row.branch_2[1], 3),
            unit(pooled, 3, "0b", row.branch_3, 1),
        ]
        if row.tag in self.plan.gated and rank_of(x) == 3:
            branches = [gate(branch, f"{row.scope}/Branch_{place}/gating") for place, branch in enumerate(branches)]
        return layers.Concatenate(name=layer_name(row.scope))(branches)


def gate(x: Any, scope: str) -> Any:
    """Scale every channel by a sigmoid of all channels' means over space and time (self-gating of S3D-G).

    Args:
        x: Keras tensor of shape (batch, time, height, width, channels).
        scope: The gate's name.
    """
    channels = x.shape[-1]
    weights = layers.GlobalAveragePooling3D(keepdims=True, name=layer_name(f"{scope}/avg_pool"))(x)
    weights = layers.Conv3D(
        channels,
        1,
        activation="sigmoid",
        kernel_initializer=kernel_initializer(channels, (1,)),
        name=layer_name(f"{scope}/conv_3d"),
    )(weights)
    return layers.Multiply(name=layer_name(scope))([x, weights])
