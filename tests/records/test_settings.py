import pytest

from keras_i3d.records.settings import RecordSettings
from keras_i3d.video.decode import Limits


def test_the_defaults_are_deepminds_preparation() -> None:
    settings = RecordSettings()
    assert (settings.fps, settings.short_side, settings.jpeg_quality) == (25.0, 256, 95)
    assert settings.limits == Limits()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flow": "raft"}, r"unknown flow 'raft'; known: none, tvl1, opencv, farneback, dis"),
        ({"store": "gif"}, r"unknown store 'gif'; known: frames, video"),
        ({"video_coding": "vp9"}, r"unknown video_coding 'vp9'; known: h264, untouched"),
        ({"video_coding": "untouched"}, r"video_coding 'untouched' .* wants store 'video', got 'frames'"),
        ({"crf": 52}, r"crf must be 0 to 51, got 52"),
        ({"record_s": 0.0}, r"record_s must be above 0, got 0\.0"),
        ({"fps": 0.0}, r"fps must be above 0 and at most 1000, got 0\.0"),
        ({"fps": 2000.0}, r"fps must be above 0 and at most 1000, got 2000\.0"),
        ({"max_frames": 0}, r"max_frames must be above 0, got 0"),
        ({"fps": float("nan")}, r"fps must be above 0 and at most 1000, got nan"),
        ({"fps": float("inf")}, r"fps must be above 0 and at most 1000, got inf"),
        ({"seed": -1}, r"seed must be at least 0, got -1"),
        ({"short_side": 0}, r"short_side must be 1 to 4096, got 0"),
        ({"short_side": 4097}, r"short_side must be 1 to 4096, got 4097"),
        ({"jpeg_quality": 0}, r"jpeg_quality must be 1 to 100, got 0"),
        ({"jpeg_quality": 101}, r"jpeg_quality must be 1 to 100, got 101"),
        ({"clips_per_shard": 0}, r"clips_per_shard must be 1 to 1000000, got 0"),
    ],
)
def test_wrong_settings_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        RecordSettings(**change)
