"""Ask TensorFlow Serving over gRPC, by messages of our own declaration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from keras_i3d.errors import ServerError, first_line
from keras_i3d.extras import import_extra
from keras_i3d.serving import messages, served, tensors
from keras_i3d.serving.served import Asked, Signature, TensorFacts, VersionStatus

# a clip of 64x256x341 is 16.8 MB, and gRPC's own limit 4 MB
_NO_LIMITS = (("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1))
# what gRPC itself says where there is no connection; a server that has too much to do says something else
_OF_THE_CHANNEL = re.compile(r"connect|socket|resol|reset|closed|handshake|preface|Stream removed", re.IGNORECASE)
_SIGNATURES = "signature_def"  # the one kind of metadata that there is


class GrpcTransport:
    """A channel to a server; may be used from several threads at once.

    Args:
        address: ``host:port``.
        timeout_s: Seconds that an answer may take.

    Raises:
        MissingDependency: grpcio is not installed.
    """

    def __init__(self, address: str, timeout_s: float) -> None:
        self._grpc = import_extra("grpc")
        self.address, self._timeout_s = address, timeout_s
        self._channel = self._grpc.insecure_channel(address, options=_NO_LIMITS)

    def predict(self, model: Asked, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run a signature once.

        Args:
            model: What is asked.
            signature: Its name.
            inputs: By name.

        Raises:
            ServerError: There is no answer, or an error.
            ValueError: An input has a type that cannot be sent.
        """
        request = messages.PredictRequest(model_spec=_spec(model, signature))
        for name, array in inputs.items():
            request.inputs[name].CopyFrom(tensors.to_proto(array))
        answer = self._ask(messages.PREDICT, request, messages.PredictResponse)
        return self._read(lambda: {name: tensors.from_proto(tensor) for name, tensor in answer.outputs.items()})

    def status(self, model: Asked) -> list[VersionStatus]:
        """Return the versions that the server has or had.

        Raises:
            ServerError: There is no answer, or an error.
        """
        request = messages.GetModelStatusRequest(model_spec=_spec(model))
        answer = self._ask(messages.GET_MODEL_STATUS, request, messages.GetModelStatusResponse)
        return [
            VersionStatus(one.version, messages.STATES.get(one.state, "UNKNOWN"), one.status.error_message)
            for one in answer.model_version_status
        ]

    def signatures(self, model: Asked) -> dict[str, Signature]:
        """Return the signatures by name.

        Raises:
            ServerError: There is no answer, or an error.
        """
        request = messages.GetModelMetadataRequest(model_spec=_spec(model), metadata_field=[_SIGNATURES])
        answer = self._ask(messages.GET_MODEL_METADATA, request, messages.GetModelMetadataResponse)
        packed = answer.metadata[_SIGNATURES].value
        definitions = self._read(lambda: messages.SignatureDefMap.FromString(packed)).signature_def
        return {
            name: Signature(_facts(definition.inputs), _facts(definition.outputs))
            for name, definition in definitions.items()
        }

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def _ask(self, method: str, request: Any, response: type) -> Any:
        try:
            call = self._channel.unary_unary(method, request.SerializeToString, response.FromString)
            return call(request, timeout=self._timeout_s)
        except self._grpc.RpcError as error:
            raise self._explained(error) from error
        except ValueError as error:  # of a closed channel
            raise ServerError(f"{self.address}: {first_line(error)}", "CANCELLED") from error

    def _explained(self, error: Any) -> ServerError:
        codes = self._grpc.StatusCode
        if error.code() == codes.DEADLINE_EXCEEDED:
            return served.too_late(self.address, self._timeout_s)
        if error.code() == codes.UNAVAILABLE and _OF_THE_CHANNEL.search(error.details() or ""):
            return served.unreachable(self.address, error.details())
        return served.refused(self.address, error.details() or "", error.code().name)

    def _read(self, read: Any) -> Any:
        try:
            return read()
        except (ValueError, DecodeError) as error:
            raise served.unreadable(self.address, first_line(error)) from error


def _spec(model: Asked, signature: str = "") -> Any:
    return messages.model_spec(model.name, version=model.version, signature=signature)


def _facts(infos: Mapping[str, Any]) -> dict[str, TensorFacts]:
    return {
        name: TensorFacts(
            info.dtype,
            None if info.tensor_shape.unknown_rank else tuple(dim.size for dim in info.tensor_shape.dim),
        )
        for name, info in infos.items()
    }
