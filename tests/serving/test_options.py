import pytest

from keras_i3d.serving.options import ServingOptions, parse_shape


def test_batch_norm_is_folded_with_bfloat16_unless_said_otherwise() -> None:
    assert not ServingOptions().folds
    assert ServingOptions(precision="bfloat16").folds
    assert ServingOptions(fold_batch_norm=True).folds
    assert not ServingOptions(precision="bfloat16", fold_batch_norm=False).folds


def test_a_shape_is_read_with_open_axes() -> None:
    assert parse_shape("1,64, 256,?") == (1, 64, 256, None)
    assert ServingOptions(shape=parse_shape("?,64,?,?")).frames == 64


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "1,2,3,0", "1,2,3,-4", "1,2,3,x", "1;2;3;4"])
def test_a_shape_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"a shape is batch,time,height,width, each a number above 0 or \?, such as"):
        parse_shape(text)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"precision": "float16"}, "precision must be 'float32' or 'bfloat16', got 'float16'"),
        ({"shape": (1, 64, 224)}, r"shape must be 4 numbers above 0 or None \(batch, time, height, width\)"),
        ({"shape": (1, 0, 224, 224)}, "shape must be 4 numbers above 0 or None"),
        ({"shape": (1, True, 224, 224)}, "shape must be 4 numbers above 0 or None"),
        ({"max_frames": 0}, "max_frames must be a whole number above 0, got 0"),
        ({"shape": (None, 64, None, None), "max_frames": 32}, "a shape of 64 frames is more than max_frames, 32"),
    ],
)
def test_what_cannot_be_served_is_refused(choice: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ServingOptions(**choice)
