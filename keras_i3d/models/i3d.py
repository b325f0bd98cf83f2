"""The Inflated 3-D ConvNet (I3D) of one stream, with the manners of keras.applications."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from keras_i3d import streams
from keras_i3d.models import architecture, arguments, heads, starting_weights
from keras_i3d.models import time_plan as time_plans
from keras_i3d.models.inception import BatchNorm, Trunk
from keras_i3d.models.networks import CLASSES, NETWORKS
from keras_i3d.models.time_plan import TimePlan
from keras_i3d.streams import FLOW_BOUND

FRAMES, SIZE = NETWORKS["i3d"].protocol().train_frames, NETWORKS["i3d"].protocol().size


def I3D(
    include_top: bool = True,
    weights: str | os.PathLike | None = "kinetics",
    input_tensor: Any = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: str | None = None,
    classes: int | None = None,
    classifier_activation: str | None = "softmax",
    name: str = "i3d",
    *,
    modality: str = "rgb",
    dropout_rate: float = 0.5,
    time_plan: str | TimePlan = "i3d",
    temporal_padding: str | None = None,
    batch_norm_momentum: float = 0.999,
    synchronized_batch_norm: bool = False,
) -> keras.Model:
    """Build the Inflated Inception-v1 (Carreira & Zisserman 2017), with weights where asked.

    The input is float32 (batch, time, height, width, channels) in [-1, 1], three channels for ``"rgb"`` and
    two (x, y) for ``"flow"``; its Input layer bears the modality's name. `preprocess_input` scales. Any clip
    length and size is accepted, also None for an axis that is known at run time only. At the original's
    sizes the result is the original's; a smaller final map than its (2, 7, 7) average pool shrinks the pool.

    Args:
        include_top: Whether to end in the classifier.
        weights: ``"kinetics"`` (DeepMind's: ImageNet, then Kinetics-400), ``"kinetics_scratch"`` (Kinetics-400
            alone), ``"kinetics600"`` (Kinetics-600 alone, rgb only), ``"imagenet"`` (TF-Slim's Inception-v1,
            inflated), the path of a file of weights (a TensorFlow checkpoint in DeepMind's layout,
            ``.weights.h5``, ``.keras``, or the ``.pt`` of a PyTorch port), or None for random values.
        input_tensor: Keras tensor to build upon, in place of a new Input layer; it tells the shape.
        input_shape: (time, height, width, channels), by default (64, 224, 224, channels of the modality).
        pooling: Without the top: None for the map of Mixed_5c, ``"avg"`` or ``"max"`` for (batch, 1024).
        classes: Number of classes of the classifier; by default as many as the weights have, else 400. Where
            it differs from the weights', everything but the last layer is loaded and the last layer is new,
            which is logged: ``I3D(weights="kinetics", classes=101)`` starts a fine-tuning. (keras.applications
            refuses that.)
        classifier_activation: ``"softmax"``, or None to end in the layer ``Logits``.
        name: Name of the model.
        modality: ``"rgb"`` or ``"flow"``.
        dropout_rate: Share of features dropped before the classifier in training; .5 is DeepMind's setting.
        time_plan: Extents in time: ``"i3d"``, ``"i2d"`` (kernels in space alone), ``"per_frame"`` (the 2-D
            network on every frame, averaged), ``"top_heavy:4b"``, ``"bottom_heavy:3c"``, ``"s3d"`` (separable),
            ``"s3d_g"`` (with self-gating), or a `TimePlan`.
        temporal_padding: ``"zeros"`` as in the original, or ``"edge"``: convolutions see the first and the last
            step again, so that a still video gives at every step what the 2-D network gives of the image. By
            default what the time plan says (zeros).
        batch_norm_momentum: .999 as in the original; .9 suits a training of a few hundred steps.
        synchronized_batch_norm: Share batch statistics between the replicas of a distribution strategy.

    Returns:
        A functional model. Every end point of the original is ``model.get_layer(name)``, from
        ``Conv3d_1a_7x7`` to ``Mixed_5c``, ``Logits`` and ``Predictions``.

    Raises:
        ValueError: An argument is not one of those named, or they do not fit each other.
        FileNotFoundError: ``weights`` is neither a known name nor a file of weights.
        CheckpointMismatch: The file is not exactly this network's; nothing of it is used.
        WeightsUnavailable: Named weights can be neither found nor fetched.
    """
    arguments.check_pooling(pooling)
    arguments.check_classifier(classes, classifier_activation, dropout_rate, weights if include_top else None)
    plan = time_plans.time_plan(time_plan)
    if temporal_padding is not None:
        plan = dataclasses.replace(plan, padding=temporal_padding)
    default = (FRAMES, SIZE, SIZE, streams.channels(modality))
    shape = arguments.checked_shape(input_shape, default, input_tensor=input_tensor, modality=modality)
    start = starting_weights.find(weights, network="I3D", modality=modality)

    inputs = layers.Input(shape, name=modality) if input_tensor is None else input_tensor
    x = Trunk(plan, BatchNorm(batch_norm_momentum, synchronized_batch_norm))(inputs)
    if include_top:
        x = heads.classifier(
            x,
            classes=classes or start.classes or CLASSES,
            pool_time=plan.pool.get(architecture.HEAD, 1),
            dropout_rate=dropout_rate,
            activation=classifier_activation,
        )
    else:
        x = heads.features(x, pooling)
    model = keras.Model(arguments.sources(inputs, input_tensor), x, name=name)
    start.load_into(model)
    return model


def preprocess_input(x: Any, *, modality: str = "rgb") -> Any:
    """Scale a stream to the range of the network, [-1, 1].

    Args:
        x: For ``"rgb"``, values in [0, 255] of any dtype; for ``"flow"``, pixels per frame, which are cut
            at +-20. A numpy array (a float32 copy is returned) or a backend tensor, of any shape.
        modality: ``"rgb"`` or ``"flow"``.

    Raises:
        ValueError: The modality is unknown.
    """
    streams.channels(modality)
    if isinstance(x, np.ndarray):
        x = x.astype("float32")
        return x / 127.5 - 1.0 if modality == "rgb" else np.clip(x, -FLOW_BOUND, FLOW_BOUND) / FLOW_BOUND
    x = ops.cast(x, "float32")
    return x / 127.5 - 1.0 if modality == "rgb" else ops.clip(x, -FLOW_BOUND, FLOW_BOUND) / FLOW_BOUND


def decode_predictions(
    predictions: Any, top: int = 5, *, class_names: Sequence[str] | None = None
) -> list[list[tuple[int, str, float]]]:
    """Name the most probable classes of each clip.

    Args:
        predictions: Float array of shape (batch, classes).
        top: Number of classes to name, best first.
        class_names: Names in the order of the classes; by default those of Kinetics-400 or Kinetics-600, by
            the number of classes, which come with the published weights.

    Returns:
        For each clip a list of (class index, class name, value).

    Raises:
        ValueError: The array has another shape, or another number of classes than there are names, or ``top``
            is less than 1.
        WeightsUnavailable: The names of Kinetics can be neither found nor fetched.
    """
    if top < 1:
        raise ValueError(f"top must be at least 1, got {top}")
    values = np.asarray(predictions)
    if class_names is None:
        class_names = _published_class_names(values.shape)
    if values.ndim != 2 or values.shape[1] != len(class_names):
        raise ValueError(
            f"predictions must have shape (batch, {len(class_names)}), one value for each class name; "
            f"got {values.shape}"
        )
    order = np.argsort(-values, axis=1, kind="stable")[:, :top]
    return [[(int(i), class_names[i], float(row[i])) for i in best] for row, best in zip(values, order, strict=True)]


def _published_class_names(shape: tuple[int, ...]) -> list[str]:
    from keras_i3d.checkpoints import catalogue, download

    published = {row.classes: row for row in reversed(catalogue.rows()) if row.network == "I3D"}
    if len(shape) != 2 or shape[1] not in published:
        known = " or ".join(str(classes) for classes in sorted(published))
        raise ValueError(
            f"predictions must have shape (batch, {known}) to be named as Kinetics' classes, got {shape}; give the "
            "names of other classes as class_names"
        )
    return download.class_names(published[shape[1]])
