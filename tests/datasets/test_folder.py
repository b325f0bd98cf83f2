import os
from pathlib import Path

import pytest

from keras_i3d.datasets.folder import VIDEO_ENDINGS, read_folder
from keras_i3d.errors import DatasetError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_a_folder_of_classes_is_split_by_the_hash_of_the_relative_path(tmp_path: Path) -> None:
    names = [f"{label}/v{number}.mp4" for label in ("run", "walk") for number in range(6)]
    dataset = read_folder(touch(tmp_path, *names))
    assert dataset.class_names == ("run", "walk")
    assert {clip.name: clip.splits for clip in dataset.clips} == {
        **dict.fromkeys(names, ("train",)),
        **dict.fromkeys(("run/v0.mp4", "run/v5.mp4", "walk/v2.mp4"), ("test",)),
    }
    assert all(clip.path == str(tmp_path / clip.name) for clip in dataset.clips)
    assert all(clip.label == Path(clip.path).parent.name for clip in dataset.clips)
    assert all((clip.start_s, clip.end_s) == (0.0, None) for clip in dataset.clips)


@pytest.mark.parametrize("splits", [("train", "val", "test"), ("train", "test"), ("train",), ("test",)])
def test_folders_of_splits_are_followed(tmp_path: Path, splits: tuple[str, ...]) -> None:
    touch(tmp_path, *(f"{split}/{label}/a.mp4" for split in splits for label in ("run", "walk")))
    dataset = read_folder(tmp_path)
    assert dataset.class_names == ("run", "walk")
    assert dataset.counts() == dict.fromkeys(splits, 2)
    assert {(clip.name, clip.splits) for clip in dataset.clips} == {
        (f"{split}/{label}/a.mp4", (split,)) for split in splits for label in ("run", "walk")
    }


def test_one_folder_with_another_name_makes_all_of_them_classes(tmp_path: Path) -> None:
    dataset = read_folder(touch(tmp_path, "train/a.mp4", "bus/a.mp4"))  # a class of vehicles
    assert dataset.class_names == ("bus", "train")


def test_an_unknown_split_folder_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "train/run/a.mp4", "validation/run/a.mp4")
    with pytest.raises(
        DatasetError, match=r": 'validation' stands beside folders of splits, which are train, val, test alone$"
    ):
        read_folder(tmp_path)


def test_a_folder_of_videos_beside_folders_of_splits_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r": 'more' stands beside folders of splits, which are train, val, test"):
        read_folder(touch(tmp_path, "train/run/a.mp4", "more/a.mp4"))


def test_a_folder_without_videos_may_stand_beside_folders_of_splits(tmp_path: Path) -> None:
    dataset = read_folder(touch(tmp_path, "train/run/a.mp4", "notes/plan.txt"))
    assert [(clip.name, clip.splits) for clip in dataset.clips] == [("train/run/a.mp4", ("train",))]


def test_videos_at_another_depth_are_left_out_and_listed(tmp_path: Path) -> None:
    dataset = read_folder(touch(tmp_path, "a.mp4", "run/a.mp4", "run/more/b.mp4", "run/more/still/c.mp4"))
    assert [clip.name for clip in dataset.clips] == ["run/a.mp4"]
    assert dataset.unlisted == ("a.mp4", "run/more/b.mp4")


def test_a_bucket_is_read_as_a_folder_is(bucket: str) -> None:
    import fsspec

    names = ["train/run/a b#1.mp4", "train/run/.hidden.mp4", "test/walk/b.mp4", "test/walk/notes.txt"]
    fsspec.filesystem("memory").pipe({f"{bucket}/{name}": b"" for name in names})
    dataset = read_folder(bucket)
    assert [(clip.path, clip.name, clip.label, clip.splits) for clip in dataset.clips] == [
        (f"{bucket}/test/walk/b.mp4", "test/walk/b.mp4", "walk", ("test",)),
        (f"{bucket}/train/run/a b#1.mp4", "train/run/a b#1.mp4", "run", ("train",)),
    ]


def test_a_bucket_without_videos_is_refused(bucket: str) -> None:
    import fsspec

    fsspec.filesystem("memory").pipe(f"{bucket}/run/notes.txt", b"")
    with pytest.raises(DatasetError, match=r"^memory://.*: no video in its folders; known endings are "):
        read_folder(bucket)


def test_a_class_that_only_one_split_has_is_a_class(tmp_path: Path) -> None:
    assert read_folder(touch(tmp_path, "train/a/1.mp4", "test/b/1.mp4")).class_names == ("a", "b")


def test_the_order_is_that_of_the_names_whatever_the_disk_says(tmp_path: Path) -> None:
    touch(tmp_path, "b/2.mp4", "b/10.mp4", "a/1.mp4", "B/1.mp4")
    dataset = read_folder(tmp_path)
    assert [clip.name for clip in dataset.clips] == ["B/1.mp4", "a/1.mp4", "b/10.mp4", "b/2.mp4"]
    assert dataset.class_names == ("B", "a", "b")


@pytest.mark.parametrize("foreign", ["a/.hidden.mp4", "a/._1.mp4", "a/notes.txt", "a/mp4", "a/x.mp4.part", "b.mp4"])
def test_hidden_files_and_foreign_endings_are_ignored(tmp_path: Path, foreign: str) -> None:
    dataset = read_folder(touch(tmp_path, "a/1.mp4", foreign))
    assert [clip.name for clip in dataset.clips] == ["a/1.mp4"]


def test_hidden_folders_are_ignored(tmp_path: Path) -> None:
    touch(tmp_path, ".git/a.mp4", "train/.cache/a.mp4", "train/run/a.mp4")
    assert [clip.name for clip in read_folder(tmp_path).clips] == ["train/run/a.mp4"]


def test_a_folder_without_videos_is_no_class(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.mp4", "notes/plan.txt")
    assert read_folder(tmp_path).class_names == ("a",)


@pytest.mark.parametrize("ending", [".mp4", ".MP4", ".avi", ".Mkv", ".webm"])
def test_videos_are_told_by_their_ending_whatever_its_case(tmp_path: Path, ending: str) -> None:
    assert len(read_folder(touch(tmp_path, f"a/video{ending}")).clips) == 1
    assert ending.lower() in VIDEO_ENDINGS


def test_a_folder_that_is_named_like_a_video_is_none(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.mp4", "a/frames.mp4/1.jpg")
    assert [clip.name for clip in read_folder(tmp_path).clips] == ["a/1.mp4"]


def test_links_are_followed(tmp_path: Path) -> None:
    touch(tmp_path, "store/1.mp4", "data/a/2.mp4")
    (tmp_path / "data/a/1.mp4").symlink_to(tmp_path / "store/1.mp4")
    (tmp_path / "data/b").symlink_to(tmp_path / "store")
    assert [clip.name for clip in read_folder(tmp_path / "data").clips] == ["a/1.mp4", "a/2.mp4", "b/1.mp4"]


def test_given_class_names_fix_the_order(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.mp4", "b/1.mp4")
    assert read_folder(tmp_path, class_names=["z", "b", "a"]).class_names == ("z", "b", "a")


def test_an_unknown_class_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.mp4", "b/1.mp4")
    with pytest.raises(DatasetError, match=rf"^{tmp_path}: unknown class 'b'; the classes are a, c$"):
        read_folder(tmp_path, class_names=["a", "c"])


def test_a_path_may_be_a_string(tmp_path: Path) -> None:
    assert len(read_folder(str(touch(tmp_path, "a/1.mp4"))).clips) == 1


def test_a_name_that_is_not_utf_8_is_a_name(tmp_path: Path) -> None:
    dataset = read_folder(touch(tmp_path, "a/1.mp4", os.fsdecode(b"a/caf\xe9.mp4")))
    assert len(dataset.clips) == 2
    assert len(dataset.digest()) == 64


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"absent: cannot be read as a folder \(No such file or directory\)$"):
        read_folder(tmp_path / "absent")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    with pytest.raises(DatasetError, match=r"a\.mp4: cannot be read as a folder \(Not a directory\)$"):
        read_folder(tmp_path / "a.mp4")


def test_the_data_set_has_a_name(tmp_path: Path) -> None:
    assert read_folder(touch(tmp_path, "a/1.mp4")).name == "folder"


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r": holds no folder; one folder of videos per class is expected$"):
        read_folder(tmp_path)


def test_videos_without_class_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r": holds no folder; one folder of videos per class is expected$"):
        read_folder(touch(tmp_path, "a.mp4", "b.mp4"))


@pytest.mark.parametrize("name", ["a/notes.txt", "train/a/notes.txt", "train/a.mp4"])
def test_folders_without_videos_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetError, match=r": no video in its folders; known endings are \.3gp \.avi .* \.y4m$"):
        read_folder(touch(tmp_path, name))


@pytest.mark.parametrize("closed", [".", "a", "train", "train/a"])
def test_an_unreadable_folder_is_named(open_folder: Path, closed: str, as_nobody) -> None:
    root = touch(open_folder, "train/a/1.mp4" if "train" in closed else "a/1.mp4")
    (root / closed).chmod(0)
    try:
        with as_nobody(), pytest.raises(DatasetError, match=r": cannot be read as a folder \(Permission denied\)$"):
            read_folder(root)
    finally:
        (root / closed).chmod(0o755)


def test_a_folder_that_can_be_listed_but_not_entered_is_named(open_folder: Path, as_nobody) -> None:
    root = touch(open_folder, "a/1.mp4")
    root.chmod(0o744 if not os.geteuid() else 0o444)
    try:
        with as_nobody(), pytest.raises(DatasetError, match=r"cannot be read as a folder \(Permission denied\)$"):
            read_folder(root)
    finally:
        root.chmod(0o755)


def test_a_link_that_leads_to_itself_is_a_video_that_cannot_be_read(tmp_path) -> None:
    touch(tmp_path, "a/1.mp4")
    (tmp_path / "a/loop.mp4").symlink_to("loop.mp4")
    assert [clip.name for clip in read_folder(tmp_path).clips] == ["a/1.mp4", "a/loop.mp4"]


@pytest.mark.parametrize("name", ["two\nlines", " ", os.fsdecode(b"caf\xe9")])
def test_a_class_name_that_is_no_line_of_text_is_told(tmp_path, name: str) -> None:
    message = rf"^{tmp_path}: the class name .* cannot be a line of text in UTF-8; give it another name$"
    with pytest.raises(DatasetError, match=message):
        read_folder(touch(tmp_path, "a/1.mp4", f"{name}/2.mp4"))


def test_what_lies_among_the_videos_is_listed(tmp_path) -> None:
    dataset = read_folder(touch(tmp_path, "a/1.mp4", "a/notes.txt", "top.mp4", "readme.txt"))
    assert dataset.unlisted == ("a/notes.txt", "top.mp4")
