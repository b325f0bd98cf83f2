"""What every weights file comes down to: names with shapes, and values that are read when all of them fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from keras_i3d.checkpoints.names import Layout
from keras_i3d.errors import CheckpointMismatch, first_line

SHOWN = 3  # examples of each kind in a message


@dataclass(frozen=True)
class StoredVariable:
    """A variable of a file.

    Attributes:
        shape: In the order of axes that Keras has, (time, height, width, channels in, channels out) of a kernel.
        read: Returns its value in that shape; works while the file is open.
    """

    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]


@dataclass(frozen=True)
class StoredWeights:
    """An open weights file, without what belongs to an optimiser or a random generator.

    Attributes:
        path: As the user gave it.
        layout: How it names its variables.
        variables: Every variable by its name in the file, without prefixes.
    """

    path: str
    layout: Layout
    variables: Mapping[str, StoredVariable]

    def classifier(self) -> dict[str, StoredVariable]:
        """Return the variables of the classifier."""
        return {name: variable for name, variable in self.variables.items() if self.layout.is_classifier(name)}

    def values(self, names: Iterable[str]) -> dict[str, np.ndarray]:
        """Return the values of variables, float32, all of them finite.

        Raises:
            CheckpointMismatch: A value cannot be read, is no floating-point array, or is not finite.
        """
        values = {}
        for name in names:
            try:
                value = np.asarray(self.variables[name].read())
            except Exception as error:  # the readers of four formats raise many kinds
                raise CheckpointMismatch(
                    f"{self.path}: damaged: {name} cannot be read ({first_line(error)}); nothing was loaded"
                ) from error
            if not np.issubdtype(value.dtype, np.floating):
                raise CheckpointMismatch(
                    f"{self.path}: {name} holds {value.dtype}, floating-point numbers are wanted; nothing was loaded"
                )
            values[name] = value.astype(np.float32, copy=False)
        broken = [name for name, value in values.items() if not np.isfinite(value).all()]
        if broken:
            raise CheckpointMismatch(
                f"{self.path}: {examples(broken)}: not finite (NaN or infinity); nothing was loaded"
            )
        return values


def examples(names: list[str]) -> str:
    """Return the first few of many names, as text."""
    return "; ".join(names[:SHOWN]) + ("; ..." if len(names) > SHOWN else "")
