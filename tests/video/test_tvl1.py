"""TV-L1 against OpenCV's own, whose builds differ among themselves by .004 to .017 pixels."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
from moving_textures import moving_texture

from keras_i3d.tvl1_parameters import Parameters
from keras_i3d.video import decode, tvl1
from keras_i3d.video.flow import to_stored

HAS_AVX_512 = cv2.checkHardwareSupport(256)  # CPU_AVX512_SKX, which OpenCV has code for


def reference(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return cv2.optflow.DualTVL1OpticalFlow_create().calc(before, after, None)


def check_agreement(before: np.ndarray, after: np.ndarray) -> None:
    """Compare with the installed OpenCV: to the bit where it was tried, else as far as its builds agree."""
    parameters = Parameters(rounded=cv2.__version__ < "5")
    ours, theirs = tvl1.between(before, after, parameters), reference(before, after)
    if cv2.__version__ == "5.0.0" and HAS_AVX_512:
        np.testing.assert_array_equal(ours, theirs)
    error = np.linalg.norm(ours - theirs, axis=-1)
    levels = np.abs(to_stored(ours).astype(int) - to_stored(theirs))
    assert error.mean() <= 0.02
    assert np.percentile(error, 99) <= 0.15
    assert (levels == 0).mean() >= 0.94
    assert (levels <= 1).mean() >= 0.997


def moved(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Return two grey pictures of a texture, the second moved."""
    return moving_texture(2, *size, seed=seed)[..., 1].copy()


@pytest.mark.parametrize("size", [(96, 130), (97, 61), (40, 40), (39, 41), (8, 8), (5, 200)])
@pytest.mark.parametrize("seed", range(3))
def test_moving_textures_agree_with_opencv(size: tuple[int, int], seed: int) -> None:
    check_agreement(*moved(size, seed))


@pytest.mark.parametrize(
    ("name", "start"), [("test.mp4", 5), ("structuralize.mp4", 30), ("v_GGSY1Qvo990.mp4", 5), ("test.avi", 10)]
)
def test_real_clips_agree_with_opencv(shared_videos, name: str, start: int) -> None:
    frames = decode.read_frames(shared_videos / name, short_side=128, end_s=2)
    before, after = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames[start : start + 2])
    check_agreement(before, after)


@pytest.mark.parametrize("size", [(3, 3), (3, 9), (8, 8), (15, 40), (16, 16), (21, 20)])
def test_tiny_pictures_of_noise_agree_with_opencv(size: tuple[int, int]) -> None:
    before, after = np.random.default_rng(0).integers(0, 256, (2, *size), np.uint8)
    # noise has no motion to be found: in the median, as single pixels go astray by the last bit
    assert np.median(np.abs(tvl1.between(before, after) - reference(before, after))) < 0.01


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (np.zeros((20, 20), np.uint8), np.zeros((21, 20), np.uint8)),
        (np.zeros((20, 20, 3), np.uint8), np.zeros((20, 20, 3), np.uint8)),
        (np.zeros((20, 20), np.float32), np.zeros((20, 20), np.float32)),
        (np.zeros((20, 0), np.uint8), np.zeros((20, 0), np.uint8)),
    ],
)
def test_what_is_no_pair_of_grey_pictures_is_refused(before: np.ndarray, after: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"pictures must be grey, uint8 \(height, width\) of one shape; got .* and "):
        tvl1.between(before, after)


def test_how_pictures_lie_in_memory_does_not_matter() -> None:
    pair = moved((40, 50))
    turned = [np.asfortranarray(picture) for picture in pair]
    np.testing.assert_array_equal(tvl1.between(*turned), tvl1.between(*pair))


def test_all_loops_are_compiled_before_workers_start() -> None:
    code = (
        "from keras_i3d.video import flow, pyramid, tvl1_kernels as kernels\n"
        "flow.compile_tvl1()\n"
        "called = kernels.refine, pyramid.with_gradients, pyramid._resized\n"
        "print([len(function.signatures) for function in called])\n"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed == "[1, 1, 1]\n"


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (9, 1)])
def test_pictures_without_an_inside_have_some_flow(size: tuple[int, int]) -> None:
    before, after = np.random.default_rng(0).integers(0, 256, (2, *size), np.uint8)
    field = tvl1.between(before, after)
    assert field.shape == (*size, 2)
    assert np.isfinite(field).all()


@pytest.mark.parametrize("value", [0, 127, 255])
def test_constant_pictures_have_no_motion(value: int) -> None:
    picture = np.full((40, 50), value, np.uint8)
    assert not tvl1.between(picture, picture).any()
    np.testing.assert_array_equal(reference(picture, picture), tvl1.between(picture, picture))


def test_a_change_of_light_alone_is_borne_as_by_opencv() -> None:
    before, _ = moved((64, 64))
    check_agreement(before, np.minimum(before, 240) + np.uint8(15))


@pytest.mark.parametrize(
    "changed",
    [
        {"scales": 1},
        {"warps": 1},
        {"inner": 3},
        {"outer": 1},
        {"lambda_": 0.3},
        {"theta": 0.2},
        {"tau": 0.1},
        {"epsilon": 0.1},
    ],
    ids=str,
)
def test_every_parameter_means_what_it_means_to_opencv(changed: dict) -> None:
    names = {
        "scales": "ScalesNumber",
        "warps": "WarpingsNumber",
        "inner": "InnerIterations",
        "outer": "OuterIterations",
    }
    before, after = moved((64, 80))
    estimator = cv2.optflow.DualTVL1OpticalFlow_create()
    for name, value in changed.items():
        getattr(estimator, f"set{names.get(name, name.strip('_').capitalize())}")(value)
    theirs, ours = estimator.calc(before, after, None), tvl1.between(before, after, Parameters(**changed))
    assert np.linalg.norm(ours - theirs, axis=-1).mean() <= 0.02
    # and is not without effect, so that the comparison says something
    assert np.linalg.norm(ours - tvl1.between(before, after), axis=-1).mean() > 1e-3


def test_rounded_positions_are_another_flow_close_by() -> None:
    before, after = moved((64, 64))
    exact, rounded = tvl1.between(before, after), tvl1.between(before, after, Parameters(rounded=True))
    assert 0 < np.abs(exact - rounded).mean() < 0.05
