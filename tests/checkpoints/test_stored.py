import numpy as np
import pytest

from keras_i3d.checkpoints.names import DEEPMIND
from keras_i3d.checkpoints.stored import StoredVariable, StoredWeights, examples
from keras_i3d.errors import CheckpointMismatch


def holding(**values) -> StoredWeights:
    variables = {
        name: StoredVariable(np.shape(value), lambda value=value: np.asarray(value)) for name, value in values.items()
    }
    return StoredWeights("some.file", DEEPMIND, variables)


def test_values_are_float32_of_any_floating_point_type() -> None:
    values = holding(half=np.float16([1.5, 2]), double=np.float64([0.25])).values(["half", "double"])
    assert {name: (value.dtype, value.tolist()) for name, value in values.items()} == {
        "half": (np.float32, [1.5, 2.0]),
        "double": (np.float32, [0.25]),
    }


def test_only_what_is_asked_for_is_read() -> None:
    assert holding(wanted=np.float32([1]), other=np.float32([np.nan])).values(["wanted"])["wanted"].tolist() == [1]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused_by_name(value: float) -> None:
    file = holding(good=np.float32([1]), bad=np.float32([0, value]))
    with pytest.raises(
        CheckpointMismatch, match=r"^some\.file: bad: not finite \(NaN or infinity\); nothing was loaded$"
    ):
        file.values(["good", "bad"])


def test_a_double_that_float32_cannot_hold_is_refused() -> None:
    with pytest.raises(CheckpointMismatch, match="large: not finite"), np.errstate(over="ignore"):
        holding(large=np.float64([1e300])).values(["large"])


@pytest.mark.parametrize(("value", "kind"), [(np.int32([1]), "int32"), (np.array(["a"]), "<U1")])
def test_other_than_floating_point_numbers_are_refused(value: np.ndarray, kind: str) -> None:
    with pytest.raises(CheckpointMismatch, match=f"x holds {kind}, floating-point numbers are wanted; nothing was"):
        holding(x=value).values(["x"])


def test_a_reader_that_fails_is_a_damaged_file() -> None:
    def fail() -> np.ndarray:
        raise OSError("the disk ends here\nand more")

    file = StoredWeights("some.file", DEEPMIND, {"x": StoredVariable((1,), fail)})
    with pytest.raises(
        CheckpointMismatch, match=r"damaged: x cannot be read \(the disk ends here\); nothing was loaded$"
    ):
        file.values(["x"])


def test_the_classifier_is_told_by_its_names() -> None:
    file = holding(**{"Logits/Conv3d_0c_1x1/conv_3d/w": np.zeros(1), "Conv3d_1a_7x7/conv_3d/w": np.zeros(1)})
    assert list(file.classifier()) == ["Logits/Conv3d_0c_1x1/conv_3d/w"]


def test_at_most_three_examples_are_given() -> None:
    assert examples(["a"]) == "a"
    assert examples(["a", "b", "c"]) == "a; b; c"
    assert examples(["a", "b", "c", "d"]) == "a; b; c; ..."
