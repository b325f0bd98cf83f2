import numpy as np
import pytest

from keras_i3d.evaluation.average_precision import average_precision, mean_average_precision

INF = np.inf


def of_one_class(scores: list[float], truth: list[int]) -> float:
    (value,) = average_precision(np.array(scores)[:, None], np.array(truth)[:, None])
    return value


def literal(scores: np.ndarray, truth: np.ndarray) -> float:
    """Return the sum over all thresholds of the recall that each adds times the precision there."""
    total, recall = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        found = [bool(right) for score, right in zip(scores, truth, strict=True) if score >= threshold]
        total += (sum(found) / sum(truth) - recall) * sum(found) / len(found)
        recall = sum(found) / sum(truth)
    return total


@pytest.mark.parametrize(
    ("scores", "truth", "expected"),
    [
        ([0.9, 0.8, 0.7, 0.6], [1, 1, 0, 0], 1.0),
        ([0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0], (1 + 2 / 3) / 2),
        ([0.9, 0.8, 0.7, 0.6], [0, 0, 1, 1], (1 / 3 + 2 / 4) / 2),
        ([0.6, 0.9, 0.7, 0.8], [1, 0, 1, 0], (1 / 3 + 2 / 4) / 2),
        ([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], (1 + 2 / 3) / 2),
        ([5.0], [1], 1.0),
        ([0.9, 0.8, 0.7], [1, 1, 1], 1.0),
        ([-3.0, -1.0, -2.0], [0, 1, 0], 1.0),
        ([INF, 2.0, -INF], [0, 1, 1], (1 / 2 + 2 / 3) / 2),
    ],
)
def test_it_is_the_mean_of_the_precision_at_each_video_of_the_class(scores, truth, expected) -> None:
    assert of_one_class(scores, truth) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("scores", "truth", "expected"),
    [
        ([0.5, 0.5], [1, 0], 1 / 2),
        ([0.5, 0.5, 0.5, 0.5], [0, 1, 0, 0], 1 / 4),
        ([0.9, 0.5, 0.5, 0.5, 0.1], [1, 1, 0, 1, 1], (1 + 3 / 4 + 3 / 4 + 4 / 5) / 4),
        ([0.9, 0.9, 0.1], [0, 1, 1], (1 / 2 + 2 / 3) / 2),
        ([-INF, -INF, 1.0], [1, 0, 0], 1 / 3),
        ([0.0, -0.0, 1.0], [1, 0, 1], (1 + 2 / 3) / 2),
    ],
)
def test_videos_of_one_score_count_together_whatever_their_order(scores, truth, expected) -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        order = rng.permutation(len(scores))
        value = of_one_class(np.array(scores)[order].tolist(), np.array(truth)[order].tolist())
        assert value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("levels", [3, 20, 10**6])
def test_it_equals_the_sum_over_all_thresholds(levels: int) -> None:
    rng = np.random.default_rng(levels)
    scores = rng.integers(0, levels, (60, 7)).astype(np.float32)
    truth = rng.random((60, 7)) < rng.random(7)
    truth[0] = True
    expected = [literal(*columns) for columns in zip(scores.T, truth.T, strict=True)]
    np.testing.assert_allclose(average_precision(scores, truth), expected, rtol=1e-12)
    assert mean_average_precision(scores, truth) == pytest.approx(np.mean(expected), rel=1e-12)


def test_the_order_alone_counts() -> None:
    rng = np.random.default_rng(1)
    logits, truth = rng.normal(0, 3, (30, 4)), rng.integers(0, 2, (30, 4))
    np.testing.assert_array_equal(average_precision(logits, truth), average_precision(1 / (1 + np.exp(-logits)), truth))


def test_a_class_that_no_video_has_is_nan_and_left_out_of_the_mean() -> None:
    scores, truth = np.array([[0.9, 0.1, 0.2], [0.8, 0.7, 0.3]]), np.array([[0, 0, 1], [1, 0, 0]])
    np.testing.assert_array_equal(average_precision(scores, truth), [0.5, np.nan, 0.5])
    assert mean_average_precision(scores, truth) == 0.5


def test_a_video_of_no_class_is_one_more_that_can_be_taken_wrongly() -> None:
    scores, truth = np.array([[0.9], [0.8]]), np.array([[0], [1]])
    assert mean_average_precision(scores, truth) == 0.5
    has_any = truth.any(axis=1)
    assert mean_average_precision(scores[has_any], truth[has_any]) == 1.0


@pytest.mark.parametrize("kind", [bool, np.int64, np.float32])
def test_the_truth_may_be_of_any_kind(kind: type) -> None:
    truth = np.array([[1, 0], [0, 1], [1, 1]], kind)
    scores = np.array([[3, 1], [2, 2], [1, 3]], np.float16)
    np.testing.assert_allclose(average_precision(scores, truth), [(1 + 2 / 3) / 2, 1.0])


def test_without_any_class_there_is_no_mean() -> None:
    with pytest.raises(ValueError, match=r"^not one of 3 videos has a class, so there is no precision to average$"):
        mean_average_precision(np.ones((3, 2)), np.zeros((3, 2)))


@pytest.mark.parametrize(
    ("scores", "truth", "message"),
    [
        (np.ones((3, 2)), np.ones((2, 3)), r"of one shape \(videos, classes\), got \(3, 2\) and \(2, 3\)"),
        (np.ones(3), np.ones(3), r"of one shape \(videos, classes\), got \(3,\) and \(3,\)"),
        (np.ones((0, 2)), np.ones((0, 2)), r"of one shape \(videos, classes\), got \(0, 2\) and \(0, 2\)"),
        (np.array([[1, 2], [3, np.nan]]), np.ones((2, 2)), "scores must be numbers, got NaN for video 1, class 1"),
        (np.ones((2, 2)), np.array([[1, 0], [2, 0]]), "truth must be 0 or 1, got 2"),
        (np.ones((1, 2)), np.array([[1, -1]]), "truth must be 0 or 1, got -1"),
    ],
)
def test_what_cannot_be_measured_is_refused(scores, truth, message) -> None:
    with pytest.raises(ValueError, match=rf"{message}$"):
        average_precision(scores, truth)
