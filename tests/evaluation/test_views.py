import pytest

from keras_i3d.evaluation.views import Views


def test_ten_by_three_is_read_and_written() -> None:
    assert Views.parse("10x3") == Views(10, 3)
    assert str(Views(10, 3)) == "10x3"
    assert Views.parse("10x3", 64) == Views(10, 3, frames=64)
    assert str(Views(10, 3, 64)) == "10x3, 64 frames each"


@pytest.mark.parametrize("text", ["", "10", "10*3", "x3", "10x", "-1x3", "10x3x2", "1.5x3", "1234567x1"])
def test_another_spelling_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="views must be windows x crops, each 1 to 100, such as 10x3; got '"):
        Views.parse(text)


@pytest.mark.parametrize("text", ["0x3", "10x0", "101x1", "1x101"])
def test_there_is_one_view_and_not_thousands(text: str) -> None:
    with pytest.raises(ValueError, match=f"each 1 to 100, such as 10x3; got {text}$"):
        Views.parse(text)


def test_a_window_has_a_frame() -> None:
    with pytest.raises(ValueError, match="view_frames must be at least 1, got 0"):
        Views(10, 3, frames=0)
