import numpy as np
import pytest

from keras_i3d.figures import filters, flow_colours


def kernel(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_pixels_are_the_kernels_values_about_grey() -> None:
    values = kernel(3, 5, 5, 3, 4)
    frames = filters.animation(values, title="a")
    assert len(frames) == 3
    by_hand = np.rint(127.5 + 127.5 * values / np.abs(values).max(axis=(0, 1, 2, 3))).astype(np.uint8)
    left, top, side = (frames.shape[2] - 2 * 40 - 6) // 2, 20 + 66, 8
    for step in range(3):
        for number in range(4):
            row, column = divmod(number, 2)
            tile = frames[step, top + row * 46 :, left + column * 46 :][: 5 * side, : 5 * side]
            np.testing.assert_array_equal(tile[::side, ::side], by_hand[step, ..., number])
            np.testing.assert_array_equal(tile[side - 1 :: side, side - 1 :: side], by_hand[step, ..., number])


def test_flow_is_drawn_by_its_direction() -> None:
    values = kernel(2, 3, 3, 2, 1)
    drawn = filters.pictures(filters.over_time(values))[0]
    most = np.hypot(values[..., 0, 0], values[..., 1, 0]).max()
    np.testing.assert_array_equal(drawn, flow_colours.paint(values[..., 0], most))


def test_stacked_flow_is_drawn_over_its_frames() -> None:
    values = kernel(1, 7, 7, 20, 3)
    shown = filters.over_time(values)
    assert shown.shape == (3, 10, 7, 7, 2)
    np.testing.assert_array_equal(shown[2, 4, ..., 1], values[0, ..., 9, 2])


@pytest.mark.parametrize("shape", [(7, 7, 3, 64), (1, 7, 7, 1, 5), (7, 7, 7, 2, 64)])
def test_a_sheet_shows_every_filter(shape: tuple[int, ...]) -> None:
    drawn = filters.sheet(kernel(*shape), title="a", subtitle="b")
    assert drawn.dtype == np.uint8 and (drawn[:12] == 255).all() and (drawn[:, -12:] == 255).all()


def test_a_filter_of_zeros_is_neutral() -> None:
    assert set(np.unique(filters.pictures(np.zeros((1, 2, 3, 3, 3), np.float32)))) <= {127, 128}
    assert (filters.pictures(np.zeros((1, 2, 3, 3, 2), np.float32)) == 255).all()


@pytest.mark.parametrize("shape", [(7, 7, 5, 64), (3, 7, 7, 4, 64), (7, 7), (0, 7, 7, 3, 64)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"a kernel that can be drawn is \(time, height, width, channels, filters\)"):
        filters.over_time(np.zeros(shape))
