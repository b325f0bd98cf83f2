"""The course of the learning rate, as arithmetic on the step and on the epochs behind it.

Carreira & Zisserman 2017, section 2.5, divide the rate by 10 where the loss on the validation set saturates;
google-deepmind/kinetics-i3d names the steps at which the released networks' rate changed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

CONSTANT, COSINE, PLATEAU = COURSES = ("constant", "cosine", "plateau")
DIVISION = 10
SPELLINGS = (
    "cosine (falls to 0 by half a cosine), constant, plateau (divided by 10 where the loss no longer falls), or "
    "pieces UNTIL_STEP:FACTOR joined by commas, such as 97000:1,108000:0.1,115000:0.01"
)


def check(course: str) -> None:
    """Raise ValueError unless a course is one of `SPELLINGS`."""
    if course not in COURSES:
        pieces(course)


def pieces(course: str) -> list[tuple[int, float]]:
    """Read ``"97000:1,108000:0.1"`` as [(97000, 1.0), (108000, 0.1)].

    Raises:
        ValueError: It is not of this form, or the steps do not rise.
    """
    number = r"[0-9]*\.?[0-9]+(?:e-?[0-9]+)?"
    if not re.fullmatch(rf"[0-9]+:{number}(,[0-9]+:{number})*", course):
        raise ValueError(f"unknown schedule {course!r}; known: {SPELLINGS}")
    found = [(int(until), float(factor)) for until, factor in (piece.split(":") for piece in course.split(","))]
    if any(earlier[0] >= later[0] for earlier, later in zip([(0, 0), *found], found, strict=False)):
        raise ValueError(f"the steps of a schedule must rise, got {course!r}")
    return found


def factor(course: str, step: int, steps: int, *, warmup_steps: int = 0, divisions: int = 0) -> float:
    """Return what the highest learning rate is multiplied by at a step.

    Args:
        course: One of `SPELLINGS`.
        step: Updates done before.
        steps: Updates of the whole run.
        warmup_steps: Updates over which the rate rises from 0.
        divisions: How often a plateau was met (`plateaus`).
    """
    warm = min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
    if course == COSINE:
        return warm * (1 + math.cos(math.pi * min(step / steps, 1))) / 2
    if course == PLATEAU:
        return warm / DIVISION**divisions
    if course == CONSTANT:
        return warm
    parts = pieces(course)
    return warm * next((piece for until, piece in parts if step < until), parts[-1][1])


def plateaus(losses: Sequence[float], patience: int) -> int:
    """Return how often so many epochs passed without a loss lower than all before, each plateau counted once.

    Args:
        losses: Of the epochs, in their order.
        patience: Epochs without a lower loss that make a plateau.
    """
    count, since, lowest = 0, 0, math.inf
    for loss in losses:
        since = 0 if loss < lowest else since + 1
        lowest = min(lowest, loss)
        if since == patience:
            count, since = count + 1, 0
    return count
