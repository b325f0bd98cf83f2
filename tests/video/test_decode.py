import itertools
import os
import struct
import sys
import tracemalloc
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numbered_videos import cut, indices, numbered, write_at

from keras_i3d.errors import MissingDependency, TruncatedVideo, VideoError
from keras_i3d.video.decode import expected_frames, iterate_frames, read_frames
from keras_i3d.video.encode import write_video


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Return two seconds at 25 fps."""
    write_video(tmp_path / "video.mp4", numbered(50), fps=25, crf=0)
    return tmp_path / "video.mp4"


def nearest(times: list[Fraction], fps: float, start_s: float = 0.0, end_s: float | None = None) -> list[int]:
    """Look at every frame for every tick; of two that are equally near the later one."""
    chosen, tick = [], Fraction(start_s)
    while tick <= times[-1] + 1 / Fraction(fps) / 2 and (end_s is None or tick < end_s):
        chosen.append(min(range(len(times)), key=lambda index: (abs(times[index] - tick), -index)))
        tick += 1 / Fraction(fps)
    return chosen


@pytest.mark.parametrize(
    "stretch", [(0.0, None), (0.5, None), (0.25, 1.125), (0.0, 0.01), (0.953125, 0.984375), (1.5, 60.0)]
)
@pytest.mark.parametrize("wanted", [25, 12.5, 30])
@pytest.mark.parametrize("own", [10, 25, 30, 50, 30000 / 1001])
def test_every_tick_gets_the_frame_nearest_in_time(tmp_path: Path, own: float, wanted: float, stretch: tuple) -> None:
    count = int(2 * own)
    write_video(tmp_path / "video.mp4", numbered(count), fps=own, crf=0)
    times = [index / Fraction(own).limit_denominator(1001) for index in range(count)]
    start_s, end_s = stretch
    frames = read_frames(tmp_path / "video.mp4", fps=wanted, short_side=None, start_s=start_s, end_s=end_s)
    assert indices(frames) == nearest(times, wanted, start_s, end_s)


def test_uneven_frame_times_are_followed(tmp_path: Path) -> None:
    times_ms = [0, 10, 300, 310, 320, 330, 1000, 1040]
    path = write_at(tmp_path / "video.mp4", "libx264", times_ms)
    times = [Fraction(time, 1000) for time in times_ms]
    assert indices(read_frames(path, short_side=None)) == nearest(times, 25)


def test_a_video_of_the_wanted_rate_passes_unchanged(video: Path) -> None:
    assert indices(read_frames(video, short_side=None)) == list(range(50))


@pytest.mark.parametrize("name", ["late.ts", "late.mkv"])
def test_times_count_from_the_first_frame(tmp_path: Path, name: str) -> None:
    path = write_at(tmp_path / name, "libx264", range(3000, 4000, 40))
    assert indices(read_frames(path, fps=None, short_side=None, start_s=0.19, end_s=0.39)) == [5, 6, 7, 8, 9]


@pytest.mark.parametrize("own", [10, 50])
def test_without_a_rate_the_file_keeps_its_frames(tmp_path: Path, own: int) -> None:
    write_video(tmp_path / "video.mp4", numbered(20), fps=own, crf=0)
    assert indices(read_frames(tmp_path / "video.mp4", fps=None, short_side=None)) == list(range(20))
    part = read_frames(tmp_path / "video.mp4", fps=None, short_side=None, start_s=4.5 / own, end_s=8.5 / own)
    assert indices(part) == [5, 6, 7, 8]


@pytest.mark.parametrize("fps", [25, None])
@pytest.mark.parametrize("first", [1, 3, 5, 7, 10])
def test_decimal_bounds_fall_on_their_frames(video: Path, first: int, fps: float | None) -> None:
    stretch = {"start_s": float(f"{first * 0.04:.2f}"), "end_s": float(f"{(first + 5) * 0.04:.2f}")}
    frames = read_frames(video, fps=fps, short_side=None, **stretch)
    assert indices(frames) == list(range(first, first + 5))


def test_a_stretch_of_a_slow_video_is_a_part_of_the_whole(tmp_path: Path) -> None:
    path = write_at(tmp_path / "slides.mp4", "libx264", [0, 3000, 6000])
    whole = indices(read_frames(path, fps=5, short_side=None))
    assert whole == [0] * 8 + [1] * 15 + [2] * 8
    assert indices(read_frames(path, fps=5, short_side=None, end_s=1.4)) == whole[:7]
    assert indices(read_frames(path, fps=5, short_side=None, start_s=3, end_s=5)) == whole[15:25]


@pytest.mark.parametrize(
    ("height", "width", "short_side", "expected"),
    [
        (32, 48, 16, (16, 24)),
        (48, 32, 16, (24, 16)),  # portrait
        (32, 32, 20, (20, 20)),
        (32, 48, 33, (33, 50)),  # 49.5, rounded up
        (48, 32, 33, (50, 33)),
        (32, 48, 64, (64, 96)),
        (4, 200, 1, (1, 50)),
        (32, 48, None, (32, 48)),
    ],
)
def test_the_short_side_is_as_wanted_and_the_aspect_stays(
    tmp_path: Path, height: int, width: int, short_side: int | None, expected: tuple[int, int]
) -> None:
    write_video(tmp_path / "video.mp4", numbered(3, height, width), fps=25)
    frames = read_frames(tmp_path / "video.mp4", short_side=short_side)
    assert frames.shape == (3, *expected, 3)
    assert frames.dtype == np.uint8


def test_rates_and_sizes_default_to_those_of_the_paper(video: Path) -> None:
    assert read_frames(video, end_s=0.19).shape == (5, 256, 384, 3)


@pytest.mark.parametrize("short_side", [None, 16])
def test_colours_are_red_green_blue_and_stay_in_place(tmp_path: Path, short_side: int | None) -> None:
    frames = np.zeros((4, 32, 48, 3), np.uint8)
    frames[:, :, :16, 0] = frames[:, :, 16:32, 1] = frames[:, :, 32:, 2] = 255
    write_video(tmp_path / "video.mp4", frames, fps=25, crf=0)
    decoded = read_frames(tmp_path / "video.mp4", short_side=short_side)
    third = decoded.shape[2] // 3
    for channel in range(3):
        middle = decoded[:, :, channel * third + third // 2]
        # eight-bit limited-range YUV moves saturated colours by a few levels
        np.testing.assert_allclose(middle, np.broadcast_to(255 * np.eye(3)[channel], middle.shape), atol=6)


def test_a_video_is_turned_as_its_file_says(tmp_path: Path) -> None:
    frames = np.zeros((5, 32, 48, 3), np.uint8)
    frames[:, :, :24] = 255
    write_video(tmp_path / "phone.mp4", frames, fps=25)
    content = bytearray((tmp_path / "phone.mp4").read_bytes())
    matrix = content.index(b"tkhd") + 44
    content[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    (tmp_path / "phone.mp4").write_bytes(content)
    decoded = read_frames(tmp_path / "phone.mp4", short_side=None)  # a quarter clockwise: left comes to the top
    assert decoded.shape == (5, 48, 32, 3)
    assert decoded[:, :20].min() > 240
    assert decoded[:, 28:].max() < 15


def test_frames_come_one_by_one_in_the_memory_of_one(video: Path) -> None:
    frame_bytes = 240 * 360 * 3
    tracemalloc.start()
    try:
        assert sum(frame.nbytes == frame_bytes for frame in iterate_frames(video, short_side=240)) == 50
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * frame_bytes


def test_the_first_frames_come_before_the_end_is_known(tmp_path: Path) -> None:
    path = cut(write_at(tmp_path / "video.mp4", "libx264", range(0, 4000, 40), options={"movflags": "faststart"}), 0.7)
    frames = iterate_frames(path, short_side=None)
    assert indices(itertools.islice(frames, 5)) == [0, 1, 2, 3, 4]
    with pytest.raises(TruncatedVideo):
        list(frames)


def test_a_stretch_before_the_cut_can_be_read(tmp_path: Path) -> None:
    path = cut(write_at(tmp_path / "video.mp4", "libx264", range(0, 4000, 40), options={"movflags": "faststart"}), 0.9)
    assert indices(read_frames(path, fps=None, short_side=None, start_s=0.19, end_s=0.39)) == [5, 6, 7, 8, 9]


@pytest.mark.parametrize(
    ("stretch", "message"),
    [
        ({"start_s": 100}, "no video frame between 100 s and its end"),
        ({"start_s": 2.5, "end_s": 3}, "no video frame between 2.5 s and 3 s"),
    ],
)
@pytest.mark.parametrize("fps", [25, None])
def test_a_stretch_beyond_the_end_is_named(video: Path, stretch: dict, message: str, fps: float | None) -> None:
    with pytest.raises(VideoError, match=rf"video\.mp4: {message}$"):
        read_frames(video, fps=fps, **stretch)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fps": 0}, "fps must be above 0 and at most 1000, or None for the file's own frames; got 0"),
        ({"fps": -25}, "fps must be above 0 and at most 1000, or None for the file's own frames; got -25"),
        ({"fps": float("nan")}, "fps must be above 0 and at most 1000, or None for the file's own frames; got nan"),
        ({"short_side": 0}, "short_side must be at least 1, or None for the file's own size; got 0"),
        ({"start_s": -1}, "a stretch needs 0 <= start_s < end_s, got start_s=-1, end_s=None"),
        ({"start_s": 2, "end_s": 1}, "a stretch needs 0 <= start_s < end_s, got start_s=2, end_s=1"),
        ({"start_s": 1, "end_s": 1}, "a stretch needs 0 <= start_s < end_s, got start_s=1, end_s=1"),
        ({"end_s": 0}, "a stretch needs 0 <= start_s < end_s, got start_s=0.0, end_s=0"),
    ],
)
def test_wrong_options_are_refused(video: Path, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        read_frames(video, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fps": float("inf")}, "fps must be"),
        ({"fps": 1e-9}, "fps must be"),
        ({"start_s": float("nan")}, "a stretch needs"),
        ({"start_s": float("inf")}, "a stretch needs"),
        ({"end_s": float("nan")}, "a stretch needs"),
    ],
)
def test_numbers_that_are_none_are_refused(video: Path, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_frames(video, **options)


NAMES = ("a;b#c!(d)[e]'f.mp4", "50%03d.mp4", "-a.mp4", "clip 1?.mp4", "ü.mp4", os.fsdecode(b"caf\xe9.mp4"))


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_file_name_can_be_read(video: Path, name: str) -> None:
    path = video.rename(video.with_name(name))
    assert indices(read_frames(path, short_side=None)) == list(range(50))


def test_a_relative_name_with_a_colon_is_a_file(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video.rename(video.with_name("12:30.mp4"))
    monkeypatch.chdir(video.parent)
    assert indices(read_frames("12:30.mp4", short_side=None)) == list(range(50))


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"\.mp4: cannot be read as video \(File name too long\)$"):
        read_frames(tmp_path / f"{'x' * 300}.mp4")


def test_a_path_may_be_a_string(video: Path) -> None:
    assert len(read_frames(str(video), short_side=None)) == 50


def test_without_pyav_the_pip_line_is_named(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingDependency, match=r"pip install 'keras-i3d\[video\]'"):
        read_frames(video)


@pytest.mark.parametrize(
    ("name", "count", "height", "width"),
    [
        ("test.avi", 164, 256, 341),
        ("structuralize.mp4", 250, 256, 454),
        ("test.mp4", 250, 256, 340),
        ("v_GGSY1Qvo990.mp4", 452, 256, 341),
        ("v_ZNVhz7ctTq0.mp4", 350, 256, 341),
    ],
)
def test_real_clips_have_their_length_at_25_fps(
    shared_videos: Path, name: str, count: int, height: int, width: int
) -> None:
    shapes = [frame.shape for frame in iterate_frames(shared_videos / name)]
    assert shapes == [(height, width, 3)] * count


def test_frames_are_expected_by_what_the_container_says(tmp_path: Path) -> None:
    path = write_at(tmp_path / "a.mp4", "libx264", range(0, 2000, 40))
    assert expected_frames(path) == len(read_frames(path, short_side=None)) == 50
    assert expected_frames(path, fps=5) == 10  # about: the tick at the end takes the last frame too
    assert len(read_frames(path, fps=5, short_side=None)) == 11
    (tmp_path / "none.mp4").write_bytes(b"x" * 999)
    assert expected_frames(tmp_path / "none.mp4") is None
    assert expected_frames(tmp_path / "absent.mp4") is None
