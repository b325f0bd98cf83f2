"""How a run computes, as opposed to what is trained (`keras_i3d.training.recipe`)."""

from __future__ import annotations

from dataclasses import dataclass

from keras_i3d.records.damage import ON_DAMAGE
from keras_i3d.training.options import check, option

PRECISIONS = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Execution:
    """How a run computes; the fields' meanings stand in ``keras-i3d train --help``.

    Raises:
        ValueError: A value is out of range.
    """

    precision: str = option(
        "auto",
        "float32, bfloat16 or float16 (both mixed: the weights stay float32); auto takes bfloat16 or float16 on GPUs "
        "that are fast in it, float32 elsewhere",
    )
    jit_compile: bool = option(
        False, "let XLA compile the steps: can help on GPUs; on CPUs I3D takes five times as long"
    )
    rematerialise: bool = option(
        False, "compute the inside of each block again for the gradients: less memory, more time"
    )
    checkpoint_steps: int = option(
        500, "updates between two saves of the state, besides those at epochs' ends", least=1
    )
    tensorboard: bool = option(True, "write events for TensorBoard into the run folder")
    repeatable: bool | None = option(
        None,
        "let equal runs give equal bits; by default on CPUs, and off on GPUs, which it slows and where not every "
        "kernel can",
        bool,
    )
    on_damage: str = option("stop", "what to do at a damaged record: stop, or skip it")

    def __post_init__(self) -> None:
        check(self)
        for name, allowed in (("precision", PRECISIONS), ("on_damage", ON_DAMAGE)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {getattr(self, name)!r}")
