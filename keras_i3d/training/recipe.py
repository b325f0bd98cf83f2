"""Every hyper-parameter of a training run, in one frozen dataclass that goes to JSON and back."""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from keras_i3d.errors import TrainingError
from keras_i3d.models import networks, time_plan
from keras_i3d.protocol import Protocol

FILE_NAME = "recipe.json"
OPTIMISERS = ("sgd", "adam")


def _option(default: Any, text: str, kind: type | None = None) -> Any:
    """Declare a field with its type and the sentence that documents it, here and in ``keras-i3d train --help``."""
    return field(default=default, metadata={"help": text, "kind": kind or type(default)})


@dataclass(frozen=True)
class Recipe:
    """A training run from scratch; the clip is the paper's (Carreira & Zisserman 2017, section 2.5).

    The fields' meanings stand in ``keras-i3d train --help``. ``modality``, ``frames`` and ``size`` given as None
    become what the paper trains the network on; ``time_plan`` may be a `TimePlan`. The optimiser, the schedule and
    the momentum of batch norm are chosen for small data sets: the paper's 110,000 steps are not the default here.

    Raises:
        ValueError: A value is out of range.
    """

    network: str = _option("i3d", f"one of {', '.join(networks.NETWORKS)}")
    split: str = _option(
        "train",
        "records to train on: train, or train2 and so on of a data set with several splits; those of the "
        "same val, if there are any, tell the best epoch",
    )
    modality: str | None = _option(None, "streams to train on: rgb, flow or both; by default the network's", str)
    frames: int | None = _option(
        None, "consecutive frames of the video that a clip covers; by default the network's, 64 for i3d", int
    )
    size: int | None = _option(
        None,
        "height and width of a clip, by default the network's, 224 for i3d; frames are resized to a short side of "
        "size x 256/224",
        int,
    )
    time_plan: str = _option("i3d", f"extents in time of i3d's layers: {time_plan.SPELLINGS}")
    epochs: int = _option(30, "passes over the training videos")
    batch_size: int = _option(6, "clips of one step")
    optimiser: str = _option("adam", "adam, or sgd with a momentum of .9")
    learning_rate: float = _option(1e-3, "at the start; falls to 0 by half a cosine")
    dropout_rate: float = _option(0.5, "share of features dropped before the classifier")
    batch_norm_momentum: float = _option(0.9, "of the moving statistics; .999 in the published networks")
    flips: bool = _option(True, "mirror half of the clips; must be off where classes name a direction")
    seed: int = _option(0, "of the weights, the order, the clips and the crops")

    def __post_init__(self) -> None:
        object.__setattr__(self, "time_plan", time_plan.spelling(self.time_plan))
        chosen = networks.network(self.network)
        protocol = chosen.protocol(self.modality)
        usual = {"modality": chosen.modality, "frames": protocol.train_frames, "size": protocol.size}
        for name, value in usual.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        for one in fields(self):
            value, kind = getattr(self, one.name), one.metadata["kind"]
            if type(value) is not kind and not (kind is float and type(value) is int):
                raise ValueError(f"{one.name} must be of type {kind.__name__}, got {value!r}")
        if self.time_plan != "i3d" and not chosen.has_time_plan:
            raise ValueError(f"network {self.network!r} has no time plan to choose, got {self.time_plan!r}")
        if not re.fullmatch("train([1-9][0-9]*)?", self.split):
            raise ValueError(f"split must be train, or train1, train2 and so on, got {self.split!r}")
        if self.optimiser not in OPTIMISERS:
            raise ValueError(f"unknown optimiser {self.optimiser!r}; known: {', '.join(OPTIMISERS)}")
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        self._check_clip(chosen.least, protocol)
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, got {self.seed}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be above 0, got {self.learning_rate}")
        for name in ("dropout_rate", "batch_norm_momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")

    def _check_clip(self, least: tuple[int, int], protocol: Protocol) -> None:
        for name, smallest in zip(("frames", "size"), least, strict=True):
            if getattr(self, name) < smallest:
                raise ValueError(
                    f"{name} must be at least {smallest} for network {self.network!r}, got {getattr(self, name)}"
                )
        if self.frames % protocol.period:
            raise ValueError(
                f"frames must be a multiple of {protocol.period} for network {self.network!r}, got {self.frames}"
            )

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Recipe:
        """Make a recipe from JSON values; fields that are absent take their defaults.

        Raises:
            ValueError: A field is unknown, or a value out of range.
        """
        known = [one.name for one in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ValueError(f"a recipe has no field {unknown[0]!r}; its fields are {', '.join(known)}")
        return cls(**values)

    @classmethod
    def read(cls, path: str | os.PathLike) -> Recipe:
        """Read ``recipe.json``.

        Raises:
            TrainingError: The file cannot be read or is no recipe.
        """
        try:
            return cls.from_json(json.loads(Path(path).read_text("utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise TrainingError(f"{path}: cannot be read as a recipe ({error})") from error
