"""A network that trains in no time, for what is about the run around it: `start.network` is set to build it."""

import keras
from keras import layers

from keras_i3d.models import heads
from keras_i3d.training.recipe import Recipe


def small_network(recipe: Recipe, classes: int, *, multi_label: bool = False) -> keras.Model:
    """Build what `start.network` builds, only smaller: batch norm, dropout, and the layers at its end."""
    keras.utils.set_random_seed(recipe.seed)
    channels = {"rgb": 3, "flow": 2}[recipe.modality]
    inputs = keras.Input((None, recipe.size, recipe.size, channels), name=recipe.modality)
    x = layers.Conv3D(6, (3, 5, 5), strides=(1, 4, 4), use_bias=False, name="first")(inputs)
    x = layers.BatchNormalization(scale=False, momentum=recipe.batch_norm_momentum, name="norm")(x)
    x = layers.Activation("relu", name="Conv3d_1a_7x7")(x)  # an end point, to freeze until
    x = layers.Dropout(recipe.dropout_rate, name="dropout")(layers.GlobalAveragePooling3D(name="pool")(x))
    logits = layers.Dense(classes, name="Logits")(x)
    return keras.Model(inputs, heads.predictions(logits, "sigmoid" if multi_label else "softmax"), name="i3d")
