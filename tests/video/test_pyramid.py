import cv2
import numpy as np
import pytest

from keras_i3d.tvl1_parameters import Parameters
from keras_i3d.video import pyramid


def test_there_are_five_pictures_none_below_sixteen_pixels() -> None:
    def shapes(*size: int) -> list[tuple[int, ...]]:
        return [picture.shape for picture in pyramid.pictures(np.zeros(size, np.uint8))]

    assert shapes(256, 340) == [(256, 340), (205, 272), (164, 218), (131, 174), (105, 139)]
    assert shapes(25, 31) == [(25, 31), (20, 25), (16, 20)]
    assert shapes(9, 200) == [(9, 200)]


@pytest.mark.parametrize("size", [(256, 340), (61, 67), (20, 23), (45, 230)])
def test_pictures_are_resized_as_by_opencv(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    expected = picture.astype(np.float32)
    for found in pyramid.pictures(picture):
        # a last bit or two of 255 where OpenCV is built otherwise
        np.testing.assert_allclose(found, expected, atol=1e-4)
        expected = cv2.resize(expected, None, fx=0.8, fy=0.8, interpolation=cv2.INTER_LINEAR)


@pytest.mark.parametrize(("size", "larger"), [((16, 20), (20, 25)), ((105, 139), (131, 174)), ((21, 16), (26, 20))])
def test_flow_is_enlarged_as_by_opencv(size: tuple[int, int], larger: tuple[int, int]) -> None:
    u = np.random.default_rng(0).normal(size=size).astype(np.float32)
    expected = cv2.resize(u, larger[::-1], interpolation=cv2.INTER_LINEAR) * np.float32(1.25)
    np.testing.assert_allclose(pyramid.enlarged(u, larger, Parameters()), expected, atol=1e-5)


def test_gradients_are_centred_and_halved_at_the_borders() -> None:
    ramp = np.add.outer(np.arange(5) * 10, np.arange(6)).astype(np.float32)
    stack = pyramid.with_gradients(ramp)[4:9, 4:10]
    np.testing.assert_array_equal(stack[..., 0], ramp)
    np.testing.assert_array_equal(stack[2, :, 1], [0.5, 1, 1, 1, 1, 0.5])
    np.testing.assert_array_equal(stack[:, 2, 2], [5, 10, 10, 10, 5])


def test_around_the_picture_all_is_zero() -> None:
    stack = pyramid.with_gradients(np.ones((5, 6), np.float32))
    assert stack.shape == (14, 15, 4)
    assert stack.sum() == 30
