"""Measure the Fréchet Video Distance between two sets of videos.

Imports TensorFlow only where videos are to be looked at: saved statistics are compared without.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_i3d.fvd import interval as resampling
from keras_i3d.fvd.distance import frechet_distance
from keras_i3d.fvd.options import DEFAULT_ENDPOINT, FvdOptions
from keras_i3d.fvd.statistics import Making, VideoStatistics, check_comparable
from keras_i3d.fvd.videos import VideoSetWarning, open_set

if TYPE_CHECKING:
    import keras

    from keras_i3d.fvd.network import VideoNetwork

ENOUGH_VIDEOS, ENOUGH_FRAMES = 256, 10


@dataclass(frozen=True)
class VideoDistance:
    """A distance with all that it takes to publish it. ``float(...)`` is the distance alone.

    Attributes:
        distance: Fréchet Video Distance; 0 for equal sets.
        real: Of the one set: ``videos``, their own ``sizes`` by count, and what was ``skipped`` and why.
        generated: Of the other.
        making: How the vectors of both were made.
        interval: Ends of the interval of confidence, or None; see `keras_i3d.fvd.interval`.
        level: Of its confidence.
        resamples: Draws that it was made of.
        seed: Of the draws.
        warnings: What may mislead, in sentences.
    """

    distance: float
    real: dict[str, Any]
    generated: dict[str, Any]
    making: Making
    interval: tuple[float, float] | None = None
    level: float = resampling.LEVEL
    resamples: int = 0
    seed: int = 0
    warnings: tuple[str, ...] = field(default=())

    def __float__(self) -> float:
        return self.distance

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values, those of the making among the others."""
        fields = asdict(self)
        return fields | fields.pop("making")


def frechet_video_distance(
    real: Any,
    generated: Any,
    *,
    model: str | os.PathLike | keras.Model | VideoNetwork = "kinetics",
    endpoint: str | None = None,
    value_range: tuple[float, float] | None = None,
    frames: int | None = None,
    resamples: int = 0,
    options: FvdOptions = FvdOptions(),  # noqa: B008  (frozen)
) -> VideoDistance:
    """Measure the Fréchet Video Distance between two sets of videos, as Unterthiner et al. 2018 do.

    Each set is a folder that is searched for video files, a list of their paths, an array (videos, time, height, width,
    3), an ``.npy`` file of one, what yields such arrays or single videos (a ``tf.data.Dataset`` too), or the statistics
    of a set, as `video_statistics` gives and saves them (``.npz``). Every frame is resized to 224x224, aspect not kept.

    Args:
        real: The one set. The distance is the same with the sets exchanged.
        generated: The other set.
        model: ``"kinetics"``, DeepMind's weights of Kinetics-400, as in the paper; the ``.keras`` file of a finished
            model; or a network of this package. Its input size takes the place of 224.
        endpoint: ``"logits"`` as in the paper, averaged over time, or ``"features"``, those in front of the dropout;
            None for what a `VideoNetwork` or saved statistics were made for, otherwise the logits.
        value_range: What the values of float arrays mean: ``(0, 1)``, ``(-1, 1)`` or ``(0, 255)``. It is never
            guessed. uint8 arrays and files are always 0 to 255.
        frames: How many frames of each video are seen, from its start; None takes all, of which all must have as many.
        resamples: Random halves that the interval of confidence is made of, such as 100; 0 makes none.
        options: What is seldom changed.

    Raises:
        ValueError: An option is out of range; a set has fewer than two videos, videos of different length or shorter
            ones than wanted, or values outside of the range; statistics were made in another way than the other set;
            the network lacks the endpoint or takes anything but RGB.
        DatasetError: A folder or file cannot be read, or holds no video.
        VideoError: A video cannot be decoded.
        StatisticsError: Saved statistics cannot be read.
        ModelFileError: The model cannot be loaded.
        WeightsUnavailable: Published weights can be neither found nor fetched.
        PredictionError: The network fails on a batch.

    Warns:
        VideoSetWarning: A set has fewer than 256 videos, which makes the distance larger, or fewer than 10 frames;
            videos of different sizes; values that look like another range than the stated one.
    """
    resampling.check(resamples, options.level)
    sets = [
        opened_statistics(source, endpoint=endpoint, frames=frames) or open_set(source, name=name, fps=options.fps)
        for name, source in (("real", real), ("generated", generated))
    ]  # both, so that what is wrong with either is told before a network is loaded
    saved = next((one.making.endpoint for one in sets if isinstance(one, VideoStatistics)), DEFAULT_ENDPOINT)
    endpoint = endpoint or getattr(model, "endpoint", saved)
    for index, name in enumerate(("real", "generated")):
        if isinstance(sets[index], VideoStatistics):
            continue
        from keras_i3d.fvd import seeing

        model = seeing.opened_network(model, endpoint)
        like = next((one.making for one in sets if isinstance(one, VideoStatistics)), None)
        sets[index] = seeing.video_statistics(
            sets[index], model=model, value_range=value_range, frames=frames, options=options, name=name, like=like
        )
    return distance_between(*sets, resamples=resamples, level=options.level, seed=options.seed)


def opened_statistics(source: Any, *, endpoint: str | None, frames: int | None) -> VideoStatistics | None:
    """Return the statistics that a source is, or names; None where it is a set of videos.

    Raises:
        ValueError: They are of another endpoint or of another number of frames.
        StatisticsError: The file cannot be read.
    """
    if isinstance(source, str | os.PathLike) and Path(source).suffix == ".npz":
        source = VideoStatistics.read(source)
    if not isinstance(source, VideoStatistics):
        return None
    made = source.making
    if endpoint not in (None, made.endpoint) or frames not in (None, made.frames):
        asked = f"{endpoint or made.endpoint}, {frames or made.frames} frames"
        raise ValueError(
            f"asked for {asked} a video; the saved statistics are of {made.endpoint}, {made.frames} frames"
        )
    return source


def distance_between(
    real: VideoStatistics,
    generated: VideoStatistics,
    *,
    resamples: int = 0,
    level: float = resampling.LEVEL,
    seed: int = 0,
    on_resample: Callable[[], None] = lambda: None,
) -> VideoDistance:
    """Return the distance between two sets of which the statistics are known; no network is needed.

    Args:
        real: Of the one set.
        generated: Of the other.
        resamples: As in `frechet_video_distance`.
        level: Of the interval's confidence.
        seed: Of the interval's draws.
        on_resample: Called after each draw.

    Raises:
        ValueError: They were made in different ways, or an interval is wanted of fewer than four videos.

    Warns:
        VideoSetWarning: As in `frechet_video_distance`.
    """
    resampling.check(resamples, level)
    check_comparable(real, generated)
    distance = frechet_distance((real.mean, real.covariance), (generated.mean, generated.covariance))
    ends = None
    if resamples:
        drawn = {"resamples": resamples, "level": level, "seed": seed, "on_resample": on_resample}
        ends = resampling.interval(real.vectors, generated.vectors, distance, **drawn)
    told = tuple(complaints(real, generated))
    for text in told:
        warnings.warn(text, VideoSetWarning, stacklevel=2)
    sets = (
        {"videos": one.videos, "sizes": dict(one.sizes), "skipped": [list(pair) for pair in one.skipped]}
        for one in (real, generated)
    )
    return VideoDistance(distance, *sets, real.making, ends, level, resamples, seed, told)


def complaints(real: VideoStatistics, generated: VideoStatistics) -> list[str]:
    """Say what may mislead in the distance between two sets."""
    told = []
    for name, one in (("real", real), ("generated", generated)):
        if one.videos < ENOUGH_VIDEOS:
            told.append(
                f"{name}: {one.videos} videos; below {ENOUGH_VIDEOS} the distance comes out far too large, compare it "
                "only with distances of as many videos"
            )
        if len(one.sizes) > 1:
            told.append(f"{name}: videos of {len(one.sizes)} sizes ({_listed(one.sizes)}), each resized by itself")
        low, high = one.values
        if low < high <= 1:
            told.append(f"{name}: no value is above 1 of 255; were floats in [0, 1] taken for bytes?")
        elif high == 255 and 127 <= low < high:
            told.append(f"{name}: no value is below the middle of the range; were floats in [0, 1] taken for [-1, 1]?")
    if real.making.frames < ENOUGH_FRAMES:
        told.append(f"{real.making.frames} frames a video; fewer than {ENOUGH_FRAMES} were not meant to be compared")
    if real.sizes and generated.sizes and set(real.sizes) != set(generated.sizes):
        told.append(
            f"real videos are {_listed(real.sizes)}, generated ones {_listed(generated.sizes)}; resizing alone makes a "
            "difference"
        )
    return told


def _listed(sizes: Mapping[str, int]) -> str:
    most = sorted(sizes, key=sizes.get, reverse=True)
    return ", ".join(most[:3]) + (" and others" if len(most) > 3 else "")
