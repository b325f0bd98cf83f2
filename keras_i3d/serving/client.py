"""Ask a model behind TensorFlow Serving, over gRPC or REST, without TensorFlow on this machine.

Wanted are numpy, rich and the extra ``client``: PyAV, protobuf, and grpcio or requests. A flow network wants OpenCV
too, which computes the flow here.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from keras_i3d.clips.preparation import Preparation
from keras_i3d.errors import ServerError, first_line
from keras_i3d.serving import names, prediction, served
from keras_i3d.serving.prediction import SERVED_AS, TOP, Failure, Prediction
from keras_i3d.serving.served import Asked, Signature, Transport, VersionStatus
from keras_i3d.serving.transport_grpc import GrpcTransport
from keras_i3d.serving.transport_rest import RestTransport

TIMEOUT_S, ATTEMPTS, IN_FLIGHT = 60.0, 5, 4
GRPC_PORT = 8500
Result = TypeVar("Result")


@dataclass(frozen=True)
class Description:
    """What a served model says of itself.

    Attributes:
        class_names: In the order of its logits.
        preparation: The frames that it wants.
        activation: What makes probabilities of its logits: ``"softmax"`` or ``"sigmoid"``.
        max_frames: Of the longest clip that it answers.
    """

    class_names: tuple[str, ...]
    preparation: Preparation
    activation: str
    max_frames: int


def connect(
    address: str,
    *,
    name: str = SERVED_AS,
    version: int | None = None,
    timeout_s: float | None = None,
    attempts: int = ATTEMPTS,
) -> Client:
    """Return a client of a served model. Nothing is asked yet.

    Args:
        address: ``"host:8500"`` (or ``"host"``) for gRPC, which is several times quicker; ``"http://host:8501"`` or
            ``"https://..."`` for REST, where RGB travels as PNGs and flow as numbers in JSON.
        name: What the server calls the model, its ``--model_name``.
        version: Version of the model; None is the server's choice, the newest.
        timeout_s: Seconds that one answer may take, at first one on the largest window; None for 60.
        attempts: How often a request is sent at most, where the server cannot be reached or has too much to do.

    Raises:
        MissingDependency: grpcio or requests is not installed.
        ValueError: The address is none, or an option is out of range.
    """
    timeout_s = TIMEOUT_S if timeout_s is None else timeout_s
    if not 0 < timeout_s < float("inf"):
        raise ValueError(f"timeout_s must be a number of seconds above 0, got {timeout_s}")
    if version is not None and (isinstance(version, bool) or not isinstance(version, int) or version < 0):
        raise ValueError(f"version must be a whole number, got {version!r}")
    if attempts < 1:
        raise ValueError(f"attempts must be at least 1, got {attempts}")
    if re.fullmatch(r"https?://[^/\s]+(/\S*)?", address, re.IGNORECASE):
        transport: Transport = RestTransport(address, timeout_s)
    elif re.fullmatch(r"([^:/\s\[\]]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?", address):
        transport = GrpcTransport(address if re.search(r":\d+$", address) else f"{address}:{GRPC_PORT}", timeout_s)
    else:
        raise ValueError(f"a server is host:port for gRPC, or http://host:port for REST; got {address!r}")
    return Client(transport, Asked(name, version), address=address, attempts=attempts)


class Client:
    """A served model, answering as one of this machine does; may be used from several threads at once.

    Made by `connect`; a context manager. Every method raises `ServerError` where the server gives no answer: its
    message says what is wrong, its ``code`` is gRPC's name for it.
    """

    def __init__(self, transport: Transport, model: Asked, *, address: str, attempts: int = ATTEMPTS) -> None:
        self._transport, self._model, self._attempts = transport, model, attempts
        self.address = address

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    @property
    def asked_as(self) -> str:
        """What results call the model: its name and where it is."""
        version = "" if self._model.version is None else f" (version {self._model.version})"
        return f"{self._model.name}{version} at {self.address}"

    def predict(self, inputs: Mapping[str, np.ndarray], signature: str = names.DEFAULT) -> dict[str, np.ndarray]:
        """Run a signature.

        Args:
            inputs: By name, of the dtypes and shapes that `signatures` tells; strings as objects, ``bytes`` or ``str``.
            signature: Its name.

        Returns:
            Its outputs by name; strings as objects, each of them ``bytes``.

        Raises:
            ServerError: There is no answer, or the server refuses the inputs, with its own words.
            ValueError: An input has a type that cannot be sent.
        """
        if not isinstance(inputs, Mapping):
            raise ValueError(f"inputs must be arrays by name, such as {{'rgb': frames}}, got {type(inputs).__name__}")
        arrays = {name: np.asarray(value) for name, value in inputs.items()}
        return self._ask(lambda: self._transport.predict(self._model, signature, arrays))

    def status(self) -> list[VersionStatus]:
        """Return the versions of the model that the server has or had."""
        return self._ask(lambda: self._transport.status(self._model))

    def signatures(self) -> dict[str, Signature]:
        """Return the signatures of the model by name, but for TensorFlow's own, which begin with two underscores."""
        found = self._ask(lambda: self._transport.signatures(self._model))
        return {name: signature for name, signature in found.items() if not name.startswith("__")}

    def description(self) -> Description:
        """Ask the model for its class names and for the frames that it wants.

        Raises:
            ServerError: There is no answer, or keras-i3d did not export the model.
        """
        known = self.signatures()
        if names.DESCRIPTION not in known:
            raise ServerError(
                f"{self.address}: the model {self._model.name!r} there was not exported by keras-i3d, whose models "
                f"tell their class names by a signature {names.DESCRIPTION!r}; it has "
                + ", ".join(f"{name}{signature}" for name, signature in sorted(known.items())),
                "FAILED_PRECONDITION",
            )
        answer = self.predict({names.QUERY: np.array([b""], object)}, names.DESCRIPTION)
        try:
            return Description(
                tuple(name.decode() for name in answer[names.CLASS_NAMES][0]),
                Preparation(**json.loads(answer[names.PREPARATION][0])),
                answer[names.ACTIVATION][0].decode(),
                int(answer[names.MAX_FRAMES][0]),
            )
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise ServerError(
                f"{self.address}: the model {self._model.name!r} there describes itself in a way that this version of "
                f"keras-i3d does not know ({type(error).__name__}: {first_line(error)})",
                "FAILED_PRECONDITION",
            ) from error

    def check(self) -> None:
        """Raise ServerError unless the server answers and has a model that keras-i3d exported."""
        self._description  # noqa: B018

    @cached_property
    def _description(self) -> Description:
        return self.description()

    @cached_property
    def _fixed(self) -> tuple[int | None, int | None]:
        """Batch and frames, where the model was exported for so many alone."""
        shapes = [facts.shape or () for facts in self.signatures()[names.DEFAULT].inputs.values()]
        known = [[shape[axis] for shape in shapes if len(shape) > axis and shape[axis] > 0] for axis in (0, 1)]
        return known[0][0] if known[0] else None, known[1][0] if known[1] else None

    @property
    def frames(self) -> int | None:
        """Frames of a window, where the model was exported for so many alone; None for any number."""
        return self._fixed[1]

    @property
    def max_frames(self) -> int:
        """Frames of the longest clip that the model answers; asked for once."""
        return self._description.max_frames

    @property
    def class_names(self) -> tuple[str, ...]:
        """In the order of the logits; asked for once."""
        return self._description.class_names

    @property
    def preparation(self) -> Preparation:
        """The frames that the model wants; asked for once."""
        return self._description.preparation

    @property
    def activation(self) -> str:
        """What makes probabilities of logits; asked for once."""
        return self._description.activation

    def logits(self, window: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the float32 logits, (classes,), of one clip.

        Args:
            window: By modality, arrays of shape (time, height, width, channels): uint8 ``rgb``, float32 ``flow``.

        Raises:
            ServerError: There is no answer, or the server refuses the clip.
        """
        batch = self._fixed[0] or 1
        logits = self.predict(prediction.batches(window, batch))[names.LOGITS]
        if logits.shape != (batch, len(self.class_names)):
            raise ServerError(
                f"{self.address}: the model {self._model.name!r} answers with logits of shape {logits.shape}, but told "
                f"of {len(self.class_names)} classes; did it change meanwhile? Connect anew",
                "ABORTED",
            )
        return logits[0]

    def predict_video(self, video: str | os.PathLike, *, top: int = TOP) -> Prediction:
        """Name the action in a video file.

        Args:
            video: Video file of any format that FFmpeg reads.
            top: How many classes to return, at least 1.

        Raises:
            VideoError: The file cannot be decoded.
            ServerError: There is no answer.
            ValueError: `top` is less than 1.
        """
        prediction.check_top(top)
        return prediction.predict_with(self, video, model=self.asked_as, top=top)

    def predict_videos(
        self, videos: Sequence[str | os.PathLike], *, in_flight: int = IN_FLIGHT, top: int = TOP
    ) -> Iterator[Prediction | Failure]:
        """Name the actions in several video files, several of them decoded and asked about at once.

        Args:
            videos: Video files of any format that FFmpeg reads.
            in_flight: How many at once, at least 1; each takes the memory of a few windows (250 frames of 256x341 are
                66 MB).
            top: How many classes to return, at least 1.

        Yields:
            For each video, in their order, the answer or why there is none; one that fails does not stop the others.

        Raises:
            ServerError: The server does not answer at all, or has no such model.
            ValueError: An option is out of range.
        """
        prediction.check_top(top)
        self.check()
        yield from prediction.predict_each(self, videos, model=self.asked_as, top=top, in_flight=in_flight)

    def _ask(self, ask: Callable[[], Result]) -> Result:
        try:
            return served.repeated(ask, self._attempts)
        except ServerError as error:
            if error.code != "NOT_FOUND":
                raise
            raise ServerError(f"{self.address}: {self._absence(error)}", error.code) from error

    def _absence(self, error: ServerError) -> str:
        """Return why the server has no such model or version, by what it says of its versions."""
        name, wanted = self._model.name, self._model.version
        try:
            versions: list[Any] = self._transport.status(Asked(name))
        except ServerError:
            versions = []
        if not versions:
            return (
                f"has no model named {name!r}; the name is what the server was started with as --model_name, or has in "
                f"its models.config: give it by name (--name). The server says: {str(error).partition(': ')[2]}"
            )
        states = ", ".join(f"{one.version} is {one.state} {one.error}".rstrip() for one in versions)
        which = "no version that answers yet" if wanted is None else f"no version {wanted} that answers"
        return f"has {which} of the model {name!r}: version {states}"
