import logging
from pathlib import Path

import pytest

from keras_i3d.datasets.kinetics import read_kinetics
from keras_i3d.errors import DatasetError

HEADER = "label,youtube_id,time_start,time_end,split"
TRAIN = """label,youtube_id,time_start,time_end,split,is_cc
air drumming,-_6vUmDRWvA,20,30,train,0
"massaging person's head",__7kcZKYfC4,5,15,train,1
air drumming,abc-def_ghi,417,427,train,0
"""
VALIDATE = f"{HEADER}\nabseiling,0wR5jVB-WPk,417,427,validate\n"
TEST = "youtube_id,time_start,time_end,split\n-FaXLcSFjUI,60,70,test\n"
FILES = (
    "train/-_6vUmDRWvA_000020_000030.mp4",
    "train/__7kcZKYfC4_000005_000015.mp4",
    "train/abc-def_ghi_000417_000427.mp4",
    "val/0wR5jVB-WPk_000417_000427.mp4",
    "test/-FaXLcSFjUI_000060_000070.mp4",
)


def kinetics(root: Path, *names: str, **tables: str) -> Path:
    """Make videos, and CSV files in the folder ``annotations``."""
    for name, text in tables.items():
        (root / "annotations").mkdir(parents=True, exist_ok=True)
        (root / f"annotations/{name}.csv").write_text(text, "utf-8")
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def one(root: Path, *names: str, **options):
    """Read a data set of one line, of abseiling in 0wR5jVB-WPk from 417 s to 427 s."""
    (clip,) = read_kinetics(kinetics(root, *names, validate=VALIDATE), **options).clips
    return clip


def test_all_splits_are_read(tmp_path: Path) -> None:
    dataset = read_kinetics(kinetics(tmp_path, *FILES, train=TRAIN, validate=VALIDATE, test=TEST))
    assert dataset.name == "kinetics"
    assert dataset.class_names == ("abseiling", "air drumming", "massaging person's head")
    assert dataset.counts() == {"train": 3, "val": 1, "test": 1}
    assert [(clip.name, clip.label, clip.splits) for clip in dataset.clips] == [
        ("-FaXLcSFjUI_000060_000070", None, ("test",)),
        ("-_6vUmDRWvA_000020_000030", "air drumming", ("train",)),
        ("0wR5jVB-WPk_000417_000427", "abseiling", ("val",)),
        ("__7kcZKYfC4_000005_000015", "massaging person's head", ("train",)),
        ("abc-def_ghi_000417_000427", "air drumming", ("train",)),
    ]
    assert {clip.path for clip in dataset.clips} == {str(tmp_path / name) for name in FILES}
    assert all((clip.start_s, clip.end_s) == (0.0, None) for clip in dataset.clips)
    assert (dataset.missing, dataset.unlisted) == ((), ())


@pytest.mark.parametrize(
    "name",
    [
        "0wR5jVB-WPk_000417_000427.mp4",
        "0wR5jVB-WPk_000417_000427.MKV",
        "0wR5jVB-WPk_000417_000427.mp4.webm",
        "0wR5jVB-WPk_417_427.mp4",
        "videos/val/abseiling/0wR5jVB-WPk_000417_000427.avi",
        "a/b/c/d/e/0wR5jVB-WPk_000417_000427.mp4",
    ],
)
def test_a_name_with_times_is_the_stretch_itself(tmp_path: Path, name: str) -> None:
    clip = one(tmp_path, name)
    assert (clip.path, clip.start_s, clip.end_s) == (str(tmp_path / name), 0.0, None)
    assert clip.id == "0wR5jVB-WPk_000417_000427"


@pytest.mark.parametrize("name", ["0wR5jVB-WPk.mp4", "val/0wR5jVB-WPk.webm"])
def test_a_name_without_times_is_the_whole_youtube_video(tmp_path: Path, name: str) -> None:
    clip = one(tmp_path, name)
    assert (clip.path, clip.start_s, clip.end_s) == (str(tmp_path / name), 417.0, 427.0)
    assert clip.id == "0wR5jVB-WPk_000417_000427@417.0-427.0"


def test_a_name_without_times_is_the_stretch_where_the_caller_says_so(tmp_path: Path) -> None:
    clip = one(tmp_path, "0wR5jVB-WPk.mp4", trimmed=True)
    assert (clip.start_s, clip.end_s) == (0.0, None)


@pytest.mark.parametrize(
    ("best", "other"),
    [
        ("0wR5jVB-WPk_000417_000427.mp4", "0wR5jVB-WPk.mp4"),
        ("replacement/0wR5jVB-WPk_000417_000427.mp4", "val/0wR5jVB-WPk_000417_000427.mp4"),
        ("replacement_for_corrupted/x/0wR5jVB-WPk_000417_000427.mp4", "val/0wR5jVB-WPk_000417_000427.mp4"),
        ("validate/0wR5jVB-WPk_000417_000427.mp4", "train/0wR5jVB-WPk_000417_000427.mp4"),
        ("x/Abseiling/0wR5jVB-WPk_000417_000427.mp4", "a/other/0wR5jVB-WPk_000417_000427.mp4"),
        ("a/0wR5jVB-WPk_000417_000427.webm", "b/0wR5jVB-WPk_000417_000427.mp4"),
    ],
)
def test_of_several_files_the_best_is_taken_and_the_others_are_listed(tmp_path: Path, best: str, other: str) -> None:
    dataset = read_kinetics(kinetics(tmp_path, best, other, validate=VALIDATE))
    assert [clip.path for clip in dataset.clips] == [str(tmp_path / best)]
    assert dataset.unlisted == (other,)


@pytest.mark.parametrize("folder", ["air drumming", "air_drumming", "Air_Drumming"])
def test_class_folders_may_have_blanks_or_underscores(tmp_path: Path, folder: str) -> None:
    name = f"train/{folder}/-_6vUmDRWvA_000020_000030.mp4"
    other = "train/a/-_6vUmDRWvA_000020_000030.mp4"
    dataset = read_kinetics(kinetics(tmp_path, name, other, train=TRAIN))
    assert [clip.path for clip in dataset.clips] == [str(tmp_path / name)]


STRETCHES = f"{HEADER}\nrun,abc,0,10,train\nwalk,abc,5,15,train\nrun,abc,1.5,11.5,val\n"


def test_several_stretches_of_one_video_have_files_of_their_own(tmp_path: Path) -> None:
    names = ("abc_000000_000010.mp4", "abc_000005_000015.mp4", "abc_000001_000011.mp4")
    dataset = read_kinetics(kinetics(tmp_path, *names, all=STRETCHES))
    assert [(clip.name, Path(clip.path).name, clip.label) for clip in dataset.clips] == [
        ("abc_000000_000010", names[0], "run"),
        ("abc_000005_000015", names[1], "walk"),
        ("abc_1.5_11.5", names[2], "run"),
    ]


def test_several_stretches_are_cut_from_one_whole_video(tmp_path: Path) -> None:
    dataset = read_kinetics(kinetics(tmp_path, "abc.mp4", all=STRETCHES))
    assert [(clip.start_s, clip.end_s, clip.label) for clip in dataset.clips] == [
        (0.0, 10.0, "run"),
        (5.0, 15.0, "walk"),
        (1.5, 11.5, "run"),
    ]
    assert len({clip.id for clip in dataset.clips}) == 3


def test_one_trimmed_video_is_not_taken_for_several_stretches(tmp_path: Path) -> None:
    dataset = read_kinetics(kinetics(tmp_path, "abc.mp4", all=STRETCHES), trimmed=True)
    assert [clip.name for clip in dataset.clips] == ["abc_000000_000010"]
    assert dataset.missing == (
        ("abc_000005_000015", "the file abc.mp4 is taken for abc_000000_000010"),
        ("abc_1.5_11.5", "the file abc.mp4 is taken for abc_000000_000010"),
    )


def test_missing_videos_are_reported_and_others_left_out(tmp_path: Path) -> None:
    names = (FILES[1], "train/abc-def_ghi_000000_000010.mp4", "train/other.mp4", "notes.txt")
    dataset = read_kinetics(kinetics(tmp_path, *names, train=TRAIN, test=TEST))
    assert [clip.name for clip in dataset.clips] == ["__7kcZKYfC4_000005_000015"]
    assert dataset.missing == (
        ("-FaXLcSFjUI_000060_000070", "no such file"),
        ("-_6vUmDRWvA_000020_000030", "no such file"),
        ("abc-def_ghi_000417_000427", "no such file"),
    )
    assert dataset.unlisted == names[1:3]
    assert dataset.class_names == ("air drumming", "massaging person's head")  # also of the videos that are missing


def test_the_files_of_annotations_may_be_named(tmp_path: Path) -> None:
    kinetics(tmp_path / "lists", train=TRAIN, validate=VALIDATE, notes="a,b\n")
    kinetics(tmp_path / "videos", *FILES, test="label,youtube_id\n")
    folder = tmp_path / "lists/annotations"
    train = read_kinetics(tmp_path / "videos", annotations=str(folder / "train.csv"))
    assert train.counts() == {"train": 3}
    both = read_kinetics(tmp_path / "videos", annotations=[folder / "train.csv", folder / "validate.csv"])
    assert both.counts() == {"train": 3, "val": 1}
    (folder / "notes.csv").unlink()
    assert read_kinetics(tmp_path / "videos", annotations=folder) == both


def test_a_bucket_is_read_as_a_folder_is(tmp_path: Path, bucket: str) -> None:
    import fsspec

    kinetics(tmp_path, *FILES, train=TRAIN, validate=VALIDATE, test=TEST)
    fsspec.filesystem("memory").put(f"{tmp_path}/", bucket, recursive=True)
    dataset = read_kinetics(bucket)
    assert dataset.digest() == read_kinetics(tmp_path).digest()
    assert {clip.path for clip in dataset.clips} == {f"{bucket}/{name}" for name in FILES}
    named = read_kinetics(bucket, annotations=[f"{bucket}/annotations/train.csv"])
    assert named.counts() == {"train": 3}
    assert read_kinetics(bucket, annotations=f"{bucket}/annotations") == dataset


def test_tables_that_are_not_of_kinetics_are_passed_over(tmp_path: Path) -> None:
    dataset = read_kinetics(kinetics(tmp_path, *FILES, notes="path,label\na.mp4,run\n", empty="", train=TRAIN))
    assert dataset.counts() == {"train": 3}


@pytest.mark.parametrize(
    ("file", "part"),
    [("train", "train"), ("kinetics-400_val", "val"), ("k700_validate_list", "val"), ("Test", "test")],
)
def test_the_name_of_the_file_says_the_split_where_no_column_does(tmp_path: Path, file: str, part: str) -> None:
    table = "youtube_id,label,time_start,time_end\nabc,run,0,10\n"
    dataset = read_kinetics(kinetics(tmp_path, "abc_000000_000010.mp4", **{file: table}))
    assert dataset.counts() == {part: 1}


@pytest.mark.parametrize("file", ["all", "train_val", "training"])
def test_a_split_that_nothing_says_is_asked_for(tmp_path: Path, file: str) -> None:
    kinetics(tmp_path, **{file: "youtube_id,label,time_start,time_end\nabc,run,0,10\n"})
    with pytest.raises(
        DatasetError, match=rf"/{file}\.csv: the header lacks the column split, and the file's name is "
    ):
        read_kinetics(tmp_path)


@pytest.mark.parametrize(
    ("word", "part"), [("validate", "val"), ("val", "val"), ("validation", "val"), ("Train", "train"), ("test", "test")]
)
def test_the_validation_split_has_several_names(tmp_path: Path, word: str, part: str) -> None:
    table = f"{HEADER}\nrun,abc,0,10,{word}\n"
    assert read_kinetics(kinetics(tmp_path, "abc.mp4", some=table)).counts() == {part: 1}


def test_given_class_names_fix_the_order(tmp_path: Path) -> None:
    names = ["massaging person's head", "air drumming", "abseiling"]
    assert read_kinetics(kinetics(tmp_path, *FILES, train=TRAIN), class_names=names).class_names == tuple(names)
    with pytest.raises(DatasetError, match=r": unknown class 'air drumming'; the classes are abseiling$"):
        read_kinetics(tmp_path, class_names=["abseiling"])


def test_a_line_that_is_there_twice_counts_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kinetics(tmp_path, *FILES, train=TRAIN, train_again=TRAIN)
    with caplog.at_level(logging.WARNING):
        assert read_kinetics(tmp_path).counts() == {"train": 3}
    assert [record.message for record in caplog.records] == [
        "3 lines of the CSV files name a stretch that another line names; each counts once"
    ]


def test_a_label_that_only_one_of_two_lines_has_is_taken(tmp_path: Path) -> None:
    labelled = TEST.replace("youtube_id", "label,youtube_id").replace("-FaXL", "run,-FaXL")
    for number, tables in enumerate(({"a": TEST, "b": labelled}, {"a": labelled, "b": TEST})):
        root = kinetics(tmp_path / str(number), *FILES, **tables)
        assert [clip.label for clip in read_kinetics(root).clips] == ["run"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("air drumming,abc,0,10,val", "abc_000000_000010 has the split 'val', and 'train' by "),
        ("run,abc,0.0,10.0,train", "abc_000000_000010 has the label 'run', and 'air drumming' by "),
    ],
)
def test_lines_that_contradict_each_other_are_refused(tmp_path: Path, line: str, message: str) -> None:
    kinetics(tmp_path, a=f"{HEADER}\nair drumming,abc,0,10,train\n", b=f"{HEADER}\n{line}\n")
    with pytest.raises(
        DatasetError, match=rf"/b\.csv: line 2: {message}.*/a\.csv: line 2; remove one of the two, or name the right fi"
    ):
        read_kinetics(tmp_path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("run,abc,O,10,train", "time_start must be seconds of at least 0, got 'O'"),
        ("run,abc,-1,10,train", "time_start must be seconds of at least 0, got '-1'"),
        ("run,abc,10,10,train", "time_end must be after time_start, got 10 to 10"),
        ("run,abc,,10,train", "time_start is empty"),
        ("run,abc,0,,train", "time_end is empty"),
        ("run,,0,10,train", "'' is no YouTube id"),
        ("run,a/b,0,10,train", "'a/b' is no YouTube id"),
        (",abc,0,10,train", "label is empty, which it may be in split test alone"),
        ("run,abc,0,10,holdout", "unknown split 'holdout'; splits are train, validate, validation, val, test"),
        ("run,abc,0,10", "has 4 cells, and the header 5"),
        ("run, fast,abc,0,10,train", "has 6 cells, and the header 5"),
    ],
)
def test_a_wrong_line_is_refused_with_its_place(tmp_path: Path, line: str, message: str) -> None:
    lines = [HEADER, *(f"run,id{number},0,10,train" for number in range(2, 17)), line, "run,last,0,10,train"]
    kinetics(tmp_path, all="\n".join(lines))
    with pytest.raises(DatasetError, match=rf"/all\.csv: line 17: {message}$"):
        read_kinetics(tmp_path)


@pytest.mark.parametrize("column", ["time_start", "time_end"])
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    kinetics(tmp_path, all=f"{HEADER.replace(column, 'other')}\nrun,abc,0,10,train\n")
    with pytest.raises(
        DatasetError, match=rf"/all\.csv: the header lacks the column {column}; it must have youtube_id, "
    ):
        read_kinetics(tmp_path)


def test_a_named_table_that_is_not_of_kinetics_is_refused(tmp_path: Path) -> None:
    kinetics(tmp_path, some="path,label\na.mp4,run\n")
    with pytest.raises(DatasetError, match=r"/some\.csv: the header lacks the column youtube_id; it must have youtube"):
        read_kinetics(tmp_path, annotations=tmp_path / "annotations/some.csv")


@pytest.mark.parametrize(
    "content", ["läuft,abc,0,10,train\n".encode("latin-1"), b'"run,abc' + b"x" * 200_000], ids=["latin-1", "endless"]
)
def test_a_table_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "train.csv").write_bytes(HEADER.encode() + b"\n" + content)
    with pytest.raises(DatasetError, match=r"/train\.csv: cannot be read as a CSV table of Kinetics \("):
        read_kinetics(tmp_path)


def test_absent_tables_are_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(
        DatasetError,
        match=rf"^{tmp_path}: no CSV file of Kinetics with a line in it; download https://.*/kinetics400\.tar\.gz "
        r"\(or kinetics600, kinetics700\) and unpack it there, or name the files as annotations$",
    ):
        read_kinetics(kinetics(tmp_path, *FILES))
    with pytest.raises(DatasetError, match=r"/absent\.csv: cannot be read as a CSV table of Kinetics \(.*No such file"):
        read_kinetics(tmp_path, annotations=tmp_path / "absent.csv")


def test_absent_videos_are_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(
        DatasetError,
        match=rf"^{tmp_path}: not one of the 3 listed videos is there, such as -_6vUmDRWvA_000020_000030\.mp4; name "
        r"the folder into which they were downloaded$",
    ):
        read_kinetics(kinetics(tmp_path, train=TRAIN))
