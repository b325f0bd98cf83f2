from pathlib import Path

import pytest

from keras_i3d.datasets.dataset import split_by_name
from keras_i3d.datasets.table import _beside_url, read_table
from keras_i3d.errors import DatasetError, StorageError


def table(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "clips.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_all_columns_are_read(tmp_path: Path) -> None:
    path = table(
        tmp_path, "path,label,start_s,end_s,split\na.mp4,run,1.5,3,train\nb.mp4,walk,,,val\nc.mp4,run,2,,test\n"
    )
    dataset = read_table(path)
    assert dataset.class_names == ("run", "walk")
    assert [(clip.name, clip.label, clip.start_s, clip.end_s, clip.splits) for clip in dataset.clips] == [
        ("a.mp4", "run", 1.5, 3.0, ("train",)),
        ("b.mp4", "walk", 0.0, None, ("val",)),
        ("c.mp4", "run", 2.0, None, ("test",)),
    ]


def test_columns_may_stand_in_any_order(tmp_path: Path) -> None:
    (clip,) = read_table(table(tmp_path, "split,label,path\nval,run,a.mp4\n")).clips
    assert (clip.name, clip.label, clip.splits) == ("a.mp4", "run", ("val",))


@pytest.mark.parametrize("start", ["", ",start_s"])
@pytest.mark.parametrize("end", ["", ",end_s"])
def test_optional_columns_may_be_absent_or_empty(tmp_path: Path, start: str, end: str) -> None:
    text = f"path,label{start}{end}\na.mp4,run{',' * len([x for x in (start, end) if x])}\n"
    (clip,) = read_table(table(tmp_path, text)).clips
    assert (clip.start_s, clip.end_s) == (0.0, None)
    assert clip.splits == (split_by_name("a.mp4"),)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_tables_of_spreadsheets_are_read(tmp_path: Path, encoding: str, newline: str) -> None:
    lines = ["path,label", "ä.mp4,läuft", '"a, b.mp4","sagt ""ja"""', " c.mp4 , geht ", "", ""]
    dataset = read_table(table(tmp_path, newline.join(lines), encoding))
    assert [(clip.name, clip.label) for clip in dataset.clips] == [
        ("ä.mp4", "läuft"),
        ("a, b.mp4", 'sagt "ja"'),
        ("c.mp4", "geht"),
    ]


def test_paths_are_relative_to_the_table_or_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lists").mkdir()
    path = table(tmp_path / "lists", "path,label\nrun/a.mp4,run\n../b.mp4,run\n/data/c.mp4,run\n")
    expected = [tmp_path / "lists/run/a.mp4", tmp_path / "lists/../b.mp4", Path("/data/c.mp4")]
    assert [clip.path for clip in read_table(path).clips] == [str(place) for place in expected]
    monkeypatch.chdir(tmp_path)
    assert [Path(clip.path).resolve() for clip in read_table("lists/clips.csv").clips] == [
        p.resolve() for p in expected
    ]
    assert [clip.name for clip in read_table(path).clips] == ["run/a.mp4", "../b.mp4", "/data/c.mp4"]


def test_all_stretches_of_a_video_fall_on_one_side(tmp_path: Path) -> None:
    lines = [f"v{video}.mp4,run,{start},{start + 2}" for start in range(0, 20, 2) for video in range(40)]
    clips = read_table(table(tmp_path, "\n".join(["path,label,start_s,end_s", *lines]))).clips
    sides = {clip.name: {other.splits for other in clips if other.name == clip.name} for clip in clips}
    assert all(len(splits) == 1 for splits in sides.values())
    assert {split for splits in sides.values() for split in splits} == {("train",), ("test",)}
    assert len({clip.id for clip in clips}) == 400


def test_given_class_names_fix_the_order(tmp_path: Path) -> None:
    path = table(tmp_path, "path,label\na.mp4,run\nb.mp4,walk\n")
    assert read_table(path, class_names=["walk", "run", "swim"]).class_names == ("walk", "run", "swim")


def test_an_unknown_class_is_refused_with_its_line(tmp_path: Path) -> None:
    path = table(tmp_path, "path,label\na.mp4,run\nb.mp4,walk\n")
    with pytest.raises(DatasetError, match=r"clips\.csv: line 3: unknown class 'walk'; the classes are run$"):
        read_table(path, class_names=["run"])


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (",run,,,", "path is empty"),
        ("  ,run,,,", "path is empty"),
        ("a.mp4,,,,", "label is empty, which it may be where the split is test alone"),
        ("a.mp4,,,,train", "label is empty, which it may be where the split is test alone"),
        ("a.mp4,run,soon,,", "start_s must be seconds of at least 0, got 'soon'"),
        ("a.mp4,run,-1,,", "start_s must be seconds of at least 0, got '-1'"),
        ("a.mp4,run,nan,,", "start_s must be seconds of at least 0, got 'nan'"),
        ("a.mp4,run,0:30,,", "start_s must be seconds of at least 0, got '0:30'"),
        ("a.mp4,run,,inf,", "end_s must be seconds of at least 0, got 'inf'"),
        ("a.mp4,run,,1e400,", "end_s must be seconds of at least 0, got '1e400'"),
        ("a.mp4,run,3,3,", "end_s must be after start_s, got 3 to 3"),
        ("a.mp4,run,3,2.5,", "end_s must be after start_s, got 3 to 2.5"),
        ("a.mp4,run,,0,", "end_s must be after start_s, got 0 to 0"),
        ("a.mp4,run,,,training", "unknown split 'training'; splits are train, val, test"),
        ("a.mp4,run,,,Train", "unknown split 'Train'; splits are train, val, test"),
        ("a.mp4,run", "has another number of cells than the header"),
        ("a.mp4,run,,,,", "has another number of cells than the header"),
        ("a, b.mp4,run,,,", "has another number of cells than the header"),
    ],
)
def test_a_wrong_line_is_refused_with_its_number(tmp_path: Path, cells: str, message: str) -> None:
    path = table(tmp_path, f"path,label,start_s,end_s,split\na.mp4,run,,,\n{cells}\nb.mp4,run,,,\n")
    with pytest.raises(DatasetError, match=rf"clips\.csv: line 3: {message}$"):
        read_table(path)


def test_line_numbers_are_those_of_the_file(tmp_path: Path) -> None:
    path = table(tmp_path, "path,label\n\na.mp4,run\n\nb.mp4,\n")
    with pytest.raises(DatasetError, match="line 5: label is empty, which"):
        read_table(path)


def test_a_label_of_two_lines_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="label"):
        read_table(table(tmp_path, 'path,label\na.mp4,"high\njump"\n'))


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        ("file,label", "lacks the column path"),
        ("path,class", "lacks the column label"),
        ("path;label", "lacks the column path"),
        ("path,label,start", "has an unknown column 'start'"),
        ("path, label", "lacks the column label"),
        ("path,label,", "has an unknown column ''"),
        ("a.mp4,run", "lacks the column path"),
    ],
)
def test_a_wrong_header_is_refused(tmp_path: Path, header: str, complaint: str) -> None:
    with pytest.raises(
        DatasetError,
        match=rf"clips\.csv: the header {complaint}; columns are path,label,start_s,end_s,split, of which path and "
        r"label are required$",
    ):
        read_table(table(tmp_path, f"{header}\na.mp4,run\n"))


def test_a_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="path"):
        read_table(table(tmp_path, "path,label,path\na.mp4,run,b.mp4\n"))


def test_an_empty_file_has_no_header(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"clips\.csv: the header lacks the column path; columns are "):
        read_table(table(tmp_path, ""))


def test_a_header_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"clips\.csv: has a header but no clip$"):
        read_table(table(tmp_path, "path,label\n\n"))


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"absent\.csv: cannot be read as a CSV table \(.*No such file"):
        read_table(tmp_path / "absent.csv")


def test_a_folder_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r": cannot be read as a CSV table \(.*Is a directory"):
        read_table(tmp_path)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_table_in_another_encoding_is_refused(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(DatasetError, match=r"clips\.csv: cannot be read as a CSV table \('utf-8' codec"):
        read_table(table(tmp_path, "path,label\nä.mp4,läuft\n", encoding))


def test_a_cell_without_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"clips\.csv: cannot be read as a CSV table \(field larger than"):
        read_table(table(tmp_path, 'path,label\n"a.mp4,run\n' + "x" * 200_000))


def test_a_wrong_number_in_line_17_is_named(tmp_path: Path) -> None:
    lines = ["path,label,start_s", *(f"{number}.mp4,run,{number}" for number in range(2, 30))]
    lines[16] = "17.mp4,run,1O"
    with pytest.raises(DatasetError, match=r"clips\.csv: line 17: start_s must be seconds of at least 0, got '1O'$"):
        read_table(table(tmp_path, "\n".join(lines)))


def test_a_test_video_may_lack_its_label(tmp_path: Path) -> None:
    dataset = read_table(table(tmp_path, "path,label,split\na.mp4,run,train\nb.mp4,,test\n"))
    assert [clip.label for clip in dataset.clips] == ["run", None]
    assert dataset.class_names == ("run",)
    assert dataset.name == "table"


@pytest.mark.parametrize(
    ("first", "second"),
    [("a.mp4,run,,", "a.mp4,run,,"), ("a.mp4,run,,", "./b/../a.mp4,run,0,"), ("a.mp4,run,1,2.0", "a.mp4,run,1.0,2")],
)
def test_a_stretch_that_is_named_twice_is_refused_with_both_lines(tmp_path: Path, first: str, second: str) -> None:
    path = table(tmp_path, f"path,label,start_s,end_s\n{first}\nb.mp4,run,,\n{second}\n")
    with pytest.raises(
        DatasetError,
        match=r"clips\.csv: line 4: 'a\.mp4.*' is named a second time, after line 2; remove one of the two$",
    ):
        read_table(path)


def test_a_stretch_of_two_labels_is_refused_with_both_lines(tmp_path: Path) -> None:
    path = table(tmp_path, "path,label,end_s\na.mp4,run,3\na.mp4,run,2\n\na.mp4,walk,3\n")
    with pytest.raises(DatasetError, match=r"line 5: 'a\.mp4@0\.0-3\.0' has the label 'walk', and in line 2 'run'$"):
        read_table(path)


def test_a_clip_may_have_several_labels_or_none_where_that_is_said(tmp_path: Path) -> None:
    text = "path,label,split\na.mp4, walk ;run,train\nb.mp4,jump,val\nc.mp4,,train\nd.mp4,run;jump;walk,test\n"
    dataset = read_table(table(tmp_path, text), multi_label=True)
    assert dataset.multi_label
    assert dataset.class_names == ("jump", "run", "walk")
    assert [clip.labels for clip in dataset.clips] == [("walk", "run"), ("jump",), (), ("run", "jump", "walk")]
    assert [clip.label for clip in dataset.clips] == ["walk", "jump", None, "run"]
    given = read_table(table(tmp_path, text), multi_label=True, class_names=["walk", "run", "jump", "swim"])
    assert given.class_names == ("walk", "run", "jump", "swim")


def test_otherwise_a_label_is_one_whatever_it_holds(tmp_path: Path) -> None:
    dataset = read_table(table(tmp_path, "path,label\na.mp4,run;walk\nb.mp4,;\n"))
    assert not dataset.multi_label
    assert dataset.class_names == (";", "run;walk")
    assert [clip.labels for clip in dataset.clips] == [("run;walk",), (";",)]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("run;;walk", "a label between ';' is empty, got 'run;;walk'"),
        ("run;", "a label between ';' is empty, got 'run;'"),
        (" ; run", "a label between ';' is empty, got '; run'"),
        (";", "a label between ';' is empty, got ';'"),
        ("run; walk ;run", "names the label 'run' twice, got 'run; walk ;run'"),
        ("run;swim", "unknown class 'swim'; the classes are run, walk"),
    ],
)
def test_wrong_labels_are_refused_with_their_line(tmp_path: Path, cell: str, message: str) -> None:
    path = table(tmp_path, f"path,label\na.mp4,run;walk\nb.mp4,{cell}\n")
    with pytest.raises(DatasetError, match=rf"clips\.csv: line 3: {message}$"):
        read_table(path, multi_label=True, class_names=["run", "walk"])


def test_labels_of_one_clip_in_two_lines_are_refused_with_the_remedy(tmp_path: Path) -> None:
    path = table(tmp_path, "path,label\na.mp4,run\na.mp4,walk;jump\n")
    with pytest.raises(
        DatasetError,
        match=r"line 3: 'a\.mp4' has the label 'walk;jump', and in line 2 'run'; all labels of a clip stand in one "
        r"line, separated by ';'$",
    ):
        read_table(path, multi_label=True)


def test_a_table_of_several_labels_without_any_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"clips\.csv: not one clip has a label$"):
        read_table(table(tmp_path, "path,label\na.mp4,\nb.mp4,\n"), multi_label=True)


def test_urls_stay_as_they_are(tmp_path: Path) -> None:
    urls = ["s3://bucket/a//b.mp4", "https://example.org/a.mp4?key=x", "gs://bucket/../c d.mp4"]
    dataset = read_table(table(tmp_path, "\n".join(["path,label", *(f"{url},run" for url in urls)])))
    assert [clip.path for clip in dataset.clips] == urls
    assert [clip.name for clip in dataset.clips] == urls


def test_paths_are_relative_to_a_table_in_a_bucket_too(bucket: str) -> None:
    import fsspec

    text = "\ufeffpath,label\nrun/ä.mp4,run\n../b c.mp4,run\n/data/c.mp4,run\ns3://other/d.mp4,run\n"
    fsspec.filesystem("memory").pipe(f"{bucket}/lists/clips.csv", text.encode())
    clips = read_table(f"{bucket}/lists/clips.csv").clips
    assert [clip.path for clip in clips] == [
        f"{bucket}/lists/run/ä.mp4",
        f"{bucket}/b c.mp4",
        "/data/c.mp4",
        "s3://other/d.mp4",
    ]
    assert [clip.name for clip in clips] == ["run/ä.mp4", "../b c.mp4", "/data/c.mp4", "s3://other/d.mp4"]


def test_paths_beside_a_table_on_a_web_server_leave_its_query_behind() -> None:
    placed = _beside_url("https://example.org/lists/clips.csv?key=a/b#c")
    assert placed("line 2", "run/a b.mp4") == "https://example.org/lists/run/a%20b.mp4"
    assert placed("line 2", "../a.mp4") == "https://example.org/a.mp4"


def test_a_path_that_leaves_the_bucket_is_refused() -> None:
    placed = _beside_url("s3://bucket/lists/clips.csv")
    assert placed("line 2", "../a.mp4") == "s3://bucket/a.mp4"
    with pytest.raises(DatasetError, match=r"^line 3: the path '\.\./\.\./a\.mp4' leads out of s3://bucket$"):
        placed("line 3", "../../a.mp4")


def test_a_table_that_is_not_in_the_bucket_is_named(bucket: str) -> None:
    with pytest.raises(StorageError, match=r"absent\.csv"):
        read_table(f"{bucket}/absent.csv")
