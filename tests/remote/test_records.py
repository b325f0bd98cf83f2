"""Videos in a bucket to shards in a bucket, and training's view of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from keras_i3d import storage
from keras_i3d.datasets import read_folder
from keras_i3d.errors import OutputFolderError
from keras_i3d.records import manifest, verification
from keras_i3d.records.making import make_tfrecords
from keras_i3d.records.selection import select
from keras_i3d.records.settings import RecordSettings
from keras_i3d.video.encode import write_video

SETTINGS = RecordSettings(short_side=32, clips_per_shard=2)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of two classes of three videos."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(6):
        path = folder / f"train/{'ab'[number % 2]}/{number}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, np.random.default_rng(number).integers(0, 256, (5, 32, 48, 3), np.uint8), fps=25)
    return folder


@pytest.fixture
def uploaded(s3: str, videos: Path) -> str:
    """Return the URL of the folder of videos."""
    for name in storage.walk(videos):
        with storage.replacing(storage.join(s3, "videos", name)) as aside:
            aside.write_bytes((videos / name).read_bytes())
    return storage.join(s3, "videos")


@pytest.mark.parametrize("workers", [0, 2])
def test_from_bucket_to_bucket_is_as_from_disk_to_disk(
    s3: str, uploaded: str, videos: Path, tmp_path: Path, workers: int
) -> None:
    output = storage.join(s3, f"records{workers}")
    made = make_tfrecords(read_folder(uploaded), output, SETTINGS, workers=workers)
    local = make_tfrecords(read_folder(videos), tmp_path / "records", SETTINGS, workers=0)
    assert made == local == manifest.read(output)
    names = set(storage.listing(output))
    assert names == {path.name for path in (tmp_path / "records").iterdir()}
    for name in names - {"run.json"}:
        assert storage.read_bytes(storage.join(output, name)) == (tmp_path / "records" / name).read_bytes(), name
    assert verification.problems(output) == []


def test_a_run_goes_on_in_a_bucket_and_refuses_other_settings(s3: str, uploaded: str) -> None:
    output = storage.join(s3, "again")
    dataset = read_folder(uploaded)
    seen = []

    class Stop(Exception):
        pass

    def stop_after_four(report: object) -> None:
        seen.append(report)
        if len(seen) == 4:
            raise Stop

    with pytest.raises(Stop):
        make_tfrecords(dataset, output, SETTINGS, workers=0, on_clip=stop_after_four)
    assert "manifest.json" not in storage.listing(output)
    made = make_tfrecords(dataset, output, SETTINGS, workers=0)
    assert made.records == {"train": 6}
    assert ".unfinished" not in storage.listing(output)
    with pytest.raises(OutputFolderError, match="with other settings"):
        make_tfrecords(dataset, output, replace(SETTINGS, fps=10.0), workers=0)


def test_training_reads_shards_of_a_bucket(s3: str, uploaded: str) -> None:
    from keras_i3d.clips.pipeline import training_clips, whole_videos

    output = storage.join(s3, "trained")
    make_tfrecords(read_folder(uploaded), output, SETTINGS, workers=0)
    chosen = select(output, "train")
    assert all(storage.is_remote(path) for path in chosen.paths)
    names = {name.decode() for _, _, name in whole_videos(chosen, size=28).as_numpy_iterator()}
    assert len(names) == 6
    for batch, _ in training_clips(chosen, frames=3, size=28, batch_size=3).take(4):
        assert batch["rgb"].shape == (3, 3, 28, 28, 3)
