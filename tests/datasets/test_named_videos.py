import pytest

from keras_i3d.datasets.named_videos import NamedVideo, check_names, find
from keras_i3d.errors import DatasetError


@pytest.fixture
def tree(tmp_path):
    for name in ("a/x.mp4", "a/y.AVI", "b/x.mp4", "b/.hidden.mp4", "b/notes.txt", "z.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def names(*given) -> list[str]:
    found = find(given)
    check_names(found)
    return [video.name for video in found]


def test_a_folder_keeps_its_tree(tree) -> None:
    assert names(tree) == ["a/x.mp4", "a/y.AVI", "b/x.mp4", "z.mp4"]
    assert find([tree])[0] == NamedVideo(str(tree / "a/x.mp4"), "a/x.mp4")


def test_a_file_is_named_after_itself_whatever_its_ending(tree) -> None:
    assert names(tree / "a/x.mp4", tree / "b/notes.txt", tree / "not_there.mp4") == [
        "x.mp4",
        "notes.txt",
        "not_there.mp4",
    ]


def test_a_video_that_is_named_twice_counts_once(tree, monkeypatch) -> None:
    monkeypatch.chdir(tree)
    assert names("a", tree / "a/x.mp4", "a/x.mp4") == ["x.mp4", "y.AVI"]


def test_two_videos_of_one_name_are_refused(tree) -> None:
    message = r"what is written of .*/a/x.mp4 and .*/b/x.mp4 would both be called 'x.mp4'; give the folder above both"
    for given in ((tree / "a/x.mp4", tree / "b/x.mp4"), (tree / "a", tree / "b")):
        with pytest.raises(ValueError, match=message):
            names(*given)


def test_a_name_does_not_depend_on_what_else_is_there(tree) -> None:
    alone = names(tree / "a/x.mp4")
    (tree / "a/x.avi").touch()
    assert names(tree / "a") == ["x.avi", *alone, "y.AVI"]


def test_a_folder_without_videos_is_named(tree) -> None:
    (tree / "empty").mkdir()
    with pytest.raises(DatasetError, match=r"empty: no video in this folder \(\*\.3gp, "):
        find([tree / "empty"])
    with pytest.raises(ValueError, match="a video is wanted, or a folder of videos; got none"):
        find([])
