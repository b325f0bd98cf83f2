"""Every hyper-parameter of a training run, in one frozen dataclass that goes to JSON and back."""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from keras_i3d.errors import TrainingError
from keras_i3d.models import architecture, networks, time_plan
from keras_i3d.protocol import Protocol
from keras_i3d.training import schedule
from keras_i3d.training.options import check, option

FILE_NAME = "recipe.json"
OPTIMISERS = ("sgd", "adam")
SCRATCH, FIXED, FULL = TRANSFERS = ("scratch", "fixed", "full")
NO_WEIGHTS, IMAGENET = "none", "imagenet"


@dataclass(frozen=True)
class Recipe:
    """A training run; the clip is the paper's (Carreira & Zisserman 2017, section 2.5).

    The fields' meanings stand in ``keras-i3d train --help``; the recipes of the paper and of DeepMind's release in
    `keras_i3d.training.named_recipes`. Fields given as None become what the network or the transfer asks for;
    ``time_plan`` may be a `TimePlan`. The defaults suit small data sets, not the paper's 110,000 steps.

    Raises:
        ValueError: A value is out of range, or two do not fit each other.
    """

    network: str = option("i3d", f"one of {', '.join(networks.NETWORKS)}")
    weights: str = option(
        NO_WEIGHTS,
        "what the network starts from: kinetics, kinetics_scratch, kinetics600, imagenet (inflated), a file of "
        "weights, or none",
    )
    transfer: str | None = option(
        None,
        "scratch (random start), full (every layer is trained) or fixed (features are computed once, and a new "
        "last layer is trained on them: minutes); by default scratch without weights, full with",
        str,
    )
    split: str = option(
        "train",
        "records to train on: train, or train2 and so on of a data set with several splits; those of the "
        "same val, if there are any, tell the best epoch",
    )
    modality: str | None = option(None, "streams to train on: rgb, flow or both; by default the network's", str)
    frames: int | None = option(
        None, "consecutive frames of the video that a clip covers; by default the network's, 64 for i3d", int
    )
    size: int | None = option(
        None,
        "height and width of a clip, by default the network's, 224 for i3d; frames are resized to a short side of "
        "size x 256/224",
        int,
    )
    time_plan: str = option("i3d", f"extents in time of i3d's layers: {time_plan.SPELLINGS}")
    epochs: int = option(30, "passes over the training videos", least=1)
    steps: int | None = option(
        None, "updates of the weights, in place of epochs; the last epoch may be a part of one", int, least=1
    )
    batch_size: int = option(6, "clips of one forward pass, over all devices together", least=1)
    accumulation: int = option(
        1, "forward passes whose gradients make one update: 64 passes of 6 clips are the paper's batch", least=1
    )
    optimiser: str = option("adam", "adam or sgd")
    momentum: float = option(0.9, "of sgd", least=0)
    learning_rate: float = option(1e-3, "the highest of the run")
    learning_rate_batch: int | None = option(
        None,
        "clips of an update that learning-rate is meant for: it is scaled in proportion to those that an update "
        "really has; by default it is taken as it is",
        int,
        least=1,
    )
    schedule: str = option("cosine", f"course of the learning rate: {schedule.SPELLINGS}")
    plateau_epochs: int = option(
        3, "of schedule plateau: epochs without a lower loss (of val, if there is one) until the division", least=1
    )
    warmup_steps: int = option(0, "updates over which the learning rate rises from 0", least=0)
    weight_decay: float = option(
        0.0, "L2 regularisation of kernels: weight_decay x kernel joins the gradient; 1e-7 in the release", least=0
    )
    label_smoothing: float = option(0.0, "share of the target that all classes share", least=0)
    average_momentum: float = option(
        0.0, "of the moving average of the weights, such as .999, that is validated and kept; 0 keeps none", least=0
    )
    dropout_rate: float = option(0.5, "share of features dropped before the classifier", least=0)
    batch_norm_momentum: float = option(0.9, "of the moving statistics; .999 in the published networks", least=0)
    frozen_batch_norm: bool | None = option(
        None,
        "keep the statistics and offsets of batch norm as they came with the weights; by default on in transfers, and "
        "off from scratch and from imagenet",
        bool,
    )
    freeze_until: str | None = option(
        None, "end point, such as Mixed_4f, up to which and with which layers keep their weights", str
    )
    flips: bool = option(True, "mirror half of the clips; must be off where classes name a direction")
    scale_jitter: float = option(
        1.0, "short sides are drawn between size x 256/224 and so many times that, before the crop", least=1
    )
    photometric: float = option(
        0.0, "strength of random brightness, contrast, saturation and (a fifth of it) hue of rgb clips", least=0
    )
    feature_clips: int = option(
        4, "of transfer fixed: random clips of each video that features are computed of", least=1
    )
    patience: int = option(0, "epochs without a better one on val after which the run ends; 0: it never does", least=0)
    seed: int = option(0, "of the weights, the order, the clips and the crops", least=0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "time_plan", time_plan.spelling(self.time_plan))
        chosen = networks.network(self.network)
        protocol = chosen.protocol(self.modality)
        has_weights = self.weights != NO_WEIGHTS
        transfer = self.transfer or (FULL if has_weights else SCRATCH)
        usual = {
            "modality": chosen.modality,
            "frames": protocol.train_frames,
            "size": protocol.size,
            "transfer": transfer,
            # the statistics of images do not fit clips, least of all of flow
            "frozen_batch_norm": transfer == FIXED or (transfer == FULL and self.weights != IMAGENET),
        }
        for name, value in usual.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        check(self)
        self._check_choices(has_weights)
        self._check_clip(chosen.least, protocol)
        self._check_ranges()
        if self.time_plan != "i3d" and not chosen.has_time_plan:
            raise ValueError(f"network {self.network!r} has no time plan to choose, got {self.time_plan!r}")

    @property
    def clips_per_update(self) -> int:
        """Clips whose gradients make one update of the weights."""
        return self.batch_size * self.accumulation

    @property
    def scaled_learning_rate(self) -> float:
        """The highest learning rate, for the clips that an update really has."""
        return self.learning_rate * (self.clips_per_update / (self.learning_rate_batch or self.clips_per_update))

    def _check_choices(self, has_weights: bool) -> None:
        if not re.fullmatch("train([1-9][0-9]*)?", self.split):
            raise ValueError(f"split must be train, or train1, train2 and so on, got {self.split!r}")
        if self.optimiser not in OPTIMISERS:
            raise ValueError(f"unknown optimiser {self.optimiser!r}; known: {', '.join(OPTIMISERS)}")
        if self.transfer not in TRANSFERS:
            raise ValueError(f"unknown transfer {self.transfer!r}; known: {', '.join(TRANSFERS)}")
        if (self.transfer == SCRATCH) == has_weights:
            what = "needs weights to start from" if not has_weights else "starts from random values"
            raise ValueError(f"transfer {self.transfer!r} {what}; got weights {self.weights!r}")
        schedule.check(self.schedule)
        if self.freeze_until is not None:
            self._check_freezing()

    def _check_freezing(self) -> None:
        trunk = tuple(name for name in architecture.END_POINTS if name not in (architecture.HEAD, "Predictions"))
        if self.freeze_until not in trunk:
            raise ValueError(f"freeze_until must be one of {', '.join(trunk)}; got {self.freeze_until!r}")
        if self.network == "c3d":
            raise ValueError(f"network 'c3d' has no end point {self.freeze_until!r} to freeze until")
        if self.transfer == FIXED:
            raise ValueError(
                f"transfer 'fixed' keeps all but the last layer: freeze_until has no place, got {self.freeze_until!r}"
            )

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

    def _check_ranges(self) -> None:
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be above 0, got {self.learning_rate}")
        for name in ("dropout_rate", "batch_norm_momentum", "momentum", "average_momentum", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        if self.photometric > 1:
            raise ValueError(f"photometric must be in [0, 1], got {self.photometric}")

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Recipe:
        """Make a recipe from JSON values; fields that are absent take their defaults.

        Raises:
            ValueError: A field is unknown, or a value out of range; or these are no fields.
        """
        if not isinstance(values, dict):
            raise ValueError(f"a recipe is an object of fields and values, got {values!r}")
        known = [one.name for one in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ValueError(f"a recipe has no field {unknown[0]!r}; its fields are {', '.join(known)}")
        return cls(**values)

    def changed(self, **changes: Any) -> Recipe:
        """Return the recipe with other values; what followed from the changed ones follows again.

        Raises:
            ValueError: As for a new recipe.
        """
        deciding = {name: getattr(self, name) for name in ("network", "weights")}
        usual = Recipe(**deciding)
        derived = ("modality", "frames", "size", "transfer", "frozen_batch_norm")
        kept = {
            name: value
            for name, value in self.to_json().items()
            if name not in derived or value != getattr(usual, name)
        }
        return Recipe.from_json(kept | changes)

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
