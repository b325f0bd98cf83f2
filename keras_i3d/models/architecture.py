"""The Inflated Inception-v1 as data: the table for space, and the spelling of its scopes.

Space is read from Szegedy et al. 2015 (Going Deeper with Convolutions), Table 1. Time is an overlay
(`keras_i3d.models.time_plan`). Imports nothing of the package.
"""

from __future__ import annotations

from dataclasses import dataclass


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

IMAGENET_CLASSES = 1001  # of TF-Slim's weights: the background at 0, which others leave out, and the thousand
HEAD = "Logits"
HEAD_CONV = "Logits/Conv3d_0c_1x1"
HEAD_POOL = "AvgPool3D"
HEAD_WINDOW = 7  # of the last average pool, in space
END_POINTS = (*(row.scope for row in ROWS), HEAD, "Predictions")

MIXED_TAGS = tuple(row.tag for row in ROWS if isinstance(row, Mixed))
POOL_TAGS = tuple(row.tag for row in ROWS if isinstance(row, Pool))
STEM_CONV_TAGS = tuple(row.tag for row in ROWS if isinstance(row, Conv))
CONV_TAGS = (*STEM_CONV_TAGS, *MIXED_TAGS)

_IN_TWO_DIMENSIONS = {"Conv3d": "Conv2d", "conv_3d": "conv_2d", "MaxPool3d": "MaxPool", "AvgPool3D": "AvgPool2D"}


def layer_name(scope: str, rank: int = 3) -> str:
    """Spell a checkpoint's scope as a Keras layer name: ``/`` becomes ``__``.

    Args:
        scope: Name in DeepMind's spelling, such as ``Mixed_3b/Branch_0/Conv3d_0a_1x1``.
        rank: 3 for a network in space and time; 2 for the 2-D network, whose names are TF-Slim's
            (``Conv2d_0a_1x1``, ``MaxPool_2a_3x3``).
    """
    name = scope.replace("/", "__")
    if rank == 2:
        for in_three, in_two in _IN_TWO_DIMENSIONS.items():
            name = name.replace(in_three, in_two)
    return name
