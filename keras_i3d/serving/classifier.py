"""Answer on frames with a finished model, be it a Keras file, published weights, or an exported SavedModel."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_i3d import finished_model, labels
from keras_i3d.clips.preparation import Preparation
from keras_i3d.errors import ModelFileError, PredictionError, first_line
from keras_i3d.serving import prediction
from keras_i3d.serving.export import ASSETS, EXTRA, versions
from keras_i3d.serving.names import DEFAULT, DESCRIPTION
from keras_i3d.serving.signatures import Signatures


@dataclass(frozen=True)
class Classifier:
    """A model that answers on raw frames.

    Attributes:
        class_names: In the order of its outputs.
        preparation: The frames that it wants.
        respond: Takes uint8 ``rgb`` or float32 ``flow`` (or both) of shape (batch, time, height, width, channels), by
            name; gives the answers of `keras_i3d.serving.signatures`.
        activation: What makes probabilities of logits: ``"softmax"`` or ``"sigmoid"``.
        frames: Frames of a clip, where the model was exported for so many alone; None for any number.
        batch: Clips at once, where the model was exported for so many alone; else one.
        max_frames: Of the longest clip that is answered; None for any.
    """

    class_names: tuple[str, ...]
    preparation: Preparation
    respond: Callable[..., dict[str, Any]]
    activation: str = "softmax"
    frames: int | None = None
    batch: int = 1
    max_frames: int | None = None

    def logits(self, window: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the float32 logits, (classes,), of one clip.

        Args:
            window: By modality, arrays of shape (time, height, width, channels).

        Raises:
            PredictionError: The model refuses the clip, or fails on it.
        """
        clips = {name: tf.constant(array) for name, array in prediction.batches(window, self.batch).items()}
        try:
            return self.respond(**clips)["logits"].numpy()[0]
        except (tf.errors.OpError, ValueError, TypeError) as error:
            shapes = " and ".join(f"{name} of shape {tuple(clip.shape)}" for name, clip in clips.items())
            raise PredictionError(f"the model gives no answer to {shapes}: {_reason(error)}") from error


def open_classifier(model: str | os.PathLike, *, modality: str | None = None) -> Classifier:
    """Open a finished model for answering.

    Args:
        model: A ``.keras`` file, a SavedModel folder that `keras_i3d.export` wrote (of one version, or of all:
            the newest is taken), or a name of published weights.
        modality: Stream of published weights.

    Raises:
        ModelFileError: It is none of these.
        WeightsUnavailable: Published weights can be neither found nor fetched.
    """
    if not finished_model.is_published(model) and Path(model).is_dir():
        opened = _open_saved_model(Path(model))
        if modality not in (None, opened.preparation.modality):
            raise ValueError(f"{model}: a model of modality {opened.preparation.modality!r}, got modality={modality!r}")
        return opened
    finished = finished_model.load(model, modality=modality)
    signatures = Signatures(finished)
    longest = signatures.options.max_frames
    function = signatures.concrete(DEFAULT)
    return Classifier(finished.class_names, finished.preparation, function, finished.activation, max_frames=longest)


def _open_saved_model(folder: Path) -> Classifier:
    version = folder
    if not (folder / "saved_model.pb").is_file():
        numbered = versions(folder)
        version = numbered[-1] if numbered else folder
    if not (version / "saved_model.pb").is_file():
        raise ModelFileError(f"{folder}: a folder without a SavedModel; `keras-i3d export` writes one")
    preparation = Preparation.read(version / EXTRA)
    if preparation is None:
        raise ModelFileError(f"{version}: a SavedModel, but not one that `keras-i3d export` wrote")
    try:
        loaded = tf.saved_model.load(str(version))
        function, description = loaded.signatures[DEFAULT], loaded.signatures[DESCRIPTION]
    except (tf.errors.OpError, OSError, LookupError, ValueError) as error:
        raise ModelFileError(f"{version}: damaged SavedModel ({first_line(error)})") from error
    names = tuple(labels.read(version / ASSETS / labels.FILE_NAME))
    told = {key: value.numpy()[0] for key, value in description(query=tf.constant([""])).items()}
    served = tuple(name.decode() for name in told["class_names"])
    if names != served or asdict(preparation) != json.loads(told["preparation"]):
        raise ModelFileError(
            f"{version}: the files of class names or preparation in it are another model's: the graph has "
            f"{len(served)} classes ({served[0]}, ...) and {told['preparation'].decode()}"
        )
    batch, frames, *_ = next(iter(function.structured_input_signature[1].values())).shape

    def respond(keep: Any = loaded, **clips: Any) -> dict[str, Any]:
        return function(**clips)

    longest = int(told["max_frames"])
    return Classifier(names, preparation, respond, told["activation"].decode(), frames, batch or 1, longest)


def _reason(error: Exception) -> str:
    """Return what TensorFlow says, without where in the graph it says it."""
    text = getattr(error, "message", None) or str(error)
    return " ".join(re.sub(r"\s*\[\[\{\{.*", "", text, flags=re.DOTALL).split())
