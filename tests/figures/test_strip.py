import base64

import cv2
import numpy as np
import pytest

from keras_i3d.errors import VideoError
from keras_i3d.figures.strip import GAP, film_strip, video_uri


def decoded(uri: str) -> np.ndarray:
    """PNG data URI -> uint8 (height, width, 4), RGBA."""
    head, content = uri.split(",")
    assert head == "data:image/png;base64"
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), cv2.IMREAD_UNCHANGED)
    return picture[..., [2, 1, 0, 3]]


def noise(time: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (time, height, width, 3), dtype=np.uint8)


def test_frames_of_the_right_height_come_back_pixel_for_pixel():
    frames = noise(9, 20, 30)
    strip = decoded(film_strip(frames, count=3, height=20))
    assert strip.shape == (20, 3 * 30 + 2 * GAP, 4)
    for position, index in enumerate((0, 4, 8)):
        left = position * (30 + GAP)
        np.testing.assert_array_equal(strip[:, left : left + 30, :3], frames[index])
        assert (strip[:, left : left + 30, 3] == 255).all()


def test_gaps_between_frames_are_transparent():
    strip = decoded(film_strip(np.full((2, 10, 10, 3), 255, np.uint8), count=2, height=10))
    assert (strip[:, 10 : 10 + GAP, 3] == 0).all()


@pytest.mark.parametrize("height", [24, 96])
def test_other_heights_keep_the_proportions_and_the_colour(height):
    frames = np.broadcast_to(np.array([200, 100, 50], np.uint8), (4, 48, 64, 3))
    strip = decoded(film_strip(frames, count=4, height=height))
    width = 64 * height // 48
    assert strip.shape == (height, 4 * width + 3 * GAP, 4)
    assert (strip[:, :width, :3] == [200, 100, 50]).all()


def test_a_short_video_shows_all_its_frames_once():
    assert decoded(film_strip(noise(3, 8, 8), count=8, height=8)).shape[1] == 3 * 8 + 2 * GAP


def test_one_frame_is_the_middle_one():
    frames = noise(5, 8, 8)
    np.testing.assert_array_equal(decoded(film_strip(frames, count=1, height=8))[..., :3], frames[2])


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((4, 8, 8, 3), np.float32),
        np.zeros((8, 8, 3), np.uint8),
        np.zeros((4, 8, 8, 1), np.uint8),
        np.zeros((0, 8, 8, 3), np.uint8),
    ],
)
def test_frames_of_another_kind_are_refused(frames):
    with pytest.raises(ValueError, match=r"uint8 \(time, height, width, 3\).*received (float32|uint8) \("):
        film_strip(frames)


@pytest.mark.parametrize("options", [{"count": 0}, {"height": 0}])
def test_no_frames_or_no_height_is_refused(options):
    with pytest.raises(ValueError, match="at least 1; received count="):
        film_strip(noise(2, 8, 8), **options)


def test_a_video_uri_holds_the_file_byte_for_byte(tmp_path):
    content = b"\0\0\0\x18ftypisom" + bytes(range(256))
    (tmp_path / "a.mp4").write_bytes(content)
    head, encoded = video_uri(tmp_path / "a.mp4").split(",")
    assert head == "data:video/mp4;base64"
    assert base64.b64decode(encoded) == content


def test_a_file_that_is_no_mp4_is_refused(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"RIFF....AVI ")
    with pytest.raises(VideoError, match=r"a\.mp4 is no mp4 file.*RIFF"):
        video_uri(tmp_path / "a.mp4")
