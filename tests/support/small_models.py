"""Finished models that load and answer in no time, for what is about the wiring around a network."""

import shutil
from pathlib import Path

import keras
import numpy as np

from keras_i3d.clips.preparation import Preparation
from keras_i3d.streams import CHANNELS


def save_small_model(
    folder: Path,
    records: Path,
    *,
    modality: str = "rgb",
    frames: int | None = None,
    seed: int = 0,
    scale: float = 1.0,
) -> str:
    """Write best.keras, with all that belongs beside it, whose logits differ from video to video; returns its path."""
    classes = len((records / "labels.txt").read_text().splitlines())
    shape = (frames, 32, 32, CHANNELS[modality])
    inputs = keras.Input(shape, name=modality)
    x = keras.layers.Conv3D(16, (3, 5, 5), strides=(1, 4, 4), padding="same", activation="relu")(inputs)
    x = keras.layers.Dropout(0.5)(x)
    x = keras.layers.Conv3D(classes, 1)(x)
    x = keras.layers.GlobalAveragePooling3D(name="Logits")(x)
    model = keras.Model(inputs, keras.layers.Activation("softmax", name="Predictions")(x), name="i3d")
    generator = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign(scale * generator.normal(size=variable.shape))
    folder.mkdir(parents=True)
    model.save(folder / "best.keras")
    shutil.copy(records / "labels.txt", folder)
    Preparation(modality, 25.0, 37, 32).write(folder)
    return str(folder / "best.keras")
