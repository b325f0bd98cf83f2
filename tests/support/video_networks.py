"""A network in the manner of I3D that answers in no time, of which every logit depends on every pixel."""

import keras
import numpy as np
from keras import layers

CLASSES = 5


def video_network(*, frames: int | None = None, size: int | None = 32, seed: int = 0, classes: int = CLASSES):
    """Return a network of RGB clips with the endpoints logits, (batch, classes), and features, 12 wide."""
    inputs = keras.Input((frames, size, size, 3), name="rgb")
    x = layers.Conv3D(12, (3, 5, 5), strides=(1, 4, 4), padding="same", activation="relu")(inputs)
    x = layers.Dropout(0.5, seed=1)(x)
    x = layers.Conv3D(classes, 1)(x)
    x = layers.GlobalAveragePooling3D(name="Logits")(x)
    network = keras.Model(inputs, layers.Softmax(name="Predictions")(x), name="i3d")
    generator = np.random.default_rng(seed)
    for variable in network.trainable_variables:
        variable.assign(generator.normal(size=variable.shape))
    return network


def moving_clips(count: int, *, frames: int = 10, height: int = 24, width: int = 40, seed: int = 0) -> np.ndarray:
    """Return uint8 (count, frames, height, width, 3): a random picture each, that moves at a speed of its own."""
    random = np.random.default_rng(seed)
    pictures = random.integers(0, 256, (count, height // 4, width // 4, 3)).astype(np.uint8)
    pictures = pictures.repeat(4, axis=1).repeat(4, axis=2)
    speeds = random.integers(0, 5, count)
    return np.stack(
        [
            [np.roll(picture, speed * t, axis=1) for t in range(frames)]
            for picture, speed in zip(pictures, speeds, strict=True)
        ]
    )
