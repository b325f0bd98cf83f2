"""ConvNet+LSTM: Inception-v1 on every frame, an LSTM over what it saw (Carreira & Zisserman 2017, section 2.1)."""

from __future__ import annotations

import os

import keras
from keras import layers, ops

from keras_i3d.layers import BatchNormLSTM
from keras_i3d.models import arguments, heads, starting_weights
from keras_i3d.models.inception import BatchNorm, Trunk
from keras_i3d.models.networks import CLASSES, NETWORKS
from keras_i3d.models.time_plan import PER_FRAME_PLAN

PROTOCOL = NETWORKS["convnet_lstm"].protocol()
UNITS = 512
LSTM_MOMENTUM = 0.99


def ConvNetLSTM(
    weights: str | os.PathLike | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    classes: int | None = None,
    classifier_activation: str | None = "softmax",
    name: str = "convnet_lstm",
    *,
    dropout_rate: float = 0.5,
    batch_norm_momentum: float = 0.999,
) -> keras.Model:
    """Build ConvNet+LSTM.

    Inception-v1 (2-D) on every frame up to its last average pool, an LSTM of 512 units with recurrent batch
    norm, and a dense classifier at every step. ``Logits`` (batch, classes) are the last step's, as tests take
    them; the layer ``StepLogits`` (batch, time, classes) has all, which training asks for the class at every
    step. The input is float32 (batch, time, height, width, 3) in [-1, 1], named ``"rgb"``: every fifth frame of
    a 25 fps video, 25 of them (5 s) in training and 50 (10 s) in testing.

    Args:
        weights: ``"imagenet"`` (the trunk from Inception-v1), the path of a file of weights, or None.
        input_shape: (time, height, width, 3), by default (25, 224, 224, 3); None for an axis known at run time
            only.
        classes: Number of classes; by default as many as the weights have, else 400.
        classifier_activation: ``"softmax"``, or None to end in the layer ``Logits``.
        name: Name of the model.
        dropout_rate: Share of the LSTM's output dropped before the classifier in training.
        batch_norm_momentum: Of the trunk, and of the LSTM where it is below the LSTM's usual .99.

    Raises:
        ValueError: An argument is not one of those named.
        FileNotFoundError: ``weights`` is neither a known name nor a file of weights.
        CheckpointMismatch: The file is not exactly this network's.
        WeightsUnavailable: Named weights can be neither found nor fetched.
    """
    arguments.check_classifier(classes, classifier_activation, dropout_rate, weights)
    frames = PROTOCOL.streams["rgb"].count(PROTOCOL.train_frames)
    shape = arguments.checked_shape(input_shape, (frames, PROTOCOL.size, PROTOCOL.size, 3), modality="rgb")
    start = starting_weights.find(weights, network="ConvNetLSTM")

    inputs = layers.Input(shape, name="rgb")
    x = Trunk(PER_FRAME_PLAN, BatchNorm(batch_norm_momentum))(inputs)
    x = heads.average_pool(x, 1)
    # the pool leaves one position of a 224x224 frame; of a larger one, their mean
    x = layers.Activation("linear", name="Features")(ops.mean(x, axis=(2, 3)))
    momentum = min(batch_norm_momentum, LSTM_MOMENTUM)
    x = BatchNormLSTM(UNITS, steps=frames, momentum=momentum, dtype="float32", name="LSTM")(x)
    x = layers.Dropout(dropout_rate, dtype="float32", name="Dropout")(x)
    steps = layers.Dense(classes or start.classes or CLASSES, dtype="float32", name=heads.DENSE)(x)
    steps = layers.Activation("linear", dtype="float32", name="StepLogits")(steps)
    logits = layers.Activation("linear", dtype="float32", name="Logits")(steps[:, -1])
    model = keras.Model(inputs, heads.predictions(logits, classifier_activation), name=name)
    start.load_into(model)
    return model
