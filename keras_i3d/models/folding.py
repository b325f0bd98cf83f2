"""Batch norm folded into the convolution or dense layer in front of it: fewer passes over memory, the same numbers.

In use batch norm is a scale and a shift per channel, which the weights in front of it can take on (Jacob et al. 2018,
"Quantization and Training of Neural Networks", section 3.2): kernel' = kernel * s, bias' = (bias - mean) * s + beta,
s = gamma / sqrt(variance + epsilon). Results differ by the rounding of float32.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import layers

from keras_i3d.models import copies
from keras_i3d.models.graph import Graph, graph

KERNELS = (layers.Conv2D, layers.Conv3D, layers.Dense)  # whose last axis is that of the output's channels


def fold_batch_norm(network: keras.Model, input_shapes: Mapping[str, tuple[int, ...]] | None = None) -> keras.Model:
    """Return a copy of a network for use, not for training, whose batch norms are folded away where they can be.

    The layers keep their names; a batch norm that is folded becomes an identity. One that no convolution or dense
    layer of its own stands in front of stays (as those inside of an LSTM do).

    Args:
        network: A functional model, nested ones included.
        input_shapes: By the names of the inputs, without the batch; needed where the network leaves an axis open.

    Raises:
        ValueError: The network is not functional; a shape is missing or wrong.
    """
    norms = _foldable(graph(network, input_shapes))
    folded = {id(norm) for norm in norms.values()}

    def replaced(layer: Any) -> Any:
        if id(layer) in folded:
            return layers.Identity(name=layer.name, dtype=layer.dtype_policy.name)
        changes = {"use_bias": True} if id(layer) in norms else {}
        return type(layer).from_config(layer.get_config() | changes)

    copy = copies.cloned(network, replaced)
    for source, target in zip(network._flatten_layers(), copy._flatten_layers(), strict=True):
        if id(source) in norms:
            target.set_weights(_folded_weights(source, norms[id(source)]))
        elif id(source) not in folded and not isinstance(source, keras.Model):
            target.set_weights(source.get_weights())
    return copy


def _foldable(whole: Graph) -> dict[int, layers.BatchNormalization]:
    """Return the batch norms that can be folded, by the ids of the layers in front of them."""
    made_by = {id(tensor): step for step in whole.steps for tensor in step.outputs}
    uses = Counter(id(tensor) for step in whole.steps for tensor in step.inputs)
    uses.update(id(tensor) for tensor in whole.outputs)
    calls = Counter(id(step.layer) for step in whole.steps)
    found = {}
    for step in whole.steps:
        before = made_by.get(id(step.inputs[0])) if type(step.layer) is layers.BatchNormalization else None
        if (
            before is not None
            and type(before.layer) in KERNELS
            and before.layer.activation is keras.activations.linear
            and step.layer.axis in (-1, len(step.inputs[0].shape))
            and uses[id(step.inputs[0])] == calls[id(step.layer)] == calls[id(before.layer)] == 1
        ):
            found[id(before.layer)] = step.layer
    return found


def _folded_weights(layer: Any, norm: layers.BatchNormalization) -> list[np.ndarray]:
    """Return kernel and bias of a layer that does what layer and batch norm did; computed in float64."""
    mean, variance = (np.asarray(value, np.float64) for value in (norm.moving_mean, norm.moving_variance))
    factor = 1 / np.sqrt(variance + norm.epsilon)
    if norm.scale:
        factor = factor * np.asarray(norm.gamma, np.float64)
    bias = (np.asarray(layer.bias, np.float64) if layer.use_bias else 0.0) - mean
    bias = bias * factor + (np.asarray(norm.beta, np.float64) if norm.center else 0.0)
    return [np.asarray(layer.kernel, np.float64) * factor, bias]
