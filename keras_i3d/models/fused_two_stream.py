"""3D-Fused Two-Stream: five snapshots through two Inception-v1, fused by a 3-D convolution.

Carreira & Zisserman 2017, section 2.3; the idea is Feichtenhofer et al. 2016 (Convolutional Two-Stream Network
Fusion for Video Action Recognition).
"""

from __future__ import annotations

import os

import keras
from keras import layers

from keras_i3d.models import arguments, heads, starting_weights
from keras_i3d.models.inception import BatchNorm, Trunk
from keras_i3d.models.networks import CLASSES, NETWORKS
from keras_i3d.models.time_plan import PER_FRAME_PLAN
from keras_i3d.models.two_stream import snapshots, stream_model

PROTOCOL = NETWORKS["fused_two_stream"].protocol()
SNAPSHOTS = 5
FILTERS = 512
LEAST_MAP = 5  # a VALID 3x3x3 convolution, then a VALID 3x3x3 pool
LEAST_SIZE = 129  # pixels that leave a map of five positions after five halvings, rounded up
NEW = 0.01  # deviation of the new layers' Gaussian


def FusedTwoStream(
    weights: str | os.PathLike | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    classes: int | None = None,
    classifier_activation: str | None = "softmax",
    name: str = "fused_two_stream",
    *,
    dropout_rate: float = 0.5,
    batch_norm_momentum: float = 0.999,
) -> keras.Model:
    """Build the paper's 3D-Fused Two-Stream network.

    The last maps of two Inception-v1 (RGB frames, and ten stacked flow frames around each) are joined to 2048
    channels; a 3x3x3 convolution of 512 and a 3x3x3 max pool, both VALID, fuse them, and a dense layer
    classifies. The trunks are the nested models ``rgb_stream`` and ``flow_stream``. Trained end to end. Inputs
    are float32 in [-1, 1]: ``"rgb"`` (batch, snapshots, height, width, 3) and ``"flow"`` (batch, 10 x snapshots,
    height, width, 2); five snapshots, 2 s of a 25 fps video. More of them, or larger ones, give several places to
    classify, which are averaged.

    Args:
        weights: ``"imagenet"`` (both trunks from Inception-v1; of flow the first layer is the mean over RGB,
            repeated), the path of a file of weights, or None.
        input_shape: (snapshots, height, width), by default (5, 224, 224), at least (5, 129, 129); None for an
            axis known at run time only.
        classes: Number of classes; by default as many as the weights have, else 400.
        classifier_activation: ``"softmax"``, or None to end in the layer ``Logits``.
        name: Name of the model.
        dropout_rate: Share of features dropped before the classifier in training.
        batch_norm_momentum: .999 as in the other networks.

    Raises:
        ValueError: An argument is not one of those named, or the shape is too small.
        FileNotFoundError: ``weights`` is neither a known name nor a file of weights.
        CheckpointMismatch: The file is not exactly this network's.
        WeightsUnavailable: Named weights can be neither found nor fetched.
    """
    arguments.check_classifier(classes, classifier_activation, dropout_rate, weights)
    default = (SNAPSHOTS, PROTOCOL.size, PROTOCOL.size)
    shape = arguments.checked_shape(input_shape, default, axes="snapshots, height, width")
    least = (LEAST_MAP, LEAST_SIZE, LEAST_SIZE)
    if any(size is not None and size < minimum for size, minimum in zip(shape, least, strict=True)):
        raise ValueError(f"FusedTwoStream needs an input_shape of at least {least}, got {shape}")
    start = starting_weights.find(weights, network="FusedTwoStream")

    batch_norm = BatchNorm(batch_norm_momentum)
    trunk = Trunk(PER_FRAME_PLAN, batch_norm)
    inputs, streams = snapshots(shape)
    maps = [stream_model(x, trunk, name=f"{modality}_stream")(x) for modality, x in streams.items()]
    x = layers.Concatenate(name="Joined")(maps)
    gaussian = keras.initializers.RandomNormal(stddev=NEW)
    x = layers.Conv3D(FILTERS, 3, use_bias=False, kernel_initializer=gaussian, name="Fusion__conv_3d")(x)
    x = batch_norm.relu(x, "Fusion")
    x = layers.MaxPooling3D(3, name="FusionPool")(x)
    x = layers.Dropout(dropout_rate, name="Dropout")(x)
    gaussian = keras.initializers.RandomNormal(stddev=NEW)
    classes = classes or start.classes or CLASSES
    x = layers.Dense(classes, kernel_initializer=gaussian, dtype="float32", name=heads.DENSE)(x)
    logits = layers.GlobalAveragePooling3D(dtype="float32", name="Logits")(x)
    model = keras.Model(inputs, heads.predictions(logits, classifier_activation), name=name)
    start.load_into(model)
    return model
