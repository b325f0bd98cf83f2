"""Read how long the parts of a container say they are, to tell a file that was cut short from a whole one.

AVI (RIFF chunks), MP4 and QuickTime (boxes), Matroska and WebM (EBML elements) write the length of each part
before it; MPEG transport streams have packets of one length. Only these heads are read, never the pictures.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MOST_PARTS = 2_000_000  # looked at per file; a day of film has fewer
TRANSPORT_SYNC = 0x47
TRANSPORT_PACKETS = ((188, 0), (192, 4), (204, 0))  # (length, offset of the sync byte)
SEGMENT, CLUSTER, EBML = 0x18538067, 0x1F43B675, 0x1A45DFA3
BEHIND_CLUSTERS = {0x1C53BB6B, 0x1254C367, 0x1941A469, 0x1043A770}  # cues, tags, attachments, chapters
SEGMENT_PARTS = BEHIND_CLUSTERS | {CLUSTER, 0x114D9B74, 0x1549A966, 0x1654AE6B}  # seek head, info, tracks
WITHOUT_PICTURES = {b"free", b"skip", b"wide", b"uuid", b"mfra", b"udta", b"meta"}  # boxes of MP4


@dataclass(frozen=True)
class Cut:
    """Where a file ends before it says: the part, and whether pictures may be lost.

    Attributes:
        part: Name of the part of the container in which the file ends.
        loses_pictures: False where every picture lies before the cut.
        counted: True where the table of frames lies before the cut, so that counting them tells if any is lost.
    """

    part: str
    loses_pictures: bool = True
    counted: bool = False


def find_cut(file: BinaryIO) -> Cut | None:
    """Return where a file was cut short; None where nothing says so, or its container tells no lengths."""
    size = file.seek(0, os.SEEK_END)
    head = _read(file, 0, 3 * 204)
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return _cut_of_avi(file, size)
    if head[:4] == EBML.to_bytes(4, "big"):
        return _cut_of_matroska(file, size)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp"):
        return _cut_of_mp4(file, size)
    for length, sync in TRANSPORT_PACKETS:
        if len(head) >= 3 * length and all(head[sync + i * length] == TRANSPORT_SYNC for i in range(3)):
            return Cut("packet") if size % length else None
    return None


def _read(file: BinaryIO, place: int, length: int) -> bytes:
    file.seek(place)
    return file.read(length)


def _cut_of_avi(file: BinaryIO, size: int) -> Cut | None:
    place = 0
    while place + 12 <= size and (head := _read(file, place, 8))[:4] == b"RIFF":
        length = struct.unpack("<I", head[4:])[0]
        if length in (0, 0xFFFFFFFF):  # written to a pipe
            return None
        end = place + 8 + length
        if end > size:
            return _cut_in_riff(file, place + 12, size)
        place = end + length % 2
    return None


def _cut_in_riff(file: BinaryIO, place: int, size: int) -> Cut:
    after_pictures = False
    for _ in range(MOST_PARTS):
        head = _read(file, place, 12)
        if len(head) < 8:
            break
        length, is_pictures = struct.unpack("<I", head[4:8])[0], head[8:12] == b"movi"
        if place + 8 + length > size:
            return Cut("movi" if is_pictures else _printable(head[:4]), not after_pictures, counted=is_pictures)
        after_pictures |= is_pictures
        place += 8 + length + length % 2
    return Cut("idx1", loses_pictures=not after_pictures)


def _cut_of_mp4(file: BinaryIO, size: int) -> Cut | None:
    place, kinds = 0, set()
    for _ in range(MOST_PARTS):
        head = _read(file, place, 16)
        if not head:
            return None
        if len(head) < 8:
            return Cut("box", counted=_is_counted(kinds))
        length, kind = struct.unpack(">I", head[:4])[0], head[4:8]
        if length == 1 and len(head) == 16:
            length = struct.unpack(">Q", head[8:])[0]
        if length == 0:
            return None  # up to the end of the file, wherever that is
        if length < 8 or place + length > size:
            return Cut(_printable(kind), kind not in WITHOUT_PICTURES, kind == b"mdat" and _is_counted(kinds))
        kinds.add(kind)
        place += length
    return None


def _is_counted(kinds: set[bytes]) -> bool:
    """Tell whether one table before the pictures names all of them, as it does unless the file has fragments."""
    return b"moov" in kinds and b"moof" not in kinds


def _cut_of_matroska(file: BinaryIO, size: int) -> Cut | None:
    clusters, last, end = False, 0, size
    for identity, _, stop in _elements(file, size):
        if identity == SEGMENT:
            end = stop or end
        if identity in SEGMENT_PARTS:
            last = identity
        if stop is not None and stop > size and identity != SEGMENT:
            behind = last in BEHIND_CLUSTERS and clusters
            return Cut("cues or tags" if behind else "cluster", loses_pictures=not behind)
        clusters |= identity == CLUSTER
    if end > size:
        return Cut("segment", loses_pictures=not (clusters and last in BEHIND_CLUSTERS))
    return None


def _elements(file: BinaryIO, size: int) -> Iterator[tuple[int, int, int | None]]:
    """Yield (identity, first byte of the content, end or None where unknown) of the elements, entering segments.

    Clusters of unknown length are entered too. A head that the file's end cuts is yielded as one that ends behind it.
    """
    place = 0
    for _ in range(MOST_PARTS):
        if place >= size:
            return
        head = _read(file, place, 12)
        identity_length = 9 - head[0].bit_length()
        if identity_length > 4:
            return  # no element begins so: damaged, or padded
        length_head = head[identity_length] if identity_length < len(head) else 0
        length_length = 9 - length_head.bit_length()
        if len(head) < identity_length + length_length:
            yield 0, place, size + 1
            return
        if length_length > 8:
            return
        identity = int.from_bytes(head[:identity_length], "big")
        mask = (1 << 7 * length_length) - 1
        length = int.from_bytes(head[identity_length : identity_length + length_length], "big") & mask
        content = place + identity_length + length_length
        stop = None if length == mask else content + length
        yield identity, content, stop
        place = content if identity == SEGMENT or stop is None else stop


def _printable(kind: bytes) -> str:
    return kind.decode("ascii", "replace") if kind.isalnum() else kind.hex()
