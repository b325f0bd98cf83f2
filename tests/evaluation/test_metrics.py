import numpy as np
import pytest

from keras_i3d.evaluation.metrics import measure


def test_the_numbers_of_a_small_case_are_those_by_hand() -> None:
    logits = np.array([[3, 2, 1], [3, 2, 1], [3, 2, 1], [1, 3, 2]], float)
    metrics = measure(logits, np.array([0, 0, 1, 1]))
    assert metrics.videos == 4
    assert metrics.top1 == 0.75
    assert metrics.top5 == 1.0
    assert metrics.mean_class_accuracy == 0.75  # class 2 does not occur
    assert metrics.confusion.tolist() == [[2, 0, 0], [1, 1, 0], [0, 0, 0]]


def test_the_sixth_best_class_is_not_among_the_five_best() -> None:
    logits = np.arange(7)[None]
    assert [measure(logits, np.array([truth])).top5 for truth in range(7)] == [0, 0, 1, 1, 1, 1, 1]


def test_mean_class_accuracy_weighs_classes_alike() -> None:
    metrics = measure(np.array([[1, 0], [1, 0], [1, 0], [1, 0]]), np.array([0, 0, 0, 1]))
    assert (metrics.top1, metrics.mean_class_accuracy) == (0.75, 0.5)


@pytest.mark.parametrize(
    ("logits", "truth", "message"),
    [
        (np.zeros((0, 3)), [], "there is no video to measure"),
        (np.zeros((1, 3)), [3], "labels must be 0 to 2, got 3 to 3"),
        (np.zeros((1, 3)), [-1], "labels must be 0 to 2, got -1 to -1"),
    ],
)
def test_impossible_input_is_refused(logits, truth, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measure(logits, np.array(truth, int))
