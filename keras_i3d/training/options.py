"""Fields of a frozen dataclass that are options of the command line too: declared once, with type, range and help."""

from __future__ import annotations

import math
from dataclasses import field, fields
from typing import Any


def option(default: Any, text: str, kind: type | None = None, least: float | None = None) -> Any:
    """Declare a field.

    Args:
        default: Its default; None may be given too then.
        text: The sentence that documents it, also in ``--help``.
        kind: Its type, by default the default's.
        least: Its smallest value, of a number.
    """
    return field(default=default, metadata={"help": text, "kind": kind or type(default), "least": least})


def check(instance: Any) -> None:
    """Check all fields that were declared by `option`.

    Raises:
        ValueError: One has another type, or is below its least value, or is not finite.
    """
    for one in fields(instance):
        value, kind, least = getattr(instance, one.name), one.metadata["kind"], one.metadata["least"]
        if value is None and one.default is None:
            continue
        if type(value) is not kind and not (kind is float and type(value) is int):
            raise ValueError(f"{one.name} must be of type {kind.__name__}, got {value!r}")
        if least is not None and not least <= value < math.inf:
            raise ValueError(f"{one.name} must be at least {least}, got {value}")
