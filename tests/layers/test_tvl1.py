from functools import cache
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from moving_textures import end_point_errors, moving_texture, opencv_flow

from keras_i3d.layers import tvl1
from keras_i3d.tvl1_parameters import Parameters

# (height, width), of five scales, of four, and of one, and the mean error in pixels that is let pass: over several
# scales a warp that ends an iteration sooner or later, by the last bits, moves a few pixels
SIZES = (((64, 56), 0.02), ((33, 47), 0.02), ((16, 17), 1e-3), ((8, 8), 1e-3), ((5, 40), 1e-3))


@cache
def traced(*shape: int | None, jit_compile: bool = False, **options: Any) -> Any:
    """Return the flow of pictures of a shape (pairs, height, width), as a function that is traced once."""
    signature = [tf.TensorSpec(shape)] * 2
    return tf.function(
        lambda before, after: tvl1.flow(before, after, Parameters(**options)),
        input_signature=signature,
        jit_compile=jit_compile,
        autograph=False,
    )


def pictures(height: int, width: int, *, pairs: int = 1, still: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs of grey pictures, float32 (pairs, height, width); the last ones show no motion."""
    videos = [moving_texture(2, height, width, seed=seed)[..., 1].astype(np.float32) for seed in range(pairs)]
    before, after = np.stack(videos, axis=1)
    after[pairs - still :] = before[pairs - still :]
    return before, after


@pytest.mark.parametrize(("size", "tolerance"), SIZES)
@pytest.mark.parametrize("seed", range(2))
def test_it_agrees_with_opencv(size: tuple[int, int], tolerance: float, seed: int) -> None:
    video = moving_texture(2, *size, seed=seed)
    grey = np.repeat(video[..., :1], 3, axis=-1)
    expected = opencv_flow(grey)
    found = traced(None, None, None)(*grey[:, None, ..., 0].astype(np.float32))
    assert np.abs(expected).mean() > 0.2
    assert end_point_errors(found, expected).mean() < tolerance


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_known_sizes_give_what_unknown_ones_give(compiled: bool) -> None:
    before, after = pictures(24, 21, pairs=2)
    expected = traced(None, None, None)(before, after)
    found = traced(2, 24, 21, jit_compile=compiled)(before, after)
    assert found.shape == (2, 24, 21, 2)
    np.testing.assert_allclose(found, expected, atol=5e-3)  # the same float32 sums in another order


def test_one_known_side_is_enough_to_leave_out_smaller_pictures() -> None:
    before, after = pictures(18, 30)
    found = traced(None, 18, None)(before, after)
    np.testing.assert_allclose(found, traced(None, None, None)(before, after), atol=5e-3)


@pytest.mark.slow
def test_unknown_sizes_are_compiled_too() -> None:
    before, after = pictures(22, 21)
    found = traced(None, None, None, jit_compile=True)(before, after)
    np.testing.assert_allclose(found, traced(None, None, None)(before, after), atol=5e-3)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_pair_does_not_depend_on_the_others_of_its_batch(compiled: bool) -> None:
    flow = traced(2, 24, 21, jit_compile=compiled)
    before, after = pictures(24, 21, pairs=2)
    first = np.asarray(flow(before, after))[0]
    noise = np.random.default_rng(0).uniform(0, 255, (2, 24, 21)).astype(np.float32)
    # the other rests long before this one, and long after it
    for other_before, other_after in ((before[1], before[1]), noise):
        both = flow(np.stack([before[0], other_before]), np.stack([after[0], other_after]))
        assert np.array_equal(both[0], first)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 2), (7, 1), (20, 3)])
def test_no_picture_is_too_small(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).uniform(0, 255, (2, 1, *size)).astype(np.float32)
    found = traced(None, None, None)(*noise)
    assert found.shape == (1, *size, 2)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("value", [0.0, 200.0])
def test_where_nothing_is_seen_or_nothing_moves_there_is_no_motion(value: float) -> None:
    flat = np.full((1, 24, 21), value, np.float32)
    before, _ = pictures(24, 21)
    for still in (flat, before):
        assert not np.any(traced(None, None, None)(still, still))


def test_no_pairs_have_no_flow() -> None:
    assert traced(None, None, None)(*np.zeros((2, 0, 24, 21), np.float32)).shape == (0, 24, 21, 2)


def test_rounded_warps_are_near_the_exact_ones_and_not_the_same() -> None:
    before, after = pictures(16, 17)
    errors = end_point_errors(traced(1, 16, 17, rounded=True)(before, after), traced(None, None, None)(before, after))
    assert 1e-4 < errors.mean() < 0.05


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (9, 14)])
def test_the_median_network_sorts_as_numpy_does(size: tuple[int, int]) -> None:
    field = np.random.default_rng(0).normal(size=(3, *size)).astype(np.float32)
    padded = np.pad(field, ((0, 0), (2, 2), (2, 2)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(1, 2))
    found = tvl1._median(field.reshape(3, -1), size)
    assert np.array_equal(np.reshape(found, field.shape), np.median(windows, axis=(3, 4)))
