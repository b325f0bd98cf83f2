"""The Inflated 3-D ConvNet (I3D) of one stream, with the manners of keras.applications."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from keras_i3d import streams
from keras_i3d.models import architecture, heads, inception
from keras_i3d.models.architecture import TimePlan
from keras_i3d.streams import FLOW_BOUND

FRAMES, SIZE = 64, 224  # of a training clip in the paper


def I3D(
    include_top: bool = True,
    weights: str | None = "kinetics",
    input_tensor: Any = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: str | None = None,
    classes: int = 400,
    classifier_activation: str | None = "softmax",
    name: str = "i3d",
    *,
    modality: str = "rgb",
    dropout_rate: float = 0.5,
    time_plan: str | TimePlan = "i3d",
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
        weights: ``"kinetics"`` (DeepMind's: ImageNet, then Kinetics-400), the path of a TensorFlow
            checkpoint in DeepMind's layout (with or without ``.index``), or None for random values.
        input_tensor: Keras tensor to build upon, in place of a new Input layer; it tells the shape.
        input_shape: (time, height, width, channels), by default (64, 224, 224, channels of the modality).
        pooling: Without the top: None for the map of Mixed_5c, ``"avg"`` or ``"max"`` for (batch, 1024).
        classes: Number of classes of the classifier.
        classifier_activation: ``"softmax"``, or None to end in the layer ``Logits``.
        name: Name of the model.
        modality: ``"rgb"`` or ``"flow"``.
        dropout_rate: Share of features dropped before the classifier in training; .5 is DeepMind's setting.
        time_plan: ``"i3d"``, ``"per_frame"`` (all temporal kernels, pools and strides 1: the 2-D network on
            every frame, averaged), or a `TimePlan`.
        batch_norm_momentum: .999 as in the original; .9 suits a training of a few hundred steps.
        synchronized_batch_norm: Share batch statistics between the replicas of a distribution strategy.

    Returns:
        A functional model. Every end point of the original is ``model.get_layer(name)``, from
        ``Conv3d_1a_7x7`` to ``Mixed_5c``, ``Logits`` and ``Predictions``.

    Raises:
        ValueError: An argument is not one of those named, or they do not fit each other.
        FileNotFoundError: ``weights`` is neither a known name nor a checkpoint.
        CheckpointMismatch: The checkpoint is not exactly this network's.
        WeightsUnavailable: Named weights can be neither found nor fetched.
    """
    if input_tensor is not None and not keras.utils.is_keras_tensor(input_tensor):
        raise ValueError(f"input_tensor must be a Keras tensor, such as keras.Input(...), got {type(input_tensor)}")
    plan = architecture.time_plan(time_plan)
    channels = streams.channels(modality)
    _check_top(include_top, weights, pooling, classes, classifier_activation)
    shape = _checked_shape(input_shape, input_tensor, channels, modality)

    inputs = layers.Input(shape, name=modality) if input_tensor is None else input_tensor

    batch_norm = inception.BatchNorm(batch_norm_momentum, synchronized_batch_norm)
    x = inception.trunk(inputs, plan, batch_norm)
    if include_top:
        x = heads.classifier(
            x,
            classes=classes,
            pool_time=plan.pool.get(architecture.HEAD, 1),
            dropout_rate=dropout_rate,
            activation=classifier_activation,
        )
    elif pooling == "avg":
        x = layers.GlobalAveragePooling3D(name="avg_pool")(x)
    elif pooling == "max":
        x = layers.GlobalMaxPooling3D(name="max_pool")(x)

    if input_tensor is not None:
        sources = keras.utils.get_source_inputs(input_tensor)
        inputs = sources[0] if len(sources) == 1 else sources
    model = keras.Model(inputs, x, name=name)
    if weights is not None:
        _load(model, weights, modality)
    return model


def _load(model: keras.Model, weights: str, modality: str) -> None:
    from keras_i3d.checkpoints import catalogue, download, load  # they need TensorFlow, the network does not

    if weights in catalogue.names():
        load.load_checkpoint(model, download.checkpoint(catalogue.row(weights, modality)))
    elif load.is_checkpoint(weights):
        load.load_checkpoint(model, weights)
    else:
        raise FileNotFoundError(
            f"weights={str(weights)!r} is neither a known name ({', '.join(catalogue.names())}) nor a "
            "TensorFlow checkpoint (no such file with .index)"
        )


def _check_top(
    include_top: bool, weights: str | None, pooling: str | None, classes: int, activation: str | None
) -> None:
    if pooling not in (None, "avg", "max"):
        raise ValueError(f"pooling must be None, 'avg' or 'max', got {pooling!r}")
    if not isinstance(classes, int | np.integer) or isinstance(classes, bool) or classes < 1:
        raise ValueError(f"classes must be an integer of at least 1, got {classes!r}")
    if include_top and weights == "kinetics" and classes != 400:
        raise ValueError(
            f"weights='kinetics' with include_top=True has 400 classes, got classes={classes}; "
            "use include_top=False or weights=None"
        )
    if include_top and weights is not None and activation not in (None, "softmax"):
        raise ValueError(f"with loaded weights classifier_activation must be 'softmax' or None, got {activation!r}")


def _checked_shape(
    input_shape: Sequence[int | None] | None, input_tensor: Any, channels: int, modality: str
) -> tuple[int | None, ...]:
    if input_tensor is not None:
        shape = tuple(input_tensor.shape[1:])
    else:
        shape = (FRAMES, SIZE, SIZE, channels) if input_shape is None else tuple(input_shape)
    if len(shape) != 4:
        raise ValueError(f"input_shape must be (time, height, width, channels), got {shape}")
    if shape[-1] != channels:
        raise ValueError(f"modality {modality!r} has {channels} channels, got input_shape={shape}")
    if any(size is not None and size < 1 for size in shape):
        raise ValueError(f"every axis of input_shape must be at least 1, or None; got {shape}")
    return shape


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
        class_names: Names in the order of the classes; by default those of Kinetics-400, which come with
            the published weights.

    Returns:
        For each clip a list of (class index, class name, value).

    Raises:
        ValueError: The array has another shape, or another number of classes than there are names, or ``top``
            is less than 1.
        WeightsUnavailable: The names of Kinetics-400 can be neither found nor fetched.
    """
    if top < 1:
        raise ValueError(f"top must be at least 1, got {top}")
    values = np.asarray(predictions)
    if class_names is None:
        from keras_i3d.checkpoints import catalogue, download

        class_names = download.class_names(catalogue.row("kinetics", "rgb"))
    if values.ndim != 2 or values.shape[1] != len(class_names):
        raise ValueError(
            f"predictions must have shape (batch, {len(class_names)}), one value for each class name; "
            f"got {values.shape}"
        )
    order = np.argsort(-values, axis=1, kind="stable")[:, :top]
    return [[(int(i), class_names[i], float(row[i])) for i in best] for row, best in zip(values, order, strict=True)]
