"""Finished models that no training made: of every network, and two that are built, traced and converted in no time."""

import keras
import numpy as np
from keras import layers
from small_networks import small_network

from keras_i3d import streams
from keras_i3d.clips.preparation import Preparation
from keras_i3d.finished_model import FinishedModel
from keras_i3d.models import networks
from keras_i3d.protocol import FPS, short_side_for
from keras_i3d.training.recipe import Recipe

CLASSES = ("run", "jump", "swim", "ride", "climb", "row", "read")
# the smallest that every network takes: modality, frames of the video, size
SMALLEST = {
    "i3d": ("rgb", 16, 32),
    "two_stream_i3d": ("both", 16, 32),
    "two_stream": ("both", 10, 32),
    "fused_two_stream": ("both", 50, 129),
    "convnet_lstm": ("rgb", 25, 32),
    "c3d": ("rgb", 16, 32),
}


def paper_model(name: str = "i3d", *, modality: str | None = None, **options) -> FinishedModel:
    """Return a network as it would be after a training: its batch norms have seen something."""
    usual, frames, size = SMALLEST[name]
    keras.utils.set_random_seed(0)
    chosen = modality or usual
    network = networks.build(name, modality=chosen, frames=frames, size=size, classes=len(CLASSES), **options)
    return finish(network, chosen, size, name)


def tiny_model(*, modality: str = "rgb", multi_label: bool = False) -> FinishedModel:
    """Return a model in the manner of I3D that takes 32x32 clips: one convolution with its batch norm."""
    network = small_network(Recipe(modality=modality, size=32), len(CLASSES), multi_label=multi_label)
    return finish(network, modality, 32, "i3d")


def small_model(modality: str = "rgb", *, frames: int | None = None, activation: str = "softmax") -> FinishedModel:
    """Return a model of a few layers, 3-D pools and batch norm among them, that takes 16x16 clips."""
    keras.utils.set_random_seed(0)
    taken = streams.modalities(modality)
    inputs = {stream: keras.Input((frames, 16, 16, streams.channels(stream)), name=stream) for stream in taken}
    parts = []
    for x in inputs.values():
        x = layers.Conv3D(6, (3, 5, 5), strides=(1, 2, 2), padding="same", use_bias=False)(x)
        x = layers.Activation("relu")(layers.BatchNormalization(scale=False)(x))
        x = layers.MaxPooling3D(3, strides=2, padding="same")(x)
        x = layers.AveragePooling3D((2, 3, 3), strides=1)(x)
        parts.append(layers.GlobalAveragePooling3D()(layers.Conv3D(len(CLASSES), 1)(x)))
    logits = (
        layers.Add(name="Logits")(parts) if len(parts) > 1 else layers.Activation("linear", name="Logits")(parts[0])
    )
    outputs = layers.Activation(activation, name="Predictions")(logits)
    network = keras.Model(inputs if len(parts) > 1 else inputs[modality], outputs, name="i3d")
    return finish(network, modality, 16, "i3d" if len(parts) == 1 else "two_stream_i3d")


def finish(network: keras.Model, modality: str, size: int, name: str) -> FinishedModel:
    """Return a network as a finished model; the moving statistics of its batch norms become random."""
    generator = np.random.default_rng(0)
    for variable in network.variables:
        if variable.path.endswith("moving_variance"):
            variable.assign(generator.uniform(0.5, 1.5, variable.shape))
        elif variable.path.endswith("moving_mean"):
            variable.assign(generator.normal(0, 0.1, variable.shape))
    return FinishedModel(network, CLASSES, Preparation(modality, FPS, short_side_for(size), size, name))
