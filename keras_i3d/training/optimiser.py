"""The optimiser that a recipe asks for; its learning rate is set at each step (`keras_i3d.training.schedule`)."""

from __future__ import annotations

import keras

from keras_i3d.training.recipe import Recipe


def build(recipe: Recipe, *, loss_scaling: bool = False) -> keras.Optimizer:
    """Build the optimiser of a run.

    Args:
        recipe: Which one, its momentum, and that of the weights' moving average.
        loss_scaling: Whether to scale the loss, which training in float16 needs.
    """
    average = {"use_ema": True, "ema_momentum": recipe.average_momentum} if recipe.average_momentum else {}
    if recipe.optimiser == "adam":
        optimiser = keras.optimizers.Adam(recipe.learning_rate, **average)
    else:
        optimiser = keras.optimizers.SGD(recipe.learning_rate, momentum=recipe.momentum, **average)
    return keras.optimizers.LossScaleOptimizer(optimiser) if loss_scaling else optimiser
