"""The network that a run starts with: built, given its weights, and frozen where the recipe says so."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
from keras import layers

from keras_i3d.checkpoints import catalogue
from keras_i3d.clips.preparation import Preparation
from keras_i3d.errors import CheckpointMismatch
from keras_i3d.models import heads, networks
from keras_i3d.protocol import FPS
from keras_i3d.training.recipe import IMAGENET, NO_WEIGHTS, Recipe

NEW_NORMS = ("Fusion__batch_norm",)  # of layers that are new where the weights are those of Inception-v1


def network(recipe: Recipe, classes: int, *, multi_label: bool = False) -> keras.Model:
    """Build a recipe's network in float32, with its starting weights.

    Args:
        recipe: Which network, weights and seed.
        classes: Number of classes; where the weights have another, the last layer is new.
        multi_label: Whether it ends in a sigmoid for each class, not in a softmax.

    Returns:
        A model that takes clips of any length, where the network can; ends in the layers ``Logits`` and
        ``Predictions``.

    Raises:
        ValueError: The weights are another network's, or not published for the modality.
        FileNotFoundError: The weights are neither a known name nor a file.
        CheckpointMismatch: The file of weights is not exactly the network's.
        WeightsUnavailable: Published weights can be neither found nor fetched.
    """
    keras.utils.set_random_seed(recipe.seed)
    _check_kind(recipe)
    model = networks.build(
        recipe.network,
        modality=recipe.modality,
        frames=recipe.frames,
        size=recipe.size,
        time_plan=recipe.time_plan,
        classes=classes,
        weights=None if recipe.weights == NO_WEIGHTS else recipe.weights,
        classifier_activation=None if multi_label else "softmax",
        dropout_rate=recipe.dropout_rate,
        batch_norm_momentum=recipe.batch_norm_momentum,
    )
    if multi_label:
        return keras.Model(networks.inputs_of(model), heads.predictions(model.output, "sigmoid"), name=model.name)
    return model


def digest(weights: str) -> str | None:
    """Return what tells one file of weights from another of the same name; None of names and other formats."""
    path = Path(weights)
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _check_kind(recipe: Recipe) -> None:
    """Refuse weights whose run folder says that they are of another network or stream."""
    made, wanted = _preparation(recipe.weights), (recipe.network, recipe.modality)
    if made is not None and (made.network, made.modality) != wanted:
        raise CheckpointMismatch(
            f"{recipe.weights}: is of network {made.network!r} and modality {made.modality!r}, not of {wanted[0]!r} "
            f"and {wanted[1]!r}: give --network {made.network} --modality {made.modality}"
        )


def _preparation(weights: str) -> Preparation | None:
    """Return what the run folder of a ``.keras`` file says of its clips."""
    path = Path(weights)
    return Preparation.read(path.parent) if path.suffix == ".keras" and path.is_file() else None


def frame_rate(weights: str) -> float | None:
    """Return the frames per second of the videos that weights were trained on; None where nothing tells."""
    if weights in (NO_WEIGHTS, IMAGENET):
        return None
    preparation = _preparation(weights)
    if preparation is not None:
        return preparation.fps
    return FPS if weights in catalogue.names() else None


def freeze(model: keras.Model, recipe: Recipe) -> None:
    """Keep the layers' weights that a recipe wants kept; those of batch norm with their statistics.

    Args:
        model: Of `network`, or a copy with the same layer names.
        recipe: With ``frozen_batch_norm`` and ``freeze_until``.
    """
    every = list(_layers(model))
    if recipe.frozen_batch_norm:
        new = NEW_NORMS if recipe.weights in (NO_WEIGHTS, IMAGENET) else ()
        for layer in every:
            if isinstance(layer, layers.BatchNormalization) and layer.name not in new:
                layer.trainable = False
    if recipe.freeze_until is not None:
        for trunk in (model, *(layer for layer in every if isinstance(layer, keras.Model))):
            if any(layer.name == recipe.freeze_until for layer in trunk.layers):
                end = trunk.get_layer(recipe.freeze_until).output
                for layer in keras.Model(trunk.inputs, end).layers:
                    layer.trainable = False


def renew(head: keras.Model) -> None:
    """Give the layers of a classifier new values, also where its file has as many classes as there are.

    Args:
        head: Of dense layers and convolutions alone, as far as its layers have weights.
    """
    for layer in _layers(head):
        if not isinstance(layer, keras.Model) and layer.weights:
            layer.kernel.assign(layer.kernel_initializer(layer.kernel.shape, layer.kernel.dtype))
            layer.bias.assign(layer.bias_initializer(layer.bias.shape, layer.bias.dtype))


@contextmanager
def unfrozen(model: keras.Model) -> Iterator[None]:
    """Let every layer be trainable while the block runs: a file that is saved then starts further trainings freely."""
    flags = [(layer, layer.trainable) for layer in _layers(model)]
    for layer, _ in flags:
        layer.trainable = True
    try:
        yield
    finally:
        for layer, flag in flags:  # outer ones first: a model hands its flag down
            layer.trainable = flag


def _layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
