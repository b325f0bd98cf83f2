"""The protocol buffer messages of a record, declared by their field numbers.

Numbers and types are those of ``tensorflow/core/example/example.proto`` and ``feature.proto``; what is written here is
read by ``tf.train.SequenceExample`` and the other way round, and no process that writes records imports TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

from keras_i3d import proto

_MESSAGES = proto.declare(
    {
        "tensorflow": """
            message BytesList { repeated bytes value = 1; }
            message FloatList { repeated float value = 1; }
            message Int64List { repeated int64 value = 1; }
            message Feature {
              oneof kind { BytesList bytes_list = 1; FloatList float_list = 2; Int64List int64_list = 3; }
            }
            message Features { map<string, Feature> feature = 1; }
            message FeatureList { repeated Feature feature = 1; }
            message FeatureLists { map<string, FeatureList> feature_list = 1; }
            message SequenceExample { Features context = 1; FeatureLists feature_lists = 2; }
        """
    }
)
SequenceExample = _MESSAGES["tensorflow.SequenceExample"]

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
