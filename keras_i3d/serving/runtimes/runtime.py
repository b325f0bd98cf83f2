"""What the export asks of a runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_i3d.serving.runtimes.network import ClipNetwork

# prepared clips by stream, float32 (batch, time, size, size, channels), to float32 (batch, classes) by name
Answer = Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Runtime:
    """A runtime.

    Attributes:
        title: Its name as its makers spell it.
        file: Name of the file that it loads.
        need: Raises MissingDependency where a package is missing that writing or checking needs.
        write: Writes a network as `file` into a folder.
        load: Loads such a file; None for the number of threads leaves it to the runtime.
        has_fixed_shapes: Whether it takes clips of one shape alone.
        has_3d_pools: Whether it can pool over time and space at once.
        folds_batch_norm: Whether it sees by itself to batch norms behind layers of every size.
    """

    title: str
    file: str
    need: Callable[[], object]
    write: Callable[[ClipNetwork, Path], None]
    load: Callable[[Path, int | None], Answer]
    has_fixed_shapes: bool = False
    has_3d_pools: bool = True
    folds_batch_norm: bool = True
