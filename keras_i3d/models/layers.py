"""The layers that Keras does not have. Each is registered, so that saved models open with ``safe_mode``.

Everything else in the networks is Keras's own; at fixed clip sizes I3D holds none of these.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

register = keras.saving.register_keras_serializable(package="keras_i3d")


@register
class ShrinkingAveragePooling(layers.Layer):
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


@register
class SamePadding3D(layers.Layer):
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


@register
class StackFrames(layers.Layer):
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


@register
class BatchNormLSTM(layers.Layer):
    """An LSTM with batch norm in the recurrence (Cooijmans et al. 2017, Recurrent Batch Normalization).

    What comes from the input, what comes from the last output, and the cell before the output gate are
    normalised apart; the first two have a scale and no shift. Statistics are kept for every step, and a step
    beyond the last one kept uses that one's. Scales begin at 0.1 and the bias of the forget gate at 1.

    Args:
        units: Size of the output.
        steps: Steps whose statistics are kept, as many as a training sequence has. A shorter training sequence
            gives its last step's statistics to those behind it.
        momentum: Share of the old moving statistics kept at each training step.
        epsilon: Added to variances.
        **options: Of ``keras.layers.Layer``.

    Call: float (batch, time, channels) to (batch, time, units).
    """

    def __init__(
        self, units: int, *, steps: int = 25, momentum: float = 0.99, epsilon: float = 1e-3, **options: Any
    ) -> None:
        super().__init__(**options)
        self.units, self.steps, self.momentum, self.epsilon = units, steps, momentum, epsilon

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the variables."""
        gates = 4 * self.units
        self.kernel = self.add_weight((input_shape[-1], gates), "glorot_uniform", name="kernel")
        self.recurrent_kernel = self.add_weight((self.units, gates), "orthogonal", name="recurrent_kernel")
        self.bias = self.add_weight((gates,), _forget_gate_open, name="bias")
        scale = keras.initializers.Constant(0.1)
        self.input_gamma = self.add_weight((gates,), scale, name="input_gamma")
        self.recurrent_gamma = self.add_weight((gates,), scale, name="recurrent_gamma")
        self.cell_gamma = self.add_weight((self.units,), scale, name="cell_gamma")
        self.cell_beta = self.add_weight((self.units,), "zeros", name="cell_beta")
        self.moving = [
            self.add_weight((self.steps, size), start, name=f"{part}_moving_{kind}", trainable=False)
            for part, size in (("input", gates), ("recurrent", gates), ("cell", self.units))
            for kind, start in (("mean", "zeros"), ("variance", "ones"))
        ]

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Run over time; a frozen layer uses its moving statistics in training too, as Keras's batch norm does."""
        training = training and self.trainable
        sequence = ops.transpose(ops.matmul(inputs, self.kernel), (1, 0, 2))
        length = ops.shape(sequence)[0]
        kept = [ops.convert_to_tensor(moving) for moving in self.moving]
        start = ops.zeros((ops.shape(inputs)[0], self.units), sequence.dtype)
        unknown = [ops.zeros(moving.shape[1:], sequence.dtype) for moving in self.moving]

        def step(state: tuple[Any, ...], projected: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
            output, cell, place, *_ = state
            row = ops.minimum(place, self.steps - 1)
            moments = None if training else [ops.take(moving, row, axis=0) for moving in kept]
            output, cell, *used = self._step(output, cell, projected, moments)
            state = (output, cell, place + 1, *used)
            return state, state

        # TensorFlow's scan gives back what it carries, so the statistics travel along; so does the place, since
        # of several sequences of unknown length it asks for that length and fails
        begin = (start, start, ops.zeros((), "int32"), *unknown)
        _, (outputs, _, _, *statistics) = ops.scan(step, begin, sequence)
        if training:
            rows = ops.minimum(ops.arange(self.steps), length - 1)
            for moving, seen in zip(self.moving, statistics, strict=True):
                moving.assign(moving * self.momentum + ops.take(seen, rows, axis=0) * (1 - self.momentum))
        return ops.transpose(outputs, (1, 0, 2))

    def _step(self, output: Any, cell: Any, projected: Any, moments: list[Any] | None) -> tuple[Any, ...]:
        """Return output and cell of the next step, and the mean and variance that each normalisation used."""
        used = []

        def normalise(x: Any) -> Any:
            place = len(used)
            mean, variance = moments[place : place + 2] if moments else (ops.mean(x, axis=0), ops.var(x, axis=0))
            used.extend([mean, variance])
            return (x - mean) / ops.sqrt(variance + self.epsilon)

        gates = self.input_gamma * normalise(projected) + self.bias
        gates += self.recurrent_gamma * normalise(ops.matmul(output, self.recurrent_kernel))
        forget, write, read, candidate = ops.split(gates, 4, axis=-1)
        cell = ops.sigmoid(forget) * cell + ops.sigmoid(write) * ops.tanh(candidate)
        squashed = ops.tanh(self.cell_gamma * normalise(cell) + self.cell_beta)
        return (ops.sigmoid(read) * squashed, cell, *used)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the result."""
        return (*input_shape[:2], self.units)

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor needs."""
        own = {"units": self.units, "steps": self.steps, "momentum": self.momentum, "epsilon": self.epsilon}
        return {**super().get_config(), **own}


def _forget_gate_open(shape: tuple[int, ...], dtype: Any = None) -> Any:
    units = shape[0] // 4
    return ops.concatenate([ops.ones(units, dtype), ops.zeros(3 * units, dtype)])
