import numpy as np
import pytest

from keras_i3d.video.stills import LONGER_SIDE, MOST, Stills


def kept(count: int, shape: tuple[int, ...] = (4, 6, 3)) -> list[float]:
    stills = Stills()
    passed = list(stills.over(np.full(shape, index % 256, np.uint8) for index in range(count)))
    assert [int(frame[0, 0, 0]) for frame in passed] == [index % 256 for index in range(count)]
    assert stills.passed == count
    found = stills.at(25.0)
    assert [int(picture[0, 0, 0]) for _, picture in found] == [round(time_s * 25) % 256 for time_s, _ in found]
    return [round(time_s * 25) for time_s, _ in found]


def test_all_frames_of_a_short_video_are_kept() -> None:
    assert kept(MOST) == list(range(MOST))
    assert kept(0) == []


@pytest.mark.parametrize("count", [MOST + 1, 100, 2 * MOST, 2 * MOST + 1, 5000])
def test_of_a_long_one_an_even_choice_is_kept(count: int) -> None:
    indices = kept(count)
    assert MOST / 2 <= len(indices) <= MOST
    (step,) = set(np.diff(indices))
    assert indices[0] == 0
    assert count - indices[-1] <= step


def test_pictures_are_means_of_blocks_and_small_whatever_the_frames_are() -> None:
    frame = np.zeros((500, 482, 3), np.uint8)
    frame[:3, :3] = np.arange(9).reshape(3, 3, 1)
    stills = Stills()
    list(stills.over([frame]))
    ((_, picture),) = stills.at(1)
    assert picture.shape == (500 // 3, 482 // 3, 3)
    assert (picture[0, 0] == 4).all()
    stills = Stills()
    list(stills.over([np.full((1, 5000, 3), 9, np.uint8)]))
    assert stills.at(1)[0][1].shape[0] == 1
    assert stills.at(1)[0][1].shape[1] <= LONGER_SIDE
