"""How much a Fréchet distance would be another one with other videos: an interval by random halves of the sets.

The Fréchet distance of samples is biased upwards, the more the fewer videos there are. The usual bootstrap draws videos
with repetition, which adds that bias once more: where it is no small part of the distance, the percentile interval lies
above the number it is for. Here each draw is half of either set without repetition. Halves of n videos scatter around
the whole as the whole scatters around all videos of its kind (1 / (n/2) - 1 / n = 1 / n; Shao & Wu 1989: the jackknife
with half of them deleted), so the draws give the spread, and the number itself the place:

    distance + (quantiles of the draws - mean of the draws)

The interval is for the expectation of the distance of sets of *these* numbers of videos, as distances are published. It
says nothing about endless sets, and does not take the bias away. Where the sets are alike it is too wide.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from keras_i3d.fvd.distance import distance_of_factors, factor_of_vectors

LEVEL = 0.95
LEAST_VIDEOS = 4  # whose halves have a covariance
LEAST_RESAMPLES = 20


def interval(
    real: np.ndarray,
    generated: np.ndarray,
    distance: float,
    *,
    resamples: int,
    level: float = LEVEL,
    seed: int = 0,
    on_resample: Callable[[], None] = lambda: None,
) -> tuple[float, float]:
    """Return the ends of the interval, of which the lower is at least 0.

    Args:
        real: Vectors of the one set, (n, d).
        generated: Of the other.
        distance: Fréchet distance of the two.
        resamples: How many halves are drawn, at least 20.
        level: Of confidence, within (0, 1).
        seed: Of the draws; equal seeds give equal intervals.
        on_resample: Called after each draw.

    Raises:
        ValueError: An option is out of range, or a set has fewer than four videos.
    """
    check(resamples, level)
    fewest = min(len(real), len(generated))
    if fewest < LEAST_VIDEOS:
        raise ValueError(f"an interval needs at least {LEAST_VIDEOS} videos in each set, got {fewest}")
    random = np.random.default_rng(seed)
    draws = np.empty(resamples)
    for index in range(resamples):
        draws[index] = distance_of_factors(_half(real, random), _half(generated, random))
        on_resample()
    low, high = np.quantile(draws - draws.mean(), [(1 - level) / 2, (1 + level) / 2])
    return max(0.0, distance + float(low)), distance + float(high)


def check(resamples: int, level: float) -> None:
    """Raise ValueError unless an interval can be made of so many draws; of 0 none is made."""
    if resamples and resamples < LEAST_RESAMPLES:
        raise ValueError(f"resamples must be 0, for no interval, or at least {LEAST_RESAMPLES}; got {resamples}")
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, such as 0.95; got {level}")


def _half(vectors: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    # of an odd number the smaller half, whose spread is rather too wide than too narrow
    return factor_of_vectors(vectors[random.permutation(len(vectors))[: len(vectors) // 2]])
