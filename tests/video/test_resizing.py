import numpy as np
import pytest
from moving_textures import moving_texture

from keras_i3d.errors import VideoError
from keras_i3d.video import decode, encode
from keras_i3d.video.resizing import Resizer


def test_a_cameras_frames_come_out_as_those_of_a_file(tmp_path) -> None:
    encode.write_video(tmp_path / "a.mp4", moving_texture(3, 96, 160), fps=25, crf=1)
    raw = decode.read_frames(tmp_path / "a.mp4", short_side=None)
    wanted = decode.read_frames(tmp_path / "a.mp4", short_side=40).astype(int)
    resizer = Resizer(40)
    found = np.stack([resizer.resize(frame) for frame in raw])
    assert found.dtype == np.uint8
    assert found.shape == wanted.shape == (3, 40, 67, 3)
    luma = (found - wanted) @ np.array([0.299, 0.587, 0.114])
    assert np.abs(luma).mean() < 0.5  # both round to whole levels
    assert np.abs(found - wanted).mean() < 1.5  # a file's halved chroma is resized before it becomes RGB, here after


def test_frames_that_are_upright_narrow_or_views_keep_their_shape() -> None:
    frame = np.arange(90 * 30 * 3).reshape(90, 30, 3).astype(np.uint8)
    assert Resizer(10).resize(frame).shape == (30, 10, 3)
    view = frame[::-1, :, ::-1]
    np.testing.assert_array_equal(Resizer(10).resize(view), Resizer(10).resize(view.copy()))


def test_a_frame_of_the_wanted_size_is_copied() -> None:
    frame = np.full((8, 12, 3), 7, np.uint8)
    found = Resizer(8).resize(frame)
    frame[:] = 0
    assert (found == 7).all()


def test_what_cannot_be_resized_is_told() -> None:
    with pytest.raises(ValueError, match="short_side must be at least 1; got 0"):
        Resizer(0)
    with pytest.raises(VideoError, match="a frame of 40000x1 cannot be made 10240000x256"):
        Resizer(256).resize(np.zeros((1, 40_000, 3), np.uint8))
