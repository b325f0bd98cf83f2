import numpy as np
import pytest
import tensorflow as tf
from coded_records import record, shades, shown

from keras_i3d.clips import examples
from keras_i3d.protocol import Frames
from keras_i3d.records.selection import Selection


def test_streams_that_are_named_alone_take_all_frames() -> None:
    assert examples.taken(("rgb", "flow")) == {"rgb": Frames(), "flow": Frames()}
    assert examples.taken({"rgb": Frames(step=5, offset=2)}) == {"rgb": Frames(step=5, offset=2)}


def test_classes_matter_only_where_a_record_may_have_several() -> None:
    assert examples.label_classes(Selection((), 0), 7) is None
    assert examples.label_classes(Selection((), 0, multi_label=True), 7) == 7
    with pytest.raises(ValueError, match=r"^classes must be given: these records may have several labels each$"):
        examples.label_classes(Selection((), 0, multi_label=True), None)


def test_a_dtype_that_no_input_travels_in_is_refused() -> None:
    for name in examples.TRANSFER_DTYPES:
        examples.check_dtype(name)
    with pytest.raises(ValueError, match=r"^transfer_dtype must be one of float32, float16, bfloat16, got 'int8'$"):
        examples.check_dtype("int8")


def test_an_example_is_what_each_stream_takes_of_the_chosen_frames() -> None:
    inputs, parsed = examples.example(
        tf.constant(record(4, shades(12), shades(11)[..., :2])),
        "frames",
        {"rgb": Frames(step=3), "flow": Frames(offset=1)},
        lambda available: tf.range(available - 6, available),
        lambda strip: strip.view(14),
        6,
        None,
    )
    assert shown(inputs["rgb"].numpy()) == [5, 8]  # of 5 to 10: the flow has a field less
    assert shown(inputs["flow"].numpy()) == [6, 7, 8, 9, 10]
    assert int(parsed["label"]) == 4


def test_bytes_are_scaled_and_cast_batch_by_batch_and_floats_left() -> None:
    levels = np.arange(60, dtype=np.uint8).reshape(5, 1, 2, 2, 3)
    flow = np.full((5, 1, 2, 2, 2), 0.5, np.float16)
    clips = tf.data.Dataset.from_tensor_slices(({"rgb": levels, "flow": flow}, np.arange(5)))
    ((inputs, labels), (_, more)) = examples.batches(clips, 2, "float16").as_numpy_iterator()
    assert {name: values.dtype for name, values in inputs.items()} == {"rgb": np.float16, "flow": np.float16}
    np.testing.assert_allclose(inputs["rgb"], levels[:2] / 127.5 - 1, atol=5e-4)  # float16 about 1
    np.testing.assert_array_equal(inputs["flow"], flow[:2])
    assert [*labels, *more] == [0, 1, 2, 3]
