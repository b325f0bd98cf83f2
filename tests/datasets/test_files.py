from pathlib import Path

import pytest

from keras_i3d.datasets import files
from keras_i3d.errors import DatasetError, StorageError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_files_are_found_by_their_endings_in_the_order_of_their_parts(tmp_path: Path) -> None:
    touch(tmp_path, "b.MP4", "a b/2.mp4", "a/10.mp4", "a/2.avi", "a/2.txt", "mp4")
    assert files.find(tmp_path, (".mp4", ".avi"), depth=2) == ["a/10.mp4", "a/2.avi", "a b/2.mp4", "b.MP4"]


@pytest.mark.parametrize(("depth", "count"), [(1, 1), (2, 2), (3, 3), (9, 4)])
def test_no_folder_below_the_depth_is_read(tmp_path: Path, depth: int, count: int) -> None:
    touch(tmp_path, "1.mp4", "a/2.mp4", "a/b/3.mp4", "a/b/c/4.mp4")
    assert len(files.find(tmp_path, (".mp4",), depth=depth)) == count


def test_a_link_in_a_circle_ends_at_the_depth(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.mp4")
    (tmp_path / "a/again").symlink_to(tmp_path)
    assert files.find(tmp_path, (".mp4",), depth=4) == ["a/1.mp4", "a/again/a/1.mp4"]


def test_hidden_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, ".a/1.mp4", "a/.1.mp4", "a/1.mp4")
    assert files.find(tmp_path, (".mp4",), depth=2) == ["a/1.mp4"]


def test_a_bucket_is_searched_as_a_folder_is(bucket: str) -> None:
    import fsspec

    names = ["a/2.avi", "a/.1.mp4", ".a/1.mp4", "a/b/3.mp4", "a/b/c/4.mp4", "a b/1.MP4"]
    fsspec.filesystem("memory").pipe({f"{bucket}/{name}": b"" for name in names})
    assert files.find(bucket, (".mp4", ".avi"), depth=3) == ["a/2.avi", "a/b/3.mp4", "a b/1.MP4"]


def test_a_bucket_that_is_not_there_is_named(bucket: str) -> None:
    with pytest.raises(StorageError, match=r"^memory://.*/absent: no such file or folder"):
        files.find(f"{bucket}/absent", (".mp4",), depth=1)


def test_an_unreadable_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"absent: cannot be read as a folder \(No such file or directory\)$"):
        files.find(tmp_path / "absent", (".mp4",), depth=1)


def test_lines_come_with_their_places_and_without_blanks(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes("\ufeff one \r\n\r\n\ttwo\u2028more 2 \n".encode())
    assert list(files.read_lines(path, "a list")) == [
        (f"{path}: line 1", "one"),
        (f"{path}: line 3", "two\u2028more 2"),
    ]


def test_lines_are_read_from_a_bucket(bucket: str) -> None:
    import fsspec

    fsspec.filesystem("memory").pipe(f"{bucket}/list.txt", "\ufeffone\ntwo\n".encode())
    assert [line for _, line in files.read_lines(f"{bucket}/list.txt", "a list")] == ["one", "two"]


@pytest.mark.parametrize("content", ["", "\n \r\n"])
def test_a_list_without_lines_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "list.txt").write_text(content)
    with pytest.raises(DatasetError, match=r"list\.txt: is empty; a list of all is expected$"):
        list(files.read_lines(tmp_path / "list.txt", "a list of all"))


def test_an_absent_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"list\.txt: cannot be read as a list \(.*No such file"):
        list(files.read_lines(tmp_path / "list.txt", "a list"))


def test_a_list_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes("läuft".encode("latin-1"))
    with pytest.raises(DatasetError, match=r"list\.txt: cannot be read as a list \('utf-8' codec"):
        list(files.read_lines(tmp_path / "list.txt", "a list"))
