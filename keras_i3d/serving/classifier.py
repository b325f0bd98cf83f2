"""Answer on frames with a finished model, be it a Keras file, published weights, or an exported SavedModel."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_i3d import finished_model, labels
from keras_i3d.clips.preparation import Preparation
from keras_i3d.errors import ModelFileError, first_line
from keras_i3d.serving import signature
from keras_i3d.serving.export import EXTRA, SIGNATURE, versions


@dataclass(frozen=True)
class Classifier:
    """A model that answers on raw frames.

    Attributes:
        class_names: In the order of its outputs.
        preparation: The frames that it wants.
        respond: Takes uint8 frames (or float32 flow) of shape (batch, time, height, width, channels), gives
            the answers of `keras_i3d.serving.signature.serving_function`.
    """

    class_names: tuple[str, ...]
    preparation: Preparation
    respond: Callable[[Any], dict[str, Any]]

    def logits(self, frames: np.ndarray) -> np.ndarray:
        """Return the float32 logits, (classes,), of one clip of shape (time, height, width, channels)."""
        return self.respond(tf.constant(frames[np.newaxis]))["logits"].numpy()[0]


def open_classifier(model: str | os.PathLike, *, modality: str = "rgb") -> Classifier:
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
        return _open_saved_model(Path(model))
    finished = finished_model.load(model, modality=modality)
    finished.check_takes_whole_videos()
    spec = signature.input_spec(finished.preparation.modality)
    function = tf.function(signature.serving_function(finished), input_signature=[spec])
    return Classifier(finished.class_names, finished.preparation, function)


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
    names = tuple(labels.read(version / EXTRA / labels.FILE_NAME))
    try:
        loaded = tf.saved_model.load(str(version))
        function = loaded.signatures[SIGNATURE]
    except (tf.errors.OpError, OSError, LookupError, ValueError) as error:
        raise ModelFileError(f"{version}: damaged SavedModel ({first_line(error)})") from error

    ((argument, _),) = function.structured_input_signature[1].items()
    classes = function.structured_outputs["logits"].shape[-1]
    if argument != preparation.modality or classes != len(names):
        raise ModelFileError(
            f"{version}: takes {argument} and has {classes} classes, but the files in its {EXTRA} say "
            f"{preparation.modality} and {len(names)}"
        )

    def respond(frames: Any, keep: Any = loaded) -> dict[str, Any]:
        return function(**{preparation.modality: frames})

    return Classifier(names, preparation, respond)
