"""Ask TensorFlow Serving over REST: JSON over HTTP, in the form of named columns."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_i3d.errors import ServerError, first_line
from keras_i3d.extras import import_extra
from keras_i3d.serving import names, pictures, served, tensors
from keras_i3d.serving.served import Asked, Signature, TensorFacts, VersionStatus

CONNECT_S = 10.0  # seconds after which a host that does not even take the connection is none
GATEWAY_TIMEOUT = 504
_CODES = {  # of HTTP, as the names of gRPC's that TensorFlow Serving answers with them
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    412: "FAILED_PRECONDITION",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class RestTransport:
    """Connections to a server; may be used from several threads at once.

    Args:
        address: ``http://host:port`` or ``https://``, with a path where a proxy wants one.
        timeout_s: Seconds that the server may be silent.

    Raises:
        MissingDependency: requests is not installed.
    """

    def __init__(self, address: str, timeout_s: float) -> None:
        self._requests = import_extra("requests")
        self.address, self._timeout_s = address.rstrip("/"), timeout_s
        self._known: dict[Asked, dict[str, Signature]] = {}
        self._session = self._requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, self._requests.adapters.HTTPAdapter(pool_maxsize=64))

    def predict(self, model: Asked, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run a signature once.

        Raw RGB goes as PNGs to the signature ``frames`` where the model has it, whose answer is the same: as numbers
        in JSON it would be twelve times as large, and take twenty times as long to write.

        Args:
            model: What is asked.
            signature: Its name.
            inputs: By name; numbers but for RGB take several times their size.

        Raises:
            ServerError: There is no answer, or an error.
            ValueError: An input has a type that cannot be sent.
        """
        known = self._known.get(model) or self._known.setdefault(model, self.signatures(model))
        if signature == names.DEFAULT and _can_be_pictures(inputs.get("rgb"), known):
            signature, inputs = names.FRAMES, _as_pictures(inputs)
        outputs = known[signature].outputs if signature in known else {}  # JSON does not tell types
        columns = {name: tensors.to_json(array) for name, array in inputs.items()}
        answer = self._ask(f"{_path(model)}:predict", {"signature_name": signature, "inputs": columns})

        def read() -> dict[str, np.ndarray]:
            given = answer["outputs"]
            given = dict.fromkeys(outputs, given) if len(outputs) == 1 else given  # of one alone no name is told
            return {name: tensors.from_json(given[name], facts.dtype) for name, facts in outputs.items()}

        return self._read(read)

    def status(self, model: Asked) -> list[VersionStatus]:
        """Return the versions that the server has or had.

        Raises:
            ServerError: There is no answer, or an error.
        """
        answer = self._ask(_path(model))
        return self._read(
            lambda: [
                VersionStatus(int(one["version"]), one["state"], one.get("status", {}).get("error_message", ""))
                for one in answer["model_version_status"]
            ]
        )

    def signatures(self, model: Asked) -> dict[str, Signature]:
        """Return the signatures by name.

        Raises:
            ServerError: There is no answer, or an error.
        """
        answer = self._ask(f"{_path(model)}/metadata")
        return self._read(
            lambda: {
                name: Signature(_facts(definition["inputs"]), _facts(definition["outputs"]))
                for name, definition in answer["metadata"]["signature_def"]["signature_def"].items()
            }
        )

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _ask(self, path: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask once: POST where there is content."""
        errors = self._requests.exceptions
        body = None if content is None else json.dumps(content, separators=(",", ":")).encode()
        try:
            response = self._session.request(
                *("GET" if body is None else "POST", f"{self.address}{path}"),
                data=body,
                headers={} if body is None else {"Content-Type": "application/json"},
                timeout=(min(CONNECT_S, self._timeout_s), self._timeout_s),
                allow_redirects=False,
            )
        except errors.ReadTimeout as error:
            raise served.too_late(self.address, self._timeout_s) from error
        except errors.SSLError as error:
            raise ServerError(f"{self.address}: {first_line(error)}", "UNAUTHENTICATED") from error
        except errors.RequestException as error:
            raise served.unreachable(self.address, _innermost(error)) from error
        if response.status_code != self._requests.codes.ok:
            raise self._refusal(response)
        return self._read(response.json)

    def _refusal(self, response: Any) -> ServerError:
        code = _CODES.get(response.status_code, "UNKNOWN")
        try:
            text = str(response.json()["error"])
            is_its_own = True
        except (ValueError, TypeError, KeyError):
            text = f"HTTP status {response.status_code} {response.reason}, not from TensorFlow Serving itself"
            is_its_own = False
            if response.status_code == GATEWAY_TIMEOUT:
                code = "UNAVAILABLE"  # a gateway found no server behind it
        if code == "DEADLINE_EXCEEDED":
            text += "; it is the server that gave up, after its --rest_api_timeout_in_ms (30,000 by default)"
        if code == "UNAVAILABLE" and not is_its_own:
            return served.unreachable(self.address, text)
        return served.refused(self.address, text, code)

    def _read(self, read: Any) -> Any:
        try:
            return read()
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise served.unreadable(self.address, f"{type(error).__name__}: {first_line(error)}") from error


def _can_be_pictures(rgb: np.ndarray | None, known: Mapping[str, Signature]) -> bool:
    is_whole = rgb is not None and rgb.dtype == np.uint8 and rgb.ndim == 5 and rgb.shape[-1] == 3 and rgb.size > 0
    return is_whole and names.FRAMES in known and names.RGB_BYTES in known[names.FRAMES].inputs


def _as_pictures(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    others = {name: array for name, array in inputs.items() if name != "rgb"}
    return {names.RGB_BYTES: pictures.to_png(inputs["rgb"]), **others}


def _path(model: Asked) -> str:
    version = "" if model.version is None else f"/versions/{model.version}"
    return f"/v1/models/{urllib.parse.quote(model.name, safe='')}{version}"


def _facts(infos: Mapping[str, Any]) -> dict[str, TensorFacts]:
    return {
        name: TensorFacts(
            tensors.number_of_name(info["dtype"]),
            None
            if info["tensor_shape"].get("unknown_rank")
            else tuple(int(dim["size"]) for dim in info["tensor_shape"].get("dim", ())),
        )
        for name, info in infos.items()
    }


def _innermost(error: BaseException) -> str:
    """Return what the network said, below the layers that handed it on."""
    reason: Any = error
    while (inner := getattr(reason, "reason", None) or next(iter(getattr(reason, "args", ())), None)) is not None:
        if not isinstance(inner, BaseException):
            break
        reason = inner
    return getattr(reason, "strerror", None) or first_line(reason)
