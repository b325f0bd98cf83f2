"""Arrays into the tensors of TensorFlow Serving's two transports, and back: TensorProto for gRPC, JSON for REST.

Numbers travel as ``tensor_content`` (little-endian, as numpy lays them out), strings as ``string_val``. Read is every
form that TensorFlow writes: also ``float_val`` and its like, whose last value stands for all that follow.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_i3d.serving.messages import TensorProto, TensorShapeProto

# TensorFlow's number of a type -> (its name, numpy's, field of its values where they are not the tensor's content)
_TYPES = {
    1: ("DT_FLOAT", "float32", "float_val"),
    2: ("DT_DOUBLE", "float64", "double_val"),
    3: ("DT_INT32", "int32", "int_val"),
    4: ("DT_UINT8", "uint8", "int_val"),
    5: ("DT_INT16", "int16", "int_val"),
    6: ("DT_INT8", "int8", "int_val"),
    7: ("DT_STRING", "object", "string_val"),
    9: ("DT_INT64", "int64", "int64_val"),
    10: ("DT_BOOL", "bool", "bool_val"),
    14: ("DT_BFLOAT16", "bfloat16", "half_val"),
    17: ("DT_UINT16", "uint16", "int_val"),
    19: ("DT_HALF", "float16", "half_val"),
    22: ("DT_UINT32", "uint32", "uint32_val"),
    23: ("DT_UINT64", "uint64", "uint64_val"),
}
STRING, BFLOAT16 = 7, 14
_ENUMERATION = {name: number for number, (name, _, _) in _TYPES.items()}
_NUMBERS = {name: number for number, (_, name, _) in _TYPES.items() if number != BFLOAT16}


def type_name(number: int) -> str:
    """Return what a type of TensorFlow is called here: numpy's name, ``"string"``, ``"bfloat16"``.

    Args:
        number: Of the enumeration ``tensorflow.DataType``.
    """
    if number == STRING:
        return "string"
    return _TYPES[number][1] if number in _TYPES else f"type {number}"


def enumeration_name(number: int) -> str:
    """Return what TensorFlow itself calls a type, such as ``"DT_FLOAT"``."""
    return _TYPES[number][0] if number in _TYPES else "DT_INVALID"


def number_of_name(name: str) -> int:
    """Return TensorFlow's number of a type that JSON names, such as ``"DT_FLOAT"``; 0 for one not known here."""
    return _ENUMERATION.get(name, 0)


def type_number(array: np.ndarray) -> int:
    """Return TensorFlow's number of an array's type; texts, bytes and objects are strings.

    Raises:
        ValueError: TensorFlow Serving has no such type.
    """
    if array.dtype.kind in "SUO":
        return STRING
    if array.dtype.name not in _NUMBERS:
        raise ValueError(f"an array of {array.dtype} cannot be sent; known: {', '.join(_NUMBERS)} and strings")
    return _NUMBERS[array.dtype.name]


def to_proto(array: Any) -> TensorProto:
    """Return an array as TensorProto.

    Args:
        array: Of any shape; numbers, or strings as ``bytes`` or ``str`` (sent as UTF-8).

    Raises:
        ValueError: TensorFlow Serving has no such type.
    """
    array = _as_array(array)
    number = type_number(array)
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in array.shape])
    if number == STRING:
        return TensorProto(dtype=number, tensor_shape=shape, string_val=[_bytes(one) for one in array.flat])
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return TensorProto(dtype=number, tensor_shape=shape, tensor_content=little.tobytes())


def from_proto(tensor: TensorProto) -> np.ndarray:
    """Return a TensorProto as array; strings as objects, each of them ``bytes``; bfloat16 as float32.

    Raises:
        ValueError: The tensor is of another type, has no known shape, or has more or fewer values than its shape.
    """
    if tensor.dtype not in _TYPES:
        raise ValueError(f"a tensor of TensorFlow's type {tensor.dtype} cannot be read")
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    if tensor.tensor_shape.unknown_rank or any(size < 0 for size in shape):
        raise ValueError(f"a tensor must have a shape, got {str(tensor.tensor_shape).split()}")
    count = math.prod(shape)
    _, name, field = _TYPES[tensor.dtype]
    if tensor.dtype == STRING:
        content = tensor.tensor_content
        values = _decoded_strings(content, count) if content else list(tensor.string_val)
        return _filled(values, count, b"", "object").reshape(shape)
    stored = {"bfloat16": "uint16", "float16": "uint16"}.get(name, name)  # their values are given as bit patterns
    if tensor.tensor_content:
        width = np.dtype(stored).itemsize
        if len(tensor.tensor_content) != count * width:
            raise ValueError(
                f"a tensor of shape {shape} and {name} takes {count * width:,} bytes, "
                f"got {len(tensor.tensor_content):,}"
            )
        flat = np.frombuffer(tensor.tensor_content, np.dtype(stored).newbyteorder("<")).astype(stored)
    else:
        flat = _filled(getattr(tensor, field), count, 0, stored)
    if name == "bfloat16":
        flat = (flat.astype("uint32") << 16).view("float32")
    elif name == "float16":
        flat = flat.view("float16")
    return flat.reshape(shape)


def _filled(values: Sequence[Any], count: int, blank: Any, dtype: str) -> np.ndarray:
    if len(values) > count:
        raise ValueError(f"a tensor has {len(values):,} values, but its shape takes {count:,}")
    flat = np.full(count, blank, dtype)
    if values:
        flat[: len(values)] = values
        flat[len(values) :] = flat[len(values) - 1]
    return flat


def _decoded_strings(content: bytes, count: int) -> list[bytes]:
    """Return strings from a tensor's content: the length of each as a varint, then one behind the other."""
    lengths, place = [], 0
    try:
        for _ in range(count):
            length, shift = 0, 0
            while True:
                byte = content[place]
                place += 1
                length |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            lengths.append(length)
    except IndexError:
        raise ValueError(f"a tensor of {count:,} strings breaks off after {len(lengths):,} lengths") from None
    ends = np.cumsum([place, *lengths]).tolist()
    if ends[-1] != len(content):
        raise ValueError(f"a tensor of strings takes {ends[-1]:,} bytes, got {len(content):,}")
    return [content[start:end] for start, end in itertools.pairwise(ends)]


def to_json(array: Any) -> Any:
    """Return an array as lists for REST; strings as ``{"b64": ...}``.

    Raises:
        ValueError: TensorFlow Serving has no such type.
    """
    array = _as_array(array)
    if type_number(array) != STRING:
        return array.tolist()
    coded = np.empty(array.shape, object)
    for index, one in np.ndenumerate(array):
        coded[index] = {"b64": base64.b64encode(_bytes(one)).decode("ascii")}
    return coded.tolist()


def from_json(value: Any, dtype: int) -> np.ndarray:
    """Return lists of REST as array, as `from_proto` gives it.

    Args:
        value: A number, a text, ``{"b64": ...}``, or lists of them.
        dtype: TensorFlow's number of the type.

    Raises:
        ValueError: The value is not of that type, or its lists have different lengths.
    """
    if dtype not in _TYPES:
        raise ValueError(f"a tensor of TensorFlow's type {dtype} cannot be read")
    name = type_name(dtype)
    if dtype == STRING:
        shape = _shape(value)
        flat = np.empty(math.prod(shape), object)
        flat[:] = [_string(one) for one in _leaves(value, shape)]
        return flat.reshape(shape)
    try:
        return np.asarray(value, "float32" if name == "bfloat16" else name)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"the JSON of a {name} tensor holds something else, or lists of different lengths") from error


def _shape(value: Any) -> tuple[int, ...]:
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    return tuple(shape)


def _leaves(value: Any, shape: tuple[int, ...]) -> list[Any]:
    if not shape:
        return [value]
    if not isinstance(value, list) or len(value) != shape[0]:
        raise ValueError("the JSON of a string tensor has lists of different lengths")
    return [leaf for one in value for leaf in _leaves(one, shape[1:])]


def _string(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    try:
        return base64.b64decode(value["b64"], validate=True)
    except (TypeError, KeyError, binascii.Error) as error:
        raise ValueError('the JSON of a string tensor holds something that is neither text nor {"b64": ...}') from error


def _as_array(values: Any) -> np.ndarray:
    """Return lists as array; of strings as objects, since numpy's own strings lose the zeros at their end."""
    if isinstance(values, np.ndarray):
        return values
    objects = np.asarray(values, object)
    return objects if any(isinstance(one, str | bytes) for one in objects.flat) else np.asarray(values)


def _bytes(value: Any) -> bytes:
    if not isinstance(value, str | bytes):
        raise ValueError(
            f"an array of objects is sent as strings, and must hold str or bytes; got {type(value).__name__}"
        )
    return value.encode() if isinstance(value, str) else value
