import colorsys
import itertools

import numpy as np
import pytest
import tensorflow as tf

from keras_i3d.clips.augmentation import Augmentation, relit


def clip(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(60, 190, (3, 4, 5, 3)).astype(np.float32)


def draws(augmentation: Augmentation, frames: np.ndarray, count: int = 20) -> list[np.ndarray]:
    light = tf.function(lambda x, seed: relit(x, augmentation, seed))
    return [light(frames, tf.constant([seed, 3])).numpy() for seed in range(count)]


def test_clips_are_mirrored_and_nothing_else_by_default() -> None:
    assert Augmentation() == Augmentation(True, None, 0.0, 0.0, 0.0, 0.0)
    assert Augmentation().short_sides(256, 224) == (256, 256)
    np.testing.assert_array_equal(relit(clip(), Augmentation(), [0, 1]), clip())


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
@pytest.mark.parametrize("value", [-0.1, 1.1, "much", None, True, float("nan")])
def test_a_strength_is_a_share(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be a number from 0 to 1, got "):
        Augmentation(**{name: value})


def test_a_hue_is_at_most_half_the_circle() -> None:
    Augmentation(hue=0.5)
    with pytest.raises(ValueError, match=r"^hue must be a number from 0 to 0\.5, got 0\.6$"):
        Augmentation(hue=0.6)


@pytest.mark.parametrize("value", [(1.2, 0.9), (0, 1), (1,), 1.2, ("a", "b"), (0.9, 1.0, 1.1), (0.9, float("inf"))])
def test_a_jitter_is_two_factors(value: object) -> None:
    with pytest.raises(
        ValueError, match=r"^scale_jitter must be two factors above 0, the smaller one first, or None; got"
    ):
        Augmentation(scale_jitter=value)


def test_a_jitter_may_be_a_list_as_json_has_it() -> None:
    assert Augmentation(scale_jitter=[1, 1.25]) == Augmentation(scale_jitter=(1.0, 1.25))
    assert Augmentation(scale_jitter=(0.875, 1.25)).short_sides(256, 224) == (224, 320)


def test_a_jitter_that_makes_frames_smaller_than_the_crop_is_refused() -> None:
    with pytest.raises(
        ValueError,
        match=r"^scale_jitter \(0\.8, 1\.0\) gives short sides from 205 pixels, smaller than the crop of 224; "
        r"its least factor must be at least 0\.875$",
    ):
        Augmentation(scale_jitter=(0.8, 1.0)).short_sides(256, 224)


def test_brightness_shifts_all_values_of_a_clip_alike() -> None:
    shifts = [found - clip() for found in draws(Augmentation(brightness=0.2), clip())]
    for shift in shifts:
        np.testing.assert_allclose(shift, shift.mean(), atol=1e-3)  # float32 of values up to 255
        assert abs(shift.mean()) <= 51
    assert np.ptp([shift.mean() for shift in shifts]) > 51


def test_contrast_stretches_values_about_the_grey_of_the_clip() -> None:
    frames = clip()
    grey = (frames @ np.array([0.299, 0.587, 0.114])).mean()
    ratios = []
    for found in draws(Augmentation(contrast=0.3), frames):
        ratio = (found - grey) / (frames - grey)
        np.testing.assert_allclose(ratio, np.median(ratio), rtol=0.02)  # next to the grey little is divided by little
        ratios.append(np.median(ratio))
    assert 0.7 <= min(ratios) < 0.9 < 1.1 < max(ratios) <= 1.3


def test_saturation_keeps_the_grey_of_every_pixel() -> None:
    weights = np.array([0.299, 0.587, 0.114])
    frames = clip()
    spreads = []
    for found in draws(Augmentation(saturation=0.4), frames):
        np.testing.assert_allclose(found @ weights, frames @ weights, atol=1e-3)  # float32 of values up to 255
        spreads.append(np.median(np.ptp(found, axis=-1) / np.ptp(frames, axis=-1)))
    assert 0.6 <= min(spreads) < 0.9 < 1.1 < max(spreads) <= 1.4


def test_hue_turns_colours_and_keeps_their_brightness() -> None:
    frames = np.full((1, 1, 2, 3), [200.0, 50.0, 100.0], np.float32)
    hue, saturation, value = colorsys.rgb_to_hsv(*frames[0, 0, 0] / 255)
    turns = []
    for found in draws(Augmentation(hue=0.1), frames):
        new_hue, new_saturation, new_value = colorsys.rgb_to_hsv(*found[0, 0, 1] / 255)
        assert (new_saturation, new_value) == pytest.approx((saturation, value), abs=1e-4)
        turns.append((new_hue - hue + 0.5) % 1 - 0.5)
    assert max(map(abs, turns)) <= 0.1 + 1e-4
    assert np.ptp(turns) > 0.1


def test_values_stay_in_range_and_one_seed_gives_one_light() -> None:
    strong = Augmentation(brightness=1.0, contrast=1.0, saturation=1.0, hue=0.5)
    found = draws(strong, clip())
    assert min(values.min() for values in found) >= 0
    assert max(values.max() for values in found) <= 255
    for one, other in zip(found, draws(strong, clip()), strict=True):
        np.testing.assert_array_equal(one, other)
    assert all(not np.array_equal(one, other) for one, other in itertools.pairwise(found))
