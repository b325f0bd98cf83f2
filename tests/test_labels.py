from pathlib import Path

import pytest

from keras_i3d import labels
from keras_i3d.errors import DatasetError


@pytest.mark.parametrize(
    "names",
    [
        ["run"],
        ["walk", "run", "swim"],
        ["shooting goal (soccer)", "läuft", "走る", 'says "hi", loudly', " leading space", "tab\tinside", "#1"],
    ],
)
def test_what_is_written_is_read_back(tmp_path: Path, names: list[str]) -> None:
    labels.write(tmp_path / "labels.txt", names)
    assert labels.read(tmp_path / "labels.txt") == names


@pytest.mark.parametrize("sign", ["\u2028", "\x85", "\x0b", "\x0c", "\x1c"], ids=ascii)
def test_only_a_newline_ends_a_name(tmp_path: Path, sign: str) -> None:
    names = [f"high{sign}jump", "run"]
    labels.write(tmp_path / "labels.txt", names)
    assert labels.read(tmp_path / "labels.txt") == names


@pytest.mark.parametrize("name", ["high\njump", "high\rjump", "", "  "], ids=ascii)
def test_a_name_that_cannot_be_read_back_is_not_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="class name"):
        labels.write(tmp_path / "labels.txt", ["run", name])
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_utf_8_with_one_name_a_line(tmp_path: Path) -> None:
    labels.write(tmp_path / "labels.txt", ["läuft", "run"])
    assert (tmp_path / "labels.txt").read_bytes() == "läuft\nrun\n".encode()
    assert labels.FILE_NAME == "labels.txt"


@pytest.mark.parametrize("text", ["a\nb\n", "a\nb", "a\r\nb\r\n"])
def test_files_of_other_programs_are_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels.txt").write_bytes(text.encode())
    assert labels.read(tmp_path / "labels.txt") == ["a", "b"]
    assert labels.read(str(tmp_path / "labels.txt")) == ["a", "b"]


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("a\nb\n", "utf-8-sig")
    assert labels.read(tmp_path / "labels.txt") == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"holds no class name; one a line is expected"),
        ("\n", r"line 1 is empty; every line is a class name"),
        ("a\n\nb\n", r"line 2 is empty; every line is a class name"),
        ("a\n  \nb\n", r"line 2 is empty; every line is a class name"),
        ("a\nb\n\n", r"line 3 is empty; every line is a class name"),
        ("a\nb\na\n", r"line 3 names 'a' a second time"),
    ],
)
def test_a_wrong_line_is_told(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "labels.txt").write_text(text, "utf-8")
    with pytest.raises(DatasetError, match=rf"labels\.txt: {message}$"):
        labels.read(tmp_path / "labels.txt")


@pytest.mark.parametrize(("name", "reason"), [("absent.txt", "No such file"), (".", "Is a directory")])
def test_what_cannot_be_read_is_told(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(DatasetError, match=rf": cannot be read as class names, one a line \(.*{reason}"):
        labels.read(tmp_path / name)


def test_another_encoding_is_told(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_bytes("läuft\n".encode("latin-1"))
    with pytest.raises(DatasetError, match=r"labels\.txt: cannot be read as class names, one a line \('utf-8' codec"):
        labels.read(tmp_path / "labels.txt")
