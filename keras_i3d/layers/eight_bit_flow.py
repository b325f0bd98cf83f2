"""Flow as records keep it, for networks that were trained on records."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_i3d.streams import FLOW_BOUND

_LEVELS = 255 / (2 * FLOW_BOUND)  # to one pixel


@keras.saving.register_keras_serializable(package="keras_i3d")
class EightBitFlow(keras.layers.Layer):
    """Motion in pixels to the network's input, through the eight bits that records keep of it.

    The published flow networks, and all that are trained on records, saw flow in 256 steps, trunc((v + 20) * 255 / 40);
    zero motion reads as -0.0039 of the bound. Results are float32 under every policy, and no gradient passes.

    Args:
        **options: Of ``keras.layers.Layer``; ``dtype`` is float32 whatever it says.

    Call: float of any shape, pixels per frame, cut at +-20, to float32 of the same shape in [-1, 1].
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options | {"dtype": "float32", "autocast": False, "trainable": False})

    def call(self, flow: Any) -> Any:
        """Code, decode and scale."""
        flow = ops.clip(ops.cast(ops.stop_gradient(flow), "float32"), -FLOW_BOUND, FLOW_BOUND)
        return ops.floor((flow + FLOW_BOUND) * _LEVELS) * (1 / _LEVELS / FLOW_BOUND) - 1

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape, which stays."""
        return tuple(input_shape)
