"""The Inflated Inception-v1 as data: a table for space, an overlay for time, the spelling of scopes.

Space is read from Szegedy et al. 2015 (Going Deeper with Convolutions), Table 1; time from Carreira &
Zisserman 2017 (Quo Vadis, Action Recognition?), section 2.4 and figure 3. Imports nothing of the package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields


@dataclass(frozen=True)
class Conv:
    """A convolution unit of the stem: square kernel, stride and filters."""

    tag: str
    size: int
    stride: int
    filters: int

    @property
    def scope(self) -> str:
        """Name of the end point, as in DeepMind's checkpoints."""
        return f"Conv3d_{self.tag}_{self.size}x{self.size}"


@dataclass(frozen=True)
class Pool:
    """A max pool of the stem: square window and stride."""

    tag: str
    size: int
    stride: int

    @property
    def scope(self) -> str:
        """Name of the end point, as in DeepMind's checkpoints."""
        return f"MaxPool3d_{self.tag}_{self.size}x{self.size}"


@dataclass(frozen=True)
class Mixed:
    """An Inception block of four branches.

    Attributes:
        tag: Place in the network, such as ``"3b"``.
        branch_0: Filters of the 1x1 convolution.
        branch_1: Filters of the 1x1 and the 3x3 convolution.
        branch_2: Filters of the 1x1 and the second 3x3 convolution (5x5 in the paper, 3x3 in the code).
        branch_3: Filters of the 1x1 convolution behind the 3x3 max pool.
        branch_2_spelling: ``0b``, save in Mixed_5b, where both original codes say ``0a``.
    """

    tag: str
    branch_0: int
    branch_1: tuple[int, int]
    branch_2: tuple[int, int]
    branch_3: int
    branch_2_spelling: str = "0b"

    @property
    def scope(self) -> str:
        """Name of the end point, as in DeepMind's checkpoints."""
        return f"Mixed_{self.tag}"


ROWS: tuple[Conv | Pool | Mixed, ...] = (
    Conv("1a", size=7, stride=2, filters=64),
    Pool("2a", size=3, stride=2),
    Conv("2b", size=1, stride=1, filters=64),
    Conv("2c", size=3, stride=1, filters=192),
    Pool("3a", size=3, stride=2),
    Mixed("3b", 64, (96, 128), (16, 32), 32),
    Mixed("3c", 128, (128, 192), (32, 96), 64),
    Pool("4a", size=3, stride=2),
    Mixed("4b", 192, (96, 208), (16, 48), 64),
    Mixed("4c", 160, (112, 224), (24, 64), 64),
    Mixed("4d", 128, (128, 256), (24, 64), 64),
    Mixed("4e", 112, (144, 288), (32, 64), 64),
    Mixed("4f", 256, (160, 320), (32, 128), 128),
    Pool("5a", size=2, stride=2),
    Mixed("5b", 256, (160, 320), (32, 128), 128, branch_2_spelling="0a"),
    Mixed("5c", 384, (192, 384), (48, 128), 128),
)

HEAD = "Logits"
HEAD_CONV = "Logits/Conv3d_0c_1x1"
HEAD_WINDOW = 7  # of the last average pool, in space
END_POINTS = (*(row.scope for row in ROWS), HEAD, "Predictions")

_MIXED_TAGS = tuple(row.tag for row in ROWS if isinstance(row, Mixed))
_POOL_TAGS = tuple(row.tag for row in ROWS if isinstance(row, Pool))
_CONV_TAGS = tuple(row.tag for row in ROWS if isinstance(row, Conv))

VALID_TAGS = {
    "conv": (*_CONV_TAGS, *_MIXED_TAGS),
    "pool": (*_POOL_TAGS, *_MIXED_TAGS, HEAD),
    "stride": (*(tag for tag in _CONV_TAGS if tag == "1a"), *_POOL_TAGS),
}


@dataclass(frozen=True)
class TimePlan:
    """The extent in time of every layer, by tag; a tag that is not named has extent 1.

    Attributes:
        conv: Temporal kernel of a stem convolution, or of the 3x3 convolutions of a Mixed block. Odd.
        pool: Temporal window of a stem pool, of a Mixed block's branch pool, or of the last average pool
            (tag ``"Logits"``).
        stride: Temporal stride of a stem convolution or pool.

    A plan of one's own is one ``dataclasses.replace``::

        replace(I3D_PLAN, conv={**I3D_PLAN.conv, "5b": 1, "5c": 1})

    Raises:
        ValueError: A tag is unknown, a number is less than 1, or a convolution kernel is even.
    """

    conv: Mapping[str, int] = field(default_factory=dict)
    pool: Mapping[str, int] = field(default_factory=dict)
    stride: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for part in (f.name for f in fields(self)):
            for tag, extent in getattr(self, part).items():
                if tag not in VALID_TAGS[part]:
                    raise ValueError(
                        f"time plan: {part} has no layer {tag!r}; its layers are {', '.join(VALID_TAGS[part])}"
                    )
                if not isinstance(extent, int) or extent < 1:
                    raise ValueError(f"time plan: {part}[{tag!r}] must be an integer of at least 1, got {extent!r}")
                if part == "conv" and extent % 2 == 0:
                    raise ValueError(f"time plan: conv[{tag!r}] must be odd (1, 3, 5, ...), got {extent}")


I3D_PLAN = TimePlan(
    conv={"1a": 7, "2c": 3} | dict.fromkeys(_MIXED_TAGS, 3),
    pool={"4a": 3, "5a": 2, HEAD: 2} | dict.fromkeys(_MIXED_TAGS, 3),
    stride={"1a": 2, "4a": 2, "5a": 2},
)
PER_FRAME_PLAN = TimePlan()

TIME_PLANS = {"i3d": I3D_PLAN, "per_frame": PER_FRAME_PLAN}


def time_plan(plan: str | TimePlan) -> TimePlan:
    """Return the plan of a name, or the plan itself.

    Raises:
        ValueError: The name is unknown.
    """
    if isinstance(plan, TimePlan):
        return plan
    if plan not in TIME_PLANS:
        raise ValueError(f"unknown time plan {plan!r}; known: {', '.join(TIME_PLANS)}, or a TimePlan")
    return TIME_PLANS[plan]


def layer_name(scope: str) -> str:
    """Spell a checkpoint's scope as a Keras layer name: ``/`` becomes ``__``."""
    return scope.replace("/", "__")
