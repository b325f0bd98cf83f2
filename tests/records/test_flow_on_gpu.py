"""On whatever device is there: what a GPU computes is what the compiled graph computes on a CPU, but for rounding."""

import json

import keras
import numpy as np
import pytest
from moving_textures import end_point_errors, moving_texture

from keras_i3d import cli
from keras_i3d.records import flow_on_gpu
from keras_i3d.records.settings import RecordSettings
from keras_i3d.video import flow


@pytest.mark.parametrize("count", [1, 2, 4, 5, 6])
def test_fields_are_those_of_the_cpu_however_the_frames_fall_into_batches(count: int) -> None:
    frames = moving_texture(count, 18, 24)
    pairs = list(flow_on_gpu.with_flow(frames, pairs_at_once=4))
    np.testing.assert_array_equal([frame for frame, _ in pairs], frames)
    fields = np.stack([field for _, field in pairs])
    assert fields.dtype == np.float32
    assert end_point_errors(fields, flow.tvl1(frames)).mean() < 0.005
    if count > 1:
        np.testing.assert_array_equal(fields[-1], fields[-2])
        assert np.abs(fields).mean() > 0.2


def test_no_frames_have_no_fields() -> None:
    assert list(flow_on_gpu.with_flow([])) == []


def test_a_batch_of_frames_is_held_and_no_more() -> None:
    given = []

    def frames():
        for frame in moving_texture(9, 16, 16):
            given.append(frame)
            yield frame

    for index, _ in enumerate(flow_on_gpu.with_flow(frames(), pairs_at_once=4)):
        assert len(given) <= index + 5


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([np.zeros((16, 16), np.uint8)], r"got uint8 \(16, 16\)$"),
        ([np.zeros((16, 16, 3), np.float32)], r"got float32 \(16, 16, 3\)$"),
        ([np.zeros((16, 16, 3), np.uint8), np.zeros((16, 18, 3), np.uint8)], r"of one shape, got uint8 \(16, 18, 3\)$"),
    ],
)
def test_wrong_frames_are_refused(frames: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(flow_on_gpu.with_flow(frames, pairs_at_once=4))


def test_without_a_gpu_it_is_said_before_anything_is_written(motion_folder, tmp_path, capsys) -> None:
    if keras.distribution.list_devices("gpu"):
        pytest.skip("there is a GPU")
    given = [
        "--folder",
        str(motion_folder),
        "--output",
        str(tmp_path / "out"),
        "--flow",
        "tvl1",
        "--flow-device",
        "gpu",
    ]
    assert cli.main(["make-tfrecords", *given]) == 2
    assert "flow device 'gpu': Keras's backend, tensorflow, sees no GPU on this machine" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["none", "opencv", "dis"])
def test_only_tvl1_is_computed_there(kind: str) -> None:
    with pytest.raises(ValueError, match=rf"^flow_device 'gpu' computes flow 'tvl1', got flow '{kind}'$"):
        RecordSettings(flow=kind, flow_device="gpu")


def test_records_hold_what_the_device_computed(motion_folder, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(flow_on_gpu, "check_device", lambda: None)  # the device that is there will do
    sources = ["--folder", str(motion_folder), "--flow", "tvl1", "--short-side", "16", "--workers", "0", "--json"]
    for device in ("cpu", "gpu"):
        assert cli.main(["make-tfrecords", *sources, "--output", str(tmp_path / device), "--flow-device", device]) == 0
        assert json.loads(capsys.readouterr().out)["skipped"] == {}
    sizes = [sum(path.stat().st_size for path in (tmp_path / device).glob("*.tfrecord")) for device in ("cpu", "gpu")]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.02)  # the same pictures, but for a level here and there
    kept = json.loads((tmp_path / "gpu" / "manifest.json").read_text())
    assert kept["settings"]["flow_device"] == "gpu"
