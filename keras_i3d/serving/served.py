"""What a server says of a model: its versions, its signatures. And how often one asks it again."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from keras_i3d.errors import ServerError
from keras_i3d.serving import tensors

AVAILABLE = "AVAILABLE"  # the state of a version that answers
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 8.0
PASSING = ("UNAVAILABLE", "RESOURCE_EXHAUSTED")  # what may be over in a moment
Result = TypeVar("Result")
_PLACE = re.compile(r"\n?\s*\[\[\{\{.*?\}\}\]\]", re.DOTALL)  # of an operation in TensorFlow's graph


@dataclass(frozen=True)
class TensorFacts:
    """An input or output of a signature.

    Attributes:
        dtype: TensorFlow's number of its type.
        shape: Its sizes, -1 for any; None where not even the number of axes is known.
    """

    dtype: int
    shape: tuple[int, ...] | None

    def __str__(self) -> str:
        axes = "?" if self.shape is None else ", ".join("?" if size < 0 else str(size) for size in self.shape)
        return f"{tensors.type_name(self.dtype)} [{axes}]"


@dataclass(frozen=True)
class Signature:
    """What a model takes and gives, by name."""

    inputs: Mapping[str, TensorFacts]
    outputs: Mapping[str, TensorFacts]

    def __str__(self) -> str:
        return f"({', '.join(f'{name}: {facts}' for name, facts in sorted(self.inputs.items()))})"


@dataclass(frozen=True)
class VersionStatus:
    """One version of a model.

    Attributes:
        version: Its number.
        state: ``"START"``, ``"LOADING"``, ``"AVAILABLE"``, ``"UNLOADING"`` or ``"END"``.
        error: What is wrong with it; empty where nothing is.
    """

    version: int
    state: str
    error: str = ""


@dataclass(frozen=True)
class Asked:
    """The model that a transport asks about.

    Attributes:
        name: What the server calls it.
        version: None is the server's choice, the newest.
    """

    name: str
    version: int | None = None


class Transport(Protocol):
    """One way to talk with a server. Every method raises `ServerError`, whose code tells what may pass."""

    def predict(self, model: Asked, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run a signature once."""
        ...

    def status(self, model: Asked) -> list[VersionStatus]:
        """Return the versions that the server has or had."""
        ...

    def signatures(self, model: Asked) -> dict[str, Signature]:
        """Return the signatures by name."""
        ...

    def close(self) -> None:
        """Let go of the connections."""
        ...


def repeated(ask: Callable[[], Result], attempts: int, pause: Callable[[float], None] = time.sleep) -> Result:
    """Ask, and ask again where what is wrong may be over in a moment.

    Pauses double from a quarter of a second to eight seconds, each of them by chance up to half shorter, so that
    clients that failed together do not come back together.

    Args:
        ask: Raises `ServerError`; asked again where its code is UNAVAILABLE or RESOURCE_EXHAUSTED.
        attempts: How often at most, at least 1.
        pause: Waits for so many seconds.

    Raises:
        ServerError: What the last attempt raised.
    """
    for attempt in range(attempts):
        try:
            return ask()
        except ServerError as error:
            if error.code not in PASSING or attempt == attempts - 1:
                raise
        pause(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt) * random.uniform(0.5, 1))
    raise ValueError(f"attempts must be at least 1, got {attempts}")


def unreachable(address: str, reason: str) -> ServerError:
    """Return the error of an address where nothing answers, or nothing that speaks the transport's language."""
    return ServerError(
        f"{address}: no server answers there ({reason}). TensorFlow Serving speaks gRPC on host:8500 and REST on "
        "http://host:8501; start one with: tensorflow_model_server --port=8500 --rest_api_port=8501 --model_name=i3d "
        "--model_base_path=/the/exported/folder",
        "UNAVAILABLE",
    )


def too_late(address: str, timeout_s: float) -> ServerError:
    """Return the error of an answer that did not come in time."""
    return ServerError(
        f"{address}: no answer within {timeout_s:g} s; give it more time by timeout_s (--timeout-s), or the server "
        "less to do at once by in_flight (--in-flight)",
        "DEADLINE_EXCEEDED",
    )


def refused(address: str, text: str, code: str) -> ServerError:
    """Return the error that a server answered with, in its own words but for the places in the graph."""
    return ServerError(f"{address}: {' '.join(_PLACE.sub('', text).split())}", code)


def unreadable(address: str, error: object) -> ServerError:
    """Return the error of an answer that is none of TensorFlow Serving's."""
    return ServerError(f"{address}: answers, but not as TensorFlow Serving does ({error})", "INTERNAL")
