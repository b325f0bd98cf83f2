import argparse
import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
import video_records

from keras_i3d import cli
from keras_i3d.commands import inspect
from keras_i3d.records.messages import sequence_example

MANIFEST = {
    "records": {"train": 2},
    "frames": 1234,
    "skipped": {f"bad{number}.mp4": "no video" for number in range(12)},
    "damaged": {},
    "missing": {"absent.mp4": "no such file"},
    "settings": {"fps": 25.0, "flow": "tvl1"},
    "dataset": {},
    "versions": {"opencv": "5.0.0"},
    "shards": {"train-00000-of-00001.tfrecord": {}},
}


def records() -> list[bytes]:
    return [
        video_records.record("run/a.mp4", count=3, flow=True, splits=("train", "unused")),
        video_records.record("日本/b.mp4", count=12, label=None, splits=("test", "train")),
        video_records.record("c.mp4", count=4, label=(11, "springt"), splits=("train", "val")),
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    video_records.write(tmp_path / "all-00000-of-00002.tfrecord", records()[:2])
    video_records.write(tmp_path / "all-00001-of-00002.tfrecord", records()[2:])
    return tmp_path


def inspected(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 0) -> tuple[list[str], str]:
    """Run the command; returns the lines that it printed, and what it wrote to standard error."""
    assert cli.main(["inspect", *map(str, arguments)]) == code
    captured = capsys.readouterr()
    return captured.out.splitlines(), captured.err


def test_a_shard_is_a_head_and_a_line_for_each_record(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shard = folder / "all-00000-of-00002.tfrecord"
    lines, errors = inspected(capsys, shard)
    whole, first, second = (inspect._bytes(size) for size in (shard.stat().st_size, *map(len, records()[:2])))
    room = " " * (len(first) - len("bytes")), " " * (len(first) - len(second))
    assert lines == [
        "all-00000-of-00002.tfrecord",
        f"  {whole}, 2 records, 15 frames, 0.6 s",
        "  data set  folder",
        "  classes   1: 7 läuft",
        "  no label  1 record",
        "  split 1   train 1, test 1",
        "  split 2   train 1, unused 1",
        "  rgb       JPEG 2",
        "  flow      PNG 1",
        "",
        f"#  id          label    splits        frames  size   fps  seconds  flow  {room[0]}bytes",
        f"0  run/a.mp4   7 läuft  train unused       3  16x24   25     0.12  PNG   {first}",
        f"1  日本/b.mp4  -        test train        12  16x24   25     0.48  -     {room[1]}{second}",
    ]
    assert errors == ""


def test_a_folder_shows_its_shards_and_manifest(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "manifest.json").write_text(json.dumps(MANIFEST))
    lines, _ = inspected(capsys, folder)
    assert lines[0] == folder.name
    assert lines[1].startswith("  2 files, ")
    assert lines[1].endswith(", 3 records, 19 frames, 0.8 s")
    assert "  classes   2: 7 läuft, 11 springt" in lines
    assert f"{folder}: manifest.json" in lines
    assert "  frames    1,234" in lines
    assert "  settings  fps 25.0, flow tvl1" in lines
    assert "  versions  opencv 5.0.0" in lines
    assert "  records   train 2" in lines
    assert "  dataset   -" in lines
    assert "  damaged   0" in lines
    assert "  shards    1" in lines
    assert lines[lines.index("  missing   1") + 1] == "    absent.mp4: no such file"
    skipped = lines.index("  skipped   12")
    assert lines[skipped + 1] == "    bad0.mp4: no video"
    assert lines[skipped + 11] == "    ... and 2 more"
    names = [line for line in lines if line.startswith(f"{folder}/all-")]
    assert [name.split(": ")[0] for name in names] == [str(path) for path in sorted(folder.glob("all-*"))]
    assert "2 records" in names[0]
    assert "1 record," in names[1]


def test_only_the_first_clips_are_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, _ = inspected(capsys, folder, "--clips", "1")
    assert lines[-1] == "... and 2 more; --clips 0 lists all"
    assert "run/a.mp4" in lines[-2]
    lines, _ = inspected(capsys, folder, "--clips", "0")
    assert "c.mp4" in lines[-1]


def test_columns_are_aligned_whatever_the_script(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, _ = inspected(capsys, folder / "all-00000-of-00002.tfrecord")
    heading, *rows = lines[-3:]
    assert [inspect._width(row[: row.index("16x24")]) for row in rows] == [heading.index("size")] * 2


def test_keys_are_listed_when_asked_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, _ = inspected(capsys, folder, "--keys")
    found = [line.split() for line in lines]
    assert ["clip/label/string", "context", "bytes", "2", "läuft"] in found
    assert ["FORWARD_FLOW/image/timestamp", "list", "int64", "1", "1500000"] in found
    assert not any("clip/label/string" in line for line in inspected(capsys, folder)[0])


def test_keys_are_listed_where_there_are_no_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = video_records.write(tmp_path / "a", [sequence_example({"image/embedding": [0.5, 1.5]}, {})])
    lines, _ = inspected(capsys, path)
    assert lines[-1].split() == ["image/embedding", "context", "float", "1", "0.5"]
    assert lines[5].split() == ["0", "-", "-", "-", "-", "-", "-", "-", "-", f"{path.stat().st_size - 16}", "bytes"]


def test_json_has_everything(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "manifest.json").write_text(json.dumps(MANIFEST))
    assert cli.main(["inspect", str(folder), "--json", "--clips", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["records"], found["frames"]) == (3, 19)
    assert found["manifests"][str(folder)] == MANIFEST
    clips = [clip for file in found["files"] for clip in file["clips"]]
    assert [clip["id"] for clip in clips] == ["run/a.mp4", "日本/b.mp4", "c.mp4"]
    assert clips[0]["flow"]["coding"] == "PNG"
    assert clips[1]["label_indices"] == []
    assert clips[2]["splits"] == ["train", "val"]


def test_flow_of_another_number_than_the_frames_shows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = sequence_example(
        {}, {"image/encoded": [b"\xff\xd8\xff"] * 4, "FORWARD_FLOW/image/encoded": [b"\xff\xd8\xff"] * 3}
    )
    lines, _ = inspected(capsys, video_records.write(tmp_path / "a", [record]))
    assert "JPEG, 3" in lines[-1]


def test_what_can_be_read_comes_before_the_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shard = folder / "all-00000-of-00002.tfrecord"
    shard.write_bytes(shard.read_bytes()[:-1])
    lines, errors = inspected(capsys, folder, code=1)
    assert any("run/a.mp4" in line for line in lines)
    assert any("c.mp4" in line for line in lines)
    assert errors.splitlines()[-1] == f"keras-i3d inspect: {shard}: record 1, counted from 0, is damaged or cut short"
    assert cli.main(["inspect", str(shard), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["files"][0]["damage"] in errors


@pytest.mark.parametrize("content", [b"PK\x03\x04 an archive, and no records", b"\x00" * 99])
def test_another_file_is_one_clear_line(tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    lines, errors = inspected(capsys, tmp_path / "a.zip", code=1)
    assert lines == ["a.zip", f"  {len(content)} bytes, 0 records, 0 frames, 0.0 s"]
    assert errors.count("\n") == 1
    assert "a.zip: begins with no record; it is damaged at its start, or is no TFRecord file" in errors


def test_an_absent_file_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, errors = inspected(capsys, tmp_path / "absent", code=1)
    assert lines == []
    assert errors.startswith(f"keras-i3d inspect: {tmp_path}/absent: no such file or folder; a TFRecord file is wanted")


def test_absent_shards_are_an_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "all-00001-of-00002.tfrecord").unlink()
    _, errors = inspected(capsys, folder, code=1)
    assert errors == f"keras-i3d inspect: {folder}: 1 of the 2 shards all-*-of-00002.tfrecord are there\n"


def test_records_do_not_write_to_the_terminal_as_they_like(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nasty = "\x1b[2Ja\nb\u202e" + "x" * 500
    record = video_records.record(nasty, label=(0, nasty), splits=(nasty,))
    lines, _ = inspected(capsys, video_records.write(tmp_path / "a", [record]), "--keys")
    text = "\n".join(lines)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\ufffd[2Ja b\ufffdx" in text
    assert max(map(len, lines[:12])) < 1200


def test_a_contact_sheet_is_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = folder / "sheet.png"
    _, errors = inspected(capsys, folder, "--sheet", sheet, "--clips", "2", "--frames", "4")
    assert errors.splitlines()[-1] == f"{sheet}: contact sheet of 2 clips"
    four = cv2.imread(str(sheet))
    inspected(capsys, folder, "--sheet", sheet, "--clips", "0")
    eight = cv2.imread(str(sheet))
    assert eight.shape[0] > four.shape[0]
    assert eight.shape[1] > four.shape[1]


def test_the_rows_of_the_sheet_say_what_the_clip_is(folder: Path) -> None:
    from keras_i3d.records import contents

    first, second = contents.read(str(folder / "all-00000-of-00002.tfrecord"))
    (row,) = inspect.sheet_row(first, 2)
    assert row.title == "läuft"
    assert row.lines == [
        "run/a.mp4",
        "class 7",
        "3 frames, 16x24 px",
        "25 fps, 0.12 s",
        "train, unused",
        "stored as JPEG, flow PNG",
    ]
    assert row.captions == ["0.00 s", "0.08 s"]
    assert [frame.shape for frame in row.frames] == [(16, 24, 3)] * 2
    assert [field.shape for field in row.flow] == [(16, 24, 2)] * 2
    (row,) = inspect.sheet_row(second, 2)
    assert (row.title, row.flow) == ("no label", None)


def test_damaged_pictures_cost_their_row_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = sequence_example({"example/id": "bad"}, {"image/encoded": [b"no picture"]})
    path = video_records.write(tmp_path / "a.tfrecord", [bad, video_records.record()])
    _, errors = inspected(capsys, path, "--sheet", tmp_path / "sheet.jpg", code=1)
    assert f"{path}: record 0, frame 0: 10 bytes that are no whole picture" in errors
    assert "contact sheet of 1 clip\n" in errors
    assert (tmp_path / "sheet.jpg").is_file()


def test_a_sheet_of_no_frames_is_not_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = video_records.write(tmp_path / "a.tfrecord", [sequence_example({"a": 1}, {})])
    _, errors = inspected(capsys, path, "--sheet", tmp_path / "sheet.png", code=1)
    assert errors == f"keras-i3d inspect: {tmp_path}/sheet.png: not written, for no record has frames to show\n"
    assert not (tmp_path / "sheet.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--clips", "-1"], "--clips must be at least 0, and --frames 1 to 40; got -1 and 8"),
        (["--frames", "0"], "--clips must be at least 0, and --frames 1 to 40; got 20 and 0"),
        (["--sheet", "sheet.svg"], "a contact sheet is a file .png, .jpg, .jpeg; got 'sheet.svg'"),
        (["--sheet", "absent/sheet.png"], "there is no folder absent for the contact sheet"),
    ],
)
def test_wrong_usage_is_said_before_anything_is_read(
    tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, errors = inspected(capsys, tmp_path / "absent", *arguments, code=2)
    assert lines == []
    assert message in errors


def test_neither_tensorflow_nor_keras_is_imported(folder: Path) -> None:
    script = (
        "import sys\nfrom keras_i3d import cli\n"
        f"assert cli.main(['inspect', {str(folder)!r}, '--sheet', {str(folder / 'sheet.png')!r}]) == 0\n"
        "heavy = {'tensorflow', 'keras'} & set(sys.modules)\nassert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (123_456, "123 kB"),
        (5_440_000, "5.4 MB"),
        (2 * 10**13, "20,000 GB"),
    ],
)
def test_bytes_are_written_with_the_unit_that_fits(number: int, text: str) -> None:
    assert inspect._bytes(number) == text


def test_the_defaults_are_those_of_the_help() -> None:
    parser = argparse.ArgumentParser()
    inspect.add_arguments(parser)
    arguments = parser.parse_args(["a"])
    assert (arguments.clips, arguments.frames, arguments.sheet, arguments.json) == (20, 8, None, False)
