import shutil
from pathlib import Path

import pytest

from keras_i3d.datasets.charades import read_charades
from keras_i3d.errors import DatasetError

HEADER = "id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length"
CLASSES = ("Walking", "Closing a door/gate", "Smiling")
ACTIONS = {
    "train": {"AAAAA": "c001 0.00 3.50;c000 2.00 31.08", "0BBBB": "", "CCCCC": "c002 1.00 2.00;c002 5.10 9.00"},
    "test": {"DDDDD": "c002 0.00 4.00;c001 0.10 4.00;c000 0.20 4.00"},
}


def line(name: str, actions: str) -> str:
    return (
        f'{name},S1,Kitchen,6,7,Yes,"A person walks, and ""smiles"".",door;cup,"Walks.;Smiles, twice.",{actions},31.08'
    )


def charades(root: Path, videos: str = "Charades_v1_480") -> Path:
    (root / "Charades").mkdir(parents=True)
    (root / videos).mkdir(parents=True, exist_ok=True)
    names = [f"c{index:03d} {name}" for index, name in enumerate(CLASSES)]
    (root / "Charades/Charades_v1_classes.txt").write_text("\n".join(names))
    for part, actions in ACTIONS.items():
        write_table(root, part, HEADER, *(line(*video) for video in actions.items()))
        for name in actions:
            (root / videos / f"{name}.mp4").touch()
    return root


def write_table(root: Path, part: str, *lines: str) -> None:
    (root / f"Charades/Charades_v1_{part}.csv").write_text("\r\n".join(lines) + "\r\n")


def test_a_video_is_a_clip_with_the_set_of_its_actions(tmp_path: Path) -> None:
    dataset = read_charades(charades(tmp_path))
    assert (dataset.name, dataset.multi_label, dataset.class_names) == ("charades", True, CLASSES)
    assert [(clip.name, clip.splits, clip.labels) for clip in dataset.clips] == [
        ("AAAAA", ("train",), ("Walking", "Closing a door/gate")),
        ("0BBBB", ("train",), ()),
        ("CCCCC", ("train",), ("Smiling",)),
        ("DDDDD", ("test",), CLASSES),
    ]
    assert all((clip.start_s, clip.end_s) == (0.0, None) for clip in dataset.clips)
    assert all(clip.path == str(tmp_path / "Charades_v1_480" / f"{clip.name}.mp4") for clip in dataset.clips)
    assert dataset.counts() == {"train": 3, "test": 1}
    assert (dataset.missing, dataset.unlisted) == ((), ())


@pytest.mark.parametrize("videos", [".", "videos", "videos/Charades_v1"])
def test_the_videos_may_stand_in_other_folders(tmp_path: Path, videos: str) -> None:
    dataset = read_charades(charades(tmp_path, videos))
    assert {Path(clip.path).parent for clip in dataset.clips} == {tmp_path / videos}


def test_the_tables_may_be_elsewhere(tmp_path: Path) -> None:
    expected = read_charades(charades(tmp_path / "one"))
    assert read_charades(tmp_path / "one/Charades_v1_480") == expected
    shutil.move(tmp_path / "one/Charades", tmp_path / "lists")
    assert read_charades(tmp_path / "one", annotations=tmp_path / "lists") == expected


def test_a_bucket_is_read_as_a_folder_is(tmp_path: Path, bucket: str) -> None:
    import fsspec

    charades(tmp_path)
    for path in tmp_path.rglob("*.*"):
        fsspec.filesystem("memory").pipe(f"{bucket}/{path.relative_to(tmp_path).as_posix()}", path.read_bytes())
    dataset = read_charades(bucket)
    assert dataset.digest() == read_charades(tmp_path).digest()
    assert dataset.clips[0].path == f"{bucket}/Charades_v1_480/AAAAA.mp4"


def test_absent_videos_are_reported_and_others_left_out(tmp_path: Path) -> None:
    videos = charades(tmp_path) / "Charades_v1_480"
    (videos / "CCCCC.mp4").rename(videos / "ZZZZZ.mp4")
    dataset = read_charades(tmp_path)
    assert dataset.missing == (("CCCCC", "no such file"),)
    assert dataset.unlisted == ("Charades_v1_480/ZZZZZ.mp4",)
    assert [clip.name for clip in dataset.clips] == ["AAAAA", "0BBBB", "DDDDD"]
    assert dataset.class_names == CLASSES


def test_given_class_names_fix_the_order(tmp_path: Path) -> None:
    names = ["Smiling", "Closing a door/gate", "Walking"]
    assert read_charades(charades(tmp_path), class_names=names).class_names == tuple(names)
    with pytest.raises(DatasetError, match=r": unknown class 'Smiling'; the classes are Closing a door/gate, Walking$"):
        read_charades(tmp_path, class_names=names[1:])


@pytest.mark.parametrize("actions", ["c001", "c001 0.0", "c01 0.0 1.0", "c001 0.0 1.0;", "c001 0.0 1.0 c002 0.0 1.0"])
def test_wrong_actions_are_refused_with_their_line(tmp_path: Path, actions: str) -> None:
    write_table(charades(tmp_path), "test", HEADER, line("DDDDD", ""), line("EEEEE", actions))
    message = rf"/Charades_v1_test\.csv: line 3: actions must be 'CODE START END;CODE START END', got '{actions}'$"
    with pytest.raises(DatasetError, match=message):
        read_charades(tmp_path)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            [HEADER, line("EEEEE", "c003 0.00 1.00")],
            r"line 2: c003 is no class of Charades_v1_classes\.txt, which has 3",
        ),
        ([HEADER, line("", "")], "line 2: id is empty"),
        ([HEADER, "EEEEE,S1"], "line 2: has another number of cells than the header"),
        ([HEADER, line("EEEEE", "") + ",x"], "line 2: has another number of cells than the header"),
        (["id,action", "EEEEE,"], r"the header lacks the column actions; download https://.*/Charades\.zip afresh"),
        ([HEADER, line("AAAAA", "")], r"line 2: AAAAA is named a second time, after .*_v1_train\.csv: line 2"),
        ([HEADER, f'"{"x" * 200_000}"'], r"cannot be read as a CSV table of Charades \(field larger than .*\)"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, lines: list[str], message: str) -> None:
    write_table(charades(tmp_path), "test", *lines)
    with pytest.raises(DatasetError, match=rf"/Charades_v1_test\.csv: {message}$"):
        read_charades(tmp_path)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["c000 Walking", "c002 Smiling"], "line 2: must be 'c001 CLASS', got 'c002 Smiling'"),
        (["c001 Walking"], "line 1: must be 'c000 CLASS', got 'c001 Walking'"),
        (["c000"], "line 1: must be 'c000 CLASS', got 'c000'"),
        (["c000 Walking", "c001 Walking"], "line 2: names the class 'Walking' a second time"),
        ([], "is empty; class names with their codes is expected"),
    ],
)
def test_wrong_class_names_are_refused(tmp_path: Path, lines: list[str], message: str) -> None:
    (charades(tmp_path) / "Charades/Charades_v1_classes.txt").write_text("\n".join(lines))
    with pytest.raises(DatasetError, match=rf"/Charades_v1_classes\.txt: {message}$"):
        read_charades(tmp_path)


def test_a_video_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    (charades(tmp_path) / "Charades_v1").mkdir()
    (tmp_path / "Charades_v1/DDDDD.mp4").touch()
    with pytest.raises(
        DatasetError,
        match=rf"^{tmp_path}: DDDDD is there twice, as Charades_v1/DDDDD\.mp4 and as Charades_v1_480/DDDDD\.mp4; name "
        "the folder of one of them, and that of the tables as annotations$",
    ):
        read_charades(tmp_path)


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_missing_table_is_named(tmp_path: Path, part: str) -> None:
    (charades(tmp_path) / f"Charades/Charades_v1_{part}.csv").unlink()
    with pytest.raises(DatasetError, match=rf"/Charades_v1_{part}\.csv: cannot be read as a CSV table of Charades \("):
        read_charades(tmp_path)


def test_absent_tables_are_refused_with_the_remedy(tmp_path: Path) -> None:
    shutil.rmtree(charades(tmp_path) / "Charades")
    message = rf"^{tmp_path}: no Charades_v1_classes\.txt in it; download https://.*/Charades\.zip and unpack it there$"
    with pytest.raises(DatasetError, match=message):
        read_charades(tmp_path)


def test_absent_videos_are_refused_with_the_remedy(tmp_path: Path) -> None:
    shutil.rmtree(charades(tmp_path) / "Charades_v1_480")
    with pytest.raises(
        DatasetError,
        match=rf"^{tmp_path}: not one of the 4 listed videos is there, such as AAAAA\.mp4; download them from https://"
        r".*/charades and unpack them there$",
    ):
        read_charades(tmp_path)
