"""Time as an overlay on the table of Inception-v1: how far every layer reaches and steps in time.

I3D's is Carreira & Zisserman 2017 (Quo Vadis, Action Recognition?), section 2.4 and figure 3. I2D, bottom-heavy
and top-heavy I3D, separable convolutions (S3D) and self-gating (S3D-G) are Xie et al. 2018 (Rethinking
Spatiotemporal Feature Learning), sections 4 and 5.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from keras_i3d.models.architecture import CONV_TAGS, HEAD, MIXED_TAGS, POOL_TAGS

PADDINGS = ("zeros", "edge")

VALID_TAGS = {
    "conv": CONV_TAGS,
    "pool": (*POOL_TAGS, *MIXED_TAGS, HEAD),
    "stride": ("1a", *POOL_TAGS),
    "separable": CONV_TAGS,
    "gated": MIXED_TAGS,
}


@dataclass(frozen=True)
class TimePlan:
    """The extent in time of every layer, by tag; a tag that is not named has extent 1.

    Attributes:
        conv: Temporal kernel of a stem convolution, or of the 3x3 convolutions of a Mixed block. Odd.
        pool: Temporal window of a stem pool, of a Mixed block's branch pool, or of the last average pool
            (tag ``"Logits"``).
        stride: Temporal stride of a stem convolution or pool.
        separable: Tags of convolutions that are split into one in space and one in time, each with its batch
            norm and ReLU (S3D).
        gated: Tags of Mixed blocks whose branches are gated by their own mean over space and time (S3D-G).
        padding: What convolutions see before the first and after the last step: ``"zeros"`` as in the
            original, or ``"edge"``, the first and the last step again.

    A plan of one's own is one ``dataclasses.replace``::

        replace(I3D_PLAN, conv={**I3D_PLAN.conv, "5b": 1, "5c": 1})

    Raises:
        ValueError: A tag is unknown, a number is less than 1, or a convolution kernel is even.
    """

    conv: Mapping[str, int] = field(default_factory=dict)
    pool: Mapping[str, int] = field(default_factory=dict)
    stride: Mapping[str, int] = field(default_factory=dict)
    separable: Collection[str] = ()
    gated: Collection[str] = ()
    padding: str = "zeros"

    def __post_init__(self) -> None:
        for part, valid in VALID_TAGS.items():
            for tag in getattr(self, part):
                if tag not in valid:
                    raise ValueError(f"time plan: {part} has no layer {tag!r}; its layers are {', '.join(valid)}")
        for part in ("conv", "pool", "stride"):
            for tag, extent in getattr(self, part).items():
                if not isinstance(extent, int) or isinstance(extent, bool) or extent < 1:
                    raise ValueError(f"time plan: {part}[{tag!r}] must be an integer of at least 1, got {extent!r}")
                if part == "conv" and extent % 2 == 0:
                    raise ValueError(f"time plan: conv[{tag!r}] must be odd (1, 3, 5, ...), got {extent}")
        if self.padding not in PADDINGS:
            raise ValueError(f"time plan: padding must be {' or '.join(map(repr, PADDINGS))}, got {self.padding!r}")

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        extents = {part: dict(getattr(self, part)) for part in ("conv", "pool", "stride")}
        return {**extents, "separable": list(self.separable), "gated": list(self.gated), "padding": self.padding}


I3D_PLAN = TimePlan(
    conv={"1a": 7, "2c": 3} | dict.fromkeys(MIXED_TAGS, 3),
    pool={"4a": 3, "5a": 2, HEAD: 2} | dict.fromkeys(MIXED_TAGS, 3),
    stride={"1a": 2, "4a": 2, "5a": 2},
)
# Kernels in space alone; pools and strides in time stay.
I2D_PLAN = replace(I3D_PLAN, conv={})
# The 2-D network on every frame: nothing mixes frames before the mean of the logits.
PER_FRAME_PLAN = TimePlan()


def top_heavy(start: str) -> TimePlan:
    """Return I3D's plan with kernels in time from the layer `start` on, and in space alone before it.

    Args:
        start: Tag of a convolution or Mixed block, such as ``"4b"``.

    Raises:
        ValueError: The tag is unknown.
    """
    return _part_of_i3d(start, lambda place, border: place >= border)


def bottom_heavy(stop: str) -> TimePlan:
    """Return I3D's plan with kernels in time up to the layer `stop`, and in space alone after it.

    Arguments and errors as in `top_heavy`.
    """
    return _part_of_i3d(stop, lambda place, border: place <= border)


def _part_of_i3d(border: str, keeps: Callable[[int, int], bool]) -> TimePlan:
    if border not in CONV_TAGS:
        raise ValueError(f"time plan: no layer {border!r}; its layers are {', '.join(CONV_TAGS)}")
    place = CONV_TAGS.index
    return replace(
        I3D_PLAN, conv={tag: extent for tag, extent in I3D_PLAN.conv.items() if keeps(place(tag), place(border))}
    )


def separable(plan: TimePlan = I3D_PLAN, *, gating: bool = False) -> TimePlan:
    """Return a plan whose convolutions in space and time are split in two: S3D, or with gates S3D-G.

    Args:
        plan: The plan to split.
        gating: Whether the branches of the Mixed blocks with kernels in time are gated.
    """
    inflated = tuple(tag for tag in CONV_TAGS if plan.conv.get(tag, 1) > 1)
    return replace(plan, separable=inflated, gated=tuple(tag for tag in inflated if tag in MIXED_TAGS and gating))


TIME_PLANS = {
    "i3d": I3D_PLAN,
    "i2d": I2D_PLAN,
    "per_frame": PER_FRAME_PLAN,
    "s3d": separable(),
    "s3d_g": separable(gating=True),
}
FAMILIES = {"top_heavy": top_heavy, "bottom_heavy": bottom_heavy}
SPELLINGS = f"{', '.join(TIME_PLANS)}, top_heavy:TAG, bottom_heavy:TAG, or a .json file of a plan"


def time_plan(plan: str | TimePlan) -> TimePlan:
    """Return the plan of a name, or the plan itself.

    Args:
        plan: ``"i3d"``, ``"i2d"``, ``"per_frame"``, ``"s3d"``, ``"s3d_g"``, ``"top_heavy:4b"``,
            ``"bottom_heavy:3c"`` (with any tag), the JSON text of a plan or the path of a file with it (the
            fields of `TimePlan`), or a `TimePlan`.

    Raises:
        ValueError: The name is unknown, or the plan not valid.
    """
    if isinstance(plan, TimePlan):
        return plan
    if not isinstance(plan, str | os.PathLike):
        raise ValueError(f"a time plan is one of {SPELLINGS}, or a TimePlan; got {plan!r}")
    text = os.fspath(plan)
    if text in TIME_PLANS:
        return TIME_PLANS[text]
    family, _, tag = text.partition(":")
    if family in FAMILIES:
        return FAMILIES[family](tag)
    is_file = text.endswith(".json")
    if not is_file and not text.lstrip().startswith("{"):
        raise ValueError(f"unknown time plan {text!r}; known: {SPELLINGS}, or a TimePlan")
    try:
        return _from_json(json.loads(Path(text).read_text("utf-8") if is_file else text))
    except (OSError, ValueError) as error:
        raise ValueError(f"{text}: cannot be read as a time plan ({error})") from error


def _from_json(values: Any) -> TimePlan:
    """Make a plan of what `TimePlan.to_json` gives; fields that are absent take their defaults."""
    names = [one.name for one in fields(TimePlan)]
    if not isinstance(values, dict) or set(values) - set(names):
        received = sorted(set(values) - set(names)) if isinstance(values, dict) else values
        raise ValueError(f"it is an object with the fields {', '.join(names)}; got {received!r}")
    for name, value in values.items():
        kind = {"padding": str, "separable": list, "gated": list}.get(name, dict)
        if not isinstance(value, kind):
            what = {str: "a text", list: "a list of tags", dict: "an object of tags and numbers"}[kind]
            raise ValueError(f"{name} must be {what}, got {value!r}")
    return TimePlan(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def spelling(plan: str | TimePlan) -> str:
    """Return a plan's spelling that does not depend on a file: a name, or the JSON text of the plan.

    Raises:
        ValueError: As in `time_plan`.
    """
    meant = time_plan(plan)
    if isinstance(plan, str) and (plan in TIME_PLANS or plan.partition(":")[0] in FAMILIES):
        return plan
    return json.dumps(meant.to_json())
