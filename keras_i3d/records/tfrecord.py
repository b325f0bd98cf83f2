"""The framing of TFRecord files: length, its checksum, data, its checksum; readable and writable without TensorFlow.

A record is ``uint64 length, uint32 masked CRC-32C of the length, data, uint32 masked CRC-32C of the data``,
little-endian (``tensorflow/core/lib/io/record_writer.h``). Files are joined by writing one behind the other.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from keras_i3d.errors import RecordError
from keras_i3d.extras import import_extra

_LENGTH, _CHECKSUM = struct.Struct("<Q"), struct.Struct("<I")
MASK_DELTA = 0xA282EAD8
_CHUNK = 1 << 24


def write(file: BinaryIO, data: bytes) -> int:
    """Append one record; returns the bytes that it takes in the file."""
    length = _LENGTH.pack(len(data))
    parts = (length, checksum(length), data, checksum(data))
    for part in parts:
        file.write(part)
    return sum(map(len, parts))


def read(file: BinaryIO, name: str) -> Iterator[bytes]:
    """Yield the records of a file, every checksum tested.

    Args:
        file: Open for reading, in binary.
        name: What to call the file in messages.

    Raises:
        RecordError: The file is cut short, or a checksum is wrong; records are counted from 0.
    """
    number = 0
    while head := file.read(_LENGTH.size + _CHECKSUM.size):
        length = head[: _LENGTH.size]
        if len(head) < _LENGTH.size + _CHECKSUM.size or head[_LENGTH.size :] != checksum(length):
            if not number:
                raise RecordError(f"{name}: begins with no record; it is damaged at its start, or is no TFRecord file")
            raise RecordError(f"{name}: damaged or cut short at record {number}, counted from 0")
        data = _exactly(file, _LENGTH.unpack(length)[0])
        if data is None or file.read(_CHECKSUM.size) != checksum(data):
            raise RecordError(f"{name}: record {number}, counted from 0, is damaged or cut short")
        yield data
        number += 1


def _exactly(file: BinaryIO, size: int) -> bytes | None:
    """Read in chunks, so that a false length asks for no more memory than the file has bytes."""
    chunks = []
    while size:
        chunk = file.read(min(size, _CHUNK))
        if not chunk:
            return None
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)


def checksum(data: bytes) -> bytes:
    """Return the masked CRC-32C of bytes, as it stands in the file.

    Raises:
        MissingDependency: google-crc32c is not installed.
    """
    crc = import_extra("google_crc32c").value(data)
    rotated = ((crc >> 15) | (crc << 17)) & 0xFFFFFFFF
    return _CHECKSUM.pack((rotated + MASK_DELTA) & 0xFFFFFFFF)
