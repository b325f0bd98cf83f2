"""The recipes of the paper, of DeepMind's release and of the transfer protocol, by name.

Sources: Carreira & Zisserman 2017 (arXiv v3), sections 2.5 and 4, and the README of google-deepmind/kinetics-i3d. What
neither says is chosen here, and named in the comments. Updates are of as many clips as the originals', in forward
passes of six; where ``batch_size`` or ``accumulation`` is changed, the learning rate is scaled to the clips that an
update really has (``learning_rate_batch``), the number of steps is not.
"""

from __future__ import annotations

from typing import Any

from keras_i3d.training.recipe import Recipe

_PAPER = {
    "optimiser": "sgd",
    "momentum": 0.9,
    "dropout_rate": 0.5,
    "batch_norm_momentum": 0.999,
}
_KINETICS = _PAPER | {
    "learning_rate": 0.1,
    "learning_rate_batch": 384,  # 64 replicas of 6 clips
    "accumulation": 64,
    "weight_decay": 1e-7,
}
_RELEASE_RGB = _KINETICS | {"schedule": "97000:1,108000:0.1,115000:0.01", "steps": 115_000}
_RELEASE_FLOW = _KINETICS | {
    "modality": "flow",
    "schedule": "97000:1,104500:0.1,115000:0.01,140000:1,150000:0.1,155000:0.01",
    "steps": 155_000,
}
# The paper gives the steps (up to 5,000) and the GPUs (16, of 6 clips) of the transfers; their learning rate, and
# that of the new layer alone, are choices.
_FIXED = _PAPER | {
    "weights": "kinetics",
    "transfer": "fixed",
    "optimiser": "adam",
    "learning_rate": 1e-3,
    "batch_size": 96,
    "epochs": 50,
}
_FULL = _PAPER | {
    "weights": "kinetics",
    "transfer": "full",
    "learning_rate": 0.02,
    "learning_rate_batch": 96,
    "accumulation": 16,
    "schedule": "plateau",
    "steps": 5_000,
    "warmup_steps": 200,
}

NAMED: dict[str, tuple[dict[str, Any], str]] = {
    "kinetics-paper": (
        _KINETICS | {"schedule": "plateau", "steps": 110_000},
        "from scratch on Kinetics: 110,000 steps, divided by 10 at plateaus (the paper)",
    ),
    "kinetics-release-rgb": (_RELEASE_RGB, "the schedule of the released RGB networks, 115,000 steps"),
    "kinetics-release-flow": (_RELEASE_FLOW, "the schedule of the released flow networks, 155,000 steps"),
    "ucf101-fixed": (_FIXED, "a new last layer on the features of Kinetics"),
    "ucf101-full": (_FULL, "fine-tuning of every layer from Kinetics, up to 5,000 steps"),
    "hmdb51-fixed": (_FIXED, "as ucf101-fixed"),
    "hmdb51-full": (_FULL, "as ucf101-full"),
    "small": ({}, "the defaults: some hundred videos, from scratch"),
}


def named(name: str, **changes: Any) -> Recipe:
    """Return a recipe by its name, with some fields changed.

    Raises:
        ValueError: The name or a field is unknown, or a value out of range.
    """
    if name not in NAMED:
        raise ValueError(f"unknown recipe {name!r}; known: {', '.join(NAMED)}")
    return Recipe.from_json(NAMED[name][0] | changes)
