import itertools
from collections.abc import Iterator

import pytest

from keras_i3d.video.windows import Sliding, Window


def literal(frames: int, sliding: Sliding) -> list[Window[int]]:
    """Return the windows of a video whose frames are their own indices, by the rule and slicing alone."""
    found, seen = [], -1
    for first in range(0, frames, sliding.stride):
        held = list(range(frames))[first : first + sliding.window]
        if held[-1] <= seen:
            break
        seen = held[-1]
        fill = held[-1:] if sliding.fill == "pad" else held
        filled = (held + fill * sliding.window)[: sliding.window]
        found.append(Window(first, len(held), tuple(filled)))
    return found


@pytest.mark.parametrize("fill", ["loop", "pad"])
@pytest.mark.parametrize(("window", "stride"), [(1, 1), (4, 1), (4, 3), (4, 4), (4, 5), (4, 9), (3, 7)])
def test_windows_are_those_of_the_rule(window: int, stride: int, fill: str) -> None:
    sliding = Sliding(window, stride, fill)
    for frames in range(1, 31):
        wanted = literal(frames, sliding)
        assert list(sliding.over(range(frames))) == wanted
        assert sliding.count(frames) == len(wanted)
        if stride <= window:
            assert wanted[-1].first + wanted[-1].count == frames  # the video's end is seen


def test_a_video_without_frames_gives_no_window() -> None:
    assert list(Sliding(4, 2).over([])) == []
    assert Sliding(4, 2).count(0) == 0


def test_frames_are_taken_once_and_no_sooner_than_they_are_wanted() -> None:
    taken = []

    def frames() -> Iterator[int]:
        for index in range(100):
            taken.append(index)
            yield index

    for number, window in enumerate(itertools.islice(Sliding(8, 2).over(frames()), 5)):
        assert window.frames == tuple(range(2 * number, 2 * number + 8))
        assert taken == list(range(2 * number + 8))


def test_times_are_those_of_the_video_not_of_what_fills_a_window_up() -> None:
    assert Window(50, 16, tuple(range(16))).times(25.0) == (2.0, 2.64)
    *_, last = Sliding(4, 4).over(range(6))
    assert last.times(2.0) == (2.0, 3.0)


@pytest.mark.parametrize(("window", "stride"), [(0, 1), (1, 0), (1, -2), (1.5, 1), (True, 1)])
def test_a_window_without_frames_is_refused(window: int, stride: int) -> None:
    with pytest.raises(ValueError, match=r"is a number of frames, at least 1; got"):
        Sliding(window, stride)


def test_an_unknown_fill_is_refused() -> None:
    with pytest.raises(ValueError, match=r"fill must be 'loop' or 'pad', got 'drop'"):
        Sliding(4, 2, "drop")
