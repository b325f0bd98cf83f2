import numpy as np

from keras_i3d.explanation.stretched import folded, lines_between


def test_a_step_becomes_a_ramp_between_the_places_and_stays_beyond_them() -> None:
    weights = lines_between([5, 13, 21], np.arange(24))
    response = weights @ np.array([0, 1, 1], np.float32)
    by_hand = [0] * 6 + [1 / 8, 2 / 8, 3 / 8, 4 / 8, 5 / 8, 6 / 8, 7 / 8] + [1] * 11
    np.testing.assert_allclose(response, by_hand, atol=1e-6)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)


def test_one_place_gives_its_value_everywhere() -> None:
    assert (lines_between([23.0], np.arange(9)) == 1).all()


def test_frames_that_come_again_get_the_mean_of_their_rows() -> None:
    rows = np.array([[1.0], [2.0], [3.0], [5.0], [6.0]], np.float32)
    assert folded(rows, np.array([0, 1, 2, 0, 1])).tolist() == [[3.0], [4.0], [3.0]]
