"""A file cut at any place is reported, or has lost nothing."""

from pathlib import Path

import pytest
from numbered_videos import indices, write_at

from keras_i3d.errors import TruncatedVideo, VideoError
from keras_i3d.video.decode import read_frames

FORTY = range(0, 1600, 40)
FAST = {"options": {"movflags": "faststart"}}
FILES = {
    "avi": ("a.avi", "mpeg4", {}),
    "avi with sound": ("a.avi", "mpeg4", {"audio_s": 1.6}),
    "avi with more sound": ("a.avi", "mpeg4", {"audio_s": 3.0}),
    "mp4": ("a.mp4", "libx264", {}),
    "mp4 with its index first": ("a.mp4", "libx264", FAST),
    "mp4 with its index first, and sound": ("a.mp4", "libx264", {"audio_s": 1.6, **FAST}),
    "mov of pictures": ("a.mov", "png", FAST),
    "webm of vp8": ("a.webm", "libvpx", {}),
    "webm of vp9": ("a.webm", "libvpx-vp9", {}),
    "mkv": ("a.mkv", "libx264", {}),
    "mkv with more sound": ("a.mkv", "libx264", {"audio_s": 3.0}),
    "ts": ("a.ts", "libx264", {}),
    "ts of mpeg2": ("a.ts", "mpeg2video", {}),
}


def places(size: int) -> list[int]:
    """Return about a hundred places to cut, dense at the end."""
    return sorted({*range(1, size, size // 70), *range(size - 30, size)})


@pytest.mark.parametrize("kind", FILES)
def test_a_cut_anywhere_is_reported_or_loses_nothing(tmp_path: Path, kind: str) -> None:
    name, codec, settings = FILES[kind]
    content = write_at(tmp_path / name, codec, FORTY, **settings).read_bytes()
    whole = read_frames(content, fps=None, short_side=None, threads=1)
    assert indices(whole) == list(range(40))
    reported = 0
    for place in places(len(content)):
        try:
            frames = read_frames(content[:place], fps=None, short_side=None, threads=1)
        except VideoError:
            reported += 1
        else:
            if name == "a.ts" and place % 188 == 0:  # between two packets, and so perhaps between two frames
                assert indices(frames) == list(range(len(frames)))
            else:
                assert indices(frames) == list(range(40)), place
    assert reported > 20


@pytest.mark.parametrize(
    ("name", "codec", "message"),
    [
        ("a.avi", "mpeg4", r"cut short, \d\d frames where the file promises 40$"),
        ("a.mkv", "libx264", r"cut short at [01]\.\d\d s where the file promises 1\.60 s$"),
        ("a.ts", "libx264", r"cut short after \d\d frames, inside its part packet$"),
    ],
)
def test_the_message_counts(tmp_path: Path, name: str, codec: str, message: str) -> None:
    content = write_at(tmp_path / name, codec, FORTY).read_bytes()
    with pytest.raises(TruncatedVideo, match=message):
        read_frames(content[: int(len(content) * 0.8)])


def test_a_frame_that_is_cut_in_a_stream_of_whole_packets_is_told(tmp_path: Path) -> None:
    content = write_at(tmp_path / "a.ts", "mpeg2video", FORTY, width=320, height=240).read_bytes()
    with pytest.raises(TruncatedVideo, match=r"cut short, the last of \d\d frames is incomplete$"):
        read_frames(content[: len(content) // 188 * 188 - 188], threads=1)


@pytest.mark.parametrize("kind", ["avi", "webm of vp8", "mkv", "mp4 with its index first", "ts"])
def test_what_is_left_of_a_cut_file_can_be_kept(tmp_path: Path, kind: str) -> None:
    name, codec, settings = FILES[kind]
    path = write_at(tmp_path / name, codec, FORTY, **settings)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.8)])
    reasons = []
    kept = read_frames(path, fps=None, short_side=None, on_damage=reasons.append)
    assert 0 < len(kept) < 40
    assert indices(kept[:-1]) == list(range(len(kept) - 1))  # the last one may be half a frame
    (reason,) = reasons
    assert reason.startswith(f"{path}: ")
    assert "\n" not in reason
    with pytest.raises(VideoError) as error:
        read_frames(path)
    assert str(error.value) == reason


def test_what_is_left_is_resampled_to_its_end(tmp_path: Path) -> None:
    path = write_at(tmp_path / "a.avi", "mpeg4", FORTY)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.8)])
    own = read_frames(path, fps=None, short_side=None, on_damage=lambda reason: None)
    doubled = read_frames(path, fps=50, short_side=None, on_damage=lambda reason: None)
    assert indices(doubled[::2][:-1]) == indices(own)[: len(doubled[::2]) - 1]
    assert len(doubled) in (2 * len(own) - 1, 2 * len(own))


def test_nothing_left_is_an_error_even_where_damage_is_kept(tmp_path: Path) -> None:
    path = write_at(tmp_path / "a.mp4", "libx264", FORTY)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(VideoError, match="cannot be read as video"):
        read_frames(path, on_damage=lambda reason: None)


def test_an_avi_whose_frames_are_dropped_on_purpose_is_whole(tmp_path: Path) -> None:
    path = write_at(tmp_path / "a.avi", "mpeg4", range(0, 4000, 120))  # empty chunks between, at 25 per second
    assert len(read_frames(path, fps=None, short_side=None)) == 34
    assert len(read_frames(path, fps=25, short_side=None)) in (99, 100)


def test_a_stream_trimmed_by_an_edit_list_is_whole(tmp_path: Path) -> None:
    content = bytearray(write_at(tmp_path / "a.mp4", "mpeg4", FORTY).read_bytes())
    place = content.index(b"elst") + 12  # one edit: duration in milliseconds, start, rate
    content[place : place + 8] = (400).to_bytes(4, "big") + (8000).to_bytes(4, "big")
    frames = read_frames(bytes(content), fps=None, short_side=None)
    assert 5 < len(frames) < 40


@pytest.mark.parametrize("tag", ["", "1", "1:2", "aa:bb:cc", "00:00:1/0", "00:00:-1", "9" * 5 + ":00:00", "0:0:0.0.0"])
def test_a_length_that_is_none_is_no_promise_or_an_unkept_one(tmp_path: Path, tag: str) -> None:
    path = write_at(tmp_path / "a.mkv", "libx264", FORTY)
    content, mark = path.read_bytes(), b"00:00:01.600000000"
    assert mark in content
    path.write_bytes(content.replace(mark, tag.encode().ljust(len(mark), b"\0")))
    if tag.startswith("99999"):
        with pytest.raises(TruncatedVideo, match=r"promises 359996400\.00 s$"):
            read_frames(path)
    else:
        assert len(read_frames(path, fps=None)) == 40
