"""A network with everything needed to use it: class names, and how a video becomes its input.

``--model`` and ``model=`` always name such a finished model: a ``.keras`` file of a run folder, or the name of
published weights (`keras_i3d.predict` takes an exported SavedModel too).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import keras

from keras_i3d import labels, streams
from keras_i3d.checkpoints import catalogue, download
from keras_i3d.clips.preparation import Preparation
from keras_i3d.clips.transforms import short_side_for
from keras_i3d.errors import ModelFileError, first_line
from keras_i3d.models import heads  # noqa: F401  (registers the layer that saved models may hold)
from keras_i3d.models.i3d import I3D, SIZE


@dataclass(frozen=True)
class FinishedModel:
    """A trained network in use.

    Attributes:
        network: Ends in the layers ``Logits`` and, usually, ``Predictions``.
        class_names: In the order of its outputs.
        preparation: How a video becomes its input.
    """

    network: keras.Model
    class_names: tuple[str, ...]
    preparation: Preparation

    def logits_network(self) -> keras.Model:
        """Return the network up to its logits, float32 (batch, classes)."""
        return keras.Model(self.network.inputs[0], self.network.get_layer("Logits").output)


def load_model(path: str | os.PathLike) -> keras.Model:
    """Load a ``.keras`` file as Keras does, with this package's layer known to it.

    Raises:
        ModelFileError: The file is absent or no Keras model.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelFileError(f"{path}: no such model file")
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras raises many kinds, from zipfile's to its own
        raise ModelFileError(f"{path}: cannot be read as a Keras model, a .keras file ({first_line(error)})") from error


def is_published(model: str | os.PathLike) -> bool:
    """Tell whether a model is asked for by a name of published weights."""
    return str(model) in catalogue.names()


def load(model: str | os.PathLike, *, modality: str = "rgb") -> FinishedModel:
    """Load a finished model.

    Args:
        model: A ``.keras`` file with ``labels.txt`` and ``preparation.json`` beside it, or a name of published
            weights, such as ``"kinetics"``.
        modality: Stream of published weights; a file knows its own.

    Raises:
        ModelFileError: It is none of these, or the class names do not fit the network.
        WeightsUnavailable: Published weights can be neither found nor fetched.
    """
    if is_published(model):
        row = catalogue.row(str(model), modality)
        network = I3D(weights=row.name, modality=modality, input_shape=(None, SIZE, SIZE, streams.channels(modality)))
        preparation = Preparation(modality, 25.0, short_side_for(SIZE), SIZE)
        return FinishedModel(network, tuple(download.class_names(row)), preparation)
    path = Path(model)
    if path.suffix != ".keras":
        raise ModelFileError(
            f"{path}: not a finished model; a .keras file or a name of published weights is wanted "
            f"({', '.join(catalogue.names())})"
        )
    network = load_model(path)
    classes, size = _checked_network(path, network)
    modality = network.inputs[0].name
    preparation = Preparation.read(path.parent) or Preparation(modality, 25.0, short_side_for(size), size)
    if (preparation.modality, preparation.size) != (modality, size):
        raise ModelFileError(
            f"{path}: its network takes {modality} of {size}x{size}, but preparation.json beside it says "
            f"{preparation.modality} of {preparation.size}x{preparation.size}"
        )
    return FinishedModel(network, _class_names(path, classes), preparation)


def _checked_network(path: Path, network: keras.Model) -> tuple[int, int]:
    """Return the number of classes and the size of the input of a network of this package."""
    names = [tensor.name for tensor in network.inputs]
    if len(names) != 1 or names[0] not in streams.CHANNELS or not any(x.name == "Logits" for x in network.layers):
        raise ModelFileError(
            f"{path}: a Keras model, but not one of this package: it needs one input named rgb or flow and a "
            f"layer named Logits; its inputs are {', '.join(names)}"
        )
    return network.get_layer("Logits").output.shape[-1], network.inputs[0].shape[2] or SIZE


def _class_names(path: Path, classes: int) -> tuple[str, ...]:
    file = path.parent / labels.FILE_NAME
    if not file.is_file():
        raise ModelFileError(f"{path}: has no class names; {file.name} is expected beside it")
    names = tuple(labels.read(file))
    if len(names) != classes:
        raise ModelFileError(f"{file}: has {len(names)} class names, the network {classes} classes")
    return names
