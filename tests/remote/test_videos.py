"""Videos are decoded where they are, in pieces."""

from pathlib import Path

import numpy as np
import pytest

from keras_i3d import storage
from keras_i3d.errors import StorageError, VideoError
from keras_i3d.video.decode import read_frames
from keras_i3d.video.encode import write_video


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a video of noise, of which more than a piece is needed."""
    pytest.importorskip("av")
    path = tmp_path_factory.mktemp("video") / "a.mp4"
    write_video(path, np.random.default_rng(0).integers(0, 256, (12, 240, 320, 3), dtype=np.uint8), fps=25)
    return path


@pytest.fixture(params=["s3", "web", "web without ranges"])
def url(request: pytest.FixtureRequest, video: Path) -> str:
    """Return the URL of the video."""
    if request.param == "s3":
        url = storage.join(request.getfixturevalue("s3"), video.name)
        with storage.replacing(url) as aside:
            aside.write_bytes(video.read_bytes())
        return url
    web = request.getfixturevalue("web")
    web.has_ranges = request.param == "web"
    (web.folder / video.name).write_bytes(video.read_bytes())
    return storage.join(web.address, video.name)


def test_a_remote_video_has_the_frames_of_the_local_one(video: Path, url: str) -> None:
    with storage.open_reading(url) as file:
        frames = read_frames(file, short_side=64)
    assert np.array_equal(frames, read_frames(video, short_side=64))


def test_a_connection_that_is_lost_for_good_is_told(web, video: Path) -> None:
    (web.folder / video.name).write_bytes(video.read_bytes())
    with storage.open_reading(storage.join(web.address, video.name)) as file:
        web.answers = [503] * 50
        with pytest.raises((StorageError, VideoError), match="503"):
            read_frames(file)
