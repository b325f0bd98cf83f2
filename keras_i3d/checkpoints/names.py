"""Translate Keras variables into the names of DeepMind's checkpoints."""

from __future__ import annotations

from typing import Any

# Scopes in front of the network's own, by how a stream was saved; Kinetics-600 has none.
PREFIXES = ("RGB/inception_i3d/", "Flow/inception_i3d/", "")
# Last parts of variables that an optimiser keeps beside the network's (rgb_scratch_kin600 has them).
OPTIMISER_SLOTS = ("Momentum",)

_PARTS = {"kernel": "w", "bias": "b"}


def deepmind_name(variable: Any) -> str:
    """Return a Keras variable's name in DeepMind's checkpoints, without the stream's prefix.

    ``Mixed_3b__Branch_0__Conv3d_0a_1x1__conv_3d/kernel`` is ``Mixed_3b/Branch_0/Conv3d_0a_1x1/conv_3d/w``.

    Args:
        variable: A ``keras.Variable`` of a model of this package.
    """
    layer, part = variable.path.split("/")[-2:]
    return f"{layer.replace('__', '/')}/{_PARTS.get(part, part)}"


def is_head(name: str) -> bool:
    """Tell whether a variable (in DeepMind's spelling) belongs to the classifier."""
    return name.startswith("Logits/")
