"""Where files end before they say so, by their lengths alone."""

import io
from pathlib import Path

import pytest
from numbered_videos import write_at

from keras_i3d.video.boxes import Cut, find_cut

FIFTY = range(0, 2000, 40)
FILES = {
    "avi": ("a.avi", "mpeg4", {}),
    "mp4": ("a.mp4", "libx264", {}),
    "mp4 with its index first": ("a.mp4", "libx264", {"movflags": "faststart"}),
    "mp4 in fragments": ("a.mp4", "libx264", {"movflags": "frag_keyframe+empty_moov"}),
    "mov": ("a.mov", "libx264", {}),
    "mkv": ("a.mkv", "libx264", {}),
    "mkv with its cues first": ("a.mkv", "libx264", {"reserve_index_space": "2000"}),
    "webm": ("a.webm", "libvpx", {}),
    "ts": ("a.ts", "libx264", {}),
}


@pytest.fixture(params=FILES)
def content(request, tmp_path: Path) -> bytes:
    name, codec, options = FILES[request.param]
    return write_at(tmp_path / name, codec, FIFTY, options=options).read_bytes()


def test_a_whole_file_has_no_cut(content: bytes) -> None:
    assert find_cut(io.BytesIO(content)) is None


def test_a_file_without_its_last_byte_has_one(content: bytes) -> None:
    assert find_cut(io.BytesIO(content[:-1])) is not None


def test_a_file_without_its_second_half_has_lost_pictures(content: bytes) -> None:
    cut = find_cut(io.BytesIO(content[: len(content) // 2 // 188 * 188 + 50]))
    assert cut is not None
    assert cut.loses_pictures


@pytest.mark.parametrize(
    ("kind", "mark", "cut"),
    [
        ("avi", b"idx1", Cut("idx1", loses_pictures=False)),
        ("mkv", b"\x1c\x53\xbb\x6b", Cut("cues or tags", loses_pictures=False)),
        ("webm", b"\x1c\x53\xbb\x6b", Cut("cues or tags", loses_pictures=False)),
        ("mp4 with its index first", b"mdat", Cut("mdat", counted=True)),
        ("mp4", b"moov", Cut("moov")),
        ("mp4 in fragments", b"mfra", Cut("mfra", loses_pictures=False)),
        ("mp4 in fragments", b"mdat", Cut("mdat")),
        ("avi", b"movi", Cut("movi", counted=True)),
    ],
)
def test_the_part_that_is_cut_is_named(tmp_path: Path, kind: str, mark: bytes, cut: Cut) -> None:
    name, codec, options = FILES[kind]
    content = write_at(tmp_path / name, codec, FIFTY, options=options).read_bytes()
    assert find_cut(io.BytesIO(content[: content.rindex(mark) + len(mark) + 6])) == cut


@pytest.mark.parametrize("content", [b"", b"RIFF", b"text, not film" * 60, bytes(5000)])
def test_what_tells_no_lengths_has_no_cut(content: bytes) -> None:
    assert find_cut(io.BytesIO(content)) is None


def test_endless_parts_end(tmp_path: Path) -> None:
    matroska = b"\x1a\x45\xdf\xa3\x80" + b"\xec\x80" * 10_000  # empty elements
    assert find_cut(io.BytesIO(matroska)) is None
    assert find_cut(io.BytesIO(b"\0\0\0\x08free" * 10_000)) is None
    assert find_cut(io.BytesIO(b"\0\0\0\x08free" * 10 + b"\0\0\0\x02free")) == Cut("free", loses_pictures=False)
    assert find_cut(io.BytesIO(b"RIFF\4\0\0\0AVI " * 10_000)) is None
