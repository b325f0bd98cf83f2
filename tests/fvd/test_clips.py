import re
import threading
import time

import numpy as np
import pytest
from video_networks import moving_clips

from keras_i3d.fvd import clips
from keras_i3d.fvd.videos import open_set


def prepared(array: np.ndarray, **options) -> clips.Clip:
    (video,) = open_set(array[None], name="real").videos
    return clips.prepare(video, **{"size": 32, "frames": None, "value_range": None} | options)


def literal_resize(picture: np.ndarray, size: int) -> np.ndarray:
    """Return TF1's bilinear resizing as its kernel defines it: pixel i is read at i * own / size."""
    for axis in (0, 1):
        own = picture.shape[axis]
        place = np.arange(size) * (own / size)
        low = np.floor(place).astype(int)
        share = (place - low).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        first, second = picture.take(low, axis), picture.take(np.minimum(low + 1, own - 1), axis)
        picture = first + (second - first) * share
    return picture


@pytest.mark.parametrize(("height", "width", "size"), [(24, 40, 32), (64, 50, 32), (32, 32, 32), (7, 5, 224)])
def test_frames_are_resized_as_tf1_does_without_keeping_the_aspect_and_scaled(height, width, size) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (35, height, width, 3)).astype(np.uint8)
    clip = prepared(frames, size=size)
    expected = np.stack([2 * literal_resize(frame.astype(float), size) / 255 - 1 for frame in frames])
    assert (clip.frames.dtype, clip.size) == (np.float32, f"{width}x{height}")
    assert clip.values == (frames.min(), frames.max())
    np.testing.assert_allclose(clip.frames, expected, atol=2e-6)  # float32, of values up to 255


@pytest.mark.parametrize(
    ("value_range", "scale", "offset"), [((0, 1), 1 / 255, 0), ((-1, 1), 2 / 255, -1), ((0, 255), 1, 0)]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_of_a_stated_range_are_what_bytes_are(value_range, scale, offset, dtype) -> None:
    frames = moving_clips(1)[0]
    floats = (frames.astype(dtype) * scale + offset).astype(dtype)
    found = prepared(floats, value_range=list(value_range) if dtype == "float32" else value_range)
    np.testing.assert_allclose(found.frames, prepared(frames).frames, atol=2e-6)
    np.testing.assert_allclose(found.values, (frames.min(), frames.max()), atol=1e-4)


def test_bytes_are_0_to_255_whatever_the_range_of_floats() -> None:
    frames = moving_clips(1)[0]
    np.testing.assert_array_equal(prepared(frames, value_range=(-1, 1)).frames, prepared(frames).frames)


@pytest.mark.parametrize(
    ("value", "value_range", "message"),
    [
        (1.01, (0, 1), "real[0]: has the value 1.01, outside of the stated range 0 to 1"),
        (-0.5, (0, 1), "has the value -0.5"),
        (np.nan, (0, 255), "has the value nan, outside of the stated range 0 to 255"),
        (np.inf, (-1, 1), "has the value inf"),
    ],
)
def test_a_value_outside_of_the_range_is_an_error_that_names_video_and_value(value, value_range, message) -> None:
    frames = np.full((40, 10, 10, 3), 0.5, np.float32)
    frames[38, 0, 0, 0] = value
    with pytest.raises(ValueError, match=re.escape(message)):
        prepared(frames, value_range=value_range)
    with pytest.raises(ValueError, match=r"state value_range as \(0, 1\) or \(-1, 1\) or \(0, 255\)"):
        prepared(frames)


def test_rounding_outside_of_the_range_is_cut_off() -> None:
    frames = np.full((2, 32, 32, 3), np.float32(1) + np.float32(1e-6))
    assert prepared(frames, value_range=(0, 1)).frames.max() == 1


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((4, 8, 8, 3), np.int64), "must be uint8, 0 to 255, or float with value_range; got int64"),
        (np.zeros((3, 4, 8, 8), np.uint8), re.escape("a video is (time, height, width, 3), got frames of (4, 8, 8)")),
        (np.zeros((4, 0, 8, 3), np.uint8), re.escape("got frames of (0, 8, 3)")),
    ],
)
def test_what_are_no_frames_is_refused(frames: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        prepared(frames)


def test_the_first_frames_are_taken_and_too_few_are_an_error_that_counts_them() -> None:
    frames = moving_clips(1, frames=40)[0]
    np.testing.assert_array_equal(prepared(frames, frames=33).frames, prepared(frames).frames[:33])
    with pytest.raises(clips.TooShort, match=re.escape("real[0]: has 40 frames, 41 are wanted")):
        prepared(frames, frames=41)
    with pytest.raises(clips.TooShort, match="has 0 frames, at least 1 are wanted"):
        prepared(frames[:0])


@pytest.mark.parametrize("given", [(0, 2), (1, 0), "01", 1, (0, 1, 2)])
def test_an_unknown_range_is_refused(given) -> None:
    with pytest.raises(ValueError, match=r"one of \(0, 1\), \(-1, 1\), \(0, 255\), or None of uint8; got"):
        clips.checked_range(given)


def test_work_is_done_ahead_in_order_by_threads_and_no_further_than_they_are() -> None:
    begun, at_once, running, lock = [], [], [], threading.Lock()

    def slowly(item: int) -> int:
        with lock:
            begun.append(item)
            running.append(item)
            at_once.append(len(running))
        time.sleep(0.02 * (3 - item % 3))
        with lock:
            running.remove(item)
        if item == 5:
            raise OSError("five")
        return item * 10

    results = clips.ahead(slowly, range(12), 3)
    first = next(results)
    time.sleep(0.2)
    assert first == (0, 0) and sorted(begun) == [0, 1, 2, 3]
    rest = list(results)
    assert [item for item, _ in rest] == list(range(1, 12))
    assert isinstance(rest[4][1], OSError) and [value for _, value in rest[5:]] == [item * 10 for item in range(6, 12)]
    assert 1 < max(at_once) <= 3


def test_work_ahead_ends_with_the_one_who_wanted_it() -> None:
    before = threading.active_count()
    results = clips.ahead(lambda item: item, range(1000), 2)
    next(results)
    results.close()
    assert threading.active_count() == before
