import shutil
from pathlib import Path

import pytest

from keras_i3d.datasets.hmdb51 import read_hmdb51
from keras_i3d.errors import DatasetError

VIDEOS = {
    "brush_hair": [
        "April_09_brush_hair_u_nm_np1_ba_goo_0.avi",
        "a b;c#1!(x)[y]&'z_brush_hair.avi",
        "b__1.avi",
        "c.avi",
    ],
    "wave": ["20060723sfjffbartsinger_wave_f_cm_np1_ba_med_0.avi", "$HOME `ls` 2.avi"],
}
CODES = {"brush_hair": ("120", "210", "012", "000"), "wave": ("111", "222")}  # of each video, in the three splits


def hmdb51(root: Path, videos: str = "hmdb51_org") -> Path:
    lists = root / "testTrainMulti_7030_splits"
    lists.mkdir(parents=True)
    for label, names in VIDEOS.items():
        (root / videos / label).mkdir(parents=True)
        for name in names:
            (root / videos / label / name).touch()
        for split in range(3):
            lines = [f"{name} {codes[split]} \n" for name, codes in zip(names, CODES[label], strict=True)]
            (lists / f"{label}_test_split{split + 1}.txt").write_text("".join(lines))
    return root


def edit(root: Path, name: str, line: int, text: str) -> None:
    path = root / "testTrainMulti_7030_splits" / name
    lines = path.read_text().splitlines()
    lines[line - 1 :] = [text, *lines[line:]]
    path.write_text("\n".join(lines))


def test_the_three_splits_are_read(tmp_path: Path) -> None:
    dataset = read_hmdb51(hmdb51(tmp_path))
    assert dataset.name == "hmdb51"
    assert dataset.class_names == ("brush_hair", "wave")
    assert dataset.counts() == {"train1": 2, "test1": 2, "train2": 3, "test2": 2, "train3": 1, "test3": 2}
    assert dataset.unused() == (2, 1, 3)
    meaning = {"0": "unused", "1": "train", "2": "test"}
    assert {clip.name: clip.splits for clip in dataset.clips} == {
        f"{label}/{name}": tuple(meaning[code] for code in codes)
        for label, names in VIDEOS.items()
        for name, codes in zip(names, CODES[label], strict=True)
    }
    assert [clip.name for clip in dataset.clips] == sorted(clip.name for clip in dataset.clips)
    assert all(clip.label == clip.name.split("/")[0] for clip in dataset.clips)
    assert all(clip.path == str(tmp_path / "hmdb51_org" / clip.name) for clip in dataset.clips)
    assert all(Path(clip.path).is_file() for clip in dataset.clips)
    assert (dataset.missing, dataset.unlisted) == ((), ())


@pytest.mark.parametrize("videos", [".", "videos", "hmdb51_org"])
def test_the_videos_may_stand_one_folder_lower(tmp_path: Path, videos: str) -> None:
    dataset = read_hmdb51(hmdb51(tmp_path, videos))
    assert len(dataset.clips) == 6
    assert {Path(clip.path).parents[1] for clip in dataset.clips} == {tmp_path / videos}


def test_the_folder_of_the_videos_may_be_named_itself(tmp_path: Path) -> None:
    hmdb51(tmp_path)
    assert read_hmdb51(tmp_path / "hmdb51_org") == read_hmdb51(str(tmp_path))


def test_the_lists_may_be_elsewhere(tmp_path: Path) -> None:
    expected = read_hmdb51(hmdb51(tmp_path / "one"))
    shutil.move(tmp_path / "one/testTrainMulti_7030_splits", tmp_path / "lists")
    assert read_hmdb51(tmp_path / "one", annotations=tmp_path / "lists") == expected


def test_a_bucket_is_read_as_a_folder_is(tmp_path: Path, bucket: str) -> None:
    import fsspec

    hmdb51(tmp_path)
    system = fsspec.filesystem("memory")
    for path in tmp_path.rglob("*.*"):
        if path.is_file():
            system.pipe(f"{bucket}/{path.relative_to(tmp_path).as_posix()}", path.read_bytes())
    dataset = read_hmdb51(bucket)
    assert dataset.digest() == read_hmdb51(tmp_path).digest()
    assert {clip.path for clip in dataset.clips} == {f"{bucket}/hmdb51_org/{clip.name}" for clip in dataset.clips}


def test_absent_videos_are_reported_and_others_left_out(tmp_path: Path) -> None:
    videos = hmdb51(tmp_path) / "hmdb51_org"
    (videos / "brush_hair/b__1.avi").unlink()
    (videos / "wave/mine.avi").touch()
    dataset = read_hmdb51(tmp_path)
    assert dataset.missing == (("brush_hair/b__1.avi", "no such file"),)
    assert dataset.unlisted == ("hmdb51_org/wave/mine.avi",)
    assert len(dataset.clips) == 5


def test_given_class_names_fix_the_order(tmp_path: Path) -> None:
    assert read_hmdb51(hmdb51(tmp_path), class_names=["wave", "brush_hair"]).class_names == ("wave", "brush_hair")
    with pytest.raises(DatasetError, match=r": unknown class 'wave'; the classes are brush_hair$"):
        read_hmdb51(tmp_path, class_names=["brush_hair"])


@pytest.mark.parametrize("text", ["c.avi", "c.avi 3", "c.avi -1", "c.avi 1.0", "1", "wave/c.avi 1", "c.avi1"])
def test_a_wrong_line_is_refused_with_its_place(tmp_path: Path, text: str) -> None:
    edit(hmdb51(tmp_path), "wave_test_split2.txt", 2, text)
    with pytest.raises(
        DatasetError,
        match=rf"/wave_test_split2\.txt: line 2: must be 'VIDEO\.avi N' with N 1 for train, 2 for test or 0 for "
        rf"unused, got '{text}'$",
    ):
        read_hmdb51(tmp_path)


def test_a_video_that_is_listed_twice_is_refused(tmp_path: Path) -> None:
    edit(hmdb51(tmp_path), "brush_hair_test_split1.txt", 4, "b__1.avi 2")
    with pytest.raises(
        DatasetError,
        match=r"/brush_hair_test_split1\.txt: line 4: brush_hair/b__1\.avi is named a second time in split 1, as test; "
        r"as unused by .*/brush_hair_test_split1\.txt: line 3$",
    ):
        read_hmdb51(tmp_path)


def test_a_label_that_differs_between_splits_is_refused(tmp_path: Path) -> None:
    hmdb51(tmp_path)
    edit(tmp_path, "brush_hair_test_split2.txt", 4, "")
    edit(tmp_path, "wave_test_split2.txt", 3, "c.avi 1")
    with pytest.raises(
        DatasetError,
        match=r"/wave_test_split2\.txt: line 3: c\.avi is of class wave, and of class brush_hair by "
        r".*/brush_hair_test_split1\.txt: line 4; unpack the splits afresh$",
    ):
        read_hmdb51(tmp_path)


def test_two_classes_may_have_a_file_of_one_name(tmp_path: Path) -> None:
    hmdb51(tmp_path)
    (tmp_path / "hmdb51_org/wave/c.avi").touch()
    for split in (1, 2, 3):
        edit(tmp_path, f"wave_test_split{split}.txt", 3, "c.avi 1")
    assert [clip.name for clip in read_hmdb51(tmp_path).clips if clip.name.endswith("/c.avi")] == [
        "brush_hair/c.avi",
        "wave/c.avi",
    ]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_missing_list_is_named_with_the_remedy(tmp_path: Path, number: int) -> None:
    (hmdb51(tmp_path) / f"testTrainMulti_7030_splits/wave_test_split{number}.txt").unlink()
    with pytest.raises(
        DatasetError, match=rf"/wave_test_split{number}\.txt: is missing; download the data set's three splits and unp"
    ):
        read_hmdb51(tmp_path)


def test_a_class_without_any_list_is_named(tmp_path: Path) -> None:
    for path in (hmdb51(tmp_path) / "testTrainMulti_7030_splits").glob("wave_*"):
        path.unlink()
    with pytest.raises(
        DatasetError,
        match=r"/testTrainMulti_7030_splits: no wave_test_split1\.txt for the videos of .*/hmdb51_org/wave; ",
    ):
        read_hmdb51(tmp_path)


def test_an_empty_list_is_refused(tmp_path: Path) -> None:
    (hmdb51(tmp_path) / "testTrainMulti_7030_splits/wave_test_split1.txt").write_text("")
    with pytest.raises(DatasetError, match=r"/wave_test_split1\.txt: is empty; a list of videos is expected$"):
        read_hmdb51(tmp_path)


def test_absent_lists_are_refused_with_the_remedy(tmp_path: Path) -> None:
    shutil.rmtree(hmdb51(tmp_path) / "testTrainMulti_7030_splits")
    with pytest.raises(
        DatasetError, match=rf"^{tmp_path}: no CLASS_test_split1\.txt in it; download the data set's three splits and "
    ):
        read_hmdb51(tmp_path)


def test_absent_videos_are_refused_with_the_remedy(tmp_path: Path) -> None:
    shutil.rmtree(hmdb51(tmp_path) / "hmdb51_org")
    with pytest.raises(
        DatasetError,
        match=rf"^{tmp_path}: not one of the 6 listed videos is there, such as brush_hair/.*; unpack hmdb51_org\.rar, "
        r"and the archive of each class that it holds, there$",
    ):
        read_hmdb51(tmp_path)
