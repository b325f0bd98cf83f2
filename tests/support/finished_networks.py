"""Finished networks of the paper, small and with drawn weights, for what does not need them trained."""

import keras
import numpy as np
from small_networks import small_network

from keras_i3d.clips.preparation import Preparation
from keras_i3d.finished_model import FinishedModel
from keras_i3d.models import networks
from keras_i3d.protocol import short_side_for
from keras_i3d.training.recipe import Recipe

SIZES = {"c3d": 16, "fused_two_stream": 129}  # of others 32
CLASSES = ("run", "jump", "swim", "ride", "climb", "row", "read")


def finished_network(name: str, *, modality: str | None = None, seed: int = 0) -> FinishedModel:
    """Return a network of seven classes, whose batch norms have something to do."""
    chosen = networks.network(name)
    modality, size = modality or chosen.modality, SIZES.get(name, 32)
    frames = chosen.protocol(modality).train_frames
    network = networks.build(name, modality=modality, frames=frames, size=size, classes=len(CLASSES))
    return FinishedModel(_drawn(network, seed), CLASSES, Preparation(modality, 25.0, short_side_for(size), size, name))


def tiny_network(*, modality: str = "rgb", multi_label: bool = False, seed: int = 0) -> FinishedModel:
    """Return a network in the manner of I3D that is traced in no time: one convolution with its batch norm."""
    network = small_network(Recipe(modality=modality, size=32), len(CLASSES), multi_label=multi_label)
    return FinishedModel(_drawn(network, seed), CLASSES, Preparation(modality, 25.0, 37, 32))


def _drawn(network: keras.Model, seed: int) -> keras.Model:
    """Give batch norms other statistics than those of a new network."""
    generator = np.random.default_rng(seed)
    for variable in network.weights:
        kind = variable.path.rsplit("_", 1)[-1]
        if kind == "variance":
            variable.assign(generator.uniform(0.5, 1.5, variable.shape))
        elif kind == "mean":
            variable.assign(generator.uniform(-0.1, 0.1, variable.shape))
    return network
