import pytest

import keras_i3d


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"threads": 0}, "threads must be at least 1, got 0"),
        ({"on_damage": "ignore"}, "on_damage must be one of stop, skip; got 'ignore'"),
        ({"on_short": "loop"}, "on_short must be one of stop, skip; got 'loop'"),
        ({"level": 1.0}, "level must be between 0 and 1"),
    ],
)
def test_an_option_out_of_range_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        keras_i3d.FvdOptions(**options)
