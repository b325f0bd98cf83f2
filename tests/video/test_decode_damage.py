"""Files that are cut, damaged, or no video at all."""

from pathlib import Path

import av
import numpy as np
import pytest
from numbered_videos import cut, indices, numbered, write_at

from keras_i3d.errors import TruncatedVideo, VideoError
from keras_i3d.video.decode import read_frames
from keras_i3d.video.encode import write_video


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Return two seconds at 25 fps."""
    write_video(tmp_path / "video.mp4", numbered(50), fps=25, crf=0)
    return tmp_path / "video.mp4"


def test_a_video_that_ends_early_says_how_many_frames_are_missing(tmp_path: Path) -> None:
    path = cut(write_at(tmp_path / "video.mp4", "libx264", range(0, 4000, 40), options={"movflags": "faststart"}), 0.7)
    with pytest.raises(TruncatedVideo, match=r"video\.mp4: cut short, \d\d frames where the file promises 100$"):
        read_frames(path)


def test_an_avi_that_ends_early_says_so(tmp_path: Path) -> None:
    path = cut(write_at(tmp_path / "video.avi", "mpeg4", range(0, 4000, 40)), 0.6)
    with pytest.raises(TruncatedVideo, match=r"video\.avi: cut short, \d\d frames where the file promises 100$"):
        read_frames(path)


def test_a_matroska_that_ends_early_says_so(tmp_path: Path) -> None:
    path = cut(write_at(tmp_path / "video.mkv", "mpeg4", range(0, 4000, 40)), 0.6)
    with pytest.raises(TruncatedVideo, match=r"video\.mkv: cut short at 2\.\d\d s where the file promises 4\.00 s$"):
        read_frames(path)


@pytest.mark.parametrize("name", ["video.mp4", "video.avi", "video.mkv", "video.ts", "video.flv"])
def test_a_whole_video_is_whole_in_every_container(tmp_path: Path, name: str) -> None:
    codec = "mpeg4" if name.endswith("avi") else "libx264"
    path = write_at(tmp_path / name, codec, range(0, 4000, 40))
    assert indices(read_frames(path, short_side=None)) == list(range(100))


@pytest.mark.parametrize("name", ["video.mp4", "video.avi", "video.mkv", "video.ts", "video.flv"])
def test_sound_that_lasts_longer_than_the_picture_is_no_cut(tmp_path: Path, name: str) -> None:
    codec = "mpeg4" if name.endswith("avi") else "libx264"
    path = write_at(tmp_path / name, codec, range(0, 2000, 40), audio_s=3)
    assert indices(read_frames(path, short_side=None)) == list(range(50))


@pytest.mark.parametrize("name", ["video.mp4", "video.mkv"])
def test_uneven_frame_times_are_no_cut(tmp_path: Path, name: str) -> None:
    times_ms = [*range(0, 800, 40), *range(1000, 6000, 1000)]
    path = write_at(tmp_path / name, "libx264", times_ms)
    assert indices(read_frames(path, fps=None, short_side=None)) == list(range(25))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"absent\.mp4: cannot be read as video \(No such file or directory\)$"):
        read_frames(tmp_path / "absent.mp4")


def test_a_folder_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r": cannot be read as video \(Is a directory\)$"):
        read_frames(tmp_path)


def test_an_empty_file_is_called_empty(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(VideoError, match=r"empty\.mp4: the file is empty; a video is wanted$"):
        read_frames(tmp_path / "empty.mp4")


@pytest.mark.parametrize("content", [b"a letter, not a film", bytes(range(256)) * 40])
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "letter.mp4").write_bytes(content)
    with pytest.raises(VideoError, match=r"letter\.mp4: cannot be read as video \(.+\)$"):
        read_frames(tmp_path / "letter.mp4")


def test_an_mp4_cut_before_its_index_cannot_be_read(video: Path) -> None:
    with pytest.raises(VideoError, match=r"video\.mp4: cannot be read as video \(Invalid data found .*\)$"):
        read_frames(cut(video, 0.5))


def test_damage_in_the_middle_is_told_from_no_video(tmp_path: Path) -> None:
    path = write_at(tmp_path / "video.mov", "png", range(0, 800, 40))
    content = path.read_bytes()
    place = -1
    for _ in range(8):
        place = content.index(b"\x89PNG", place + 1)
    path.write_bytes(content[:place] + bytes(60) + content[place + 60 :])
    with pytest.raises(VideoError, match=r"video\.mov: damaged after \d frames \(Invalid data found .*\)$"):
        read_frames(path)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "song.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 48000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    with pytest.raises(VideoError, match=r"song\.mp4: holds no video stream$"):
        read_frames(tmp_path / "song.mp4")


def test_a_video_stream_without_frames_is_refused(tmp_path: Path) -> None:
    path = write_at(tmp_path / "nothing.avi", "mpeg4", [], audio_s=1)
    with pytest.raises(VideoError, match=r"nothing\.avi: no video frame$"):
        read_frames(path)
