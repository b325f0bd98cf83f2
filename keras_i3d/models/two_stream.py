"""Two-Stream: one frame and the flow around it, through two Inception-v1 (Carreira & Zisserman 2017, section 2.3).

The idea is Simonyan & Zisserman 2014 (Two-Stream Convolutional Networks for Action Recognition in Videos).
"""

from __future__ import annotations

import os
from typing import Any

import keras
from keras import layers

from keras_i3d.layers import StackFrames
from keras_i3d.models import arguments, heads, starting_weights
from keras_i3d.models.inception import BatchNorm, Trunk
from keras_i3d.models.networks import CLASSES, FLOW_FRAMES, NETWORKS
from keras_i3d.models.time_plan import PER_FRAME_PLAN

PROTOCOL = NETWORKS["two_stream"].protocol()


def TwoStream(
    weights: str | os.PathLike | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    classes: int | None = None,
    classifier_activation: str | None = "softmax",
    name: str = "two_stream",
    *,
    dropout_rate: float = 0.5,
    batch_norm_momentum: float = 0.999,
) -> keras.Model:
    """Build the paper's Two-Stream network.

    Inception-v1 on an RGB frame, another one on the ten flow frames around it stacked to twenty channels; the
    mean of both streams' logits, and of all snapshots where there are several. The streams are the nested models
    ``rgb_stream`` and ``flow_stream``. Trained end to end, the averaging included. Inputs are float32 in
    [-1, 1]: ``"rgb"`` (batch, snapshots, height, width, 3) and ``"flow"`` (batch, 10 x snapshots, height, width,
    2); one snapshot (.4 s at 25 fps) in training, 25 (10 s) in testing.

    Args:
        weights: ``"imagenet"`` (both trunks from Inception-v1; of flow the first layer is the mean over RGB,
            repeated), the path of a file of weights, or None.
        input_shape: (snapshots, height, width), by default (1, 224, 224); None for an axis known at run time
            only.
        classes: Number of classes; by default as many as the weights have, else 400.
        classifier_activation: ``"softmax"``, or None to end in the layer ``Logits``.
        name: Name of the model.
        dropout_rate: Share of features dropped before the classifiers in training.
        batch_norm_momentum: .999 as in the other networks.

    Raises:
        ValueError: An argument is not one of those named.
        FileNotFoundError: ``weights`` is neither a known name nor a file of weights.
        CheckpointMismatch: The file is not exactly this network's.
        WeightsUnavailable: Named weights can be neither found nor fetched.
    """
    arguments.check_classifier(classes, classifier_activation, dropout_rate, weights)
    shape = arguments.checked_shape(input_shape, (1, PROTOCOL.size, PROTOCOL.size), axes="snapshots, height, width")
    start = starting_weights.find(weights, network="TwoStream")
    classes = classes or start.classes or CLASSES
    trunk = Trunk(PER_FRAME_PLAN, BatchNorm(batch_norm_momentum))

    def classify(x: Any) -> Any:
        return heads.classifier(trunk(x), classes=classes, pool_time=1, dropout_rate=dropout_rate, activation=None)

    inputs, streams = snapshots(shape)
    logits = [stream_model(x, classify, name=f"{modality}_stream")(x) for modality, x in streams.items()]
    logits = layers.Average(dtype="float32", name="Logits")(logits)
    model = keras.Model(inputs, heads.predictions(logits, classifier_activation), name=name)
    start.load_into(model)
    return model


def snapshots(shape: tuple[int | None, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the Input layers of a network that sees snapshots, and each stream with one frame a snapshot.

    Args:
        shape: (snapshots, height, width).

    Returns:
        Inputs ``"rgb"`` (batch, snapshots, height, width, 3) and ``"flow"`` (batch, 10 x snapshots, height,
        width, 2); the streams (batch, snapshots, height, width, 3 and 20).
    """
    count, *space = shape
    inputs = {
        "rgb": layers.Input((count, *space, 3), name="rgb"),
        "flow": layers.Input((count and count * FLOW_FRAMES, *space, 2), name="flow"),
    }
    stacked = StackFrames(FLOW_FRAMES, name="StackedFlow")(inputs["flow"])
    return inputs, {"rgb": inputs["rgb"], "flow": stacked}


def stream_model(x: Any, build: Any, *, name: str) -> keras.Model:
    """Return a nested model of one stream, whose layers bear the same names as the other stream's.

    Args:
        x: Keras tensor that the model will be applied to.
        build: Makes the model's output from its input.
        name: Name of the model.
    """
    inputs = layers.Input(x.shape[1:], name="frames")
    return keras.Model(inputs, build(inputs), name=name)
