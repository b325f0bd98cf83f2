"""Batch norm whose gradient takes little memory, for the largest maps of a network that is computed again.

Keras leaves the gradient to automatic differentiation, which holds six to eight maps of the size of the input at once.
The formula of Ioffe and Szegedy 2015, section 3, needs three. Values and moving statistics are those of Keras's layer;
gradients differ by float32's rounding.
"""

from __future__ import annotations

from typing import Any

from keras import layers, ops


def has_a_formula(layer: Any, training: bool) -> bool:
    """Tell whether `normalised` serves for a layer.

    Args:
        layer: Any operation.
        training: Whether the network is called in training mode.
    """
    if not isinstance(layer, layers.BatchNormalization) or not (training and layer.trainable):
        return False
    return layer.axis in (-1, layer.input_spec.ndim - 1) and not (layer.synchronized or getattr(layer, "renorm", False))


def normalised(layer: layers.BatchNormalization, inputs: Any) -> Any:
    """Return what a batch norm gives in training, and update its moving statistics as it does.

    Args:
        layer: One that `has_a_formula`.
        inputs: Tensor of shape (..., channels).

    Returns:
        Tensor of the same shape, in the layer's compute dtype.
    """
    axes = list(range(len(inputs.shape) - 1))
    mean, variance = ops.moments(ops.stop_gradient(ops.cast(inputs, "float32")), axes)
    for moving, seen in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        moving.assign(moving.value * layer.momentum + seen * (1.0 - layer.momentum))
    gamma = layer.gamma.value if layer.scale else ops.ones_like(mean)
    beta = layer.beta.value if layer.center else ops.zeros_like(mean)

    @ops.custom_gradient
    def normalise(x: Any, mean: Any, variance: Any, gamma: Any, beta: Any) -> tuple[Any, Any]:
        outputs = ops.batch_normalization(
            ops.cast(x, "float32"), mean, variance, axis=-1, offset=beta, scale=gamma, epsilon=layer.epsilon
        )

        def gradients(*arguments: Any, upstream: Any = None) -> tuple[Any, ...]:
            upstream = ops.cast(arguments[0] if upstream is None else upstream, "float32")
            whole = ops.cast(x, "float32")
            inverse = ops.rsqrt(variance + layer.epsilon)
            of_beta = ops.sum(upstream, axes)
            # not of x - mean, which would be one more map; automatic differentiation computes it so too
            of_gamma = (ops.sum(upstream * whole, axes) - mean * of_beta) * inverse
            share = ops.cast(ops.size(mean) / ops.size(x), "float32")
            slope = gamma * inverse * inverse * of_gamma * share
            of_x = upstream * (gamma * inverse) - whole * slope + (mean * slope - gamma * inverse * of_beta * share)
            return ops.cast(of_x, x.dtype), ops.zeros_like(mean), ops.zeros_like(mean), of_gamma, of_beta

        return ops.cast(outputs, layer.compute_dtype), gradients

    return normalise(inputs, mean, variance, gamma, beta)
