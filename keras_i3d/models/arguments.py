"""What the builders check of their arguments, so that the same mistake gets the same message everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_i3d import streams

POOLINGS = (None, "avg", "max")


def check_pooling(pooling: str | None) -> None:
    """Raise ValueError unless `pooling` is None, ``"avg"`` or ``"max"``."""
    if pooling not in POOLINGS:
        raise ValueError(f"pooling must be None, 'avg' or 'max', got {pooling!r}")


def check_classifier(classes: Any, activation: str | None, dropout_rate: float, weights: Any) -> None:
    """Raise ValueError for a classifier that cannot be, or that the weights to be loaded were not trained with."""
    check_classes(classes)
    check_activation(activation, weights)
    check_dropout_rate(dropout_rate)


def check_classes(classes: Any) -> None:
    """Raise ValueError unless `classes` is None (to be told by the weights) or an integer of at least 1."""
    if classes is None:
        return
    if not isinstance(classes, int | np.integer) or isinstance(classes, bool) or classes < 1:
        raise ValueError(f"classes must be an integer of at least 1, got {classes!r}")


def check_activation(activation: str | None, weights: Any) -> None:
    """Raise ValueError for another activation than the one that loaded weights were trained with."""
    if weights is not None and activation not in (None, "softmax"):
        raise ValueError(f"with loaded weights classifier_activation must be 'softmax' or None, got {activation!r}")


def check_dropout_rate(rate: float) -> None:
    """Raise ValueError unless `rate` is a number in [0, 1)."""
    if not isinstance(rate, int | float | np.number) or not 0 <= rate < 1:
        raise ValueError(f"dropout_rate must be in [0, 1), got {rate!r}")


def checked_shape(
    input_shape: Sequence[int | None] | None,
    default: tuple[int, ...],
    *,
    axes: str = "time, height, width, channels",
    input_tensor: Any = None,
    modality: str | None = None,
) -> tuple[int | None, ...]:
    """Return the shape of the input without the batch.

    Args:
        input_shape: As asked for, or None.
        default: What None means.
        axes: The names of the axes, for messages.
        input_tensor: A Keras tensor that tells the shape instead.
        modality: The stream whose channels the last axis must have; None where the shape has no channels.

    Raises:
        ValueError: The shape has another number of axes or channels, or an axis is less than 1.
    """
    if input_tensor is not None and not keras.utils.is_keras_tensor(input_tensor):
        raise ValueError(f"input_tensor must be a Keras tensor, such as keras.Input(...), got {type(input_tensor)}")
    given = default if input_shape is None else input_shape
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise ValueError(f"input_shape must be ({axes}), got {given!r}")
    shape = tuple(given if input_tensor is None else input_tensor.shape[1:])
    if len(shape) != len(default):
        raise ValueError(f"input_shape must be ({axes}), got {shape}")
    if modality is not None and shape[-1] != streams.channels(modality):
        raise ValueError(f"modality {modality!r} has {streams.channels(modality)} channels, got input_shape={shape}")
    if any(size is not None and (not isinstance(size, int | np.integer) or size < 1) for size in shape):
        raise ValueError(f"every axis of input_shape must be an integer of at least 1, or None; got {shape}")
    return shape


def sources(inputs: Any, input_tensor: Any) -> Any:
    """Return what a model's inputs are: the Input layer, or whatever `input_tensor` was made of."""
    if input_tensor is None:
        return inputs
    found = keras.utils.get_source_inputs(input_tensor)
    return found[0] if len(found) == 1 else found
