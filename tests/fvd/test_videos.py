import re
from pathlib import Path

import numpy as np
import pytest
from video_networks import moving_clips

from keras_i3d.errors import DatasetError, VideoError
from keras_i3d.fvd import videos
from keras_i3d.video.decode import read_frames
from keras_i3d.video.encode import write_video


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of three videos of 40 frames, one of them further down, and what is none."""
    folder = tmp_path_factory.mktemp("set")
    (folder / "deep" / "er").mkdir(parents=True)
    for name, clip in zip(("b.mp4", "a.MP4", "deep/er/c.avi"), moving_clips(3, frames=40), strict=True):
        write_video(folder / name, clip, fps=10)
    (folder / "notes.txt").write_text("no video")
    (folder / ".hidden.mp4").write_text("no video")
    return folder


def whole(video: videos.Video, most: int | None = None) -> np.ndarray:
    return np.concatenate(list(video.chunks(most)))


def test_a_folder_is_searched_for_videos_which_are_decoded_at_their_own_rate_and_size(folder: Path) -> None:
    found = videos.open_set(folder, name="real")
    named = list(found.videos)
    assert [video.name for video in named] == [str(folder / name) for name in ("a.MP4", "b.mp4", "deep/er/c.avi")]
    assert (found.count, found.fps) == (3, None)
    expected = read_frames(folder / "b.mp4", fps=None, short_side=None)
    assert expected.shape == (40, 24, 40, 3)
    np.testing.assert_array_equal(whole(named[1]), expected)
    assert [len(chunk) for chunk in named[1].chunks(None)] == [32, 8]
    np.testing.assert_array_equal(whole(named[1], 35), expected[:35])


def test_files_are_brought_to_a_rate_where_one_is_asked_for(folder: Path) -> None:
    found = videos.open_set([folder / "b.mp4"], name="real", fps=5)
    assert found.fps == 5
    np.testing.assert_array_equal(whole(*found.videos), read_frames(folder / "b.mp4", fps=5, short_side=None))


def test_what_lies_behind_the_frames_wanted_is_not_decoded(folder: Path, tmp_path: Path) -> None:
    content = (folder / "deep/er/c.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(content[: len(content) * 2 // 3])
    (cut,) = videos.open_set(tmp_path, name="real").videos
    assert whole(cut, 4).shape == (4, 24, 40, 3)
    with pytest.raises(VideoError, match=r"cut\.avi"):
        whole(cut)


def test_an_array_in_memory_on_the_disk_and_in_batches_is_the_same_videos(tmp_path: Path) -> None:
    clips = moving_clips(5)
    np.save(tmp_path / "x.npy", clips)
    sources = [clips, tmp_path / "x.npy", list(clips), [clips[:2], clips[2:]], (clip for clip in clips)]
    for source in sources:
        found = videos.open_set(source, name="real")
        read = list(found.videos)
        assert found.count in (5, None)
        np.testing.assert_array_equal(np.stack([whole(video) for video in read]), clips)
        assert whole(read[0], 3).shape[0] == 3
    assert read[4].name == "real[4]"


def test_an_open_set_stays_as_it_is(folder: Path) -> None:
    found = videos.open_set(folder, name="real")
    assert videos.open_set(found, name="real") is found


def test_a_tf_dataset_is_a_set() -> None:
    import tensorflow as tf

    clips = moving_clips(5)
    read = list(videos.open_set(tf.data.Dataset.from_tensor_slices(clips).batch(2), name="real").videos)
    np.testing.assert_array_equal(np.stack([whole(video) for video in read]), clips)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (3, "videos must be a folder, an .npy file, .*; got int"),
        ({"rgb": np.zeros((2, 3, 4, 4, 3))}, "got dict"),
        (np.zeros((4, 8, 8, 3)), re.escape("(videos, time, height, width, 3), got (4, 8, 8, 3)")),
    ],
)
def test_what_is_no_set_is_refused(source, message: str) -> None:
    with pytest.raises(ValueError, match=f"^real: .*{message}"):
        videos.open_set(source, name="real")


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (np.zeros((8, 8, 3)), re.escape("item 1 is no video (time, height, width, 3) and no batch of videos; got nda")),
        ((np.zeros((2, 8, 8, 3)), 7), "item 1 is no video .* got tuple"),
        ("a.mp4", "paths are given as a list, and not mixed with arrays; got 'a.mp4'"),
    ],
)
def test_what_yields_something_else_is_refused(item, message: str) -> None:
    found = videos.open_set(iter([np.zeros((2, 8, 8, 3)), item]), name="real")
    with pytest.raises(ValueError, match=f"^real: {message}"):
        list(found.videos)


def test_a_folder_without_videos_or_a_file_that_is_no_array_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "x.npy").write_text("hello")
    (tmp_path / "one.mp4").write_text("hello")
    for name, message in {
        "empty": "no video in it; known endings are .3gp",
        "absent": "cannot be read as a folder",
        "x.npy": "cannot be read as an array",
        "one.mp4": "is one file; a set is a folder of videos",
    }.items():
        with pytest.raises(DatasetError, match=f"{name}: {re.escape(message)}"):
            videos.open_set(tmp_path / name, name="real")
