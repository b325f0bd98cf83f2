"""3D-ConvNet: the variant of C3D that the paper compares with (Carreira & Zisserman 2017, section 2.2).

C3D is Tran et al. 2015 (Learning Spatiotemporal Features with 3D Convolutional Networks).
"""

from __future__ import annotations

import os

import keras
from keras import layers

from keras_i3d.models import arguments, heads, starting_weights
from keras_i3d.models.inception import BatchNorm, conv_unit, kernel_initializer
from keras_i3d.models.networks import CLASSES, NETWORKS

PROTOCOL = NETWORKS["c3d"].protocol()
# (name, filters) of the 3x3x3 convolutions in front of each pool
BLOCKS = (
    (("conv1a", 64),),
    (("conv2a", 128),),
    (("conv3a", 256), ("conv3b", 256)),
    (("conv4a", 512), ("conv4b", 512)),
    (("conv5a", 512), ("conv5b", 512)),
)
DENSE_UNITS = 4096


def C3D(
    weights: str | os.PathLike | None = None,
    input_shape: tuple[int, ...] | None = None,
    classes: int | None = None,
    classifier_activation: str | None = "softmax",
    name: str = "c3d",
    *,
    dropout_rate: float = 0.5,
    batch_norm_momentum: float = 0.999,
) -> keras.Model:
    """Build the paper's 3D-ConvNet.

    Eight 3x3x3 convolutions, five 2x2x2 max pools and two dense layers of 4096, each convolution and dense layer
    followed by batch norm, then the classifier. The first pool halves time too (C3D's does not). It is trained
    from scratch. The input is float32 (batch, 16, 112, 112, 3) in [-1, 1], named ``"rgb"``, consecutive frames of
    a 25 fps video (.64 s); in testing, fifteen such clips are averaged.

    Args:
        weights: The path of a file of weights, or None for random values.
        input_shape: (time, height, width, 3), by default (16, 112, 112, 3). Every axis must be known: the first
            dense layer sees the whole map.
        classes: Number of classes; by default as many as the weights have, else 400.
        classifier_activation: ``"softmax"``, or None to end in the layer ``Logits``.
        name: Name of the model.
        dropout_rate: Share of features dropped behind each dense layer in training.
        batch_norm_momentum: .999 as in the other networks.

    Raises:
        ValueError: An argument is not one of those named.
        FileNotFoundError: ``weights`` is no file of weights.
        CheckpointMismatch: The file is not exactly this network's.
    """
    arguments.check_classifier(classes, classifier_activation, dropout_rate, weights)
    default = (PROTOCOL.train_frames, PROTOCOL.size, PROTOCOL.size, 3)
    shape = arguments.checked_shape(input_shape, default, modality="rgb")
    if None in shape:
        raise ValueError(f"C3D's first dense layer needs every axis of input_shape to be known, got {shape}")
    start = starting_weights.find(weights, network="C3D")
    batch_norm = BatchNorm(batch_norm_momentum)

    x = inputs = layers.Input(shape, name="rgb")
    for number, block in enumerate(BLOCKS, start=1):
        for scope, filters in block:
            x = conv_unit(x, scope, filters, (3, 3, 3), batch_norm=batch_norm)
        x = layers.MaxPooling3D(2, strides=2, padding="same", name=f"pool{number}")(x)
    x = layers.Flatten(name="flatten")(x)
    for scope in ("fc6", "fc7"):
        initializer = kernel_initializer(x.shape[-1], (1,))
        x = layers.Dense(DENSE_UNITS, use_bias=False, kernel_initializer=initializer, name=f"{scope}__dense")(x)
        x = batch_norm.relu(x, scope)
        x = layers.Dropout(dropout_rate, name=f"{scope}__dropout")(x)
    logits = layers.Dense(
        classes or start.classes or CLASSES,
        kernel_initializer=kernel_initializer(DENSE_UNITS, (1,)),
        dtype="float32",
        name=heads.DENSE,
    )(x)
    logits = layers.Activation("linear", dtype="float32", name="Logits")(logits)
    model = keras.Model(inputs, heads.predictions(logits, classifier_activation), name=name)
    start.load_into(model)
    return model
