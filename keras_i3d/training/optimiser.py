"""The optimiser and the learning rate's course that a recipe asks for."""

from __future__ import annotations

import keras

from keras_i3d.training.recipe import Recipe

SGD_MOMENTUM = 0.9  # Carreira & Zisserman 2017, section 2.5


def build(recipe: Recipe, steps: int) -> keras.Optimizer:
    """Build the optimiser of a run.

    Args:
        recipe: Which one, and its learning rate.
        steps: Steps of the whole run, over which the learning rate falls to 0.
    """
    schedule = keras.optimizers.schedules.CosineDecay(recipe.learning_rate, steps)
    if recipe.optimiser == "adam":
        return keras.optimizers.Adam(schedule)
    return keras.optimizers.SGD(schedule, momentum=SGD_MOMENTUM)
