"""What a network costs: parameters, FLOPs, memory of a training step, told from the shapes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import keras
from keras import layers

from keras_i3d.layers import BatchNormLSTM
from keras_i3d.models.graph import CONVOLUTIONS, Step, Tensor, graph

FLOAT32 = 4  # bytes
# Maps of the largest kind that the backward pass holds at once, beside what it keeps of the forward pass: the
# gradient of a batch norm needs several. Fitted to measurements, see `training_memory`.
IN_FLIGHT = 4.5
OPTIMISER_SLOTS = {"sgd": 1, "adam": 2}  # values that training keeps beside each weight; sgd with momentum

_MULTIPLYING = (*CONVOLUTIONS, layers.Dense, BatchNormLSTM)
_MATRICES = ("kernel", "depthwise_kernel", "pointwise_kernel", "recurrent_kernel")
_MAX_POOLS = (layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D)


def parameters(model: keras.Model) -> tuple[int, int]:
    """Return the numbers of trainable and of all parameters (states of random generators are none)."""
    trainable = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    return trainable, trainable + sum(math.prod(weight.shape) for weight in model.non_trainable_weights)


def flops(model: keras.Model, input_shapes: Mapping[str, tuple[int, ...]] | None = None) -> int:
    """Return the floating-point operations of one clip, or image.

    Those of convolutions, dense layers and the matrices of the LSTM; a multiply-add counts as two. Papers that
    count it as one, such as Xie et al. 2018, give half of this. Padding is multiplied too, as implementations do.

    Args:
        model: A functional model.
        input_shapes: As in `graph`.

    Raises:
        ValueError: As `graph` does, or the model holds a layer that is not known here.
    """
    return sum(_flops(step) for step in graph(model, input_shapes).steps)


def _flops(step: Step) -> int:
    layer = step.layer
    positions = math.prod(step.outputs[0].shape[:-1])
    if isinstance(layer, _MULTIPLYING):
        matrices = [getattr(layer, name).shape for name in _MATRICES if hasattr(layer, name)]
        return 2 * positions * sum(math.prod(shape) for shape in matrices)
    unknown = [weight.path for weight in getattr(layer, "weights", ()) if len(weight.shape) > 1]
    if unknown:
        raise ValueError(f"the FLOPs of layer {step.name!r} ({type(layer).__name__}, with {unknown[0]}) are not known")
    return 0


@dataclass(frozen=True)
class TrainingMemory:
    """The estimated memory of a training step in float32, in bytes.

    Attributes:
        fixed: Of the weights, their gradients and what the optimiser keeps of each.
        per_clip: Of a clip, what the backward pass needs of its forward pass, and the gradients in flight.
    """

    fixed: int
    per_clip: int

    def total(self, clips: int) -> int:
        """Return the bytes of a step of so many clips."""
        return self.fixed + clips * self.per_clip


def training_memory(
    model: keras.Model, input_shapes: Mapping[str, tuple[int, ...]] | None = None, *, optimiser: str = "sgd"
) -> TrainingMemory:
    """Estimate the memory of a training step in float32 from the shapes.

    Kept for the backward pass are the inputs of the network, of its convolutions, dense layers and batch norms, the
    outputs of its activations, and both of its max pools; gradients in flight are taken as `IN_FLIGHT` times the
    largest of these. Not counted: what the program takes without training (TensorFlow about .6 GB when imported, .3
    to .5 more with a compiled step), and the workspace of a GPU's convolutions.

    On TensorFlow 2.21's CPU the peak resident memory rose by a clip as follows, in MB (estimated): I3D 16x112x112
    107 (91), I3D 32x224x224 680 (728), 3D-ConvNet 399 (387), Two-Stream 93 (96), Inception-v1 on images 56 (51).

    Args:
        model: A functional model.
        input_shapes: As in `graph`.
        optimiser: ``"sgd"`` (with momentum) or ``"adam"``.

    Raises:
        ValueError: As `graph` does, or the optimiser is unknown.
    """
    if optimiser not in OPTIMISER_SLOTS:
        raise ValueError(f"unknown optimiser {optimiser!r}; known: {', '.join(OPTIMISER_SLOTS)}")
    trainable, total = parameters(model)
    whole = graph(model, input_shapes)
    values = set(whole.inputs.values())
    for step in whole.steps:
        values.update(kept(step))
    fixed = total + trainable * (1 + OPTIMISER_SLOTS[optimiser])
    sizes = [tensor.size for tensor in values]
    return TrainingMemory(FLOAT32 * fixed, round(FLOAT32 * (sum(sizes) + IN_FLIGHT * max(sizes))))


def kept(step: Step) -> tuple[Tensor, ...]:
    """Return which of its inputs and outputs the backward pass of a layer needs."""
    layer = step.layer
    if isinstance(layer, (*_MULTIPLYING, layers.BatchNormalization, layers.Multiply)):
        return step.inputs
    if isinstance(layer, _MAX_POOLS):
        return (*step.inputs, *step.outputs)
    if isinstance(layer, layers.Activation | layers.ReLU | layers.Dropout):
        return step.outputs
    return ()
