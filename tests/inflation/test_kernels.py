import keras
import numpy as np
import pytest

from keras_i3d.inflation.kernels import flow_stem, inflate_kernel


@pytest.fixture
def kernel():
    return np.random.default_rng(0).normal(size=(3, 5, 2, 4)).astype(np.float32)


@pytest.mark.parametrize("extent", [1, 2, 3, 4, 7])
def test_repeating_divides_by_the_extent(kernel, extent) -> None:
    inflated = inflate_kernel(kernel, extent)
    assert inflated.shape == (extent, 3, 5, 2, 4)
    assert inflated.dtype == np.float32
    assert all(np.array_equal(frame, kernel / np.float32(extent)) for frame in inflated)
    np.testing.assert_allclose(inflated.sum(0), kernel, rtol=1e-6)  # one rounding for each frame


@pytest.mark.parametrize(("extent", "middle"), [(1, 0), (2, 0), (3, 1), (4, 1), (7, 3)])
def test_central_initialisation_leaves_the_other_frames_empty(kernel, extent, middle) -> None:
    inflated = inflate_kernel(kernel, extent, "centre")
    assert np.array_equal(inflated[middle], kernel)
    assert not np.delete(inflated, middle, axis=0).any()


@pytest.mark.parametrize("extent", [1, 2, 3, 4, 5])
def test_a_central_kernel_under_same_padding_sees_each_step_itself(kernel, extent) -> None:
    video = np.random.default_rng(1).normal(size=(1, 6, 8, 8, 2)).astype(np.float32)
    deep = keras.ops.conv(video, inflate_kernel(kernel, extent, "centre"), padding="same")
    flat = [keras.ops.conv(video[:, step], kernel, padding="same") for step in range(6)]
    np.testing.assert_allclose(deep, np.stack(flat, axis=1), atol=1e-5)  # sums in another order


def test_the_flow_stem_is_the_mean_over_rgb_for_every_channel(kernel) -> None:
    rgb = np.concatenate([kernel, kernel[..., :1, :]], axis=2)
    stem = flow_stem(rgb, 20)
    assert stem.shape == (3, 5, 20, 4)
    assert stem.dtype == np.float32
    for channel in range(20):
        np.testing.assert_allclose(stem[..., channel, :], rgb.mean(axis=2), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: inflate_kernel(np.zeros((3, 3)), 3),
            r"a 2-D kernel has shape \(height, width, in, out\), got \(3, 3\)",
        ),
        (lambda: inflate_kernel(np.zeros((1, 1, 1, 1)), 0), "extent must be an integer of at least 1, got 0"),
        (lambda: inflate_kernel(np.zeros((1, 1, 1, 1)), 2.5), r"extent must be an integer of at least 1, got 2\.5"),
        (lambda: inflate_kernel(np.zeros((1, 1, 1, 1)), True), "extent must be an integer of at least 1, got True"),
        (lambda: inflate_kernel(np.zeros((1, 1, 1, 1)), 3, "mean"), "method must be 'repeat' or 'centre', got 'mean'"),
        (lambda: flow_stem(np.zeros(3), 2), r"a kernel has shape \(\.\.\., in, out\), got \(3,\)"),
        (lambda: flow_stem(np.zeros((3, 4)), 0), "channels must be an integer of at least 1, got 0"),
    ],
)
def test_a_wrong_argument_is_named_with_what_is_allowed(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
