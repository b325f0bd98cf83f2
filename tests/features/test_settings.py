import pytest

from keras_i3d.features.settings import FeatureSettings


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"pooling": "max"}, r"unknown pooling 'max'; known: mean, none"),
        ({"precision": "int8"}, r"unknown precision 'int8'; known: float32, bfloat16"),
        ({"file_format": "csv"}, r"unknown file_format 'csv'; known: npz, h5"),
        ({"batch_size": 0}, r"batch_size is a number of windows, at least 1; got 0"),
        ({"window": 0}, r"window is a number of frames, at least 1; got 0"),
        ({"stride": -1}, r"stride is a number of frames, at least 1; got -1"),
        ({"fill": "drop"}, r"fill must be 'loop' or 'pad', got 'drop'"),
    ],
)
def test_wrong_settings_are_named(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FeatureSettings(**wrong)


def test_what_only_rounds_or_skips_may_differ_between_runs() -> None:
    one = FeatureSettings(batch_size=1, keep_truncated=True)
    assert one.decisive() == FeatureSettings().decisive()
    assert one.decisive() != FeatureSettings(stride=4).decisive()
