"""What workers do, in processes of this machine, which stand in for those of a cluster."""

from dataclasses import replace

import numpy as np
import pytest
from dask_clusters import dask_cluster

from keras_i3d.errors import ClusterError
from keras_i3d.features import endpoints, task
from keras_i3d.features.extract import extract_features
from keras_i3d.features.files import read_features
from keras_i3d.features.settings import FeatureSettings
from keras_i3d.features.task import FeatureTask
from keras_i3d.workers import Processes, in_order

SETTINGS = FeatureSettings(window=8, stride=4)


@pytest.fixture
def told(small, write_video, tmp_path) -> FeatureTask:
    video = write_video(tmp_path / "a.mp4", 20)
    digest = task.digest(endpoints.load(small, SETTINGS))
    return FeatureTask(str(video), str(tmp_path / "a.npz"), small, "rgb", SETTINGS, digest)


@pytest.mark.slow
def test_a_worker_writes_what_one_process_does(told, tmp_path) -> None:
    broken = replace(told, video=str(tmp_path / "none.mp4"), path=str(tmp_path / "none.npz"))
    with Processes(1) as crew:
        first, second = in_order(crew, task.write, [told, broken], lost=task.lost)
    assert (first.video, first.frames, first.windows, first.skipped) == (told.video, 20, 4, None)
    assert "none.mp4" in second.skipped
    extract_features(told.video, model=told.model, output=tmp_path / "here", settings=SETTINGS)
    ours, here = read_features(told.path), read_features(tmp_path / "here/a.mp4.npz")
    np.testing.assert_allclose(ours.arrays["rgb"], here.arrays["rgb"], atol=1e-5)
    assert ours.made_with == here.made_with


def test_a_dask_cluster_writes_what_one_process_does(small, write_video, tmp_path) -> None:
    for seed in range(3):
        write_video(tmp_path / "videos/a" / f"{seed}.mp4", 12 + 4 * seed, seed=seed)
    (tmp_path / "videos/bad.mp4").write_bytes(b"no video")
    call = {"videos": tmp_path / "videos", "model": small, "settings": SETTINGS}
    with dask_cluster(tmp_path, 2) as (address, _):
        here = extract_features(**call, output=tmp_path / "here")
        there = extract_features(**call, output=tmp_path / "there", scheduler=address)
    assert (there.written, there.windows, there.skipped) == (3, 9, here.skipped)
    for seed in range(3):
        one, other = (read_features(tmp_path / name / f"a/{seed}.mp4.npz") for name in ("here", "there"))
        np.testing.assert_allclose(one.arrays["rgb"], other.arrays["rgb"], atol=1e-5)
        assert one.made_with == other.made_with


def test_a_process_loads_a_model_once(told, monkeypatch) -> None:
    task.write(told)
    monkeypatch.setattr(endpoints, "load", None)
    assert task.write(told).windows == 4
    task._endpoint.cache_clear()


def test_a_worker_with_another_model_stops_the_work(told) -> None:
    with pytest.raises(
        ClusterError, match=r"best.keras: a worker finds another model there \(SHA-256 \w+, wanted is 0"
    ):
        task.write(replace(told, digest="0"))


def test_a_video_that_kills_its_workers_is_skipped(told) -> None:
    report = task.lost(told)
    assert report.video == told.video
    assert "every process that read it died" in report.skipped
