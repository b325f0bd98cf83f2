import numpy as np
import pytest

from keras_i3d.evaluation.metrics import MultiLabelMetrics, by_class, confused_pairs, mean, measure


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


MULTI_LOGITS = np.array([[3, 2, 1], [0, 1, 2], [2, 1, 0], [0, 0, 9]], float)
MULTI_TRUTH = np.array([[1, 0, 0], [1, 0, 1], [1, 1, 0], [0, 0, 0]], np.float32)


def test_where_videos_have_several_classes_the_precisions_are_averaged() -> None:
    metrics = measure(MULTI_LOGITS, MULTI_TRUTH)
    assert isinstance(metrics, MultiLabelMetrics)
    # the video of no class, whose third logit is the greatest of all, is left out; class 1: places 1, 2 and 2 tie
    np.testing.assert_allclose(metrics.average_precision, [1, 1 / 3, 1])
    assert metrics.numbers == {"mean_average_precision": pytest.approx(7 / 9)}
    assert (metrics.videos, metrics.videos_of_class.tolist()) == (4, [3, 1, 1])


def test_a_class_that_no_video_has_counts_nothing() -> None:
    metrics = measure(MULTI_LOGITS, MULTI_TRUTH * [1, 1, 0])
    assert metrics.mean_average_precision == pytest.approx(2 / 3)
    assert np.isnan(metrics.average_precision[2])
    with pytest.raises(ValueError, match="not one of 4 videos has a class, so there is nothing to measure"):
        measure(MULTI_LOGITS, MULTI_TRUTH * 0)


def test_several_splits_are_averaged_and_their_confusions_added() -> None:
    one = measure(np.eye(3), np.array([0, 1, 2]))
    other = measure(np.eye(3)[[0]], np.array([1]))
    both = mean([one, other])
    assert (both.videos, both.top1, both.top5, both.mean_class_accuracy) == (4, 0.5, 1.0, 0.5)
    assert both.confusion.tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    assert mean([one]) is one


def test_of_several_splits_a_precision_is_the_mean_over_those_that_have_the_class() -> None:
    one, other = measure(MULTI_LOGITS, MULTI_TRUTH), measure(MULTI_LOGITS, MULTI_TRUTH * [1, 1, 0])
    both = mean([one, other])
    np.testing.assert_allclose(both.average_precision, [1, 1 / 3, 1])
    assert both.mean_average_precision == pytest.approx((7 / 9 + 2 / 3) / 2)
    assert both.videos_of_class.tolist() == [6, 2, 1]


CONFUSION = np.array([[2, 1, 1, 0], [0, 4, 0, 0], [3, 0, 1, 0], [0, 0, 0, 0]])


def test_classes_are_told_hardest_first_with_what_they_are_taken_for() -> None:
    hardest, middle, easiest = by_class(CONFUSION)
    assert (hardest.index, hardest.videos, hardest.top1, hardest.taken_for, hardest.taken) == (2, 4, 0.25, 0, 3)
    assert (middle.index, middle.top1, middle.taken_for, middle.taken) == (0, 0.5, 1, 1)
    assert (easiest.index, easiest.top1, easiest.taken_for, easiest.taken) == (1, 1.0, None, 0)


def test_pairs_are_told_by_number_then_by_share() -> None:
    assert confused_pairs(CONFUSION) == [(2, 0, 3), (0, 1, 1), (0, 2, 1)]
    assert confused_pairs(np.array([[0, 1, 0], [0, 0, 0], [1, 0, 3]])) == [(0, 1, 1), (2, 0, 1)]
    assert confused_pairs(np.eye(3, dtype=int)) == []
