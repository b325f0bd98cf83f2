import io
import struct
import tracemalloc
from pathlib import Path

import google_crc32c
import pytest
import tensorflow as tf

from keras_i3d.errors import RecordError
from keras_i3d.records import tfrecord

RECORDS = [b"", b"one", bytes(range(256)) * 40, b"\n" * 12]


def written(records: list[bytes] = RECORDS) -> bytes:
    file = io.BytesIO()
    sizes = [tfrecord.write(file, one) for one in records]
    assert sum(sizes) == len(file.getvalue())
    return file.getvalue()


def read(content: bytes) -> list[bytes]:
    return list(tfrecord.read(io.BytesIO(content), "a.tfrecord"))


def length_with_checksum(length: int) -> bytes:
    """Return the head of a record that claims a length, by the formula of the format and another checksum's call."""
    head = struct.pack("<Q", length)
    checksum = google_crc32c.Checksum(head).digest()
    value = int.from_bytes(checksum, "big")
    return head + struct.pack("<I", (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def test_the_file_is_tensorflows_byte_for_byte(tmp_path: Path) -> None:
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for one in RECORDS:
            writer.write(one)
    assert (tmp_path / "theirs").read_bytes() == written()
    assert read((tmp_path / "theirs").read_bytes()) == RECORDS


def test_tensorflow_reads_what_is_written(tmp_path: Path) -> None:
    (tmp_path / "ours").write_bytes(written())
    assert list(tf.data.TFRecordDataset(str(tmp_path / "ours")).as_numpy_iterator()) == RECORDS


def test_joined_files_are_one_file() -> None:
    assert read(written([b"a", b"b"]) + written([]) + written([b"c"])) == [b"a", b"b", b"c"]


def test_an_empty_file_has_no_records() -> None:
    assert read(b"") == []


def test_every_changed_byte_is_found() -> None:
    records = [b"one", b"second", b""]
    content = written(records)
    for place in range(len(content)):
        for change in (0x01, 0x80, 0xFF):
            damaged = bytearray(content)
            damaged[place] ^= change
            found = []
            with pytest.raises(RecordError, match=r"a\.tfrecord: "):
                found.extend(tfrecord.read(io.BytesIO(bytes(damaged)), "a.tfrecord"))
            assert found == records[: len(found)]


def test_every_cut_is_found_and_what_is_whole_comes_first() -> None:
    records = [b"one", b"second", b"", b"fourth"]
    content = written(records)
    ends = [len(written(records[:count])) for count in range(len(records) + 1)]
    for cut in range(len(content) + 1):
        whole = sum(end <= cut for end in ends) - 1
        found, reader = [], tfrecord.read(io.BytesIO(content[:cut]), "a.tfrecord")
        if cut in ends:
            assert list(reader) == records[:whole]
            continue
        with pytest.raises(RecordError, match=f"record {whole}, counted from 0" if whole else "record"):
            for one in reader:
                found.append(one)
        assert found == records[:whole]


@pytest.mark.parametrize("length", [1, 2**24 + 1, 2**40, 2**63, 2**64 - 1])
def test_a_false_length_is_found_and_costs_no_memory(length: int) -> None:
    content = written([b"one"]) + length_with_checksum(length) + b"few bytes"
    tracemalloc.start()
    try:
        with pytest.raises(RecordError, match="record 1, counted from 0, is damaged or cut short"):
            read(content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64 << 20


@pytest.mark.parametrize("content", [b"PK\x03\x04 an archive, and no records", b"x", b"\x00" * 50])
def test_another_kind_of_file_is_refused(content: bytes) -> None:
    with pytest.raises(RecordError, match=r"a\.tfrecord: begins with no record; .* or is no TFRecord file"):
        read(content)


def test_damage_behind_whole_records_says_where() -> None:
    with pytest.raises(RecordError, match=r"a\.tfrecord: damaged or cut short at record 4, counted from 0"):
        read(written() + b"tail")
    damaged = written()[:-1] + b"\x00"
    with pytest.raises(RecordError, match=r"a\.tfrecord: record 3, counted from 0, is damaged or cut short"):
        read(damaged)


def test_large_records_come_back_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tfrecord, "_CHUNK", 7)
    assert read(written()) == RECORDS
