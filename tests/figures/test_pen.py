import cv2
import numpy as np
import pytest

from keras_i3d.figures.pen import Pen, rgb


def canvas() -> np.ndarray:
    return np.full((40, 300, 3), 255, np.uint8)


@pytest.mark.parametrize("version", [4, 5])
def test_words_end_where_their_room_ends(version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if version == 4:
        monkeypatch.delattr(cv2, "FontFace", raising=False)  # which OpenCV 5 brought
    picture = canvas()
    pen = Pen(picture)
    pen.write("läuft schnell 日本 " * 40, 20, 28, 150, size=16)
    columns = np.flatnonzero((picture < 200).any(axis=(0, 2)))
    assert columns[0] >= 18 and 100 < columns[-1] <= 172
    assert pen.fitting("short", 150, size=16, weight=400) == "short"
    assert pen.fitting("long " * 90, 150, size=16, weight=400).endswith("…")


def test_words_are_broken_at_spaces_and_slashes() -> None:
    pen = Pen(canvas())
    lines = pen.wrapped("playing_the/violin in the street", 120, size=16, weight=400, most=3)
    assert len(lines) == 3 and "".join(lines) == "playing_the/violin in the street"
    assert lines[0][-1] in " /_"


def test_colours_are_read_as_hexadecimal() -> None:
    assert rgb("#0172b2") == (1, 114, 178)
