"""A network with everything needed to use it: class names, and how a video becomes its input.

``--model`` and ``model=`` always name such a finished model: a ``.keras`` file of a run folder, or the name of
published weights (`keras_i3d.predict` takes an exported SavedModel too).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import keras

from keras_i3d import labels, streams
from keras_i3d.checkpoints import catalogue, download
from keras_i3d.clips.preparation import Preparation
from keras_i3d.errors import ModelFileError
from keras_i3d.models import networks
from keras_i3d.models.i3d import I3D, SIZE
from keras_i3d.models.saved import load_model
from keras_i3d.models.two_stream_i3d import TwoStreamI3D
from keras_i3d.protocol import FPS, Protocol, short_side_for


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

    def __post_init__(self) -> None:
        classes = self.network.get_layer("Logits").output.shape[-1]
        if len(self.class_names) != classes:
            raise ModelFileError(f"{len(self.class_names)} class names for a network of {classes} classes")

    def with_flow_inside(self) -> FinishedModel:
        """Return the model as one that is given rgb alone, and computes its flow itself.

        Raises:
            ValueError: It sees no flow.
        """
        if "flow" not in streams.modalities(self.preparation.modality):
            raise ValueError(
                f"flow is computed inside of a network that sees flow, and {self.preparation.network} takes "
                f"{self.preparation.modality} alone"
            )
        return replace(self, preparation=replace(self.preparation, flow_inside=True))

    def logits_network(self) -> keras.Model:
        """Return the network up to its logits, float32 (batch, classes)."""
        return keras.Model(networks.inputs_of(self.network), self.network.get_layer("Logits").output)

    @property
    def protocol(self) -> Protocol:
        """Which frames of a video the network takes."""
        return networks.network(self.preparation.network).protocol(self.preparation.modality)

    @property
    def window(self) -> int | None:
        """Frames of the video that the network sees at once in a test; None lets it see the whole video."""
        tensor = self.network.inputs[0]
        steps = tensor.shape[1]
        return self.protocol.window if steps is None else steps * self.protocol.streams[tensor.name].step

    @property
    def activation(self) -> str:
        """What makes probabilities of logits: ``"softmax"``, or ``"sigmoid"`` of a network of several labels."""
        names = {layer.name for layer in self.network.layers}
        predictions = self.network.get_layer("Predictions") if "Predictions" in names else None
        return getattr(getattr(predictions, "activation", None), "__name__", "softmax")

    def clip_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of one clip by the names of the inputs, as in training where the network leaves it open."""
        frames = self.window or self.protocol.train_frames
        return {
            tensor.name: (
                tensor.shape[1] or self.protocol.streams[tensor.name].count(frames),
                *(size or self.preparation.size for size in tensor.shape[2:4]),
                tensor.shape[-1],
            )
            for tensor in self.network.inputs
        }


def is_published(model: str | os.PathLike) -> bool:
    """Tell whether a model is asked for by a name of published weights."""
    return any(row.name == str(model) and row.network == "I3D" for row in catalogue.rows())


def load(model: str | os.PathLike, *, modality: str | None = None) -> FinishedModel:
    """Load a finished model.

    Args:
        model: A ``.keras`` file with ``labels.txt`` and ``preparation.json`` beside it, or a name of published
            weights, such as ``"kinetics"``.
        modality: Stream of published weights, or ``"both"``; None for RGB. A file knows its own.

    Raises:
        ModelFileError: It is none of these, or the class names do not fit the network.
        WeightsUnavailable: Published weights can be neither found nor fetched.
        ValueError: The weights are not published for the modality, or the file is of another.
    """
    if is_published(model):
        modality = modality or "rgb"
        if modality == streams.BOTH:
            for stream in streams.CHANNELS:
                catalogue.row(str(model), stream)  # a stream that is not published is said before one is fetched
            return joined(*(load(model, modality=stream) for stream in streams.CHANNELS))
        row = catalogue.row(str(model), modality)
        network = I3D(weights=row.name, modality=modality, input_shape=(None, SIZE, SIZE, streams.channels(modality)))
        preparation = Preparation(modality, FPS, short_side_for(SIZE), SIZE)
        return FinishedModel(network, tuple(download.class_names(row)), preparation)
    path = Path(model)
    if path.suffix != ".keras":
        raise ModelFileError(
            f"{path}: not a finished model; a .keras file or a name of published weights is wanted "
            f"({', '.join(dict.fromkeys(row.name for row in catalogue.rows() if row.network == 'I3D'))})"
        )
    network = load_model(path)
    classes, size, its_own = _checked_network(path, network)
    if modality not in (None, its_own):
        raise ValueError(f"{path}: a network of modality {its_own!r}, got modality={modality!r}")
    preparation = Preparation.read(path.parent) or Preparation(
        its_own, FPS, short_side_for(size), size, _name_of(network, its_own)
    )
    try:
        networks.network(preparation.network).protocol(preparation.modality)
    except ValueError as error:
        raise ModelFileError(f"{path}: preparation.json beside it does not fit this package ({error})") from error
    if (preparation.modality, preparation.size) != (its_own, size):
        raise ModelFileError(
            f"{path}: its network takes {its_own} of {size}x{size}, but preparation.json beside it says "
            f"{preparation.modality} of {preparation.size}x{preparation.size}"
        )
    return FinishedModel(network, _class_names(path, classes), preparation)


def joined(rgb: FinishedModel, flow: FinishedModel) -> FinishedModel:
    """Return two finished I3Ds, one of each stream, as the two-stream network that adds their logits.

    Raises:
        ModelFileError: They are not of the same classes and size.
    """
    if rgb.class_names != flow.class_names or rgb.preparation.size != flow.preparation.size:
        raise ModelFileError("two streams that are joined must have the same classes and the same size of input")
    size = rgb.preparation.size
    network = TwoStreamI3D(weights=None, input_shape=(None, size, size), classes=len(rgb.class_names))
    for stream, finished in (("rgb", rgb), ("flow", flow)):
        network.get_layer(f"{stream}_stream").set_weights(finished.network.get_weights())
    return FinishedModel(
        network, rgb.class_names, replace(rgb.preparation, modality=streams.BOTH, network="two_stream_i3d")
    )


def _checked_network(path: Path, network: keras.Model) -> tuple[int, int, str]:
    """Return the number of classes, the size of the input and the modality of a network of this package."""
    names = [tensor.name for tensor in network.inputs]
    if not set(names) <= set(streams.CHANNELS) or not any(layer.name == "Logits" for layer in network.layers):
        raise ModelFileError(
            f"{path}: a Keras model, but not one of this package: it needs inputs named rgb or flow and a "
            f"layer named Logits; its inputs are {', '.join(names)}"
        )
    modality = names[0] if len(names) == 1 else streams.BOTH
    return network.get_layer("Logits").output.shape[-1], network.inputs[0].shape[2] or SIZE, modality


def _name_of(network: keras.Model, modality: str) -> str:
    """Return which network a model is that nothing else tells: its builder named it, unless the user did."""
    if network.name in networks.NETWORKS and modality in networks.NETWORKS[network.name].protocols:
        return network.name
    return "two_stream_i3d" if modality == streams.BOTH else "i3d"


def _class_names(path: Path, classes: int) -> tuple[str, ...]:
    file = path.parent / labels.FILE_NAME
    if not file.is_file():
        raise ModelFileError(f"{path}: has no class names; {file.name} is expected beside it")
    names = tuple(labels.read(file))
    if len(names) != classes:
        raise ModelFileError(f"{file}: has {len(names)} class names, the network {classes} classes")
    return names
