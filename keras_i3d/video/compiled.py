"""How loops over pixels are compiled: by numba, when they are first called, and kept on disk for later processes.

What a compiled function calls stands in its file, except for what is here, for numba looks at that file alone to tell
whether what it compiled before still holds. Who edits this file, or a constant that comes from another, deletes the
``__pycache__`` of the folder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit
from numba.extending import intrinsic


def compiled(function: Callable) -> Callable:
    """Compile a function, which then runs without the interpreter's lock.

    Arithmetic is left as it is written, so that every processor computes the same bits.
    """
    options = {"nogil": True, "error_model": "numpy"}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # neither beside the file nor in the user's folder of caches can be written
        return njit(**options)(function)


inlined = njit(inline="always")


@intrinsic
def fma(context: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a * b + c, rounded once."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.fma(*values)

    return a(a, b, c), generate
