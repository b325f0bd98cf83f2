"""What a builder's ``weights=`` means: a published name, a file, or nothing.

`find` is called before a network is built (an unknown name costs nothing, and the weights tell the number of
classes), `Start.load_into` when it stands.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from keras_i3d import streams

INFLATABLE = ("I3D", "ConvNetLSTM", "TwoStream", "FusedTwoStream")  # networks with Inception-v1 as trunk


@dataclass(frozen=True)
class Start:
    """Weights that were found.

    Attributes:
        classes: Number of classes of their classifier; None where they have none that fits.
        load_into: Copies them into a network, all or nothing.
    """

    classes: int | None
    load_into: Callable[[keras.Model], None]


def find(weights: str | os.PathLike | None, *, network: str, modality: str = "rgb") -> Start:
    """Find what to start a network with.

    Args:
        weights: A name of published weights, the path of a file of weights, or None for random values.
        network: Name of the builder, such as ``"I3D"``.
        modality: Stream of the network; of two-stream networks ``"rgb"``.

    Raises:
        ValueError: The weights are another network's, or not published for the modality.
        FileNotFoundError: It is neither a known name nor a file of weights.
    """
    if weights is None:
        return Start(None, lambda model: None)
    if not isinstance(weights, str | os.PathLike) or not str(weights):
        raise ValueError(f"weights must be a name of published weights, a path, or None; got {weights!r}")
    from keras_i3d.checkpoints import catalogue, formats, load

    if str(weights) in catalogue.names():
        return _published(str(weights), network, modality)
    if formats.is_there(weights):
        return Start(load.classes_in(weights), lambda model: load.load_checkpoint(model, weights))
    raise FileNotFoundError(
        f"weights={str(weights)!r} is neither a known name ({', '.join(catalogue.names())}) nor a file of weights "
        "(a TensorFlow checkpoint, .weights.h5, .keras, .pt)"
    )


def _published(name: str, network: str, modality: str) -> Start:
    from keras_i3d.checkpoints import catalogue

    fitting = [row for row in catalogue.rows() if row.name == name]
    if fitting[0].network == network:
        row = catalogue.row(name, modality)
        return Start(row.classes, lambda model: _load_published(model, row))
    if fitting[0].network == "InceptionV1" and network in INFLATABLE:
        return Start(fitting[0].classes if network == "I3D" else None, lambda model: _inflate(model, name))
    allowed = [row.name for row in catalogue.rows() if row.network == network]
    allowed += [row.name for row in catalogue.rows() if row.network == "InceptionV1" and network in INFLATABLE]
    raise ValueError(
        f"weights={name!r} are those of {fitting[0].network}; {network} takes "
        f"{''.join(f'{known!r}, ' for known in dict.fromkeys(allowed))}the path of a file of weights, or None"
    )


def _load_published(model: keras.Model, row: Any) -> None:
    from keras_i3d.checkpoints import download, load

    load.load_checkpoint(model, download.weights_file(row, lambda source, target: _convert(row, source, target)))


def _convert(row: Any, source: Path, target: Path) -> None:
    """Read a published checkpoint into a small network of its kind, and save that as Keras does."""
    from keras_i3d.checkpoints import load
    from keras_i3d.models.i3d import I3D
    from keras_i3d.models.inception_v1 import InceptionV1

    if row.network == "InceptionV1":
        model = InceptionV1(weights=None, input_shape=(32, 32, 3), classes=row.classes)
    else:
        shape = (1, 32, 32, streams.channels(row.modality))
        model = I3D(weights=None, input_shape=shape, classes=row.classes, modality=row.modality)
    load.load_checkpoint(model, source)
    model.save_weights(target)


def _inflate(model: keras.Model, name: str) -> None:
    from keras_i3d.inflation import inflate
    from keras_i3d.models.inception_v1 import InceptionV1

    inflate.inflate(InceptionV1(weights=name, input_shape=(32, 32, 3)), model)
