"""Tensors of our own making against TensorFlow's, in both directions, and as JSON."""

import json

import numpy as np
import pytest
import tensorflow as tf

from keras_i3d.serving import tensors
from keras_i3d.serving.messages import TensorProto

NUMBERS = ["float32", "float64", "float16", "int8", "int16", "int32", "int64"]
NUMBERS += ["uint8", "uint16", "uint32", "uint64", "bool"]
SHAPES = [(), (1,), (0, 3), (2, 3), (2, 1, 3, 2, 1)]


def example(dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    return (np.random.default_rng(0).normal(size=shape) * 50).astype("int64" if "u" in dtype else dtype).astype(dtype)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", NUMBERS)
def test_tensorflow_reads_our_numbers_and_we_read_tensorflows(dtype: str, shape: tuple[int, ...]) -> None:
    array = example(dtype, shape)
    ours = tensors.to_proto(array)
    theirs = read_by_tensorflow(ours)
    np.testing.assert_array_equal(theirs, array)
    assert theirs.dtype == array.dtype
    back = tensors.from_proto(as_ours(tf.make_tensor_proto(array)))
    np.testing.assert_array_equal(back, array)
    assert (back.dtype, back.shape) == (array.dtype, shape)


def read_by_tensorflow(tensor: TensorProto) -> np.ndarray:
    return tf.io.parse_tensor(tensor.SerializeToString(), tf.DType(tensor.dtype)).numpy()


def as_ours(tensor) -> TensorProto:
    return TensorProto.FromString(tensor.SerializeToString())


def test_strings_keep_every_byte() -> None:
    values = np.array([[b"", b"a\0"], ["läuft", b"\xff\xd8"]], object)
    ours = tensors.to_proto(values)
    expected = [[b"", b"a\0"], ["läuft".encode(), b"\xff\xd8"]]
    assert read_by_tensorflow(ours).tolist() == expected
    assert tensors.from_proto(ours).tolist() == expected
    assert tensors.from_proto(tensors.to_proto(expected)).tolist() == expected
    assert tensors.from_proto(as_ours(tf.make_tensor_proto(values[0]))).tolist() == expected[0]


def test_strings_as_content_are_read() -> None:
    long = b"x" * 300  # whose length takes two bytes
    content = b"\x01\x00\xac\x02" + b"a" + long
    tensor = TensorProto(dtype=tensors.STRING, tensor_content=content)
    tensor.tensor_shape.dim.add(size=3)
    assert tensors.from_proto(tensor).tolist() == [b"a", b"", long] == read_by_tensorflow(tensor).tolist()
    for wrong in (b"\x01\x00", content + b"y"):
        tensor.tensor_content = wrong
        with pytest.raises(ValueError, match=r"breaks off after 2 lengths|takes 305 bytes, got 306"):
            tensors.from_proto(tensor)


@pytest.mark.parametrize(
    ("dtype", "field", "values"),
    [
        ("float32", "float_val", [0.5, -1.5]),
        ("float64", "double_val", [0.5, -1.5]),
        ("float16", "half_val", [0x3C00, 0xC000]),
        ("bfloat16", "half_val", [0x3F80, 0xC000]),
        ("int32", "int_val", [7, -8]),
        ("uint8", "int_val", [7, 255]),
        ("int64", "int64_val", [7, -8]),
        ("uint32", "uint32_val", [7, 2**32 - 1]),
        ("uint64", "uint64_val", [7, 2**64 - 1]),
        ("bool", "bool_val", [False, True]),
        ("string", "string_val", [b"a", b"b\0"]),
    ],
)
@pytest.mark.parametrize("given", [0, 1, 2])
def test_the_last_value_stands_for_those_that_follow(dtype: str, field: str, values: list, given: int) -> None:
    tensor = TensorProto(dtype=getattr(tf, dtype).as_datatype_enum, **{field: values[:given]})
    for size in (2, 2):
        tensor.tensor_shape.dim.add(size=size)
    theirs = read_by_tensorflow(tensor)
    if dtype == "bfloat16":
        theirs = theirs.astype("float32")
    ours = tensors.from_proto(tensor)
    np.testing.assert_array_equal(ours, theirs)
    assert ours.dtype == theirs.dtype


def test_bfloat16_is_read_as_float32() -> None:
    array = tf.constant([1.5, -3e38, 0], tf.bfloat16)
    read = tensors.from_proto(as_ours(tf.make_tensor_proto(array)))
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, tf.cast(array, tf.float32).numpy())


def test_what_does_not_fit_its_shape_is_refused() -> None:
    tensor = tensors.to_proto(np.zeros((2, 3), np.float32))
    tensor.tensor_shape.dim[0].size = 4
    with pytest.raises(ValueError, match=r"shape \[4, 3\] and float32 takes 48 bytes, got 24"):
        tensors.from_proto(tensor)
    with pytest.raises(ValueError, match="has 2 values, but its shape takes 1"):
        tensors.from_proto(TensorProto(dtype=1, float_val=[1, 2]))
    tensor.tensor_shape.unknown_rank = True
    with pytest.raises(ValueError, match="must have a shape"):
        tensors.from_proto(tensor)
    with pytest.raises(ValueError, match="type 20 cannot be read"):
        tensors.from_proto(TensorProto(dtype=20))


@pytest.mark.parametrize("write", [tensors.to_proto, tensors.to_json])
def test_what_cannot_be_sent_is_refused(write) -> None:
    with pytest.raises(ValueError, match="an array of complex64 cannot be sent; known: float32, "):
        write(np.zeros(2, np.complex64))
    with pytest.raises(ValueError, match="must hold str or bytes; got dict"):
        write(np.array([{}], object))


def test_big_endian_arrays_are_sent_as_they_are_read() -> None:
    array = np.arange(6, dtype=">f4").reshape(2, 3)[:, ::2]
    np.testing.assert_array_equal(read_by_tensorflow(tensors.to_proto(array)), array)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", NUMBERS)
def test_json_and_back_is_the_same_array(dtype: str, shape: tuple[int, ...]) -> None:
    array = example(dtype, shape)
    back = tensors.from_json(json.loads(json.dumps(tensors.to_json(array))), tensors.type_number(array))
    np.testing.assert_array_equal(back, array if array.size else back)  # lists do not tell what is behind an empty axis
    assert (back.dtype, back.size) == (array.dtype, array.size)


def test_json_strings_are_bytes_or_text() -> None:
    coded = tensors.to_json([[b"\xff", "é"]])
    assert coded == [[{"b64": "/w=="}, {"b64": "w6k="}]]
    assert tensors.from_json(coded, tensors.STRING).tolist() == [[b"\xff", "é".encode()]]
    assert tensors.from_json(["a", "é"], tensors.STRING).tolist() == [b"a", "é".encode()]
    assert tensors.from_json([], tensors.STRING).shape == (0,)


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ([["a"], ["b", "c"]], 7),
        ([["a"], "b"], 7),
        ([1], 7),
        ([{"b64": "?"}], 7),
        ([[1], [2, 3]], 1),
        (["x"], 1),
        ({}, 9),
    ],
)
def test_json_of_something_else_is_refused(value: object, dtype: int) -> None:
    with pytest.raises(ValueError, match=r"holds something|lists of different lengths"):
        tensors.from_json(value, dtype)


def test_types_have_names() -> None:
    assert [tensors.type_name(number) for number in (1, 4, 7, 14, 99)] == [
        *("float32", "uint8", "string", "bfloat16", "type 99"),
    ]
