import numpy as np
import pytest

from keras_i3d.evaluation.answers import Answers, aligned, joined, summed

NAMES = ["one", "other"]


def answers(ids: str = "abc", truth=(0, 1, 1), classes: int = 2, seed: int = 0) -> Answers:
    logits = np.random.default_rng(seed).normal(size=(len(ids), classes)).astype(np.float32)
    return Answers(tuple(ids), logits, np.array(truth))


def test_the_sum_is_of_float32_logits_times_their_weights() -> None:
    one, other = answers(), answers(seed=1)
    total = summed([one, other], [1.0, 0.25])
    assert total.logits.dtype == np.float32
    np.testing.assert_array_equal(total.logits, one.logits + np.float32(0.25) * other.logits)
    assert (total.ids, total.truth.tolist()) == (("a", "b", "c"), [0, 1, 1])


def test_videos_in_another_order_are_brought_into_that_of_the_first() -> None:
    one, other = answers("abc", (0, 1, 1)), answers("cab", (1, 0, 1), seed=1)
    same, sorted_ = aligned([one, other], NAMES)
    assert sorted_.ids == same.ids == ("a", "b", "c")
    np.testing.assert_array_equal(sorted_.logits, other.logits[[1, 2, 0]])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (answers("abd"), r"one and other are about other videos \(3 and 3\); 'c' is in one alone"),
        (answers("abcd", (0, 1, 1, 0)), r"one and other are about other videos \(3 and 4\); 'd' is in other alone"),
        (answers("cabb", (1, 0, 1, 1)), r"'a name that stands for two videos' is in other alone"),
        (answers(truth=(0, 1, 0)), "one and other disagree about the class of 1 videos, the first of them 'c'"),
        (answers(classes=3), "have not the same classes: 2 and 3 logits"),
        (
            answers(truth=np.eye(3, 2)),
            "2 and 2 logits, one class to a video and any number of classes to a video",
        ),
    ],
)
def test_what_does_not_belong_together_is_refused(other: Answers, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        aligned([answers(), other], NAMES)


def test_videos_with_several_classes_are_compared_class_by_class() -> None:
    one = answers(truth=[[1, 0], [1, 1], [0, 0]])
    assert one.multi_label and not answers().multi_label
    assert len(aligned([one, one], NAMES)) == 2
    with pytest.raises(ValueError, match="disagree about the class of 1 videos, the first of them 'b'"):
        aligned([one, answers(truth=[[1, 0], [1, 0], [0, 0]])], NAMES)


def test_parts_are_joined_in_order_and_empty_ones_change_nothing() -> None:
    nothing = Answers((), np.zeros((0, 2), np.float32), np.zeros((0,)))
    whole = joined([nothing, answers("ab", (0, 1)), nothing, answers("c", (1,))])
    assert (whole.ids, whole.truth.tolist(), whole.truth.dtype) == (("a", "b", "c"), [0, 1, 1], np.int64)
    assert joined([nothing]).shape == (0, 2)


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"2 videos need logits \(2, classes\) and truth"):
        Answers(("a", "b"), np.zeros((3, 2)), np.zeros(2))
    with pytest.raises(ValueError, match=r"got \(2, 3\) and \(2, 2\)"):
        Answers(("a", "b"), np.zeros((2, 3)), np.zeros((2, 2)))
