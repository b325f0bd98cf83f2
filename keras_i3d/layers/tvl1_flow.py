"""TV-L1 optical flow as a layer: frames in, motion out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_i3d.layers import tvl1
from keras_i3d.streams import FLOW_BOUND
from keras_i3d.tvl1_parameters import Parameters

# OpenCV's conversion of eight-bit RGB to grey: in parts of 2^15, rounded
_GREY_OF = (9798, 19235, 3735)
_SHIFT = 15


@keras.saving.register_keras_serializable(package="keras_i3d")
class TVL1Flow(keras.layers.Layer):
    """The motion from each frame to the next, by TV-L1 (Zach, Pock & Bischof 2007), as OpenCV computes it.

    TV-L1 looks for the smoothest field of motion, in the sense of its total variation, that carries one picture into
    the next, with absolute differences in both: edges of the motion stay sharp, and changes of light do little harm.
    It goes from coarse pictures to fine ones; at each it warps the second picture by the motion found so far and
    iterates until the motion rests. `keras_i3d.layers.tvl1` says more. The published flow networks were trained on
    this flow by OpenCV, and the layer agrees with OpenCV as its builds do with one another.

    There are no weights, and nothing is learnt through it: no gradient passes. Results are float32 under every policy.

    It runs small operations many hundred times, so it wants to be compiled: by `predict` and `fit`, in ``tf.function``,
    twice as fast with ``jit_compile=True``, or in ``jax.jit``; that takes ten seconds for each size of frames. Called
    outside of these it gives the same, slowly.

    Args:
        value_range: What the floats of black and of full light are: (0, 255), (-1, 1), (0, 1). Frames are
            read as the eight-bit levels nearest to them, since that is what OpenCV is given; what lies outside is cut,
            and no number (NaN) is black. uint8 frames are levels themselves.
        rounded: Whether warps round positions to 1/32 pixel, as OpenCV did up to 4.x; since 5.0 it does not.
        pairs_at_once: How many pairs of frames are computed together; the others wait for their turn. None: all.
            Each holds about 300 bytes per pixel: 27 MB at 256x340. On a CPU one is the quickest (of eight
            each takes twice as long: all wait for the slowest, and leave the cache). A GPU should want
            tens of them. Sums in another order move single pixels.
        **options: Of ``keras.layers.Layer``; ``dtype`` is float32 whatever it says.

    Call: (batch, time, height, width, channels) to float32 (batch, time, height, width, 2): x, then y, in pixels
    per frame, cut at +-20. Channels are 3 (RGB) or 1 (grey), values uint8 or float; all axes but the channels may be
    unknown. There are as many fields as frames: the last one is repeated, and a single frame has no motion.

    Raises:
        ValueError: An argument is out of its range, or frames have another rank, number of channels or dtype, or
            none at all in time, height or width.
    """

    def __init__(
        self,
        value_range: Sequence[float] = (0, 255),
        rounded: bool = False,
        *,
        pairs_at_once: int | None = 1,
        **options: Any,
    ) -> None:
        _check_arguments(value_range, rounded, pairs_at_once)
        # frames in half precision would lose levels before they are read
        super().__init__(**options | {"dtype": "float32", "autocast": False, "trainable": False})
        self.value_range = tuple(value_range)
        self.rounded = rounded
        self.pairs_at_once = pairs_at_once

    def call(self, frames: Any) -> Any:
        """Compute the motion."""
        _check_frames(frames.shape, keras.backend.standardize_dtype(frames.dtype))
        pictures = grey(ops.stop_gradient(frames), self.value_range)
        batch, time, height, width = ops.shape(pictures)
        # a single frame is paired with itself
        steps, last = time - 1, time - 1
        steps = max(steps, 1) if isinstance(steps, int) else ops.maximum(steps, 1)
        before = pictures[:, :steps]
        after = ops.take(pictures, ops.minimum(ops.arange(steps, dtype="int32") + 1, last), axis=1)
        pairs = (batch * steps, height, width)
        fields = self._in_turns(ops.reshape(before, pairs), ops.reshape(after, pairs))
        fields = ops.clip(ops.reshape(fields, (batch, steps, height, width, 2)), -FLOW_BOUND, FLOW_BOUND)
        return ops.concatenate([fields, fields[:, -1:]], axis=1)[:, :time]

    def _in_turns(self, before: Any, after: Any) -> Any:
        """Return the flow (pairs, height, width, 2) of pictures (pairs, height, width), some pairs at once."""
        parameters = Parameters(rounded=self.rounded)
        pairs, height, width = ops.shape(before)
        at_once = self.pairs_at_once
        if at_once is None or (isinstance(pairs, int) and pairs <= at_once):
            return tvl1.flow(before, after, parameters)
        turns = -(-pairs // at_once)
        missing = turns * at_once - pairs  # black pairs, which are done at once
        before, after = (
            ops.reshape(ops.pad(pictures, [(0, missing), (0, 0), (0, 0)]), (turns, at_once, height, width))
            for pictures in (before, after)
        )

        def turn(number: Any, fields: Any) -> tuple[Any, Any]:
            found = tvl1.flow(before[number], after[number], parameters)
            return number + 1, ops.scatter_update(fields, ops.reshape(number, (1, 1)), ops.expand_dims(found, 0))

        begin = (0, ops.zeros((turns, at_once, height, width, 2)))
        _, fields = ops.while_loop(lambda number, _: number < turns, turn, begin)
        return ops.reshape(fields, (turns * at_once, height, width, 2))[:pairs]

    def compute_output_spec(self, frames: Any) -> keras.KerasTensor:
        """Return the shape and dtype of the motion; unknown axes stay unknown."""
        _check_frames(frames.shape, keras.backend.standardize_dtype(frames.dtype))
        return keras.KerasTensor(self.compute_output_shape(frames.shape), "float32")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the motion; unknown axes stay unknown."""
        return (*input_shape[:-1], 2)

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor needs."""
        own = {"value_range": self.value_range, "rounded": self.rounded, "pairs_at_once": self.pairs_at_once}
        return {**super().get_config(), **own}


def grey(frames: Any, value_range: tuple[float, float]) -> Any:
    """Return frames as eight-bit levels of grey, as OpenCV makes them of RGB.

    Args:
        frames: (..., channels), 3 (RGB) or 1 (grey): uint8, or float in `value_range`.
        value_range: What the floats of black and of full light are; NaN is black.

    Returns:
        float32 (...), whole numbers from 0 to 255.
    """
    if keras.backend.standardize_dtype(frames.dtype) != "uint8":
        black, white = value_range
        levels = (ops.cast(frames, "float32") - black) * (255 / (white - black))
        frames = ops.round(ops.clip(ops.where(ops.isnan(levels), 0.0, levels), 0.0, 255.0))
    frames = ops.cast(frames, "int32")
    if frames.shape[-1] == 1:
        return ops.cast(frames[..., 0], "float32")
    total = sum(frames[..., channel] * share for channel, share in enumerate(_GREY_OF))
    return ops.cast(ops.right_shift(total + (1 << (_SHIFT - 1)), _SHIFT), "float32")


def _check_arguments(value_range: Any, rounded: Any, pairs_at_once: Any) -> None:
    numbers = isinstance(value_range, Sequence) and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in value_range
    )
    if not (numbers and len(value_range) == 2 and -math.inf < value_range[0] < value_range[1] < math.inf):
        raise ValueError(f"value_range must be two numbers, black and full light, got {value_range!r}")
    if type(rounded) is not bool:
        raise ValueError(f"rounded is true or false, got {rounded!r}")
    if pairs_at_once is not None and (type(pairs_at_once) is not int or pairs_at_once < 1):
        raise ValueError(f"pairs_at_once must be a number of pairs, at least 1, or None for all; got {pairs_at_once!r}")


def _check_frames(shape: Sequence[int | None], dtype: str) -> None:
    if len(shape) != 5 or shape[-1] not in (1, 3) or not (dtype == "uint8" or "float" in dtype):
        raise ValueError(
            "frames must be uint8 or float (batch, time, height, width, channels) of 3 channels, RGB, or 1, grey; "
            f"got {dtype} {tuple(shape)}"
        )
    if 0 in shape[1:4]:
        raise ValueError(f"frames must have some time, height and width, got {tuple(shape)}")
