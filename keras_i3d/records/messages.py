"""The protocol buffer messages of a record, declared by their field numbers.

TensorFlow has the same classes, at the price of importing TensorFlow, which takes seconds and hundreds of
megabytes in every process that writes records. Numbers and types are those of ``tensorflow/core/example/example.proto``
and ``feature.proto``; what is written here is read by ``tf.train.SequenceExample`` and the other way round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "tensorflow"
_Field = descriptor_pb2.FieldDescriptorProto


def _messages() -> dict[str, type]:
    file = descriptor_pb2.FileDescriptorProto(
        name="keras_i3d/sequence_example.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, kind in (
        ("BytesList", _Field.TYPE_BYTES),
        ("FloatList", _Field.TYPE_FLOAT),
        ("Int64List", _Field.TYPE_INT64),
    ):
        file.message_type.add(name=name).field.add(name="value", number=1, label=_Field.LABEL_REPEATED, type=kind)
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, name in enumerate(("bytes_list", "float_list", "int64_list"), start=1):
        feature.field.add(**_one(name, number, name.title().replace("_", "")), oneof_index=0)
    _add_map(file.message_type.add(name="Features"), "feature", "Feature")
    feature_list = file.message_type.add(name="FeatureList")
    feature_list.field.add(**_one("feature", 1, "Feature") | {"label": _Field.LABEL_REPEATED})
    _add_map(file.message_type.add(name="FeatureLists"), "feature_list", "FeatureList")
    example = file.message_type.add(name="SequenceExample")
    example.field.add(**_one("context", 1, "Features"))
    example.field.add(**_one("feature_lists", 2, "FeatureLists"))
    pool = descriptor_pool.DescriptorPool()  # of our own: the default one may hold TensorFlow's
    pool.Add(file)
    return {
        message.name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{message.name}"))
        for message in file.message_type
    }


def _one(name: str, number: int, message: str) -> dict[str, Any]:
    kind = {"type": _Field.TYPE_MESSAGE, "type_name": f".{_PACKAGE}.{message}"}
    return {"name": name, "number": number, "label": _Field.LABEL_OPTIONAL, **kind}


def _add_map(message: descriptor_pb2.DescriptorProto, name: str, value: str) -> None:
    entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=_Field.LABEL_OPTIONAL, type=_Field.TYPE_STRING)
    entry.field.add(**_one("value", 2, value))
    message.field.add(**_one(name, 1, f"{message.name}.{entry.name}") | {"label": _Field.LABEL_REPEATED})


_MESSAGES = _messages()
BytesList, FloatList, Int64List = (_MESSAGES[name] for name in ("BytesList", "FloatList", "Int64List"))
Feature, Features = _MESSAGES["Feature"], _MESSAGES["Features"]
FeatureList, FeatureLists = _MESSAGES["FeatureList"], _MESSAGES["FeatureLists"]
SequenceExample = _MESSAGES["SequenceExample"]

Value = str | bytes | int | float | Sequence[str] | Sequence[bytes] | Sequence[int] | Sequence[float]


def sequence_example(context: Mapping[str, Value], lists: Mapping[str, Sequence[Value]]) -> bytes:
    """Serialise a SequenceExample; equal values give equal bytes in every process.

    Args:
        context: What holds for the whole clip. A text, bytes, int or float, or a list of one kind.
        lists: A value for each step in time.
    """
    example = SequenceExample()
    for key, value in context.items():
        _fill(example.context.feature[key], value)
    for key, values in lists.items():
        feature_list = example.feature_lists.feature_list[key]
        for value in values:
            _fill(feature_list.feature.add(), value)
    return example.SerializeToString(deterministic=True)


def _fill(feature: Any, value: Value) -> None:
    values = list(value) if isinstance(value, list | tuple) else [value]
    if all(isinstance(one, str | bytes) for one in values):
        feature.bytes_list.value.extend(
            one.encode("utf-8", "surrogateescape") if isinstance(one, str) else one for one in values
        )
    elif all(isinstance(one, Integral) for one in values):  # numpy's too, which are no int
        feature.int64_list.value.extend(map(int, values))
    else:
        feature.float_list.value.extend(values)


def values_of(feature: Any) -> list:
    """Return the values of a Feature, whichever kind they are; none where it has none."""
    kind = feature.WhichOneof("kind")
    return list(getattr(feature, kind).value) if kind else []
