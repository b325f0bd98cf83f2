import re
from pathlib import Path

import numpy as np
import pytest
from video_networks import moving_clips, video_network

import keras_i3d
from keras_i3d import FvdOptions, video_statistics
from keras_i3d.errors import VideoError
from keras_i3d.fvd.network import VideoNetwork
from keras_i3d.video.decode import read_frames
from keras_i3d.video.encode import write_video


@pytest.fixture(scope="module")
def network() -> VideoNetwork:
    return VideoNetwork(video_network())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of four videos of 10 frames."""
    (tmp_path / "set").mkdir()
    for index, clip in enumerate(moving_clips(4)):
        write_video(tmp_path / "set" / f"{index}.mp4", clip, fps=10)
    return tmp_path / "set"


def damage(path: Path) -> None:
    """Cut a video in the middle of its packets, behind the first frames."""
    clip = np.random.default_rng(0).integers(0, 256, (30, 48, 48, 3)).astype(np.uint8)
    write_video(path.with_suffix(".avi"), clip, fps=10)
    content = path.with_suffix(".avi").read_bytes()
    path.unlink()
    path.with_suffix(".avi").write_bytes(content[: len(content) // 2])


def test_vectors_are_the_networks_in_the_order_of_the_videos(network) -> None:
    clips = moving_clips(7)
    found = video_statistics(clips, model=network)
    from keras_i3d.fvd.clips import resized

    expected = network.vectors(np.stack([resized(clip, 32) for clip in clips])).numpy()
    # float32 sums of another order in another shape
    np.testing.assert_allclose(found.vectors, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_allclose(found.covariance, np.cov(found.vectors.astype(float), rowvar=False), rtol=1e-9)
    assert (found.making.frames, found.making.size, found.making.endpoint) == (10, 32, "logits")
    assert (found.sizes, found.values, found.making.network) == ({"40x24": 7}, (0, 255), network.digest)


def test_videos_of_a_folder_are_seen_as_their_frames_are(network, folder) -> None:
    frames = [read_frames(path, fps=None, short_side=None) for path in sorted(folder.iterdir())]
    by_files = video_statistics(folder, model=network, frames=9)
    by_arrays = video_statistics(np.stack(frames), model=network, frames=9)
    np.testing.assert_array_equal(by_files.vectors, by_arrays.vectors)


@pytest.mark.parametrize("options", [{"batch_size": 3}, {"batch_size": 64}, {"threads": 1}])
def test_batches_and_threads_change_nothing_but_rounding(network, options) -> None:
    clips = moving_clips(7)
    usual = video_statistics(clips, model=network).vectors
    found = video_statistics(clips, model=network, options=FvdOptions(**options)).vectors
    np.testing.assert_allclose(found, usual, rtol=1e-4, atol=1e-5 * np.abs(usual).max())


def test_each_video_is_told(network) -> None:
    told = []
    video_statistics(moving_clips(3), model=network, on_video=lambda: told.append(1))
    assert len(told) == 3


def test_a_video_that_is_damaged_in_the_middle_is_an_error_or_left_out(network, folder) -> None:
    damage(folder / "2.mp4")
    with pytest.raises(VideoError, match=r"2\.avi: "):
        video_statistics(folder, model=network)
    found = video_statistics(folder, model=network, options=FvdOptions(on_damage="skip"))
    ((name, reason),) = found.skipped
    assert found.videos == 3 and name == str(folder / "2.avi") and name in reason
    assert video_statistics(folder, model=network, frames=5).videos == 4  # whole up to there


def test_a_video_of_fewer_frames_is_an_error_or_left_out(network) -> None:
    clips = [*moving_clips(3), moving_clips(1, frames=8)[0]]
    with pytest.raises(ValueError, match=re.escape("real[3]: has 8 frames, 10 are wanted")):
        video_statistics(clips, model=network, frames=10, name="real")
    found = video_statistics(clips, model=network, frames=10, options=FvdOptions(on_short="skip"))
    assert found.videos == 3 and found.skipped == (("videos[3]", "videos[3]: has 8 frames, 10 are wanted"),)


def test_videos_of_different_lengths_need_a_number_of_frames(network) -> None:
    clips = [*moving_clips(3), moving_clips(1, frames=8)[0]]
    message = "real[3]: has 8 frames, those before it 10; all videos must have as many: frames=8 takes the first of"
    with pytest.raises(ValueError, match=re.escape(message)):
        video_statistics(clips, model=network, name="real")
    assert video_statistics(clips, model=network, frames=8).videos == 4


def test_a_network_of_fixed_length_takes_clips_of_that_length_alone() -> None:
    network = VideoNetwork(video_network(frames=9))
    assert video_statistics(moving_clips(2), model=network, frames=9).making.frames == 9
    with pytest.raises(ValueError, match=re.escape("videos[0]: has 10 frames, i3d takes 9; frames=9 takes the first")):
        video_statistics(moving_clips(2), model=network)
    with pytest.raises(ValueError, match="i3d: takes clips of 9 frames, not of 10"):
        video_statistics(moving_clips(2), model=network, frames=10)


def test_a_difference_to_the_other_set_is_told_at_the_first_video(network) -> None:
    real = video_statistics(moving_clips(2), model=network)
    told = []
    longer = moving_clips(50, frames=12)
    message = "cannot be compared with the other set, they differ in: frames 10 and 12 (frames=10 takes the first"
    with pytest.raises(ValueError, match=re.escape(message)):
        video_statistics(longer, model=network, like=real.making, on_video=lambda: told.append(1))
    assert len(told) == 1


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_videos_are_no_set(network, count) -> None:
    with pytest.raises(ValueError, match=f"generated: a set needs at least two videos, got {count}"):
        video_statistics(moving_clips(2)[:count], model=network, name="generated")


def test_a_set_of_which_all_is_left_out_says_so(network) -> None:
    options = FvdOptions(on_short="skip")
    with pytest.raises(ValueError, match=r"at least two videos, got 0 \(2 left out\)"):
        video_statistics(moving_clips(2), model=network, frames=11, options=options)


def test_frames_below_1_are_refused(network) -> None:
    with pytest.raises(ValueError, match="frames must be at least 1, or None for all; got 0"):
        video_statistics(moving_clips(2), model=network, frames=0)


def test_a_network_of_keras_and_a_file_of_a_finished_model_are_the_same(tmp_path) -> None:
    from keras_i3d.clips.preparation import Preparation

    network = video_network()
    network.save(tmp_path / "best.keras")
    (tmp_path / "labels.txt").write_text("a\nb\nc\nd\ne\n")
    Preparation("rgb", 25.0, 37, 32).write(tmp_path)
    found = [video_statistics(moving_clips(2), model=model) for model in (network, tmp_path / "best.keras")]
    assert found[0].making.network == found[1].making.network
    assert [one.making.model for one in found] == ["i3d", str(tmp_path / "best.keras")]
    np.testing.assert_array_equal(found[0].vectors, found[1].vectors)


def test_published_weights_that_are_not_here_say_what_to_do(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_I3D_MIRROR", str(tmp_path))
    with pytest.raises(keras_i3d.errors.WeightsUnavailable, match="could not be fetched"):
        video_statistics(moving_clips(2))
