from dataclasses import dataclass, fields

import pytest

from keras_i3d.training.options import check, option


@dataclass(frozen=True)
class Options:
    rate: float = option(0.5, "how fast", least=0)
    count: int | None = option(None, "how many", int, least=1)
    flips: bool = option(True, "whether")


def test_a_field_knows_its_type_its_least_value_and_its_sentence() -> None:
    rate, count, flips = (one.metadata for one in fields(Options))
    assert (rate["kind"], rate["least"], rate["help"]) == (float, 0, "how fast")
    assert (count["kind"], flips["kind"], flips["least"]) == (int, bool, None)


@pytest.mark.parametrize("options", [Options(), Options(rate=1), Options(count=3)])
def test_what_fits_passes(options: Options) -> None:
    check(options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(rate="1"), "rate must be of type float, got '1'"),
        (Options(rate=-1.0), "rate must be at least 0, got -1.0"),
        (Options(rate=float("inf")), "rate must be at least 0, got inf"),
        (Options(rate=float("nan")), "rate must be at least 0, got nan"),
        (Options(rate=None), "rate must be of type float, got None"),
        (Options(count=0), "count must be at least 1, got 0"),
        (Options(count=True), "count must be of type int, got True"),
        (Options(flips=1), "flips must be of type bool, got 1"),
    ],
)
def test_what_does_not_is_named(options: Options, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(options)
