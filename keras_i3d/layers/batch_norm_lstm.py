"""An LSTM with batch norm in its recurrence."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_i3d")
class BatchNormLSTM(keras.layers.Layer):
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
