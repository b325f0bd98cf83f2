"""Small data sets of real video files, and what they give when nothing goes wrong."""

import numpy as np
import pytest

from keras_i3d.datasets.dataset import LabelledClip, VideoDataset
from keras_i3d.records.settings import RecordSettings
from keras_i3d.records.shards import write
from keras_i3d.video.encode import write_video


@pytest.fixture(scope="session")
def settings() -> RecordSettings:
    return RecordSettings(short_side=16, clips_per_shard=2)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> VideoDataset:
    """Return seven clips of two classes, five of them for training; their lengths tell them apart."""
    folder = tmp_path_factory.mktemp("videos")
    clips = []
    for index in range(7):
        name = f"{'ab'[index % 2]}/{index}.mp4"
        (folder / name).parent.mkdir(exist_ok=True)
        frames = np.random.default_rng(index).integers(0, 256, (3 + index, 16, 24, 3), np.uint8)
        write_video(folder / name, frames, fps=25)
        clips.append(LabelledClip(str(folder / name), name, name[0], ("train" if index < 5 else "test",)))
    return VideoDataset("folder", tuple(clips), ("a", "b"))


@pytest.fixture(scope="session")
def whole(
    dataset: VideoDataset, settings: RecordSettings, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """Return the files of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    write(dataset, folder, settings)
    return {path.name: path.read_bytes() for path in folder.iterdir()}
