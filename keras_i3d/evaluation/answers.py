"""What networks say of the videos of a split, and the weighted sum of several such answers; numpy alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Answers:
    """What a network says of every video.

    Attributes:
        ids: The videos' names.
        logits: float32 array of shape (videos, classes).
        truth: int64 array of shape (videos,); float32 of shape (videos, classes), 1 for each class of a video and
            else 0, where a video may have any number of classes.

    Raises:
        ValueError: The arrays do not fit together.
    """

    ids: tuple[str, ...]
    logits: np.ndarray
    truth: np.ndarray

    def __post_init__(self) -> None:
        videos = len(self.ids)
        if self.logits.ndim != 2 or len(self.logits) != videos or self.truth.shape not in ((videos,), self.shape):
            raise ValueError(
                f"{videos} videos need logits ({videos}, classes) and truth ({videos},) or ({videos}, classes); got "
                f"{self.logits.shape} and {self.truth.shape}"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """(videos, classes)."""
        return self.logits.shape

    @property
    def multi_label(self) -> bool:
        """Whether a video may have any number of classes."""
        return self.truth.ndim == 2


def joined(parts: Sequence[Answers]) -> Answers:
    """Put answers about different videos behind one another; parts of no video are passed over."""
    parts = [part for part in parts if part.ids] or list(parts[:1])
    return Answers(
        tuple(name for part in parts for name in part.ids),
        np.concatenate([part.logits for part in parts]),
        np.concatenate([part.truth for part in parts]),
    )


def aligned(streams: Sequence[Answers], names: Sequence[str]) -> list[Answers]:
    """Bring what several networks say of the same videos into the order of the first.

    Args:
        streams: What each network says; one or more.
        names: What to call each in messages.

    Raises:
        ValueError: They are about other videos, disagree about a class, or have not the same classes.
    """
    first, result = streams[0], []
    for stream, name in zip(streams, names, strict=True):
        places = _places(first, stream, names[0], name)
        if stream.truth.shape != first.truth.shape or stream.shape != first.shape:
            raise ValueError(
                f"{names[0]} and {name} have not the same classes: {first.shape[1]} and {stream.shape[1]} logits, "
                f"{_kind(first)} and {_kind(stream)}"
            )
        different = np.flatnonzero((stream.truth[places] != first.truth).reshape(len(first.ids), -1).any(axis=1))
        if len(different):
            raise ValueError(
                f"{names[0]} and {name} disagree about the class of {len(different)} videos, the first of them "
                f"{first.ids[different[0]]!r}"
            )
        result.append(Answers(first.ids, stream.logits[places], first.truth))
    return result


def summed(streams: Sequence[Answers], weights: Sequence[float]) -> Answers:
    """Add the logits that several networks give to the same videos, in float32, as DeepMind's two streams are.

    Args:
        streams: What each network says, in one order (`aligned`); one or more.
        weights: A factor for each.
    """
    total = np.zeros(streams[0].shape, np.float32)
    for stream, weight in zip(streams, weights, strict=True):
        total += np.float32(weight) * stream.logits.astype(np.float32)
    return Answers(streams[0].ids, total, streams[0].truth)


def _kind(answers: Answers) -> str:
    return "any number of classes to a video" if answers.multi_label else "one class to a video"


def _places(first: Answers, other: Answers, first_name: str, name: str) -> np.ndarray:
    """Return where `other` has the videos of `first`, in the order of `first`."""
    if other.ids == first.ids:
        return np.arange(len(first.ids))
    place = {video: index for index, video in enumerate(other.ids)}
    absent = [video for video in first.ids if video not in place]
    if absent or not len(place) == len(other.ids) == len(first.ids):
        alone = absent or sorted(set(place) - set(first.ids)) or ["a name that stands for two videos"]
        whose = first_name if absent else name
        raise ValueError(
            f"{first_name} and {name} are about other videos ({len(first.ids)} and {len(other.ids)}); {alone[0]!r} is "
            f"in {whose} alone"
        )
    return np.array([place[video] for video in first.ids], int)
