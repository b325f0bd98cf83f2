"""The Fréchet distance of two Gaussians, which is the squared 2-Wasserstein distance (Dowson & Landau 1982).

    |m1 - m2|^2 + tr S1 + tr S2 - 2 tr sqrt(S1 S2)

The trace of the square root is the sum of the singular values of R1 R2^T for any factors R^T R = S. These are taken of
R1 R2^T itself; roots of the eigenvalues of S1 S2, or of sqrt(S1) S2 sqrt(S1), would be of the squares, so that where
there are fewer videos than dimensions a rounding error of 1e-16 would come out as 1e-8 in every direction without
variance. Nothing is added to the diagonal.
"""

from __future__ import annotations

import numpy as np

ROUNDING = 4 * float(np.finfo(np.float64).eps)  # of the traces, for each dimension: 4e-13 in all for 400
Pair = tuple[np.ndarray, np.ndarray]


def frechet_distance(first: Pair, second: Pair) -> float:
    """Return the Fréchet distance of two Gaussians; what is less than rounding leaves of two equal ones is 0.

    Args:
        first: Mean (d,) and covariance (d, d), symmetric, float64.
        second: Of the other one.

    Raises:
        ValueError: The two are of different dimensions, or hold values that are no finite numbers.
    """
    (mean, covariance), (other_mean, other_covariance) = first, second
    if mean.shape != other_mean.shape:
        raise ValueError(f"two Gaussians of different dimensions: {mean.size} and {other_mean.size}")
    if not all(np.isfinite(part).all() for part in (mean, covariance, other_mean, other_covariance)):
        raise ValueError("a mean or covariance holds values that are no finite numbers")
    return distance_of_factors((mean, factor(covariance)), (other_mean, factor(other_covariance)))


def factor(covariance: np.ndarray) -> np.ndarray:
    """Return R, (d, d), with R^T R = covariance; eigenvalues below d spacings of the largest are taken for 0."""
    values, vectors = np.linalg.eigh(covariance)
    floor = len(values) * np.finfo(np.float64).eps * max(values[-1], 0.0)
    return np.sqrt(np.where(values > floor, values, 0.0))[:, np.newaxis] * vectors.T


def factor_of_vectors(vectors: np.ndarray) -> Pair:
    """Return the mean (d,) and R, (rows, d), with R^T R = covariance, of vectors (n, d); no covariance is formed."""
    vectors = np.asarray(vectors, np.float64)
    mean = vectors.mean(axis=0)
    centred = (vectors - mean) / np.sqrt(len(vectors) - 1)
    return mean, np.linalg.qr(centred, mode="r") if len(vectors) > vectors.shape[1] else centred


def distance_of_factors(first: Pair, second: Pair) -> float:
    """Return the Fréchet distance of two Gaussians by their means, (d,), and factors, (rows, d)."""
    (mean, root), (other_mean, other_root) = first, second
    traces = np.square(root).sum() + np.square(other_root).sum()
    cross = np.linalg.svd(root @ other_root.T, compute_uv=False).sum()
    distance = np.square(mean - other_mean).sum() + traces - 2 * cross
    return float(distance) if distance > ROUNDING * mean.size * traces else 0.0
