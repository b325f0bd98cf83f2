"""On whatever device is there: what a GPU computes is what the compiled graph computes on a CPU, but for rounding."""

import json
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from moving_textures import end_point_errors, moving_texture
from written_records import examples

from keras_i3d import cli
from keras_i3d.errors import VideoError
from keras_i3d.records import flow_on_gpu, schema
from keras_i3d.records.contents import pictures_of
from keras_i3d.records.settings import RecordSettings
from keras_i3d.video import flow


def stored_flow(folder: Path) -> np.ndarray:
    """Return the fields of all records, as levels."""
    encoded = [
        picture
        for path in sorted(folder.glob("*.tfrecord"))
        for example in examples(path)
        for picture in pictures_of(example, schema.FLOW_FRAMES)
    ]
    return np.stack([cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR) for picture in encoded])


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


def test_frames_of_eight_pixels_and_frames_at_rest_have_flow() -> None:
    small = np.stack([field for _, field in flow_on_gpu.with_flow(moving_texture(3, 8, 8), pairs_at_once=4)])
    assert small.shape == (3, 8, 8, 2)
    assert np.isfinite(small).all()
    still = [np.full((18, 24, 3), 90, np.uint8)] * 3
    assert not np.stack([field for _, field in flow_on_gpu.with_flow(still, pairs_at_once=4)]).any()


def test_of_large_frames_fewer_pairs_go_together(monkeypatch) -> None:
    monkeypatch.setattr(flow_on_gpu, "MOST_PIXELS", 2 * 18 * 24)
    taken = []

    def fields(frames: np.ndarray, pairs: int) -> np.ndarray:
        taken.append(pairs)
        return np.zeros((len(frames) - 1, 18, 24, 2), np.float32)

    monkeypatch.setattr(flow_on_gpu, "_fields", fields)
    assert len(list(flow_on_gpu.with_flow(moving_texture(6, 18, 24)))) == 6
    assert taken == [2, 2, 2]


def test_what_a_device_cannot_compute_is_told_as_the_videos(monkeypatch) -> None:
    def model(*shape: int) -> None:
        raise MemoryError("out of memory")

    monkeypatch.setattr(flow_on_gpu, "_model", model)
    message = "^tensorflow cannot compute the flow of 64 pairs of frames of 24x18 .out of memory.$"
    with pytest.raises(VideoError, match=message):
        list(flow_on_gpu.with_flow(moving_texture(2, 18, 24)))


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
    assert "flow device 'gpu': Keras's backend, tensorflow, sees no GPU on " in capsys.readouterr().err
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
    fields = [stored_flow(tmp_path / device) for device in ("cpu", "gpu")]
    levels = np.abs(fields[0].astype(int) - fields[1])
    assert 0 < (levels != 0).mean() < 0.06  # not the very same: another implementation
    assert (levels <= 1).mean() > 0.99
    kept = json.loads((tmp_path / "gpu" / "manifest.json").read_text())
    assert kept["settings"]["flow_device"] == "gpu"
