from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from keras_i3d.clips import sampling


@pytest.fixture(params=["eagerly", "in tf.data"])
def call(request: pytest.FixtureRequest) -> Callable[..., np.ndarray]:
    """Return a function that calls another on tensors, one of the two ways."""

    def in_tf_data(function: Callable, *arguments: object) -> np.ndarray:
        tensors = tuple(tf.constant(argument) for argument in arguments)
        return next(iter(tf.data.Dataset.from_tensors(tensors).map(function))).numpy()

    def eagerly(function: Callable, *arguments: object) -> np.ndarray:
        return function(*(tf.constant(argument) for argument in arguments)).numpy()

    return eagerly if request.param == "eagerly" else in_tf_data


def literal_clip(start: int, available: int, frames: int) -> list[int]:
    """Walk through the video frame by frame, from its first one again where it ends."""
    indices, place = [], start
    for _ in range(frames):
        indices.append(place)
        place = place + 1 if place + 1 < available else 0
    return indices


SIZES = [(1, 1), (1, 9), (5, 9), (9, 9), (10, 9), (11, 9), (20, 9), (9, 64), (300, 64)]


@pytest.mark.parametrize(("available", "frames"), SIZES)
def test_the_centre_clip_is_the_middle_or_the_looped_whole(call: Callable, available: int, frames: int) -> None:
    indices = call(lambda n: sampling.centre_clip(n, frames), available)
    assert indices.dtype == np.int32
    assert indices.tolist() == literal_clip(max(0, (available - frames) // 2), available, frames)


@pytest.mark.parametrize(("available", "frames"), SIZES)
def test_a_random_clip_runs_on_and_loops_only_short_videos(call: Callable, available: int, frames: int) -> None:
    for seed in range(3):
        indices = call(lambda n, key: sampling.random_clip(n, frames, key), available, [seed, 7])
        assert indices.dtype == np.int32
        assert indices.tolist() == literal_clip(indices[0], available, frames)
        assert 0 <= indices[0] <= max(0, available - frames)


@pytest.mark.parametrize(("available", "frames"), [(10, 4), (4, 4), (3, 4)])
def test_every_start_that_leaves_enough_frames_is_equally_likely(available: int, frames: int) -> None:
    draw = tf.function(lambda key: sampling.random_clip(available, frames, key)[0])
    draws = 1000
    starts = [int(draw(tf.constant([seed, 0]))) for seed in range(draws)]
    values, counts = np.unique(starts, return_counts=True)
    assert values.tolist() == list(range(max(0, available - frames) + 1))
    # four standard deviations of a binomial count
    share = 1 / len(values)
    np.testing.assert_allclose(counts, draws * share, atol=4 * np.sqrt(draws * share * (1 - share)) + 1e-9)


def test_one_seed_gives_one_clip_and_eager_and_traced_agree() -> None:
    draw = tf.function(lambda key: sampling.random_clip(tf.constant(500), 64, key))
    for seed in range(5):
        key = tf.constant([3, seed])
        np.testing.assert_array_equal(draw(key), sampling.random_clip(500, 64, key))


@pytest.mark.parametrize("available", [1, 5, 249, 250, 251, 252, 1000])
def test_the_whole_video_is_all_frames_or_the_middle_250(call: Callable, available: int) -> None:
    indices = call(sampling.whole_video, available)
    everything = list(range(available))
    surplus = max(0, available - 250)
    assert indices.tolist() == everything[surplus // 2 : surplus // 2 + 250]
    assert sampling.WHOLE_VIDEO_FRAMES == 250


@pytest.mark.parametrize(("available", "most", "multiple"), [(1, 250, 10), (9, 250, 10), (12, 250, 10), (250, 250, 10)])
@pytest.mark.parametrize("window", [False, True])
def test_whole_groups_are_taken_from_the_middle_and_short_videos_start_over(
    call: Callable, available: int, most: int, multiple: int, window: bool
) -> None:
    if window:  # as 3D-ConvNet is tested
        most, multiple = 240, 16
    indices = call(lambda n: sampling.whole_video(n, most, multiple), available).tolist()
    assert len(indices) % multiple == 0
    assert multiple <= len(indices) <= most
    assert max(available, multiple) - len(indices) < multiple or len(indices) == most
    assert indices == literal_clip(max(0, (available - len(indices)) // 2), available, len(indices))


def test_the_longest_clip_may_be_chosen(call: Callable) -> None:
    assert call(lambda n: sampling.whole_video(n, 3), 8).tolist() == [2, 3, 4]


@pytest.mark.parametrize(
    ("available", "frames", "count", "most", "starts"),
    [
        (20, 4, 3, None, [0, 8, 16]),
        (20, 4, 1, None, [8]),
        (21, 4, 2, 10, [5, 11]),
        (5, 4, 4, None, [0, 0, 0, 1]),
        (2, 4, 2, None, [0, 0]),
    ],
)
def test_clips_lie_evenly_over_a_video_up_to_its_last_frame(
    call: Callable, available: int, frames: int, count: int, most: int | None, starts: list[int]
) -> None:
    clips = [
        call(lambda n, number=number: sampling.spread_clip(n, frames, number, count, most), available).tolist()
        for number in range(count)
    ]
    assert clips == [literal_clip(start, available, frames) for start in starts]
