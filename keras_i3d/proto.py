"""Protocol buffer messages from their declaration, in the language of ``.proto`` files. Imports no part of the package.

TensorFlow and TensorFlow Serving bring the classes of their messages with them, at the price of importing
TensorFlow, which takes seconds and hundreds of megabytes. What is needed of them is declared here by its public names
and numbers instead; the bytes are the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FIELD = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    name: getattr(_FIELD, f"TYPE_{name.upper()}")
    for name in ("bytes", "string", "bool", "float", "double", "int32", "int64", "uint32", "uint64")
}
_TOKEN = re.compile(r"[\w.]+|[{}<>,=;]")


def declare(packages: Mapping[str, str], *, known: Iterable[bytes] = ()) -> dict[str, type]:
    """Make the classes of messages.

    Args:
        packages: What each package declares: of the language ``proto3``, messages (nested ones too) with fields,
            ``repeated``, ``map<string, ...>`` and ``oneof``. An enumeration is declared as ``int32``, which it is on
            the wire. A package may use those before it.
        known: Serialised file descriptors that are used as they are, such as ``any_pb2.DESCRIPTOR.serialized_pb``.

    Returns:
        The classes of the messages that are not nested, by full name, such as ``"tensorflow.TensorProto"``. They live
        in a pool of their own, since the default one may hold TensorFlow's of the same name.
    """
    pool, earlier = descriptor_pool.DescriptorPool(), []
    for serialised in known:
        pool.AddSerializedFile(serialised)
        earlier.append(descriptor_pb2.FileDescriptorProto.FromString(serialised).name)
    names = []
    for package, text in packages.items():
        file = descriptor_pb2.FileDescriptorProto(
            name=f"keras_i3d/{package}.proto", package=package, syntax="proto3", dependency=earlier
        )
        tokens = _TOKEN.findall(text)[::-1]
        while tokens:
            _take(tokens, "message")
            _read_message(tokens, file.message_type.add())
        pool.Add(file)
        earlier.append(file.name)
        names += [f"{package}.{message.name}" for message in file.message_type]
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in names}


def _take(tokens: list[str], wanted: str) -> None:
    if (found := tokens.pop()) != wanted:
        raise ValueError(f"{wanted!r} is wanted in the declaration of messages, found {found!r}")


def _read_message(tokens: list[str], message: descriptor_pb2.DescriptorProto) -> None:
    message.name = tokens.pop()
    _take(tokens, "{")
    while tokens[-1] != "}":
        if tokens[-1] == "message":
            tokens.pop()
            _read_message(tokens, message.nested_type.add())
        elif tokens[-1] == "oneof":
            _, name, _ = (tokens.pop() for _ in range(3))
            message.oneof_decl.add(name=name)
            while tokens[-1] != "}":
                _read_field(tokens, message).oneof_index = len(message.oneof_decl) - 1
            tokens.pop()
        else:
            _read_field(tokens, message)
    tokens.pop()


def _read_field(tokens: list[str], message: descriptor_pb2.DescriptorProto) -> descriptor_pb2.FieldDescriptorProto:
    first = tokens.pop()
    value = None
    if first == "map":
        for wanted in ("<", "string", ","):
            _take(tokens, wanted)
        value = tokens.pop()
        _take(tokens, ">")
    kind = tokens.pop() if first == "repeated" else first
    name = tokens.pop()
    _take(tokens, "=")
    number = int(tokens.pop())
    _take(tokens, ";")
    if value is not None:
        kind = f"{name.title().replace('_', '')}Entry"
        entry = message.nested_type.add(name=kind)
        entry.options.map_entry = True
        _add_field(entry, "key", 1, "string")
        _add_field(entry, "value", 2, value)
    field = _add_field(message, name, number, kind)
    if first in ("map", "repeated"):
        field.label = _FIELD.LABEL_REPEATED
    return field


def _add_field(
    message: descriptor_pb2.DescriptorProto, name: str, number: int, kind: str
) -> descriptor_pb2.FieldDescriptorProto:
    field = message.field.add(name=name, number=number, label=_FIELD.LABEL_OPTIONAL)
    field.type = _SCALARS.get(kind, _FIELD.TYPE_MESSAGE)
    if kind not in _SCALARS:
        field.type_name = kind
    return field
