import shutil
from pathlib import Path

import pytest

from keras_i3d.datasets.ucf101 import read_ucf101
from keras_i3d.errors import DatasetError

CLASSES = ("ApplyEyeMakeup", "HandstandPushups", "Hammering", "HammerThrow")  # in an order that is not alphabetical
VIDEOS = tuple(
    f"{label}/v_{'HandStandPushups' if label == 'HandstandPushups' else label}_g{group:02d}_c01.avi"
    for label in CLASSES
    for group in (1, 2, 3)
)


def ucf101(root: Path) -> Path:
    """Make the data set in small: group 1 is for testing in split 1, group 2 in split 2, group 3 in split 3."""
    for name in VIDEOS:
        path = root / "UCF-101" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    lists = root / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "classInd.txt").write_text("".join(f"{i} {name}\r\n" for i, name in enumerate(CLASSES, start=1)) + "\r\n")
    for split in (1, 2, 3):
        held_out = [name for name in VIDEOS if f"_g{split:02d}_" in name]
        numbered = [f"{name} {CLASSES.index(name.split('/')[0]) + 1}" for name in VIDEOS if name not in held_out]
        (lists / f"trainlist{split:02d}.txt").write_text("\n".join(numbered) + "\n")
        (lists / f"testlist{split:02d}.txt").write_text("\n".join(held_out) + "\n")
    return root


def edit(root: Path, name: str, line: int, text: str) -> None:
    path = root / "ucfTrainTestlist" / name
    lines = path.read_text().splitlines()
    lines[line - 1] = text
    path.write_text("\n".join(lines))


def test_the_three_splits_are_read(tmp_path: Path) -> None:
    dataset = read_ucf101(ucf101(tmp_path))
    assert dataset.name == "ucf101"
    assert dataset.class_names == CLASSES
    assert dataset.counts() == {"train1": 8, "test1": 4, "train2": 8, "test2": 4, "train3": 8, "test3": 4}
    assert [clip.name for clip in dataset.clips] == sorted(VIDEOS)
    splits = {clip.name[-11:-8]: clip.splits for clip in dataset.clips}
    assert splits == {
        "g01": ("test", "train", "train"),
        "g02": ("train", "test", "train"),
        "g03": ("train", "train", "test"),
    }
    assert all(clip.label == clip.name.split("/")[0] for clip in dataset.clips)
    assert all(clip.path == str(tmp_path / "UCF-101" / clip.name) for clip in dataset.clips)
    assert (dataset.missing, dataset.unlisted) == ((), ())


def test_the_folder_of_the_videos_may_be_named_itself(tmp_path: Path) -> None:
    ucf101(tmp_path)
    assert read_ucf101(tmp_path / "UCF-101") == read_ucf101(str(tmp_path))


def test_the_lists_may_be_elsewhere(tmp_path: Path) -> None:
    expected = read_ucf101(ucf101(tmp_path / "one"))
    shutil.move(tmp_path / "one/ucfTrainTestlist", tmp_path / "lists")
    assert read_ucf101(tmp_path / "one", annotations=tmp_path / "lists") == expected


def test_a_bucket_is_read_as_a_folder_is(tmp_path: Path, bucket: str) -> None:
    import fsspec

    expected = read_ucf101(ucf101(tmp_path))
    fsspec.filesystem("memory").put(f"{tmp_path}/", bucket, recursive=True)
    dataset = read_ucf101(bucket)
    assert dataset.digest() == expected.digest()
    assert dataset.clips[0].path == f"{bucket}/UCF-101/{VIDEOS[0]}"


@pytest.mark.parametrize("folder", ["HandstandPushups", "HandStandPushups"])
@pytest.mark.parametrize("file", ["HandstandPushups", "HandStandPushups"])
@pytest.mark.parametrize("listed", ["HandstandPushups/v_HandstandPushups", "HandStandPushups/v_HandStandPushups"])
def test_handstand_pushups_are_found_however_they_are_spelt(
    tmp_path: Path, folder: str, file: str, listed: str
) -> None:
    ucf101(tmp_path)
    shutil.rmtree(tmp_path / "UCF-101/HandstandPushups")
    path = tmp_path / f"UCF-101/{folder}/v_{file}_g01_c01.avi"
    path.parent.mkdir()
    path.touch()
    for split, line in ((1, 2), (2, 3), (3, 3)):
        name = f"{'test' if split == 1 else 'train'}list{split:02d}.txt"
        edit(tmp_path, name, line, f"{listed}_g01_c01.avi" + ("" if split == 1 else " 2"))
    dataset = read_ucf101(tmp_path)
    (clip,) = (clip for clip in dataset.clips if clip.label == "HandstandPushups")
    assert (clip.path, clip.splits) == (str(path), ("test", "train", "train"))
    assert len(dataset.missing) == 2


def test_absent_videos_are_reported_and_others_left_out(tmp_path: Path) -> None:
    videos = ucf101(tmp_path) / "UCF-101"
    (videos / VIDEOS[0]).unlink()
    (videos / "Hammering/mine.avi").touch()
    dataset = read_ucf101(tmp_path)
    assert dataset.missing == ((VIDEOS[0], "no such file"),)
    assert dataset.unlisted == ("UCF-101/Hammering/mine.avi",)
    assert len(dataset.clips) == len(VIDEOS) - 1


def test_a_video_that_a_split_does_not_name_is_unused_in_it(tmp_path: Path) -> None:
    edit(ucf101(tmp_path), "testlist01.txt", 1, "")
    clip = next(clip for clip in read_ucf101(tmp_path).clips if clip.name == VIDEOS[0])
    assert clip.splits == ("unused", "train", "train")


def test_given_class_names_fix_the_order(tmp_path: Path) -> None:
    names = sorted(CLASSES, reverse=True)
    assert read_ucf101(ucf101(tmp_path), class_names=names).class_names == tuple(names)
    with pytest.raises(DatasetError, match=r": unknown class 'HammerThrow'; the classes are "):
        read_ucf101(tmp_path, class_names=CLASSES[:3])


@pytest.mark.parametrize(
    ("file", "line", "text", "message"),
    [
        (
            "trainlist01.txt",
            3,
            f"{VIDEOS[4]} 3",
            f"{VIDEOS[4]} has the label 3, and its class HandstandPushups the numb",
        ),
        ("trainlist02.txt", 1, f"{VIDEOS[0]} 0", f"{VIDEOS[0]} has the label 0, and its class ApplyEyeMakeup the numb"),
        (
            "testlist03.txt",
            2,
            f"{VIDEOS[5]} 1",
            f"{VIDEOS[5]} has the label 1, and its class HandstandPushups the numb",
        ),
        (
            "trainlist02.txt",
            1,
            f"Hammering/{VIDEOS[0].split('/')[1]} 3",
            "v_.* is in the folder of another class, Hamm",
        ),
        ("trainlist01.txt", 2, "Juggling/v_Juggling_g01_c01.avi 5", "'Juggling' is no class of classInd.txt$"),
        ("trainlist01.txt", 2, VIDEOS[1], "must be 'CLASS/VIDEO.avi NUMBER', got 'Apply"),
        ("trainlist01.txt", 2, f"{VIDEOS[1]} one", "must be 'CLASS/VIDEO.avi NUMBER', got "),
        ("trainlist01.txt", 2, "v_Hammering_g02_c01.avi 3", "must be 'CLASS/VIDEO.avi NUMBER', got "),
        ("testlist01.txt", 2, "v_Hammering_g02_c01.avi", "must be 'CLASS/VIDEO.avi', got "),
        ("testlist01.txt", 2, "UCF-101/Hammering/v_Hammering_g02_c01.avi", "must be 'CLASS/VIDEO.avi', got "),
        (
            "trainlist01.txt",
            2,
            f"{VIDEOS[1]} 1",
            "ApplyEye.* a second time in split 1, as train; as train by .*: line 1$",
        ),
        ("testlist02.txt", 3, VIDEOS[0], "ApplyEye.* a second time in split 2, as test; as train by .*02.txt: line 1$"),
        ("classInd.txt", 2, "3 HandstandPushups", "must be '2 CLASS', got '3 HandstandPushups'$"),
        ("classInd.txt", 1, "0 ApplyEyeMakeup", "must be '1 CLASS', got '0 ApplyEyeMakeup'$"),
        ("classInd.txt", 1, "ApplyEyeMakeup", "must be '1 CLASS', got 'ApplyEyeMakeup'$"),
        ("classInd.txt", 3, "3 applyEyeMakeup", "names the class applyEyeMakeup a second time$"),
    ],
)
def test_a_wrong_line_is_refused_with_its_place(tmp_path: Path, file: str, line: int, text: str, message: str) -> None:
    edit(ucf101(tmp_path), file, line, text)
    with pytest.raises(DatasetError, match=rf"^[^\n]*/{file}: line {line}: {message}[^\n]*$"):
        read_ucf101(tmp_path)


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("part", ["train", "test"])
def test_a_missing_list_is_named_with_the_remedy(tmp_path: Path, part: str, number: int) -> None:
    (ucf101(tmp_path) / f"ucfTrainTestlist/{part}list0{number}.txt").unlink()
    with pytest.raises(
        DatasetError,
        match=rf"/{part}list0{number}\.txt: cannot be read as a list of videos .*; download https://.*\.zip and unpack",
    ):
        read_ucf101(tmp_path)


def test_an_empty_list_is_refused(tmp_path: Path) -> None:
    (ucf101(tmp_path) / "ucfTrainTestlist/testlist02.txt").write_text("\n")
    with pytest.raises(DatasetError, match=r"testlist02\.txt: is empty; a list of videos is expected; download https"):
        read_ucf101(tmp_path)


def test_absent_lists_are_refused_with_the_remedy(tmp_path: Path) -> None:
    shutil.rmtree(ucf101(tmp_path) / "ucfTrainTestlist")
    with pytest.raises(
        DatasetError, match=rf"^{tmp_path}: no classInd\.txt in it; download https://.*\.zip and unpack"
    ):
        read_ucf101(tmp_path)
    (tmp_path / "lists").mkdir()
    with pytest.raises(DatasetError, match=rf"^{tmp_path}/lists: no classInd\.txt in it; download https"):
        read_ucf101(tmp_path, annotations=tmp_path / "lists")


def test_absent_videos_are_refused_with_the_remedy(tmp_path: Path) -> None:
    shutil.rmtree(ucf101(tmp_path) / "UCF-101")
    with pytest.raises(
        DatasetError,
        match=rf"^{tmp_path}: not one of the 12 listed videos is there, such as {VIDEOS[0]}; download https://.*\.rar ",
    ):
        read_ucf101(tmp_path)


def test_an_absent_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"absent: cannot be read as a folder \(No such file or directory\)$"):
        read_ucf101(tmp_path / "absent")
