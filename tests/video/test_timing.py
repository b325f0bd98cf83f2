from fractions import Fraction

import av
import numpy as np
import pytest

from keras_i3d.errors import VideoError
from keras_i3d.video.timing import Clock, exact, resampled


def nearest(times: list[Fraction], fps: Fraction, start: Fraction, end: Fraction | None) -> list[int]:
    """Look at every frame for every tick; of those that are equally near the last one."""
    chosen, tick = [], start
    while tick <= times[-1] + 1 / fps / 2 and (end is None or tick < end):
        chosen.append(min(range(len(times)), key=lambda index: (abs(times[index] - tick), -index)))
        tick += 1 / fps
    return chosen


@pytest.mark.parametrize("seed", range(60))
def test_every_tick_takes_the_frame_nearest_in_time(seed: int) -> None:
    random = np.random.default_rng(seed)
    # a grid of twentieths of a tick: frames that are equally near, and frames at one time, occur
    steps = random.integers(0, random.integers(1, 60), 40)
    times = [Fraction(int(value), 500) for value in np.concatenate([[0], np.cumsum(steps)])]
    fps = Fraction(int(random.integers(1, 60)))
    start = Fraction(int(random.integers(0, 300)), 500)
    end = None if seed % 2 else start + Fraction(int(random.integers(1, 900)), 500)
    frames = ((time, index) for index, time in enumerate(times))
    assert list(resampled(frames, float(fps), start, end)) == nearest(times, fps, start, end)


def test_without_a_rate_frames_pass_between_start_and_end() -> None:
    frames = [(Fraction(index), index) for index in range(10)]
    assert list(resampled(iter(frames), None, Fraction(2), Fraction(5))) == [2, 3, 4]
    assert list(resampled(iter(frames), None, Fraction(0), None)) == list(range(10))


@pytest.mark.parametrize("fps", [None, 25.0])
def test_nothing_gives_nothing(fps: float | None) -> None:
    assert list(resampled(iter([]), fps, Fraction(0), None)) == []


def test_decimals_are_taken_at_their_word() -> None:
    assert exact(0.2) == Fraction(1, 5)
    assert exact(30000 / 1001) == Fraction(30000, 1001)


def seconds(pts: list[int | None], rate: Fraction | None = Fraction(25)) -> list[float]:
    clock, result = Clock(rate), []
    for value in pts:
        frame = av.VideoFrame(16, 16, "gray")
        frame.pts, frame.time_base = value, Fraction(1, 100)
        result.append(float(clock.time_of(frame)))
    return result


@pytest.mark.parametrize(
    ("pts", "expected"),
    [
        ([0, 4, 8], [0, 0.04, 0.08]),
        ([700, 704, 708], [0, 0.04, 0.08]),
        ([-50, -46, -2], [0, 0.04, 0.48]),
        ([0, 4, 4, 8], [0, 0.04, 0.04, 0.08]),
        ([None, None, None], [0, 0.04, 0.08]),
        ([0, None, 8, None], [0, 0.04, 0.08, 0.12]),
        ([None, None, 108, 112], [0, 0.04, 0.08, 0.12]),  # times that begin late begin there
        ([0, 8, 4, 12], [0, 0.08, 0.08, 0.12]),  # a little back: held
        ([5000, 5004, 0, 4, 8], [0, 0.04, 0.08, 0.12, 0.16]),  # far back: a joined recording
        ([0, 4, -900_000, -899_996], [0, 0.04, 0.08, 0.12]),
    ],
)
def test_times_never_run_backwards(pts: list[int | None], expected: list[float]) -> None:
    assert seconds(pts) == pytest.approx(expected)


@pytest.mark.parametrize("rate", [None, Fraction(0), Fraction(-3), Fraction(25)])
def test_a_rate_that_is_none_is_25(rate: Fraction | None) -> None:
    assert seconds([None, None], rate) == pytest.approx([0, 0.04])


def test_a_time_far_ahead_is_damage() -> None:
    assert seconds([0, 6000])[-1] == 60
    with pytest.raises(VideoError, match=r"^no frame for 61 s$"):
        seconds([0, 6100])


def test_a_stream_may_be_slower_than_that() -> None:
    assert seconds([0, 50_000, 100_000], Fraction(1, 500)) == [0, 500, 1000]


def test_a_frame_without_a_unit_of_time_has_no_time() -> None:
    clock = Clock(Fraction(25))
    frame = av.VideoFrame(16, 16, "gray")
    frame.pts = 10**15
    assert frame.time_base is None
    assert [clock.time_of(frame) for _ in range(3)] == [0, Fraction(1, 25), Fraction(2, 25)]
