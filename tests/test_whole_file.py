import os
from pathlib import Path

import pytest

from keras_i3d.whole_file import replacing, write_json, write_text


class Failure(Exception):
    """Stands for whatever goes wrong in the writing."""


def test_json_is_written_as_people_read_it(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": [1, 2], "a": None})
    assert (tmp_path / "a.json").read_text() == '{\n  "b": [\n    1,\n    2\n  ],\n  "a": null\n}\n'
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_json_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", 1)
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"b": object()})
    assert (tmp_path / "a.json").read_text() == "1\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("old", [None, "old"])
def test_a_file_is_replaced_when_the_block_ends(tmp_path: Path, old: str | None) -> None:
    path = tmp_path / "model.keras"
    if old:
        path.write_text(old)
    with replacing(path) as aside:
        assert aside.parent == tmp_path
        assert aside.name.startswith(".")
        assert aside.suffix == ".keras"  # Keras and others go by the ending
        aside.write_text("new")
        assert (path.read_text() if path.exists() else None) == old
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("old", [None, "old"])
@pytest.mark.parametrize("error", [Failure, KeyboardInterrupt])
def test_a_failing_block_leaves_the_old_file_and_no_other(
    tmp_path: Path, old: str | None, error: type[BaseException]
) -> None:
    path = tmp_path / "model.keras"
    if old:
        path.write_text(old)
    with pytest.raises(error), replacing(path) as aside:
        aside.write_text("half")
        raise error
    assert [found.read_text() for found in tmp_path.iterdir()] == ([old] if old else [])


def test_a_reader_sees_the_old_file_or_the_new_one_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "shard"
    path.write_text("old")
    with path.open() as reader:
        with replacing(path) as aside:
            aside.write_text("new")
        assert reader.read() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_files_have_the_rights_that_the_user_gives_to_files(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_json(tmp_path / "a.json", 1)
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == mode


def test_what_a_killed_process_left_under_the_callers_name_is_written_over(tmp_path: Path) -> None:
    left = tmp_path / ".a.part"
    left.write_text("half of something else")
    with replacing(tmp_path / "a", aside=left) as aside:
        assert aside == left and not left.exists()
        aside.write_text("whole")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "whole")]


def test_text_is_utf8(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "ü")
    assert (tmp_path / "a").read_bytes() == b"\xc3\xbc"
