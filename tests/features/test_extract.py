import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from numbered_videos import cut, write_at

import keras_i3d
from keras_i3d.errors import OutputFolderError, VideoError
from keras_i3d.features.extract import extract_features
from keras_i3d.features.files import read_features
from keras_i3d.features.report import Report
from keras_i3d.features.settings import FeatureSettings

SETTINGS = FeatureSettings(window=8, stride=4)


@pytest.fixture
def videos(write_video, tmp_path) -> Path:
    """Return a folder of three videos in two folders."""
    for seed, name in enumerate(("a/x", "b/x", "b/y")):
        write_video(tmp_path / "videos" / f"{name}.mp4", 12 + 8 * seed, seed=seed)
    return tmp_path / "videos"


def test_arrays_come_in_the_order_of_the_videos(videos, frames, small) -> None:
    found = extract_features([frames, videos], model=small, settings=SETTINGS)
    assert [one.arrays["rgb"].shape for one in found] == [(9, 16), (2, 16), (4, 16), (6, 16)]
    (alone,) = extract_features(videos / "b/y.mp4", model=small, settings=SETTINGS)
    np.testing.assert_allclose(alone.arrays["rgb"], found[-1].arrays["rgb"], atol=1e-5)
    assert (alone.frames, alone.times[-1].tolist()) == (28, [0.8, 1.12])


@pytest.mark.parametrize("file_format", ["npz", "h5"])
def test_files_hold_the_arrays_in_the_folders_tree(videos, small, tmp_path, file_format: str) -> None:
    settings = FeatureSettings(window=8, stride=4, file_format=file_format)
    report = extract_features(videos, model=small, output=tmp_path / "out", settings=settings)
    assert (report.written, report.windows, report.skipped) == (3, 12, {})
    arrays = extract_features(videos, model=small, settings=settings)
    for name, expected in zip(("a/x.mp4", "b/x.mp4", "b/y.mp4"), arrays, strict=True):
        found = read_features(tmp_path / "out" / f"{name}.{file_format}")
        np.testing.assert_allclose(found.arrays["rgb"], expected.arrays["rgb"], atol=1e-5)
        np.testing.assert_array_equal(found.times, expected.times)
        assert found.made_with == expected.made_with
        assert found.made_with["video"] == str(videos / name)


def test_maps_are_kept_whole_in_hdf5_alone(videos, small, tmp_path) -> None:
    settings = FeatureSettings(window=8, stride=4, pooling="none")
    with pytest.raises(ValueError, match=r"unpooled features are written as they come, in file_format 'h5', got 'npz'"):
        extract_features(videos, model=small, output=tmp_path / "out", settings=settings)
    settings = FeatureSettings(window=8, stride=4, pooling="none", file_format="h5")
    extract_features(videos / "a/x.mp4", model=small, output=tmp_path / "out", settings=settings)
    assert read_features(tmp_path / "out/x.mp4.h5").arrays["rgb"].shape == (2, 8, 8, 8, 16)


def test_the_same_call_goes_on_and_takes_more_videos(videos, small, tmp_path) -> None:
    call = {"model": small, "output": tmp_path / "out", "settings": SETTINGS}
    extract_features([videos / "b"], **call)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.npz")}
    shutil.copy(videos / "a/x.mp4", videos / "b/z.mp4")
    (tmp_path / "out/y.mp4.npz").write_bytes(b"cut by a power failure")
    report = extract_features([videos / "b"], **call)
    assert (report.written, report.present) == (2, 1)
    assert (tmp_path / "out/x.mp4.npz").stat().st_mtime_ns == before[tmp_path / "out/x.mp4.npz"]
    assert len(read_features(tmp_path / "out/y.mp4.npz").times) == 6


def test_a_folder_is_of_one_set_of_settings(videos, small, tmp_path) -> None:
    video, output = videos / "a/x.mp4", tmp_path / "out"
    extract_features(video, model=small, output=output, settings=SETTINGS)
    with pytest.raises(
        OutputFolderError, match=r"out: holds a run of `features` with other settings \(stride 4 there, 8"
    ):
        extract_features(video, model=small, output=output, settings=FeatureSettings(window=8, stride=8))
    more = FeatureSettings(window=8, stride=4, batch_size=2)  # which changes nothing but rounding
    assert extract_features(video, model=small, output=output, settings=more).present == 1


def test_features_of_another_video_are_never_taken_for_its_own(videos, small, tmp_path) -> None:
    call = {"model": small, "output": tmp_path / "out", "settings": SETTINGS}
    extract_features(videos / "a/x.mp4", **call)
    message = r"out/x.mp4.npz: holds the features of .*a/x.mp4, not of .*b/x.mp4; choose another output folder"
    with pytest.raises(OutputFolderError, match=message):
        extract_features(videos / "b/x.mp4", **call)
    twin = videos / "twin/x.mp4"  # of as many bytes
    twin.parent.mkdir()
    shutil.copy(videos / "a/x.mp4", twin)
    with pytest.raises(OutputFolderError, match=r"holds the features of .*a/x.mp4, not of .*twin/x.mp4"):
        extract_features(twin, **call)
    with (videos / "a/x.mp4").open("ab") as file:
        file.write(b"more")
    with pytest.raises(OutputFolderError, match=r"of .*a/x.mp4 as it was, of \d+ bytes, and it has \d+ now; delete"):
        extract_features(videos / "a/x.mp4", **call)
    (videos / "a/x.mp4").unlink()  # moved
    assert extract_features(twin, **call).present == 1


def test_a_retry_that_was_killed_is_not_skipped_again(videos, small, tmp_path) -> None:
    call = {"model": small, "output": tmp_path / "out", "settings": SETTINGS}
    extract_features(videos / "a/x.mp4", **call)
    told = {"skipped": {str(videos / "a/x.mp4"): "a.mp4: damaged"}, "damaged": {}}
    (tmp_path / "out/report.json").write_text(json.dumps(told))
    report = extract_features(videos / "a/x.mp4", **call)
    assert (report.present, report.skipped) == (1, {})


def test_a_video_damaged_in_the_middle_is_skipped_whole(videos, small, tmp_path) -> None:
    video = videos / "b/y.mp4"
    content = bytearray(video.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 400] = bytes(400)
    video.write_bytes(content)
    report = extract_features(videos, model=small, output=tmp_path / "out", settings=SETTINGS)
    assert (report.written, list(report.skipped)) == (2, [str(video)])
    assert sorted(path.name for path in (tmp_path / "out/b").iterdir()) == ["x.mp4.npz"]


def test_a_folder_of_damaged_videos_is_told_video_by_video(videos, small, tmp_path) -> None:
    for number in range(40):
        (videos / "b" / f"{number}.mp4").write_bytes(b"no video")
    report = extract_features(videos, model=small, output=tmp_path / "out", settings=SETTINGS)
    assert (report.written, len(report.skipped)) == (3, 40)


def test_a_file_of_another_modality_is_refused(videos, small) -> None:
    with pytest.raises(ValueError, match=r"best.keras: a network of modality 'rgb', got modality='flow'"):
        extract_features(videos, model=small, modality="flow", settings=SETTINGS)


def test_a_cut_video_is_skipped_or_kept_as_asked(videos, small, tmp_path) -> None:
    (videos / "b/y.mp4").unlink()
    video = cut(write_at(videos / "b/y.mkv", "mpeg4", range(0, 1120, 40)), 0.7)
    with pytest.raises(VideoError, match=r"y.mkv: cut short"):
        extract_features(videos, model=small, settings=SETTINGS)
    call = {"model": small, "output": tmp_path / "out"}
    report = extract_features(videos, settings=SETTINGS, **call)
    assert (report.written, list(report.skipped)) == (2, [str(video)])
    assert not (tmp_path / "out/b/y.mkv.npz").exists()
    again = extract_features(videos, settings=SETTINGS, **call)
    assert (again.written, again.present, again.skipped) == (0, 2, report.skipped)
    keep = FeatureSettings(window=8, stride=4, keep_truncated=True)
    kept = extract_features(videos, settings=keep, retry_skipped=True, **call)
    assert (kept.written, kept.present, kept.skipped) == (1, 2, {})
    found = read_features(tmp_path / "out/b/y.mkv.npz")
    assert 0 < found.frames < 28
    assert kept.damaged == {str(video): found.made_with["damage"]}
    assert Report.read(tmp_path / "out").damaged == kept.damaged


def test_options_that_do_not_fit_are_named(frames, small, tmp_path) -> None:
    with pytest.raises(ValueError, match="scheduler and retry_skipped are options of an output folder; none is given"):
        extract_features(frames, model=small, scheduler="tcp://host:8786")
    with pytest.raises(ValueError, match="frames in memory have no name to write their features under"):
        extract_features(frames, model=small, output=tmp_path / "out")
    with pytest.raises(ValueError, match=r"has no end point 'Mixed_5c'; it has features, "):
        extract_features(frames, model=small, output=None, settings=FeatureSettings("Mixed_5c"))
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_killed_run_goes_on(write_video, small, tmp_path) -> None:
    for seed in range(6):
        write_video(tmp_path / "videos/a" / f"{seed}.mp4", 120, seed=seed)
    output = tmp_path / "out"
    script = (
        "import sys, time\nfrom keras_i3d import quiet\nquiet.import_tensorflow()\n"
        "from keras_i3d.features import endpoints\nfrom keras_i3d.features.extract import extract_features\n"
        "from keras_i3d.features.settings import FeatureSettings\n"
        "call = endpoints.Endpoint.__call__\n"
        "def slow(self, views):\n    time.sleep(0.1)\n    return call(self, views)\n"
        "endpoints.Endpoint.__call__ = slow\n"
        "extract_features(sys.argv[1], model=sys.argv[2], output=sys.argv[3], "
        "settings=FeatureSettings(window=8, stride=4, file_format='h5'))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(keras_i3d.__file__).parents[1])}
    arguments = [sys.executable, "-c", script, str(tmp_path / "videos"), small, str(output)]
    with subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE) as running:
        while len(list(output.glob("a/[0-9]*.mp4.h5"))) < 2:
            assert running.poll() is None, running.stderr.read()
            time.sleep(0.02)
        running.send_signal(signal.SIGKILL)
    assert list(output.glob("a/.writing-*"))
    finished = len(list(output.glob("a/[0-9]*.mp4.h5")))
    settings = FeatureSettings(window=8, stride=4, file_format="h5")
    report = extract_features(tmp_path / "videos", model=small, output=output, settings=settings)
    assert (report.present, report.written) == (finished, 6 - finished)
    assert 2 <= finished < 6
    assert sorted(path.name for path in output.iterdir()) == ["a", "report.json", "run.json"]
    assert sorted(path.name for path in (output / "a").iterdir()) == [f"{number}.mp4.h5" for number in range(6)]
    for path in output.glob("a/*.h5"):
        assert len(read_features(path).times) == 29
    assert json.loads((output / "report.json").read_text()) == {"skipped": {}, "damaged": {}}
