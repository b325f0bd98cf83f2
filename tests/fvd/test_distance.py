import numpy as np
import pytest

from keras_i3d.fvd import distance


def vectors(count: int, width: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(size=(count, width)) @ random.normal(size=(width, width)) / width**0.5 + random.normal()


def gaussian(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return values.mean(axis=0), np.cov(values, rowvar=False)


def literal(first: np.ndarray, second: np.ndarray) -> float:
    """Return the formula as it is written, by the eigenvalues of S1 S2."""
    (mean, covariance), (other_mean, other_covariance) = gaussian(first), gaussian(second)
    roots = np.sqrt(np.linalg.eigvals(covariance @ other_covariance).real.clip(0))
    return ((mean - other_mean) ** 2).sum() + np.trace(covariance + other_covariance) - 2 * roots.sum()


@pytest.mark.parametrize(("count", "width"), [(50, 3), (600, 100), (40, 100), (5, 100)])
def test_the_distance_is_that_of_the_formula(count: int, width: int) -> None:
    first, second = vectors(count, width, 0), vectors(count + 3, width, 1)
    found = distance.frechet_distance(gaussian(first), gaussian(second))
    # the literal formula loses half of the digits where there are fewer vectors than dimensions
    assert found == pytest.approx(literal(first, second), rel=1e-10 if count > width else 1e-6)


def test_the_distance_is_scipys() -> None:
    linalg = pytest.importorskip("scipy.linalg", reason="scipy is not installed")
    (mean, covariance), (other_mean, other_covariance) = gaussian(vectors(200, 60, 0)), gaussian(vectors(90, 60, 1))
    root = np.real(linalg.sqrtm(covariance @ other_covariance))
    expected = ((mean - other_mean) ** 2).sum() + np.trace(covariance + other_covariance - 2 * root)
    found = distance.frechet_distance((mean, covariance), (other_mean, other_covariance))
    assert found == pytest.approx(expected, rel=1e-6)


def test_of_diagonal_covariances_it_is_known() -> None:
    first = np.zeros(3), np.diag([1.0, 4.0, 0.0])
    second = np.array([3.0, 0.0, 0.0]), np.diag([9.0, 4.0, 16.0])
    assert distance.frechet_distance(first, second) == pytest.approx(9 + 4 + 0 + 16, rel=1e-12)


def test_of_two_points_it_is_their_squared_distance() -> None:
    nothing = np.zeros((4, 4))
    assert distance.frechet_distance((np.zeros(4), nothing), (np.full(4, 2.0), nothing)) == 16.0


@pytest.mark.parametrize("count", [5, 60, 500])
def test_of_a_set_with_itself_it_is_0_in_any_order(count: int) -> None:
    values = vectors(count, 100, 0) * 1e3
    shuffled = values[np.random.default_rng(0).permutation(count)]
    assert distance.frechet_distance(gaussian(values), gaussian(values)) == 0
    assert distance.frechet_distance(gaussian(values), gaussian(shuffled)) == 0


def test_a_small_distance_is_told_from_none() -> None:
    values = vectors(60, 100, 0)
    assert distance.frechet_distance(gaussian(values), gaussian(values + 1e-5)) == pytest.approx(100 * 1e-10, rel=1e-4)


def test_it_is_the_same_the_other_way_round() -> None:
    first, second = gaussian(vectors(30, 50, 0)), gaussian(vectors(70, 50, 1))
    one, other = distance.frechet_distance(first, second), distance.frechet_distance(second, first)
    assert one == pytest.approx(other, rel=1e-12)


@pytest.mark.parametrize(("count", "width"), [(300, 40), (12, 40)])
def test_factors_of_vectors_give_what_covariances_give(count: int, width: int) -> None:
    first, second = vectors(count, width, 0), vectors(count + 5, width, 1)
    by_vectors = distance.distance_of_factors(distance.factor_of_vectors(first), distance.factor_of_vectors(second))
    assert by_vectors == pytest.approx(distance.frechet_distance(gaussian(first), gaussian(second)), rel=1e-9)


def test_gaussians_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ValueError, match="different dimensions: 3 and 4"):
        distance.frechet_distance((np.zeros(3), np.eye(3)), (np.zeros(4), np.eye(4)))
    with pytest.raises(ValueError, match="no finite numbers"):
        distance.frechet_distance((np.zeros(3), np.eye(3)), (np.zeros(3), np.full((3, 3), np.nan)))
