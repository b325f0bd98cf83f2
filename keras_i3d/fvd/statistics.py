"""Mean and covariance of a set's vectors, gathered batch by batch, with all that makes two sets comparable."""

from __future__ import annotations

import json
import os
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from keras_i3d import __version__
from keras_i3d.errors import StatisticsError
from keras_i3d.whole_file import replacing

STEPS = 1  # raised whenever the same videos come to give other vectors
LEAST_VIDEOS = 2
RESIZING = "every frame bilinearly to the whole size, aspect not kept, as TF1's resize_bilinear"


class Moments:
    """Number, mean and covariance of vectors that come in batches, in float64, by the merge of Chan et al. 1979.

    Attributes:
        count: Vectors seen.
        mean: (d,).
        scatter: Sum of the outer products of what is left of the vectors without their mean, (d, d).
    """

    def __init__(self, width: int) -> None:
        self.count = 0
        self.mean = np.zeros(width)
        self.scatter = np.zeros((width, width))

    def add(self, vectors: np.ndarray) -> None:
        """Take in vectors (n, d).

        Raises:
            ValueError: They have another shape.
        """
        vectors = np.asarray(vectors, np.float64)
        if vectors.ndim != 2 or vectors.shape[1] != self.mean.size:
            raise ValueError(f"vectors must be of shape (n, {self.mean.size}), got {vectors.shape}")
        if not len(vectors):
            return
        mean = vectors.mean(axis=0)
        centred, away = vectors - mean, mean - self.mean
        total = self.count + len(vectors)
        self.scatter += centred.T @ centred + np.outer(away, away) * (self.count * len(vectors) / total)
        self.mean += away * (len(vectors) / total)
        self.count = total

    def covariance(self) -> np.ndarray:
        """Return the covariance (d, d), with the divisor n - 1.

        Raises:
            ValueError: There are fewer than two vectors.
        """
        if self.count < LEAST_VIDEOS:
            raise ValueError(f"a covariance needs at least two videos, got {self.count}")
        return self.scatter / (self.count - 1)


@dataclass(frozen=True)
class Making:
    """How the vectors of a set were made. Two sets are compared only where all but `model` and `version` agree.

    Attributes:
        model: The network as it was asked for.
        network: SHA-256 of its weights and layers, which is what is compared.
        endpoint: ``"logits"`` or ``"features"``, averaged over time.
        frames: Of each video.
        size: Height and width that each frame was resized to.
        fps: Frames per second that files were brought to; None left them as they are, and goes with any rate.
        resizing: How frames were resized, in words.
        steps: Changes with whatever else in this package changes the vectors.
        version: Of the package that made them; not compared.
    """

    model: str
    network: str
    endpoint: str
    frames: int
    size: int
    fps: float | None = None
    resizing: str = RESIZING
    steps: int = STEPS
    version: str = __version__

    def differences(self, other: Making) -> list[str]:
        """Say in which ways another set was made differently, if any."""
        mine, others = asdict(self), asdict(other)
        if self.network != other.network:
            mine["network"], others["network"] = (f"{making.model} ({making.network[:12]})" for making in (self, other))
        passed_over = {"model", "version"} | ({"fps"} if None in (self.fps, other.fps) else set())
        return [
            f"{name} {value} and {others[name]}"
            for name, value in mine.items()
            if name not in passed_over and value != others[name]
        ]


@dataclass(frozen=True, eq=False)
class VideoStatistics:
    """What is kept of a set of videos.

    Attributes:
        making: How its vectors were made.
        vectors: float32 (videos, d), in the order of the videos.
        mean: float64 (d,).
        covariance: float64 (d, d), with the divisor n - 1.
        sizes: Videos by their own size, such as ``{"320x240": 64}`` (width first).
        skipped: What was left out by the caller's choice: name and reason.
        values: The lowest and the highest value, on the scale 0 to 255.
    """

    making: Making
    vectors: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    sizes: Mapping[str, int] = field(default_factory=dict)
    skipped: tuple[tuple[str, str], ...] = ()
    values: tuple[float, float] = (0.0, 255.0)

    @property
    def videos(self) -> int:
        """How many videos were seen."""
        return len(self.vectors)

    def save(self, path: str | os.PathLike) -> None:
        """Write an ``.npz`` that `read` and `keras_i3d.frechet_video_distance` take; whole, or not at all.

        Raises:
            ValueError: The path does not end in ``.npz``.
        """
        path = checked_path(path)
        facts = {
            "making": asdict(self.making),
            "sizes": dict(self.sizes),
            "skipped": self.skipped,
            "values": self.values,
        }
        with replacing(path) as aside, aside.open("wb") as file:
            np.savez(
                file,
                keras_i3d_fvd=np.array(json.dumps(facts)),
                vectors=self.vectors,
                mean=self.mean,
                covariance=self.covariance,
            )

    @classmethod
    def read(cls, path: str | os.PathLike) -> VideoStatistics:
        """Read what `save` wrote.

        Raises:
            StatisticsError: The file is absent, damaged, or something else.
        """
        path = Path(path)
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                facts = json.loads(str(arrays["keras_i3d_fvd"]))
                made = cls(
                    Making(**facts["making"]),
                    *(arrays[name] for name in ("vectors", "mean", "covariance")),
                    facts["sizes"],
                    tuple((name, why) for name, why in facts["skipped"]),
                    tuple(facts["values"]),
                )
        except FileNotFoundError:
            raise StatisticsError(f"{path}: no such file of statistics") from None
        except KeyError as error:
            raise StatisticsError(
                f"{path}: no statistics of `keras-i3d fvd`; it lacks {str(error).strip(chr(39))}"
            ) from error
        except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise StatisticsError(f"{path}: cannot be read as saved statistics ({error})") from error
        return made._checked(path)

    def _checked(self, path: Path) -> VideoStatistics:
        n, d = self.vectors.shape if self.vectors.ndim == 2 else (0, 0)
        fits = n >= LEAST_VIDEOS and self.mean.shape == (d,) and self.covariance.shape == (d, d)
        if not fits or not all(np.isfinite(part).all() for part in (self.vectors, self.mean, self.covariance)):
            raise StatisticsError(f"{path}: its arrays are no statistics of a set; the file is damaged")
        return self


class Gathering:
    """Gathers the statistics of a set, batch by batch."""

    def __init__(self, width: int) -> None:
        self._moments = Moments(width)
        self._vectors: list[np.ndarray] = []
        self._sizes: Counter[str] = Counter()
        self._skipped: list[tuple[str, str]] = []
        self._values = (255.0, 0.0)

    def add(self, vectors: np.ndarray, sizes: list[str], values: list[tuple[float, float]]) -> None:
        """Take in the vectors (n, d) of n videos with their sizes, and their lowest and highest values."""
        self._moments.add(vectors)
        self._vectors.append(np.asarray(vectors, np.float32))
        self._sizes.update(sizes)
        lows, highs = zip(self._values, *values, strict=True)
        self._values = min(lows), max(highs)

    def skip(self, name: str, reason: str) -> None:
        """Note a video that is left out."""
        self._skipped.append((name, reason))

    @property
    def count(self) -> int:
        """Videos taken in."""
        return self._moments.count

    @property
    def skipped(self) -> int:
        """Videos left out."""
        return len(self._skipped)

    def result(self, making: Making) -> VideoStatistics:
        """Return what was gathered.

        Raises:
            ValueError: There are fewer than two videos.
        """
        covariance = self._moments.covariance()
        return VideoStatistics(
            making,
            np.concatenate(self._vectors),
            self._moments.mean,
            covariance,
            dict(self._sizes),
            tuple(self._skipped),
            self._values,
        )


def checked_path(path: str | os.PathLike) -> Path:
    """Return a path for saved statistics.

    Raises:
        ValueError: It does not end in ``.npz``.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise ValueError(f"statistics are saved in an .npz file, got {path}")
    return path


def check_comparable(real: VideoStatistics, generated: VideoStatistics) -> None:
    """Raise ValueError where two sets were not made in the same way; the message tells the differences."""
    widths = real.vectors.shape[1], generated.vectors.shape[1]
    differences = real.making.differences(generated.making)
    if widths[0] != widths[1]:
        differences.append(f"features of {widths[0]} and {widths[1]} dimensions")
    if differences:
        raise ValueError(
            f"the two sets cannot be compared, they differ in: {'; '.join(differences)} (real and generated)"
        )
