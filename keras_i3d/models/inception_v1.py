"""Inception-v1, the 2-D network that I3D is inflated from, by the same table and the same builder."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from keras_i3d.models import arguments, heads, starting_weights
from keras_i3d.models.architecture import IMAGENET_CLASSES
from keras_i3d.models.inception import BatchNorm, Trunk
from keras_i3d.models.time_plan import PER_FRAME_PLAN


def InceptionV1(
    include_top: bool = True,
    weights: str | None = "imagenet",
    input_tensor: Any = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: str | None = None,
    classes: int | None = None,
    classifier_activation: str | None = "softmax",
    name: str = "inception_v1",
    *,
    dropout_rate: float = 0.2,
    batch_norm_momentum: float = 0.9997,
) -> keras.Model:
    """Build the 2-D Inception-v1 of TF-Slim (Szegedy et al. 2015, with batch norm).

    The input is float32 (batch, height, width, 3) in [-1, 1] (`preprocess_input` scales), named ``"rgb"``.
    Layers bear TF-Slim's names, with ``/`` spelt ``__``: every end point is ``model.get_layer(name)``.

    Args:
        include_top: Whether to end in the classifier.
        weights: ``"imagenet"`` (TF-Slim's of 2016: 69.8 % top-1 on ImageNet's validation set), the path of a
            file of weights (see `keras_i3d.load_checkpoint`), or None for random values.
        input_tensor: Keras tensor to build upon, in place of a new Input layer.
        input_shape: (height, width, 3), by default (224, 224, 3); None for an axis known at run time only.
        pooling: Without the top: None for the map of Mixed_5c, ``"avg"`` or ``"max"`` for (batch, 1024).
        classes: Number of classes; by default as many as the weights have, else 1001. TF-Slim's class 0 is
            the background; with 1000 it is left out. Any other number than the weights' makes the last layer new.
        classifier_activation: ``"softmax"``, or None to end in the layer ``Logits``.
        name: Name of the model.
        dropout_rate: Share of features dropped before the classifier in training.
        batch_norm_momentum: .9997 as in TF-Slim.

    Raises:
        ValueError: An argument is not one of those named, or they do not fit each other.
        FileNotFoundError: ``weights`` is neither a known name nor a file.
        CheckpointMismatch: The file is not exactly this network's.
        WeightsUnavailable: Named weights can be neither found nor fetched.
    """
    arguments.check_pooling(pooling)
    arguments.check_classifier(classes, classifier_activation, dropout_rate, weights if include_top else None)
    shape = arguments.checked_shape(
        input_shape, (224, 224, 3), axes="height, width, channels", input_tensor=input_tensor, modality="rgb"
    )
    start = starting_weights.find(weights, network="InceptionV1", modality="rgb")

    inputs = layers.Input(shape, name="rgb") if input_tensor is None else input_tensor
    x = Trunk(PER_FRAME_PLAN, BatchNorm(batch_norm_momentum))(inputs)
    if include_top:
        x = heads.classifier(
            x,
            classes=classes or start.classes or IMAGENET_CLASSES,
            pool_time=1,
            dropout_rate=dropout_rate,
            activation=classifier_activation,
        )
    else:
        x = heads.features(x, pooling)
    model = keras.Model(arguments.sources(inputs, input_tensor), x, name=name)
    start.load_into(model)
    return model
