"""A test double of TensorFlow Serving's protocol, not the server, which no package index has.

It speaks the gRPC PredictionService (Predict, GetModelMetadata), the ModelService (GetModelStatus) and the REST form,
on loopback, from a process of its own, on top of TensorFlow's C API (`c_api`), the loader that the server uses. As the
server it takes the highest number of a model's folder, also one that appears later, checks the names of inputs against
the signature, and leaves ranks to the graph.

    python serving_double.py i3d=/path/of/served [other=/path ...]

prints its ports and process as a line of JSON, and ends when its standard input does.
"""

from __future__ import annotations

import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import c_api
import numpy as np
from c_api import SavedModel, TensorFlowError

from keras_i3d.serving import messages, tensors

THREADS = 8
HTTP_STATUS = {"INVALID_ARGUMENT": 400, "OUT_OF_RANGE": 400, "NOT_FOUND": 404, "FAILED_PRECONDITION": 412}
HTTP_STATUS |= {"RESOURCE_EXHAUSTED": 429, "UNIMPLEMENTED": 501, "UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504}
ROUTE = re.compile(r"/v1/models/(?P<name>[^/:]+)(/versions/(?P<version>\d+))?(?P<what>/metadata|:predict)?")


@dataclass(frozen=True)
class Served:
    """A double that runs.

    Attributes:
        grpc: Its address for gRPC, ``host:port``.
        rest: Its address for REST, ``http://host:port``.
        process: Its number.
    """

    grpc: str
    rest: str
    process: int


@contextmanager
def serve(models: Mapping[str, Path]) -> Iterator[Served]:
    """Run a double of these models, by name their folders of versions, while the block runs."""
    here = Path(__file__).parent
    paths = [str(here), str(here.parents[1]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    command = [sys.executable, __file__, *(f"{name}={folder}" for name, folder in models.items())]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "TF_CPP_MIN_LOG_LEVEL": "3"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        try:
            ports = json.loads(process.stdout.readline())
            yield Served(f"127.0.0.1:{ports['grpc']}", f"http://127.0.0.1:{ports['rest']}", process.pid)
        finally:
            process.stdin.close()
            process.stdout.close()


class Models:
    """The models of a double."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = folders
        self._lock = threading.Lock()
        self._loaded: dict[str, tuple[int, SavedModel]] = {}
        for name in folders:
            self.find(name)

    def find(self, name: str, version: int | None = None) -> tuple[int, SavedModel]:
        """Return a model and its version, of its highest number, which alone is there."""
        wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
        with self._lock:
            if name not in self._folders:
                raise TensorFlowError("NOT_FOUND", f"Servable not found for request: {wanted}")
            newest = max(int(path.name) for path in self._folders[name].iterdir() if path.name.isdigit())
            if name not in self._loaded or self._loaded[name][0] != newest:
                self._loaded[name] = (newest, SavedModel(self._folders[name] / str(newest)))
            found = self._loaded[name]
        if version not in (None, found[0]):
            raise TensorFlowError("NOT_FOUND", f"Servable not found for request: {wanted}")
        return found

    def versions(self, name: str, version: int | None) -> list[int]:
        """Return the versions of a model that are there."""
        try:
            return [self.find(name, version)[0]]
        except TensorFlowError as error:
            wanted = f"model {name}" if version is None else f"model {name} with version {version}"
            raise TensorFlowError("NOT_FOUND", f"Could not find any versions of {wanted}") from error


def run_checked(model: SavedModel, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Run a signature behind the checks that the server does itself."""
    check_signature(model, signature)
    wanted, given = set(model.signatures[signature].inputs), set(inputs)
    if wanted != given:
        raise TensorFlowError(
            "INVALID_ARGUMENT",
            f"input size does not match signature: {len(given)}!={len(wanted)} len({{{','.join(sorted(given))}}}) != "
            f"len({{{','.join(sorted(wanted))}}}). Sent extra: {{{','.join(sorted(given - wanted))}}}. "
            f"Missing but required: {{{','.join(sorted(wanted - given))}}}.",
        )
    return model.run(signature, inputs)


def check_signature(model: SavedModel, signature: str) -> None:
    if signature not in model.signatures:
        raise TensorFlowError("FAILED_PRECONDITION", f'Serving signature key "{signature}" not found.')


# --- gRPC


def predict_over_grpc(models: Models, request: Any) -> Any:
    spec = request.model_spec
    version, model = models.find(*_wanted(spec))
    try:
        inputs = {name: tensors.from_proto(tensor) for name, tensor in request.inputs.items()}
    except ValueError as error:
        raise TensorFlowError("INVALID_ARGUMENT", f"tensor parsing error: {error}") from error
    signature = spec.signature_name or "serving_default"
    outputs = run_checked(model, signature, inputs)
    answer = messages.PredictResponse(model_spec=messages.model_spec(spec.name, version=version, signature=signature))
    for name in request.output_filter or outputs:
        answer.outputs[name].CopyFrom(tensors.to_proto(outputs[name]))
    return answer


def metadata_over_grpc(models: Models, request: Any) -> Any:
    version, model = models.find(*_wanted(request.model_spec))
    answer = messages.GetModelMetadataResponse(model_spec=messages.model_spec(request.model_spec.name, version=version))
    answer.metadata["signature_def"].Pack(
        messages.SignatureDefMap(signature_def=dict(model.meta_graph.signature_def.items()))
    )
    return answer


def status_over_grpc(models: Models, request: Any) -> Any:
    answer = messages.GetModelStatusResponse()
    for version in models.versions(*_wanted(request.model_spec)):
        answer.model_version_status.add(version=version, state=30)
    return answer


def _wanted(spec: Any) -> tuple[str, int | None]:
    return spec.name, spec.version.value if spec.HasField("version") else None


GRPC = {
    messages.PREDICT: (predict_over_grpc, messages.PredictRequest),
    messages.GET_MODEL_METADATA: (metadata_over_grpc, messages.GetModelMetadataRequest),
    messages.GET_MODEL_STATUS: (status_over_grpc, messages.GetModelStatusRequest),
}


def grpc_server(models: Models) -> tuple[Any, int]:
    """Return a started gRPC server and its port."""
    import grpc

    def handler(answer: Callable[[Models, Any], Any], request: type) -> Any:
        def behave(content: Any, context: Any) -> Any:
            try:
                return answer(models, content)
            except TensorFlowError as error:
                context.abort(grpc.StatusCode[error.code], error.message)

        return grpc.unary_unary_rpc_method_handler(behave, request.FromString, lambda found: found.SerializeToString())

    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(THREADS), options=options)
    for path, (answer, request) in GRPC.items():
        _, service, method = path.split("/")
        handlers = {method: handler(answer, request)}
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, handlers)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


# --- REST


def predict_over_rest(model: SavedModel, content: bytes) -> dict[str, Any]:
    try:
        body = json.loads(content)
    except ValueError as error:
        raise TensorFlowError("INVALID_ARGUMENT", f"JSON Parse error: {error}") from error
    if not isinstance(body, dict) or ("inputs" in body) == ("instances" in body):
        raise TensorFlowError(
            "INVALID_ARGUMENT", "JSON must be an object with one of the keys 'inputs' and 'instances'"
        )
    signature = body.get("signature_name", "serving_default")
    check_signature(model, signature)
    known = model.signatures[signature].inputs
    columns = body["inputs"] if "inputs" in body else _columns(body["instances"], known)
    if len(known) == 1 and (not isinstance(columns, dict) or set(columns) == {"b64"}):
        columns = dict.fromkeys(known, columns)
    try:
        inputs = {
            name: _from_json(value, known[name].dtype) if name in known else np.zeros(0)
            for name, value in dict(columns).items()
        }
    except ValueError as error:
        raise TensorFlowError(
            "INVALID_ARGUMENT", f"JSON Value is not of the expected type or shape: {error}"
        ) from error
    outputs = run_checked(model, signature, inputs)
    if "inputs" in body:
        found = {name: _in_json(name, array) for name, array in outputs.items()}
        return {"outputs": found if len(found) > 1 else next(iter(found.values()))}
    rows = [
        {name: _in_json(name, array[index]) for name, array in outputs.items()}
        for index in range(len(next(iter(outputs.values()))))
    ]
    return {"predictions": rows if len(outputs) > 1 else [next(iter(row.values())) for row in rows]}


def _from_json(value: Any, dtype: int) -> np.ndarray:
    """Return values as array; the server takes no 1.0 for a whole number."""
    if dtype in c_api.DTYPES and c_api.DTYPES[dtype].kind in "iu" and _has_fraction(value):
        raise ValueError(f"Type: Number is not of expected type: {tensors.type_name(dtype)}")
    return tensors.from_json(value, dtype)


def _has_fraction(value: Any) -> bool:
    return any(map(_has_fraction, value)) if isinstance(value, list) else isinstance(value, float)


def _columns(rows: Any, known: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(rows, list) or not rows:
        raise TensorFlowError("INVALID_ARGUMENT", "Request data format error: 'instances' is no list, or an empty one")
    if all(isinstance(row, dict) and set(row) == set(known) for row in rows):
        return {name: [row[name] for row in rows] for name in known}
    return dict.fromkeys(list(known)[:1], rows)


def _in_json(name: str, array: Any) -> Any:
    """Return values as the server writes them: strings as text, but for outputs whose names end in `_bytes`."""
    array = np.asarray(array, None if isinstance(array, np.ndarray) else object)
    if array.dtype != object:
        return array.tolist()
    if name.endswith("_bytes"):
        return tensors.to_json(array)
    texts = np.empty(array.shape, object)
    for index, one in np.ndenumerate(array):
        texts[index] = one.decode()
    return texts.tolist()


def metadata_over_rest(name: str, version: int, model: SavedModel) -> dict[str, Any]:
    def info(tensor: c_api.Tensor) -> dict[str, Any]:
        dims = [{"size": str(size), "name": ""} for size in tensor.shape or ()]
        shape = {"dim": dims, "unknown_rank": tensor.shape is None}
        return {"dtype": tensors.enumeration_name(tensor.dtype), "tensor_shape": shape, "name": tensor.name}

    definitions = {
        key: {
            "inputs": {name: info(tensor) for name, tensor in signature.inputs.items()},
            "outputs": {name: info(tensor) for name, tensor in signature.outputs.items()},
            "method_name": "tensorflow/serving/predict",
        }
        for key, signature in model.signatures.items()
    }
    spec = {"name": name, "signature_name": "", "version": str(version)}
    return {"model_spec": spec, "metadata": {"signature_def": {"signature_def": definitions}}}


def rest_answer(models: Models, method: str, path: str, content: bytes) -> dict[str, Any]:
    route = ROUTE.fullmatch(path)
    if route is None or (method == "POST") != (route["what"] == ":predict"):
        raise TensorFlowError("INVALID_ARGUMENT", f"Malformed request: {method} {path}")
    name, wanted = route["name"], None if route["version"] is None else int(route["version"])
    if route["what"] is None:
        fine = {"error_code": "OK", "error_message": ""}
        rows = [{"version": str(one), "state": "AVAILABLE", "status": fine} for one in models.versions(name, wanted)]
        return {"model_version_status": rows}
    version, model = models.find(name, wanted)
    return predict_over_rest(model, content) if method == "POST" else metadata_over_rest(name, version, model)


def rest_server(models: Models) -> tuple[http.server.ThreadingHTTPServer, int]:
    """Return a started HTTP server and its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.answer(b"")

        def do_POST(self) -> None:
            self.answer(self.rfile.read(int(self.headers["Content-Length"])))

        def answer(self, content: bytes) -> None:
            try:
                status, found = 200, rest_answer(models, self.command, self.path, content)
            except TensorFlowError as error:
                status, found = HTTP_STATUS.get(error.code, 500), {"error": error.message}
            body = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        request_queue_size = 128

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Say nothing of clients that went away."""

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, server.server_port


def main() -> None:
    folders = dict(argument.split("=", 1) for argument in sys.argv[1:])
    models = Models({name: Path(folder) for name, folder in folders.items()})
    over_grpc, grpc_port = grpc_server(models)
    over_rest, rest_port = rest_server(models)
    sys.stdout.write(json.dumps({"grpc": grpc_port, "rest": rest_port}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    over_rest.shutdown()
    over_grpc.stop(None)
    os._exit(0)  # TensorFlow's threads are not waited for


if __name__ == "__main__":
    main()
