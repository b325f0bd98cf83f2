from pathlib import Path

import pytest

from keras_i3d.datasets.official import VideoLists, lists_folder, match
from keras_i3d.errors import DatasetError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def found(root: Path | str, annotations: Path | None = None) -> str:
    return lists_folder(root, annotations, "lists", lambda file: file == "list.txt")


def filled(*names: str, ignore_case: bool = False) -> VideoLists:
    lists = VideoLists(str.casefold) if ignore_case else VideoLists()
    for number, name in enumerate(names):
        lists.add(f"line {number}", name, name.split("/")[0], 0, "train")
    return lists


@pytest.mark.parametrize("place", [".", "a", "a/b"])
def test_the_folder_of_the_lists_is_found_below(tmp_path: Path, place: str) -> None:
    touch(tmp_path, f"{place}/list.txt", "other/notes.txt")
    assert Path(found(tmp_path)) == tmp_path / place


def test_the_folder_of_the_lists_is_found_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "videos/a/1.avi", "lists/list.txt", "unrelated/list.txt")
    assert found(tmp_path / "videos") == str(tmp_path / "lists")
    monkeypatch.chdir(tmp_path / "videos")
    assert found(".") == str(tmp_path / "lists")


def test_a_named_folder_of_lists_is_the_only_one_that_counts(tmp_path: Path) -> None:
    touch(tmp_path, "list.txt", "named/list.txt", "empty/notes.txt")
    assert found(tmp_path, tmp_path / "named") == str(tmp_path / "named")
    assert found(tmp_path, tmp_path / "empty") == ""


def test_two_folders_of_lists_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r": has lists in \. and in old; name one folder with annotations$"):
        found(touch(tmp_path, "list.txt", "old/list.txt"))


def test_a_video_counts_once_in_each_division() -> None:
    lists = VideoLists()
    lists.add("a: line 1", "run/1.avi", "run", 0, "train")
    lists.add("b: line 1", "run/1.avi", "run", 2, "test")
    assert lists.videos["run/1.avi"].splits == ["train", "unused", "test"]
    with pytest.raises(
        DatasetError, match=r"^c: line 7: run/1\.avi is named a second time in split 1, as test; as train by a: line 1$"
    ):
        lists.add("c: line 7", "run/1.avi", "run", 0, "test")


def test_listed_videos_get_their_files_and_the_others_are_reported(tmp_path: Path) -> None:
    names = ["videos/b/1.avi", "videos/b/2.avi", "videos/c/9.avi", "elsewhere/x/3.avi", "4.avi"]
    matched = match(tmp_path, filled("b/3.avi", "b/2.avi", "a/1.avi", "b/1.avi"), names)
    assert [(clip.path, clip.name) for clip in matched.clips] == [
        (str(tmp_path / "videos/b/1.avi"), "b/1.avi"),
        (str(tmp_path / "videos/b/2.avi"), "b/2.avi"),
    ]
    assert matched.missing == (("a/1.avi", "no such file"), ("b/3.avi", "no such file"))
    assert matched.unlisted == ("videos/c/9.avi",)


def test_case_counts_unless_told_otherwise(tmp_path: Path) -> None:
    assert not match(tmp_path, filled("Run/v.avi"), ["run/V.avi"]).clips
    (clip,) = match(tmp_path, filled("Run/v.avi", ignore_case=True), ["run/V.avi"]).clips
    assert (clip.path, clip.name) == (str(tmp_path / "run/V.avi"), "Run/v.avi")


def test_of_two_spellings_the_exact_one_is_taken(tmp_path: Path) -> None:
    matched = match(tmp_path, filled("Run/v.avi", ignore_case=True), ["Run/V.avi", "Run/v.avi"])
    assert [clip.path for clip in matched.clips] == [str(tmp_path / "Run/v.avi")]
    assert matched.unlisted == ("Run/V.avi",)


@pytest.mark.parametrize("names", [["a/run/1.avi", "b/run/1.avi"], ["RUN/1.avi", "Run/1.avi"]])
def test_a_video_that_is_there_twice_is_refused(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(DatasetError, match=rf": run/1\.avi is there twice, as {names[0]} and as {names[1]}; remove"):
        match(tmp_path, filled("run/1.avi", ignore_case=True), names)
