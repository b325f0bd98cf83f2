"""The parts of TV-L1 for themselves, against OpenCV's functions of the same."""

import cv2
import numpy as np
import pytest

from keras_i3d.video import pyramid, tvl1_kernels


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (3, 7), (37, 53)])
def test_medians_are_opencvs(size: tuple[int, int]) -> None:
    field = np.random.default_rng(0).normal(size=size).astype(np.float32)
    found = field.copy()
    height, width = size
    buffers = np.empty((height + 4, width + 4), np.float32), np.empty((5, width + 4), np.float32)
    tvl1_kernels._filter_by_median(found, *buffers)
    np.testing.assert_array_equal(found, cv2.medianBlur(field, 5))


def warped(picture: np.ndarray, u1: np.ndarray, u2: np.ndarray, *, rounded: bool = False) -> list[np.ndarray]:
    """Return gradients, squared gradient and rho where the flow is zero, from a first picture of zeros."""
    found = [np.empty_like(picture) for _ in range(4)]
    tvl1_kernels._warp(np.zeros_like(picture), pyramid.with_gradients(picture), u1, u2, rounded, *found)
    return found


def remapped(channel: np.ndarray, u1: np.ndarray, u2: np.ndarray) -> np.ndarray:
    height, width = channel.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return cv2.remap(np.ascontiguousarray(channel), x + u1, y + u2, cv2.INTER_CUBIC)


@pytest.mark.parametrize("size", [(40, 50), (7, 5), (1, 30)])
@pytest.mark.parametrize("reach", [0.5, 3, 100])
def test_warps_are_opencvs_inside_and_across_the_borders(size: tuple[int, int], reach: float) -> None:
    random = np.random.default_rng(0)
    picture = random.uniform(0, 255, size).astype(np.float32)
    u1, u2 = random.uniform(-reach, reach, (2, *size)).astype(np.float32)
    gx, gy, squared, constant = warped(picture, u1, u2)
    value, x, y, _ = np.moveaxis(pyramid.with_gradients(picture)[4 : 4 + size[0], 4 : 4 + size[1]], -1, 0)
    rounding = 3 if cv2.__version__ < "5" else 1e-3  # positions of OpenCV 4 are rounded to 1/32 pixel
    np.testing.assert_allclose(gx, remapped(x, u1, u2), atol=rounding)
    np.testing.assert_allclose(gy, remapped(y, u1, u2), atol=rounding)
    np.testing.assert_allclose(squared, gx * gx + gy * gy, rtol=1e-6)
    np.testing.assert_allclose(constant + gx * u1 + gy * u2, remapped(value, u1, u2), atol=rounding + reach * 1e-3)


def test_rounded_warps_look_at_thirty_seconds_of_a_pixel() -> None:
    picture = np.random.default_rng(0).uniform(0, 255, (20, 20)).astype(np.float32)
    u = np.full_like(picture, 0.3)
    near = np.full_like(picture, 10 / 32)
    for found, expected in zip(warped(picture, u, u, rounded=True)[:3], warped(picture, near, near)[:3], strict=True):
        np.testing.assert_array_equal(found, expected)
    assert not np.array_equal(warped(picture, u, u)[0], warped(picture, near, near)[0])


@pytest.mark.parametrize("share", [0.5, 0.9999, 1.0001, 2])
def test_changes_are_compared_however_near_they_are(share: float) -> None:
    changes = np.random.default_rng(0).uniform(0, 1, (30, 40)).astype(np.float32)
    total = changes.sum()
    assert tvl1_kernels._exceeds(changes, total, total * np.float32(share)) == (share < 1)


def test_of_changes_near_the_limit_the_sum_decides_and_not_the_total() -> None:
    changes = np.ones((4, 5), np.float32)
    assert tvl1_kernels._exceeds(changes, np.float32(19.999), np.float32(19.9995))
    assert not tvl1_kernels._exceeds(changes, np.float32(20.001), np.float32(20))
