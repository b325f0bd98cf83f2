import numpy as np

from keras_i3d.figures.oklab import from_oklab, to_oklab


def test_white_black_and_red_are_where_ottosson_has_them() -> None:
    white, black, red = to_oklab(["#ffffff", "#000000", "#ff0000"])
    np.testing.assert_allclose(white, [1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(black, 0, atol=1e-9)
    np.testing.assert_allclose(red, [0.627955, 0.224863, 0.125846], atol=1e-5)  # of his colour picker


def test_there_and_back_is_the_same_colour() -> None:
    levels = np.random.default_rng(0).integers(0, 256, (200, 3), dtype=np.uint8)
    assert (from_oklab(to_oklab([f"#{bytes(colour).hex()}" for colour in levels])) == levels).all()


def test_what_srgb_has_not_is_cut() -> None:
    assert from_oklab(np.array([[1.2, 0, 0], [-0.1, 0, 0]])).tolist() == [[255] * 3, [0] * 3]
