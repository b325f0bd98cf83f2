import pytest

from keras_i3d.datasets.stretch import read_stretch
from keras_i3d.errors import DatasetError


@pytest.mark.parametrize(
    ("start", "end", "bounds"),
    [("", "", (0.0, None)), ("1.5", "3", (1.5, 3.0)), ("", "2e1", (0.0, 20.0)), ("7", "", (7.0, None))],
)
def test_a_stretch_is_read(start: str, end: str, bounds: tuple[float, float | None]) -> None:
    assert read_stretch("line 2", ("start_s", start), ("end_s", end)) == bounds


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        ("soon", "", "from must be seconds of at least 0, got 'soon'"),
        ("-1", "", "from must be seconds of at least 0, got '-1'"),
        ("", "nan", "to must be seconds of at least 0, got 'nan'"),
        ("", "inf", "to must be seconds of at least 0, got 'inf'"),
        ("3", "3", "to must be after from, got 3 to 3"),
        ("", "0", "to must be after from, got 0 to 0"),
    ],
)
def test_what_is_no_stretch_is_refused(start: str, end: str, message: str) -> None:
    with pytest.raises(DatasetError, match=rf"^line 2: {message}$"):
        read_stretch("line 2", ("from", start), ("to", end))
