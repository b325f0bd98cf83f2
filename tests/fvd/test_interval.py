import numpy as np
import pytest

from keras_i3d.fvd import interval
from keras_i3d.fvd.distance import distance_of_factors, factor_of_vectors

WIDTH = 20


def distance(real: np.ndarray, generated: np.ndarray) -> float:
    return distance_of_factors(factor_of_vectors(real), factor_of_vectors(generated))


def drawn(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    scales = 1 / np.sqrt(1 + np.arange(WIDTH))
    turned = np.roll(np.diag(scales), 1, axis=1) * 0.4 + np.diag(scales) * 0.7
    return random.normal(size=(count, WIDTH)) * scales, random.normal(size=(count, WIDTH)) @ turned + 0.3 * scales


def test_the_interval_covers_the_expected_distance_of_such_sets() -> None:
    random = np.random.default_rng(0)
    expected = np.mean([distance(*drawn(random, 40)) for _ in range(1000)])
    covered = by_percentiles = 0
    for seed in range(100):
        real, generated = drawn(random, 40)
        low, high = interval.interval(real, generated, distance(real, generated), resamples=60, seed=seed)
        covered += low <= expected <= high
        draws = [distance(*(some[random.integers(0, 40, 40)] for some in (real, generated))) for _ in range(60)]
        by_percentiles += np.quantile(draws, 0.025) <= expected <= np.quantile(draws, 0.975)
    assert covered >= 88  # of 95 expected: a binomial of 100 is below 88 once in 400, draws of 60 cost a little
    assert by_percentiles <= 60  # of the usual bootstrap, which repeats videos


def test_the_interval_contains_its_distance_and_repeats_by_its_seed() -> None:
    real, generated = drawn(np.random.default_rng(1), 30)
    whole = distance(real, generated)
    ends = [interval.interval(real, generated, whole, resamples=40, seed=seed) for seed in (3, 3, 4)]
    assert ends[0] == ends[1] != ends[2]
    assert all(0 <= low < whole < high for low, high in ends)


def test_a_higher_level_is_a_wider_interval_and_no_end_is_below_0() -> None:
    real, _ = drawn(np.random.default_rng(1), 31)
    alike = real + 1e-6
    narrow, wide = (
        interval.interval(real, alike, distance(real, alike), resamples=40, level=level) for level in (0.5, 0.99)
    )
    assert wide[0] == 0 and wide[1] > narrow[1]


def test_each_draw_is_told() -> None:
    told = []
    interval.interval(*drawn(np.random.default_rng(1), 9), 1.0, resamples=20, on_resample=lambda: told.append(1))
    assert len(told) == 20


@pytest.mark.parametrize(
    ("count", "options", "message"),
    [
        (3, {"resamples": 20}, "at least 4 videos in each set, got 3"),
        (9, {"resamples": 19}, "at least 20; got 19"),
        (9, {"resamples": -1}, "at least 20; got -1"),
        (9, {"resamples": 20, "level": 95}, "between 0 and 1, such as 0.95; got 95"),
    ],
)
def test_what_makes_no_interval_is_refused(count: int, options: dict, message: str) -> None:
    real, generated = drawn(np.random.default_rng(1), count)
    with pytest.raises(ValueError, match=message):
        interval.interval(real, generated, 1.0, **options)
