"""A SavedModel loaded through TensorFlow's C API, by the loader that TensorFlow Serving uses; no Python of TensorFlow.

The shared libraries are those of the installed wheel. Only the names of signatures are read by a message of ours.
"""

from __future__ import annotations

import ctypes
import importlib.util
import math
from collections.abc import Mapping
from ctypes import POINTER, Structure, c_char_p, c_int, c_int64, c_size_t, c_void_p
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from keras_i3d.serving import tensors
from keras_i3d.serving.messages import MetaGraphDef

SERVE = b"serve"  # the tag of graphs that answer
CODES = ("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS")
CODES += ("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE")
CODES += ("UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED")
STRING_BYTES = 24  # of TF_TString
DTYPES = {number: np.dtype(tensors.type_name(number)) for number in (1, 2, 3, 4, 5, 6, 9, 10, 17, 19, 22, 23)}


class TensorFlowError(Exception):
    """What TensorFlow says of a model or a request.

    Attributes:
        code: Name of its status code, such as ``"INVALID_ARGUMENT"``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


@dataclass(frozen=True)
class Tensor:
    """A tensor of a signature: its name in the graph, TensorFlow's number of its type, its shape (None: no rank)."""

    name: str
    dtype: int
    shape: tuple[int, ...] | None


@dataclass(frozen=True)
class Signature:
    """Inputs and outputs by the names that a client uses."""

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


class SavedModel:
    """A loaded SavedModel; may be run from several threads at once."""

    def __init__(self, folder: Path | str) -> None:
        """Load a version's folder.

        Raises:
            TensorFlowError: It cannot be loaded.
        """
        self._library = library = _library()
        self._graph = library.TF_NewGraph()
        options, meta = library.TF_NewSessionOptions(), library.TF_NewBuffer()
        try:
            with _Status(library) as status:
                self._session = library.TF_LoadSessionFromSavedModel(
                    options, None, str(folder).encode(), (c_char_p * 1)(SERVE), 1, self._graph, meta, status
                )
            self.meta_graph = MetaGraphDef.FromString(ctypes.string_at(meta.contents.data, meta.contents.length))
        finally:
            library.TF_DeleteBuffer(meta)
            library.TF_DeleteSessionOptions(options)
        self.signatures = {
            name: Signature(_tensors(definition.inputs), _tensors(definition.outputs))
            for name, definition in self.meta_graph.signature_def.items()
            if not name.startswith("__")
        }

    def run(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run a signature.

        Args:
            signature: Its name.
            inputs: Numbers, or arrays of objects that are ``bytes``, by name.

        Returns:
            All outputs, by name; strings as objects that are ``bytes``.

        Raises:
            TensorFlowError: TensorFlow refuses the inputs, or fails.
            KeyError: There is no such signature or input.
        """
        library, known = self._library, self.signatures[signature]
        outputs = list(known.outputs)
        fed = [self._output(known.inputs[name]) for name in inputs]
        fetched = [self._output(known.outputs[name]) for name in outputs]
        given = [_to_tensor(library, np.asarray(array)) for array in inputs.values()]
        results = (c_void_p * len(outputs))()
        try:
            with _Status(library) as status:
                library.TF_SessionRun(
                    *(self._session, None),
                    *((_Output * len(fed))(*fed), (c_void_p * len(given))(*given), len(fed)),
                    *((_Output * len(fetched))(*fetched), results, len(fetched)),
                    *(None, 0, None, status),
                )
            return {name: _to_array(library, tensor) for name, tensor in zip(outputs, results, strict=True)}
        finally:
            for tensor in given:
                _free_strings(library, tensor)
            for tensor in [*given, *(tensor for tensor in results if tensor)]:
                library.TF_DeleteTensor(tensor)

    def close(self) -> None:
        """Free the model."""
        for function in (self._library.TF_CloseSession, self._library.TF_DeleteSession):
            with _Status(self._library) as status:
                function(self._session, status)
        self._library.TF_DeleteGraph(self._graph)

    def _output(self, tensor: Tensor) -> _Output:
        name, _, index = tensor.name.partition(":")
        operation = self._library.TF_GraphOperationByName(self._graph, name.encode())
        assert operation, f"no operation {name} in the graph"
        return _Output(operation, int(index or 0))


class _Output(Structure):
    _fields_ = (("operation", c_void_p), ("index", c_int))


class _Buffer(Structure):
    _fields_ = (("data", c_void_p), ("length", c_size_t), ("deallocator", c_void_p))


class _Status:
    """A status that raises what is wrong at the end of its block."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library

    def __enter__(self) -> int:
        self._status = self._library.TF_NewStatus()
        return self._status

    def __exit__(self, *exception: object) -> None:
        code, text = self._library.TF_GetCode(self._status), self._library.TF_Message(self._status)
        self._library.TF_DeleteStatus(self._status)
        if code:
            raise TensorFlowError(CODES[code], text.decode(errors="replace"))


_FUNCTIONS = {
    "TF_NewStatus": (c_void_p, []),
    "TF_DeleteStatus": (None, [c_void_p]),
    "TF_GetCode": (c_int, [c_void_p]),
    "TF_Message": (c_char_p, [c_void_p]),
    "TF_Version": (c_char_p, []),
    "TF_NewGraph": (c_void_p, []),
    "TF_DeleteGraph": (None, [c_void_p]),
    "TF_NewBuffer": (POINTER(_Buffer), []),
    "TF_DeleteBuffer": (None, [POINTER(_Buffer)]),
    "TF_NewSessionOptions": (c_void_p, []),
    "TF_DeleteSessionOptions": (None, [c_void_p]),
    "TF_LoadSessionFromSavedModel": (
        c_void_p,
        [c_void_p, c_void_p, c_char_p, POINTER(c_char_p), c_int, c_void_p, POINTER(_Buffer), c_void_p],
    ),
    "TF_CloseSession": (None, [c_void_p, c_void_p]),
    "TF_DeleteSession": (None, [c_void_p, c_void_p]),
    "TF_GraphOperationByName": (c_void_p, [c_void_p, c_char_p]),
    "TF_SessionRun": (
        None,
        [
            *(c_void_p, c_void_p, POINTER(_Output), POINTER(c_void_p), c_int),
            *(POINTER(_Output), POINTER(c_void_p), c_int, c_void_p, c_int, c_void_p, c_void_p),
        ],
    ),
    "TF_AllocateTensor": (c_void_p, [c_int, POINTER(c_int64), c_int, c_size_t]),
    "TF_DeleteTensor": (None, [c_void_p]),
    "TF_TensorType": (c_int, [c_void_p]),
    "TF_NumDims": (c_int, [c_void_p]),
    "TF_Dim": (c_int64, [c_void_p, c_int]),
    "TF_TensorData": (c_void_p, [c_void_p]),
    "TF_TensorByteSize": (c_size_t, [c_void_p]),
    "TF_StringInit": (None, [c_void_p]),
    "TF_StringCopy": (None, [c_void_p, c_char_p, c_size_t]),
    "TF_StringGetDataPointer": (c_void_p, [c_void_p]),
    "TF_StringGetSize": (c_size_t, [c_void_p]),
    "TF_StringDealloc": (None, [c_void_p]),
}


@cache
def _library() -> ctypes.CDLL:
    folder, *_ = importlib.util.find_spec("tensorflow").submodule_search_locations  # found, not imported
    ctypes.CDLL(f"{folder}/libtensorflow_framework.so.2", ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(f"{folder}/libtensorflow_cc.so.2", ctypes.RTLD_GLOBAL)
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def version() -> str:
    """Return the version of the loaded TensorFlow."""
    return _library().TF_Version().decode()


def _tensors(infos: Mapping[str, object]) -> dict[str, Tensor]:
    return {
        name: Tensor(
            info.name,
            info.dtype,
            None if info.tensor_shape.unknown_rank else tuple(dim.size for dim in info.tensor_shape.dim),
        )
        for name, info in infos.items()
    }


def _to_tensor(library: ctypes.CDLL, array: np.ndarray) -> int:
    number = tensors.type_number(array)
    is_string = number == tensors.STRING
    size = array.size * STRING_BYTES if is_string else array.nbytes
    tensor = library.TF_AllocateTensor(number, (c_int64 * array.ndim)(*array.shape), array.ndim, size)
    data = library.TF_TensorData(tensor)
    if not is_string:
        ctypes.memmove(data, np.ascontiguousarray(array).ctypes.data, size)
        return tensor
    for index, value in enumerate(array.flat):
        content = value.encode() if isinstance(value, str) else value
        library.TF_StringInit(data + index * STRING_BYTES)
        library.TF_StringCopy(data + index * STRING_BYTES, content, len(content))
    return tensor


def _free_strings(library: ctypes.CDLL, tensor: int) -> None:
    if library.TF_TensorType(tensor) == tensors.STRING:
        for index in range(library.TF_TensorByteSize(tensor) // STRING_BYTES):
            library.TF_StringDealloc(library.TF_TensorData(tensor) + index * STRING_BYTES)


def _to_array(library: ctypes.CDLL, tensor: int) -> np.ndarray:
    shape = [library.TF_Dim(tensor, axis) for axis in range(library.TF_NumDims(tensor))]
    count, data = math.prod(shape), library.TF_TensorData(tensor)
    if library.TF_TensorType(tensor) != tensors.STRING:
        content = ctypes.string_at(data, library.TF_TensorByteSize(tensor)) if count else b""
        return np.frombuffer(content, DTYPES[library.TF_TensorType(tensor)]).reshape(shape)
    array = np.empty(count, object)
    for index in range(count):
        place = data + index * STRING_BYTES
        array[index] = ctypes.string_at(library.TF_StringGetDataPointer(place), library.TF_StringGetSize(place))
    return array.reshape(shape)
