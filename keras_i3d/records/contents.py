"""What the records of a TFRecord file of videos say of themselves, ours or anybody's with the keys of MediaSequence.

Reads ``image/encoded``, ``clip/encoded_media_bytes`` and ``FORWARD_FLOW/image/encoded``, whichever are there, without
TensorFlow and in the memory of one record. What a record's pictures say of their size and format counts before
what its context says.
"""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, BinaryIO

import numpy as np
from google.protobuf.message import DecodeError

from keras_i3d import storage
from keras_i3d.errors import RecordError
from keras_i3d.records import schema, tfrecord
from keras_i3d.records.messages import SequenceExample, values_of

FLOW_CONTEXT = "FORWARD_FLOW/image"
_GZIP = b"\x1f\x8b\x08"
_LABEL_NAMES = ("clip/label/string", "clip/label/text")
_IDS = (schema.EXAMPLE_ID, "clip/media_id", "clip/data_path", "video/filename")
_DIVISION = re.compile(r"split/(\d+)")
_FORMATS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF8", "GIF"),
    (b"RIFF", "WebP"),
    (b"BM", "BMP"),
)


@dataclass(frozen=True)
class Stream:
    """The pictures of one kind in a record.

    Attributes:
        count: How many, or None for a video that does not say.
        coding: ``"JPEG"``, ``"PNG"``, ..., ``"video"`` for a whole video, ``"?"`` for bytes of no known format.
        height: Of the first picture, pixels, or None where nothing tells.
        width: Likewise.
    """

    count: int | None
    coding: str
    height: int | None
    width: int | None


@dataclass(frozen=True)
class Key:
    """A key of a record.

    Attributes:
        name: The key.
        place: ``"context"``, or ``"list"`` for one that has a value for each step in time.
        kind: ``"bytes"``, ``"float"``, ``"int64"``, or ``"empty"``.
        count: Values in the context, steps of a list.
        example: The first value as text, bytes that are no text by their number.
    """

    name: str
    place: str
    kind: str
    count: int
    example: str


@dataclass(frozen=True)
class Summary:
    """What a record says of itself, with None or an empty tuple for what it does not say.

    Attributes:
        number: Its place in the file, counted from 0.
        size: Bytes.
        id: ``example/id``, or the media's id, path or file name.
        dataset: Name of the data set.
        label_indices: Classes, counted from 0; records of others may have several.
        label_names: Their names.
        splits: Part of each division of the data set.
        rgb: Frames, or the video that holds them.
        flow: Flow fields.
        fps: Frames per second.
        start_s: Where the clip starts in its video.
        duration_s: Seconds.
    """

    number: int
    size: int
    id: str | None
    dataset: str | None
    label_indices: tuple[int, ...]
    label_names: tuple[str, ...]
    splits: tuple[str, ...]
    rgb: Stream | None
    flow: Stream | None
    fps: float | None
    start_s: float | None
    duration_s: float | None


@dataclass(frozen=True, eq=False)
class Clip:
    """One record: its summary, and the message for whoever wants the pictures.

    Attributes:
        summary: What it says of itself.
        place: File and number, for messages.
        example: The SequenceExample.
    """

    summary: Summary
    place: str
    example: Any

    def list_keys(self) -> list[Key]:
        """List what the record holds, sorted: the context, then the lists."""
        context, lists = self.example.context.feature, self.example.feature_lists.feature_list
        found = [_key(name, "context", len(values_of(context[name])), context[name]) for name in sorted(context)]
        for name in sorted(lists):
            steps = lists[name].feature
            found.append(_key(name, "list", len(steps), steps[0] if steps else None))
        return found


def read(path: str) -> Iterator[Clip]:
    """Yield the records of a TFRecord file, every checksum tested; files compressed by gzip too.

    Args:
        path: The file, or its URL.

    Raises:
        StorageError: The file is absent, or cannot be reached.
        RecordError: It is damaged, or holds something else than SequenceExamples; what comes before
            has been yielded.
    """
    with _opened(path) as file:
        for number, data in enumerate(tfrecord.read(file, path)):
            place = f"{path}: record {number}"
            try:
                example = SequenceExample.FromString(data)
            except DecodeError as error:
                raise RecordError(f"{place} is no SequenceExample") from error
            if data and not example.context.feature and not example.feature_lists.feature_list:
                raise RecordError(f"{place} is no SequenceExample: none of its {len(data)} bytes belongs to a key")
            yield Clip(_summary(example, number, len(data)), place, example)


def picture_format(data: bytes) -> str:
    """Name the format of an encoded picture by its first bytes; ``"?"`` where it is none that is known."""
    return next((name for magic, name in _FORMATS if data.startswith(magic)), "?")


def picture_size(data: bytes) -> tuple[int, int] | None:
    """Read height and width from the header of a JPEG or PNG; None from anything else."""
    if data.startswith(b"\x89PNG") and len(data) >= 24:
        width, height = struct.unpack(">II", data[16:24])
        return height, width
    place = 2 if data.startswith(b"\xff\xd8") else len(data)
    while place + 9 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        # start of frame, C0 to CF, apart from the tables C4 and CC and the extension C8
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[place + 5 : place + 9])
            return height, width
        place += 1 if marker == 0xFF else 2 + struct.unpack(">H", data[place + 2 : place + 4])[0]
    return None


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    try:
        with storage.open_reading(path) as file:
            start = file.read(len(_GZIP))
            file.seek(0)
            if start != _GZIP:
                yield file
                return
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield unpacked
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise RecordError(f"{path}: compressed by gzip, and damaged or cut short ({error})") from error
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror or error})") from error


def _summary(example: Any, number: int, size: int) -> Summary:
    context = {key: values_of(feature) for key, feature in example.context.feature.items()}
    rgb, flow = _rgb(example, context), _stream(example, context, schema.FLOW_FRAMES, FLOW_CONTEXT)
    times = timestamps(example)
    fps = first_number(context, "image/frame_rate") or _rate(times)
    start, end = first_number(context, schema.START), first_number(context, schema.END)
    if start is not None and end is not None and end > start:
        duration_s = (end - start) / schema.MICROSECONDS
    elif rgb is not None and rgb.count and fps:
        duration_s = rgb.count / fps
    else:
        duration_s = None
    divisions = sorted((int(match[1]), key) for key in context if (match := _DIVISION.fullmatch(key)))
    label_names = next((context[key] for key in _LABEL_NAMES if context.get(key)), [])
    return Summary(
        number=number,
        size=size,
        id=next((_text(context[key][0]) for key in _IDS if context.get(key)), None),
        dataset=_text(context["example/dataset_name"][0]) if context.get("example/dataset_name") else None,
        label_indices=tuple(index for index in context.get(schema.LABEL_INDEX, []) if isinstance(index, int)),
        label_names=tuple(map(_text, label_names)),
        splits=tuple(_text(context[key][0]) if context[key] else "" for _, key in divisions),
        rgb=rgb,
        flow=flow,
        fps=fps,
        start_s=None if start is None else start / schema.MICROSECONDS,
        duration_s=duration_s,
    )


def _rgb(example: Any, context: dict[str, list]) -> Stream | None:
    if stream := _stream(example, context, schema.RGB_FRAMES, "image"):
        return stream
    if not context.get(schema.VIDEO):
        return None
    times = timestamps(example)
    return Stream(len(times) or None, "video", _side(context, "image/height"), _side(context, "image/width"))


def _stream(example: Any, context: dict[str, list], key: str, prefix: str) -> Stream | None:
    if key not in example.feature_lists.feature_list:
        return None
    encoded = pictures_of(example, key)
    first = encoded[0] if encoded else b""
    height, width = picture_size(first) or (_side(context, f"{prefix}/height"), _side(context, f"{prefix}/width"))
    return Stream(len(encoded), picture_format(first) if encoded else "-", height, width)


def pictures_of(example: Any, key: str) -> list[bytes]:
    """Return what each step of a list holds; bytes without content for a step that holds no bytes."""
    if key not in example.feature_lists.feature_list:
        return []
    steps = example.feature_lists.feature_list[key].feature
    return [step.bytes_list.value[0] if step.bytes_list.value else b"" for step in steps]


def timestamps(example: Any) -> list[int]:
    """Return the times of the frames in microseconds; none unless each of them has one."""
    if schema.RGB_TIMES not in example.feature_lists.feature_list:
        return []
    steps = example.feature_lists.feature_list[schema.RGB_TIMES].feature
    times = [step.int64_list.value[0] for step in steps if step.int64_list.value]
    return times if len(times) == len(steps) else []


def _rate(times: list[int]) -> float | None:
    gaps = [after - before for before, after in pairwise(times)]
    middle = float(np.median(gaps)) if gaps else 0
    return schema.MICROSECONDS / middle if middle > 0 else None


def first_number(context: dict[str, list], key: str) -> float | None:
    """Return the first value of a key, if it is a finite number."""
    values = context.get(key)
    return values[0] if values and isinstance(values[0], int | float) and np.isfinite(values[0]) else None


def _side(context: dict[str, list], key: str) -> int | None:
    value = first_number(context, key)
    return int(value) if value is not None and value >= 1 else None


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _key(name: str, place: str, count: int, first: Any | None) -> Key:
    kind = (first is not None and first.WhichOneof("kind")) or "empty"
    values = values_of(first) if first is not None else []
    example = ""
    if values:
        example = f"{values[0]:g}" if isinstance(values[0], float) else str(values[0])
    if values and isinstance(values[0], bytes):
        text = _text(values[0][:64])
        example = text if len(values[0]) <= 64 and text.isprintable() else f"{len(values[0]):,} bytes"
    return Key(name, place, kind.removesuffix("_list"), count, example)
