"""Earlier predictions summed: streams that were evaluated apart become one, without their networks."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path

from keras_i3d.evaluation import predictions
from keras_i3d.evaluation.predictions import Predictions, Stream
from keras_i3d.evaluation.result import Evaluation


def fuse(paths: Sequence[Path], weights: Sequence[float] | None = None) -> Evaluation:
    """Sum predictions of the same split, and average over the splits where they are of several.

    Args:
        paths: Files of predictions, or folders of them, as `predictions.find` takes them.
        weights: A factor for each path; by default 1.

    Raises:
        ValueError: Predictions of one split are about other videos or classes, or there is another number of
            weights than of paths.
        RecordError: A file cannot be read.
    """
    factors = checked_weights(weights, len(paths), "predictions")
    by_split: dict[str, list[tuple[Path, Predictions, float]]] = {}
    for path, weight in zip(paths, factors, strict=True):
        for file in predictions.find(path):
            found = predictions.read(file)
            by_split.setdefault(found.split, []).append((file, found, weight))
    return Evaluation(tuple(_sum(split, parts) for split, parts in by_split.items()))


def _sum(split: str, parts: Sequence[tuple[Path, Predictions, float]]) -> Predictions:
    first_path, first, _ = parts[0]
    for path, other, _ in parts[1:]:
        if other.class_names != first.class_names:
            raise ValueError(f"{first_path} and {path} have not the same classes, or have them in another order")
    if len(parts) == 1:
        return first
    names = unlike(
        ["+".join(stream.name for stream in found.streams) for _, found, _ in parts],
        [str(path.parent if path.parent.name else path) for path, _, _ in parts],
    )
    streams = [
        Stream(name, ", ".join(stream.model for stream in found.streams), weight, found.answers)
        for name, (_, found, weight) in zip(names, parts, strict=True)
    ]
    return predictions.combined(split, first.class_names, streams, [str(path) for path, _, _ in parts])


def unlike(names: Sequence[str], longer: Sequence[str]) -> list[str]:
    """Return the names, or longer ones where two are alike, numbered where those are too."""
    for candidates in (names, longer):
        if len(set(candidates)) == len(candidates):
            return list(candidates)
    return [f"{name} {number}" for number, name in enumerate(names, start=1)]


def checked_weights(weights: Sequence[float] | None, count: int, of: str) -> list[float]:
    """Return the factors of a sum of `count` parts.

    Raises:
        ValueError: They are not as many, no finite numbers, or all zero.
    """
    if weights is None:
        return [1.0] * count
    factors = [float(weight) for weight in weights]
    if len(factors) != count or not all(map(math.isfinite, factors)) or not any(factors):
        raise ValueError(f"weights must be {count} finite numbers, not all 0, one for each of the {of}; got {factors}")
    return factors


def digests(paths: Sequence[Path]) -> list[str]:
    """Return what tells the content of predictions from that of others, a text for each file.

    Raises:
        RecordError: A folder holds none.
    """
    files = [file for path in paths for file in predictions.find(path)]
    return [hashlib.sha256(file.read_bytes()).hexdigest()[:16] for file in files]
