import dataclasses
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from coded_records import SIZE, garbled, record, shades, write_shard

from keras_i3d.clips import shard_files
from keras_i3d.clips.pipeline import centre_clips, training_clips, whole_videos
from keras_i3d.errors import RecordError, StorageError
from keras_i3d.records import damage, schema
from keras_i3d.records.damage import Damage
from keras_i3d.records.selection import Selection
from keras_i3d.video.encode import encode_video

CLIPS = 6
FLAT = record(0, shades(1))
LENGTH = len(FLAT) + 16  # bytes of a record in a file


def found_in(chosen: Selection, **options) -> list[damage.Damage]:
    return list(damage.scan(chosen, **options).damage)


def changed(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    """Return a shard of six clips of one frame each, labelled 0 to 5, all of one length."""
    path = tmp_path / "a.tfrecord"
    write_shard(path, [record(number, shades(1)) for number in range(CLIPS)])
    assert path.stat().st_size == CLIPS * LENGTH
    return path


def selection(*paths: Path | str, **facts: object) -> Selection:
    return Selection(tuple(map(str, paths)), 0, **facts)


def labels_around(path: Path | str, found: Sequence[Damage]) -> list[int]:
    return [label_of(one) for one in damage.around(str(path), [one.place for one in found])]


def label_of(content: bytes) -> int:
    return tf.train.SequenceExample.FromString(content).context.feature[schema.LABEL_INDEX].int64_list.value[0]


# what is done to the shard -> (place, byte, beginning of the reason) of each damage, labels that are left
HARM: dict[str, tuple[Callable[[bytes], bytes], list[tuple[int, int, str]], list[int]]] = {
    "nothing": (lambda content: content, [], [0, 1, 2, 3, 4, 5]),
    "content": (
        lambda content: changed(content, 2 * LENGTH + 100),
        [(2, 2 * LENGTH, "its content is damaged (wrong checksum)")],
        [0, 1, 3, 4, 5],
    ),
    "first content": (
        lambda content: changed(content, 100),
        [(0, 0, "its content is damaged (wrong checksum)")],
        [1, 2, 3, 4, 5],
    ),
    "checksum behind": (
        lambda content: changed(content, 3 * LENGTH - 1),
        [(2, 2 * LENGTH, "its content is damaged (wrong checksum)")],
        [0, 1, 3, 4, 5],
    ),
    "length": (
        lambda content: changed(content, 2 * LENGTH + 1),
        [(2, 2 * LENGTH, f"its length is damaged; the next record that can be read is at byte {3 * LENGTH}")],
        [0, 1, 3, 4, 5],
    ),
    "checksum of a length": (
        lambda content: changed(content, 9),
        [(0, 0, f"its length is damaged; the next record that can be read is at byte {LENGTH}")],
        [1, 2, 3, 4, 5],
    ),
    "two lengths": (
        lambda content: changed(changed(content, 1 * LENGTH), 2 * LENGTH),
        [(1, LENGTH, f"its length is damaged; the next record that can be read is at byte {3 * LENGTH}")],
        [0, 3, 4, 5],
    ),
    "two records": (
        lambda content: changed(changed(content, LENGTH + 2), 4 * LENGTH + 50),
        [(1, LENGTH, "its length is damaged; "), (4, 4 * LENGTH, "its content is damaged")],
        [0, 2, 3, 5],
    ),
    "end of the content": (
        lambda content: content[: 5 * LENGTH + 40],
        [(5, 5 * LENGTH, f"the file ends within it, at byte {5 * LENGTH + 40}")],
        [0, 1, 2, 3, 4],
    ),
    "last byte": (
        lambda content: content[:-1],
        [(5, 5 * LENGTH, f"the file ends within it, at byte {6 * LENGTH - 1}")],
        [0, 1, 2, 3, 4],
    ),
    "end of a length": (  # which TensorFlow reads as the end of the file, without a word
        lambda content: content[: 5 * LENGTH + 7],
        [(5, 5 * LENGTH, f"its length is damaged or cut short, and up to the end of the file, byte {5 * LENGTH + 7}")],
        [0, 1, 2, 3, 4],
    ),
    "a hole": (
        lambda content: content[: 2 * LENGTH + 40] + content[3 * LENGTH :],
        [(2, 2 * LENGTH, "its content is damaged (wrong checksum)")],
        [0, 1, 3, 4, 5],
    ),
    "everything": (
        lambda content: b"no record " * 10,
        [(0, 0, "its length is damaged or cut short, and up to the end of the file, byte 100, no record follows")],
        [],
    ),
    "empty": (lambda content: b"", [], []),
}


@pytest.mark.parametrize("harm", HARM)
def test_damaged_records_are_found_and_the_others_are_read_around_them(shard: Path, harm: str) -> None:
    spoil, wanted, left = HARM[harm]
    shard.write_bytes(spoil(shard.read_bytes()))
    whole = write_shard(shard.with_name("b.tfrecord"), [record(9, shades(1))])
    scan = damage.scan(selection(shard, whole))
    assert [(one.shard, one.place, one.offset) for one in scan.damage] == [(str(shard), *two[:2]) for two in wanted]
    for one, (_, _, reason) in zip(scan.damage, wanted, strict=True):
        assert one.reason.startswith(reason)
    assert labels_around(shard, scan.damage) == left
    assert scan.intact == len(left) + 1


@pytest.mark.parametrize("gap", [1, 7, 1 << 20, (1 << 20) + 5])
def test_the_next_record_is_found_however_far_it_is(tmp_path: Path, gap: int) -> None:
    good = Path(write_shard(tmp_path / "a", [record(3, shades(1))])).read_bytes()
    path = tmp_path / "b"
    path.write_bytes(b"x" * gap + good)
    assert labels_around(path, [Damage(str(path), 0, 0, "")]) == [3]


def test_a_damage_is_told_in_one_line() -> None:
    told = str(Damage("a/b.tfrecord", 17, 1234, "its content is damaged"))
    assert told == "a/b.tfrecord: record 17, counted from 0 (at byte 1234): its content is damaged"


def without_frames(content: bytes, *, with_key: bool) -> bytes:
    example = tf.train.SequenceExample.FromString(content)
    del example.feature_lists.feature_list[schema.RGB_FRAMES]
    if with_key:
        example.feature_lists.feature_list[schema.RGB_FRAMES].SetInParent()
    return example.SerializeToString()


@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        (b"no example", "Invalid protocol message input"),
        (garbled(record(1, shades(3)), range(2)), "Unknown image file format"),
        (without_frames(record(1, shades(3)), with_key=False), "image/encoded"),
        (without_frames(record(1, shades(3)), with_key=True), "it has no frames"),
        (garbled(record(1, shades(3)), range(0)).replace(b"image/encoded", b"image/encodex"), "image/encoded"),
    ],
)
def test_records_that_cannot_be_used_are_damaged(tmp_path: Path, spoilt: bytes, reason: str) -> None:
    path = write_shard(tmp_path / "a", [record(0, shades(3)), spoilt, record(2, shades(3))])
    (found,) = found_in(selection(path))
    assert (found.shard, found.place) == (path, 1)
    assert reason in found.reason
    assert "\n" not in found.reason
    assert "{{" not in found.reason
    assert labels_around(path, [found]) == [0, 2]


def test_only_the_streams_that_are_used_are_looked_at(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "a", [record(0, shades(3)), record(1, shades(3), shades(3)[..., :2])])
    assert found_in(selection(path)) == []
    (found,) = found_in(selection(path), modalities=("rgb", "flow"))
    assert found.place == 0
    assert "FORWARD_FLOW/image/encoded" in found.reason


def test_only_the_records_of_the_split_are_looked_at_and_counted(tmp_path: Path) -> None:
    parts = [("train",), ("test",), ("test",), ("train",)]
    content = [record(n, shades(3), splits=part) for n, part in enumerate(parts)]
    content[1] = garbled(content[1], range(0))
    path = write_shard(tmp_path / "a", content)
    assert damage.scan(selection(path, part="train")) == damage.Scan((), 2)
    found = damage.scan(selection(path, part="test"))
    assert [one.place for one in found.damage] == [1]
    assert found.intact == 1


def test_stored_videos_and_several_labels_are_understood(tmp_path: Path) -> None:
    pictures = schema.Pictures((16, 20), 25.0, 0.0, 4, video=encode_video(iter(shades(4)), fps=25.0))
    video = schema.to_example(schema.Source("a", "made", "a.mp4", 5, "a", ("train",)), pictures)
    assert found_in(selection(write_shard(tmp_path / "video", [video]), store="video")) == []
    several = tf.train.SequenceExample.FromString(record(1, shades(2)))
    several.context.feature[schema.LABEL_INDEX].int64_list.value.append(3)
    path = write_shard(tmp_path / "several", [several.SerializeToString()])
    assert found_in(selection(path, multi_label=True)) == []
    assert len(found_in(selection(path))) == 1


def test_every_record_is_told_to_whoever_waits(shard: Path) -> None:
    seen = []
    damage.scan(selection(shard), on_record=lambda: seen.append(1))
    assert len(seen) == CLIPS


def test_a_missing_shard_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no_shard: No such file"):
        found_in(selection(tmp_path / "no_shard"))


@pytest.mark.parametrize("harm", ["content", "length", "end of the content"])
def test_what_tensorflow_cannot_read_is_reported_by_shard_and_place(shard: Path, harm: str) -> None:
    spoil, ((place, offset, reason), *_), _ = HARM[harm]
    shard.write_bytes(spoil(shard.read_bytes()))
    other = write_shard(shard.with_name("b.tfrecord"), [record(9, shades(1))] * 3)
    chosen = selection(other, shard)
    with pytest.raises(RecordError) as caught, shard_files.reading("folder", [chosen]):
        for _ in training_clips(chosen, frames=1, size=SIZE, batch_size=1).take(20):
            pass
    assert str(caught.value).startswith(f"{shard}: record {place}, counted from 0 (at byte {offset}): {reason}")


def test_a_picture_that_cannot_be_decoded_is_reported_by_shard_and_place(tmp_path: Path, caplog) -> None:
    path = write_shard(tmp_path / "a", [record(0, shades(3)), garbled(record(1, shades(3)), range(1))])
    chosen = selection(path)
    with pytest.raises(RecordError) as caught, shard_files.reading("folder", [chosen]):
        list(whole_videos(chosen, size=SIZE))
    assert str(caught.value).startswith(f"{path}: record 1, counted from 0 (at byte ")
    assert "Unknown image file format" in str(caught.value)
    assert [entry.message for entry in caplog.records] == ["a record cannot be read; looking for its place"]


def test_damage_that_is_not_found_is_reported_without_its_place(shard: Path) -> None:
    chosen, told = [selection(shard)], r"^folder: a record is damaged, or is none of this package"
    with pytest.raises(RecordError, match=told), shard_files.reading("folder", chosen):
        raise tf.errors.DataLossError(None, None, "corrupted record at 12")


def test_damage_beside_what_is_left_out_is_reported_too(shard: Path) -> None:
    content = shard.read_bytes()
    shard.write_bytes(changed(changed(content, LENGTH), 4 * LENGTH + 100))
    first, _ = found_in(selection(shard))
    told = r"a\.tfrecord: record 4, counted from 0 \(at byte \d+\): its content is damaged"
    with pytest.raises(RecordError, match=told), shard_files.reading("folder"):
        list(centre_clips([str(shard)], frames=1, size=SIZE, batch_size=1, without=[first]))


def test_what_is_lost_is_warned_of_once(shard: Path, caplog) -> None:
    shard.write_bytes(changed(changed(shard.read_bytes(), LENGTH), 4 * LENGTH + 100))
    caplog.set_level(logging.WARNING)
    found = found_in(dataclasses.replace(selection(shard), records=6))
    elsewhere = Damage("other", 3, 4, "no matter")
    batches = training_clips([str(shard)], frames=1, size=SIZE, batch_size=2, without=[*found, elsewhere])
    for _ in batches.take(7):
        pass
    assert [entry.message for entry in caplog.records] == ["2 of 6 records cannot be used"]


@pytest.mark.parametrize("harm", ["two records", "end of a length"])
def test_epochs_without_the_damaged_records_repeat_and_can_be_entered_anywhere(shard: Path, harm: str) -> None:
    spoil, _, left = HARM[harm]
    shard.write_bytes(spoil(shard.read_bytes()))
    other = write_shard(shard.with_name("b.tfrecord"), [record(n, shades(1)) for n in (7, 8)])
    chosen = selection(shard, other)
    found = found_in(chosen)

    def labels(count: int, **start: int) -> list[int]:
        clips = training_clips(chosen, frames=1, size=SIZE, batch_size=1, without=found, **start)
        return np.concatenate([label for _, label in clips.take(count).as_numpy_iterator()]).tolist()

    epoch = len(left) + 2
    once = labels(3 * epoch)
    assert [sorted(once[start : start + epoch]) for start in range(0, 3 * epoch, epoch)] == [[*left, 7, 8]] * 3
    assert labels(epoch, first_epoch=1, first_batch=2) == once[epoch + 2 : 2 * epoch + 2]


def test_damaged_shards_in_a_bucket_are_read_around(shard: Path, tmp_path: Path, monkeypatch) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    content = shard.read_bytes()
    memory.pipe("/shards/a", changed(content, LENGTH))
    memory.pipe("/shards/b", content)
    paths = ["memory://shards/a", "memory://shards/b"]
    found = found_in(selection(*paths))
    assert [(one.shard, one.place) for one in found] == [(paths[0], 1)]
    clips = centre_clips(paths, frames=1, size=SIZE, batch_size=1, without=found)
    assert [int(label[0]) for _, label, _ in clips] == [0, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]
