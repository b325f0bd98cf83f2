"""How a run computes, as opposed to what: nothing here is a hyper-parameter of the result."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

PRECISIONS = ("auto", "float32", "bfloat16", "float16")
ON_DAMAGE = ("stop", "skip")


def _option(default: Any, text: str, kind: type | None = None) -> Any:
    return field(default=default, metadata={"help": text, "kind": kind or type(default)})


@dataclass(frozen=True)
class Execution:
    """How a run computes; the fields' meanings stand in ``keras-i3d train --help``.

    Raises:
        ValueError: A value is out of range.
    """

    precision: str = _option(
        "auto",
        "float32, bfloat16 or float16 (both mixed: the weights stay float32); auto takes bfloat16 or float16 on GPUs "
        "that are fast in it, float32 elsewhere",
    )
    jit_compile: bool = _option(False, "let XLA compile the steps: can help on GPUs, is slow on CPUs")
    rematerialise: bool = _option(
        False, "compute the inside of each block again for the gradients: less memory, more time"
    )
    checkpoint_steps: int = _option(500, "updates between two saves of the state, besides those at epochs' ends")
    tensorboard: bool = _option(True, "write events for TensorBoard into the run folder")
    repeatable: bool | None = _option(
        None,
        "let equal runs give equal bits; by default on CPUs, and off on GPUs, which it slows and where not every "
        "kernel can",
        bool,
    )
    on_damage: str = _option("stop", "what to do at a damaged record: stop, or skip it")

    def __post_init__(self) -> None:
        for one in fields(self):
            value, kind = getattr(self, one.name), one.metadata["kind"]
            if type(value) is not kind and not (value is None and one.default is None):
                raise ValueError(f"{one.name} must be of type {kind.__name__}, got {value!r}")
        for name, allowed in (("precision", PRECISIONS), ("on_damage", ON_DAMAGE)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {getattr(self, name)!r}")
        if self.checkpoint_steps < 1:
            raise ValueError(f"checkpoint_steps must be at least 1, got {self.checkpoint_steps}")
