import gzip
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf
import video_records
from video_records import HEIGHT, WIDTH

from keras_i3d.errors import RecordError, StorageError
from keras_i3d.records import contents, tfrecord
from keras_i3d.records.contents import Key, Stream, picture_format, picture_size
from keras_i3d.records.messages import sequence_example


def only(tmp_path: Path, record: bytes) -> contents.Clip:
    (clip,) = contents.read(str(video_records.write(tmp_path / "a.tfrecord", [record])))
    return clip


def picture(suffix: str, height: int = 5, width: int = 9, *options: int) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.imencode(suffix, noise, options)[1].tobytes()


def test_a_record_of_ours_is_summed_up(tmp_path: Path) -> None:
    record = video_records.record(flow=True, splits=("train", "unused"))
    assert only(tmp_path, record).summary == contents.Summary(
        number=0,
        size=len(record),
        id="run/a.mp4",
        dataset="folder",
        label_indices=(7,),
        label_names=("läuft",),
        splits=("train", "unused"),
        rgb=Stream(5, "JPEG", HEIGHT, WIDTH),
        flow=Stream(5, "PNG", HEIGHT, WIDTH),
        fps=25.0,
        start_s=1.5,
        duration_s=0.2,
    )


def test_a_record_without_label_and_flow_says_so(tmp_path: Path) -> None:
    summary = only(tmp_path, video_records.record(label=None, splits=())).summary
    assert summary.label_indices == summary.label_names == summary.splits == ()
    assert summary.flow is None


def test_a_record_that_holds_a_video_says_so(tmp_path: Path) -> None:
    summary = only(tmp_path, video_records.record(video=b"mp4", count=3)).summary
    assert summary.rgb == Stream(3, "video", HEIGHT, WIDTH)
    assert summary.duration_s == pytest.approx(0.12)


def test_a_video_alone_does_not_tell_its_frames(tmp_path: Path) -> None:
    summary = only(tmp_path, sequence_example({"clip/encoded_media_bytes": b"mp4"}, {})).summary
    assert summary.rgb == Stream(None, "video", None, None)
    assert summary.fps is summary.duration_s is summary.id is None


def test_a_record_of_dmvr_is_read_by_its_pictures(tmp_path: Path) -> None:
    record = sequence_example(
        {
            "clip/label/index": [3, 5],
            "clip/label/text": ["runs", "jumps"],
            "video/filename": "b.mp4",
            "caption/string": "someone runs",
        },
        {"image/encoded": [picture(".jpg")] * 4, "FORWARD_FLOW/image/encoded": [picture(".jpg", 7, 3)] * 3},
    )
    summary = only(tmp_path, record).summary
    assert (summary.id, summary.label_indices, summary.label_names) == ("b.mp4", (3, 5), ("runs", "jumps"))
    assert (summary.rgb, summary.flow) == (Stream(4, "JPEG", 5, 9), Stream(3, "JPEG", 7, 3))
    assert summary.fps is summary.duration_s is None


def test_what_the_pictures_say_of_their_size_counts_before_the_context(tmp_path: Path) -> None:
    lying = {"image/height": 720, "image/width": 1280, "image/format": "PNG"}
    assert only(tmp_path, sequence_example(lying, {"image/encoded": [picture(".jpg")]})).summary.rgb == Stream(
        1, "JPEG", 5, 9
    )
    unknown = sequence_example(lying, {"image/encoded": [b"no picture"]})
    assert only(tmp_path, unknown).summary.rgb == Stream(1, "?", 720, 1280)
    assert only(tmp_path, sequence_example({}, {"image/encoded": []})).summary.rgb == Stream(0, "-", None, None)


def test_time_stamps_give_the_rate_where_the_context_does_not(tmp_path: Path) -> None:
    record = sequence_example({}, {"image/encoded": [b"x"] * 4, "image/timestamp": [5, 100_005, 200_005, 900_005]})
    summary = only(tmp_path, record).summary
    assert (summary.fps, summary.duration_s) == (10.0, pytest.approx(0.4))


def test_odd_values_do_no_harm(tmp_path: Path) -> None:
    odd = {
        "image/frame_rate": float("nan"),
        "image/height": "tall",
        "image/width": -3,
        "clip/start/timestamp": 9,
        "clip/end/timestamp": 5,
        "clip/label/index": "seven",
        "clip/label/string": b"\xff\x00",
        "example/id": [],
        "split/1": [],
        "split/10": "test",
        "split/2": "train",
    }
    summary = only(tmp_path, sequence_example(odd, {"image/encoded": [0.5, 1.5], "image/timestamp": [7, 7]})).summary
    assert summary.rgb == Stream(2, "?", None, None)
    assert (summary.fps, summary.duration_s, summary.id) == (None, None, None)
    assert (summary.label_indices, summary.label_names) == ((), ("\ufffd\x00",))
    assert summary.splits == ("", "train", "test")


def test_keys_are_listed_with_place_kind_and_first_value(tmp_path: Path) -> None:
    record = sequence_example(
        {"b": 1.5, "a": [4, 5], "c": b"\xff" * 70, "d": "text", "e": b"\n"}, {"a": [7, 8, 9], "none": [], "no": [[]]}
    )
    assert only(tmp_path, record).list_keys() == [
        Key("a", "context", "int64", 2, "4"),
        Key("b", "context", "float", 1, "1.5"),
        Key("c", "context", "bytes", 1, "70 bytes"),
        Key("d", "context", "bytes", 1, "text"),
        Key("e", "context", "bytes", 1, "1 bytes"),
        Key("a", "list", "int64", 3, "7"),
        Key("no", "list", "bytes", 1, ""),
        Key("none", "list", "empty", 0, ""),
    ]


def test_plain_examples_are_read_for_their_keys(tmp_path: Path) -> None:
    feature = tf.train.Feature(int64_list=tf.train.Int64List(value=[1]))
    example = tf.train.Example(features=tf.train.Features(feature={"label": feature}))
    clip = only(tmp_path, example.SerializeToString())
    assert clip.summary.rgb is None
    assert clip.list_keys() == [Key("label", "context", "int64", 1, "1")]


def test_records_come_before_the_damage_behind_them(tmp_path: Path) -> None:
    path = video_records.write(tmp_path / "a.tfrecord", [video_records.record(f"{number}") for number in range(3)])
    path.write_bytes(path.read_bytes()[:-5])
    found = []
    with pytest.raises(RecordError, match=r"a\.tfrecord: record 2, counted from 0, is damaged or cut short"):
        found.extend(clip.summary.id for clip in contents.read(str(path)))
    assert found == ["0", "1"]


@pytest.mark.parametrize("data", [b"\xff" * 20, b"no protocol buffer"])
def test_other_records_are_refused_by_number(tmp_path: Path, data: bytes) -> None:
    path = video_records.write(tmp_path / "a.tfrecord", [video_records.record(), data])
    with pytest.raises(RecordError, match=r"a\.tfrecord: record 1 is no SequenceExample"):
        list(contents.read(str(path)))


def test_another_message_is_refused(tmp_path: Path) -> None:
    path = video_records.write(tmp_path / "a.tfrecord", [b"\x1a\x03abc"])  # a field 3, which is none of ours
    with pytest.raises(RecordError, match=r"record 0 is no SequenceExample: none of its 5 bytes belongs to a key"):
        list(contents.read(str(path)))


def test_files_compressed_by_gzip_are_read_too(tmp_path: Path) -> None:
    options = tf.io.TFRecordOptions(compression_type="GZIP")
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord"), options) as writer:
        writer.write(video_records.record("one"))
        writer.write(video_records.record("two"))
    assert [clip.summary.id for clip in contents.read(str(tmp_path / "a.tfrecord"))] == ["one", "two"]


@pytest.mark.parametrize("cut", [-30, -4, 12])
def test_damaged_gzip_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.tfrecord"
    path.write_bytes(gzip.compress(video_records.write(path, [video_records.record()]).read_bytes())[:cut])
    with pytest.raises(RecordError, match=r"a\.tfrecord: (compressed by gzip, and damaged|.* damaged or cut short)"):
        list(contents.read(str(path)))


def test_an_absent_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file"):
        list(contents.read(str(tmp_path / "absent")))


def test_a_device_that_cannot_be_read_is_an_error() -> None:
    if not Path("/proc/self/mem").exists():
        pytest.skip("no file here that opens and cannot be read")
    with pytest.raises(RecordError, match="/proc/self/mem: cannot be read"):
        list(contents.read("/proc/self/mem"))


@pytest.mark.parametrize(
    ("suffix", "options", "name"),
    [
        (".jpg", (), "JPEG"),
        (".jpg", (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), "JPEG"),
        (".jpg", (cv2.IMWRITE_JPEG_RST_INTERVAL, 2), "JPEG"),
        (".png", (), "PNG"),
    ],
)
def test_headers_tell_format_and_size(suffix: str, options: tuple[int, ...], name: str) -> None:
    for height, width in ((1, 1), (300, 7), (17, 1000)):
        data = picture(suffix, height, width, *options)
        assert (picture_format(data), picture_size(data)) == (name, (height, width))


def test_a_jpeg_with_long_metadata_and_filling_bytes_tells_its_size() -> None:
    data = picture(".jpg")
    comment = b"\xff\xfe" + struct.pack(">H", 2 + 5000) + b"\xff\xc0" * 2500
    assert picture_size(data[:2] + comment + b"\xff" + data[2:]) == (5, 9)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff" * 40])
def test_half_a_header_tells_no_size(data: bytes) -> None:
    assert picture_size(data) is None


def test_every_cut_of_a_header_is_harmless() -> None:
    for data in (picture(".jpg"), picture(".png")):
        for cut in range(min(len(data), 700)):
            assert picture_size(data[:cut]) in (None, (5, 9))


def test_only_one_record_is_held_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "a.tfrecord"
    with path.open("wb") as file:
        tfrecord.write(file, video_records.record("first"))
        tfrecord.write(file, b"no protocol buffer")
    reader = contents.read(str(path))
    assert next(reader).summary.id == "first"  # before the second is looked at
    reader.close()
