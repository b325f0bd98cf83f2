"""Which records of a split are damaged, where they lie, and the others around them.

A record is damaged where its frame in the TFRecord file is (`keras_i3d.records.tfrecord`): a wrong checksum, the end of
the file; or where it cannot be parsed, or a picture of the streams that are used cannot be decoded. After a damaged
length the next record is sought byte by byte, so that no more is lost than is damaged.
"""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Any, BinaryIO

import numpy as np

from keras_i3d import storage
from keras_i3d.errors import RecordError
from keras_i3d.records import schema, tfrecord
from keras_i3d.records.selection import Selection

ON_DAMAGE = ("stop", "skip")  # what a reader of a split does at a damaged record
_HEAD, _TAIL = 12, 4  # bytes before and behind the content of a record
_SEEK = 1 << 20  # bytes at a time in which the next record is sought
_THREADS = 4  # that decode; TensorFlow works outside of Python's lock
_log = logging.getLogger(__name__)
_NODES = re.compile(r"\{\{.*?\}\}|\[Op:\w+\]|\bname:\s*$")


@dataclass(frozen=True, order=True)
class Damage:
    """A damaged record.

    Attributes:
        shard: The file, or its URL.
        place: The record's number in the file, counted from 0. Records that nobody can tell apart count as one.
        offset: The byte at which it begins.
        reason: What is wrong.
    """

    shard: str
    place: int
    offset: int
    reason: str

    def __str__(self) -> str:
        return f"{self.shard}: {self.what}"

    @property
    def what(self) -> str:
        """All but the shard, in words."""
        return f"record {self.place}, counted from 0 (at byte {self.offset}): {self.reason}"


@dataclass(frozen=True)
class Scan:
    """What was found in the shards of a split.

    Attributes:
        damage: The damaged records, in the order of the shards.
        intact: How many records of the split are not damaged.
    """

    damage: tuple[Damage, ...]
    intact: int


@dataclass(frozen=True)
class _Record:
    place: int
    offset: int
    content: bytes | None  # None: not read, or damaged
    reason: str | None = None


def scan(
    selection: Selection, *, modalities: Sequence[str] = ("rgb",), on_record: Callable[[], None] = lambda: None
) -> Scan:
    """Read the shards of a split, parse every record, and decode every frame; a warning is logged of how many are lost.

    Args:
        selection: The split.
        modalities: The streams that are used; what others hold does not matter.
        on_record: Called after each record.

    Raises:
        StorageError: A shard cannot be read.
        MissingDependency: google-crc32c is not installed.
    """
    damage, intact = [], 0
    for shard, record, verdict in _verdicts(selection, modalities, decode=True):
        if verdict:
            damage.append(Damage(shard, record.place, record.offset, verdict))
            _log.info("damaged: %s", damage[-1])
        intact += verdict == ""
        on_record()
    if intact < selection.records:
        _log.warning("%d of %d records cannot be used", selection.records - intact, selection.records)
    return Scan(tuple(damage), intact)


def first(selection: Selection, *, modalities: Sequence[str] = ("rgb",), hint: str = "") -> Damage | None:
    """Find a damaged record, the quick way: all frames of files and all keys first, then the pictures.

    Args:
        selection: The split.
        modalities: As in `scan`.
        hint: What TensorFlow said of the damage. Where it names a byte, that byte is looked at in every shard first.

    Raises:
        StorageError: A shard cannot be read.
        MissingDependency: google-crc32c is not installed.
    """
    named = re.search(r"record at (\d+)", hint)
    at = {int(named[1]), int(named[1]) - _HEAD} if named else set()
    paths = selection.paths if at else ()
    quick = ((shard, one, one.reason) for shard in paths for one in _walk(shard, at.__contains__))
    whole = (_verdicts(selection, modalities, decode=decode) for decode in (False, True))
    for shard, record, reason in chain(quick, *whole):
        if reason:
            return Damage(shard, record.place, record.offset, reason)
    return None


def around(shard: str, left_out: Collection[int]) -> Iterator[bytes]:
    """Yield the records of a shard, but those that are left out by their places.

    Args:
        shard: The file, or its URL.
        left_out: Places, as of `Damage`.

    Raises:
        RecordError: Another record is damaged.
        StorageError: The shard cannot be read.
    """
    for record in _walk(shard):
        if record.place in left_out:
            continue
        if record.content is None:
            raise RecordError(str(Damage(shard, record.place, record.offset, record.reason or "")))
        yield record.content


def _verdicts(
    selection: Selection, modalities: Sequence[str], *, decode: bool
) -> Iterator[tuple[str, _Record, str | None]]:
    """Yield shard, record and what is wrong with it: an empty text for nothing, None where it is of another split."""
    check = _checker(selection, tuple(modalities), decode=decode)
    with ThreadPoolExecutor(_THREADS) as pool:
        waiting: deque[tuple[str, _Record, Future[str | None] | None]] = deque()
        for shard in selection.paths:
            for record in _walk(shard):
                future = pool.submit(check, record.content) if record.content is not None else None
                waiting.append((shard, _Record(record.place, record.offset, None, record.reason), future))
                if len(waiting) > 2 * _THREADS:
                    yield _answered(*waiting.popleft())
        while waiting:
            yield _answered(*waiting.popleft())


def _answered(shard: str, record: _Record, future: Future[str | None] | None) -> tuple[str, _Record, str | None]:
    return shard, record, future.result() if future else record.reason


def _checker(selection: Selection, modalities: tuple[str, ...], *, decode: bool) -> Callable[[bytes], str | None]:
    """Return a function that says what is wrong with a record's content, as `_verdicts` yields it."""
    import tensorflow as tf

    classes = 1 << 16 if selection.multi_label else None  # more than any data set has; which ones is not asked here

    @tf.function(input_signature=[tf.TensorSpec((), tf.string)])
    def belongs(record: Any) -> Any:
        return schema.part_of(record, selection.division) == (selection.part or "")

    @tf.function(input_signature=[tf.TensorSpec((), tf.string)])
    def use(record: Any) -> Any:
        parsed = schema.parse(record, modalities, store=selection.store, label_classes=classes)
        counts = [tf.size(parsed[modality]) for modality in modalities]
        tf.debugging.assert_positive(tf.reduce_min(counts), "it has no frames")
        if decode:
            counts = [_decoded(parsed, modality, count) for modality, count in zip(modalities, counts, strict=True)]
        return tf.reduce_sum(counts)

    def check(content: bytes) -> str | None:
        try:
            if selection.part is not None and not belongs(content):
                return None
            use(content)
        except tf.errors.OpError as error:
            return _plain(str(error))
        return ""

    return check


def _decoded(parsed: dict[str, Any], modality: str, count: Any) -> Any:
    import tensorflow as tf

    if modality == "rgb" and "video" in parsed:
        images = schema.decode_video(parsed["video"], tf.range(count))
    else:
        images = schema.decode_images(parsed[modality], modality)
    return tf.shape(images)[0]


def _plain(message: str) -> str:
    """Return the line in which TensorFlow says what is wrong, without the names of its operations."""
    lines = message.partition("[[{{")[0].splitlines()
    said = [text for line in lines if (text := _NODES.sub("", line).strip())]
    return said[-1] if said else "it cannot be used"


def _walk(shard: str, wanted: Callable[[int], bool] = lambda offset: True) -> Iterator[_Record]:
    """Yield the records of a file, damaged ones too.

    Args:
        shard: The file, or its URL.
        wanted: Tells by the byte at which a record begins whether its content is to be read.
    """
    size = storage.size(shard)
    with storage.open_reading(shard) as file:
        offset = place = 0
        while offset < size:
            file.seek(offset)
            head = file.read(_HEAD)
            length, is_sound = int.from_bytes(head[:8], "little"), len(head) == _HEAD and _is_checked(head)
            end = offset + _HEAD + length + _TAIL
            if not is_sound or end > size:
                end = _next_record(file, offset + 1, size) if len(head) == _HEAD else None
                yield _Record(place, offset, None, _reason(is_sound, end, size))
            elif wanted(offset):
                content = file.read(length)
                if file.read(_TAIL) == tfrecord.checksum(content):
                    yield _Record(place, offset, content)
                else:
                    yield _Record(place, offset, None, "its content is damaged (wrong checksum)")
                    if end < size and not _is_checked(file.read(_HEAD)):  # bytes of it are lost
                        end = _next_record(file, offset + 1, size)
            if end is None:
                return
            offset, place = end, place + 1


def _reason(is_sound: bool, end: int | None, size: int) -> str:
    if end is not None:
        what = "it is cut short" if is_sound else "its length is damaged"
        return f"{what}; the next record that can be read is at byte {end}"
    if is_sound:
        return f"the file ends within it, at byte {size}"
    return f"its length is damaged or cut short, and up to the end of the file, byte {size}, no record follows"


def _is_checked(head: bytes) -> bool:
    return head[8:] == tfrecord.checksum(head[:8])


def _next_record(file: BinaryIO, start: int, size: int) -> int | None:
    """Return the first byte from `start` on at which an undamaged record begins, or None."""
    for at in range(start, size, _SEEK):
        file.seek(at)
        window = np.frombuffer(file.read(_SEEK + _HEAD - 1), np.uint8)
        for candidate in _heads(window):
            offset = at + int(candidate)
            if _is_record(file, offset, size):
                return offset
    return None


def _is_record(file: BinaryIO, offset: int, size: int) -> bool:
    file.seek(offset)
    length = int.from_bytes(file.read(_HEAD)[:8], "little")
    if offset + _HEAD + length + _TAIL > size:
        return False
    content = file.read(length)
    return file.read(_TAIL) == tfrecord.checksum(content)


def _heads(window: np.ndarray) -> np.ndarray:
    """Return the places in bytes (uint8) at which eight are followed by their masked CRC-32C."""
    count = len(window) - _HEAD + 1
    if count < 1:
        return np.empty(0, np.int64)
    table = _table()
    crc = np.full(count, 0xFFFFFFFF, np.uint32)
    for index in range(8):
        crc = table[(crc ^ window[index : index + count]) & 0xFF] ^ (crc >> np.uint32(8))
    crc = ~crc
    masked = ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(tfrecord.MASK_DELTA)
    stored = sum(window[8 + index : 8 + index + count].astype(np.uint32) << np.uint32(8 * index) for index in range(4))
    return np.flatnonzero(masked == stored)


def _table() -> np.ndarray:
    """Return the CRC-32C (Castagnoli) of each byte: uint32 (256,)."""
    values = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        values = np.where(values & 1, (values >> np.uint32(1)) ^ np.uint32(0x82F63B78), values >> np.uint32(1))
    return values
