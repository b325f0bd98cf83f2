"""A data set as a list of labelled stretches of video files."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keras_i3d.errors import DatasetError

SPLITS = ("train", "val", "test")
TEST_SHARE = 0.2  # of a data set that names no splits


@dataclass(frozen=True)
class LabelledClip:
    """One stretch of one video file.

    Attributes:
        path: The video file.
        name: The path as the data set gives it, which identifies the clip on every machine.
        label: Class name.
        split: ``"train"``, ``"val"`` or ``"test"``.
        start_s: Start in seconds.
        end_s: End in seconds, or None for the end of the video.
    """

    path: Path
    name: str
    label: str
    split: str
    start_s: float = 0.0
    end_s: float | None = None

    @property
    def id(self) -> str:
        """A name that no other clip of the data set has."""
        return self.name if self.end_s is None and not self.start_s else f"{self.name}@{self.start_s}-{self.end_s}"


@dataclass(frozen=True)
class VideoDataset:
    """Clips and the class names, in the order of the class indices."""

    clips: tuple[LabelledClip, ...]
    class_names: tuple[str, ...]

    def counts(self) -> dict[str, int]:
        """Return the number of clips of each split that has any."""
        found = Counter(clip.split for clip in self.clips)
        return {split: found[split] for split in SPLITS if found[split]}

    def digest(self) -> str:
        """Return a SHA-256 that changes when a clip's name, label or split, or the order of the classes does."""
        lines = [*self.class_names, *(f"{clip.id}\t{clip.label}\t{clip.split}" for clip in self.clips)]
        return _sha256("\n".join(lines)).hex()


def split_by_name(name: str) -> str:
    """Put a clip into train (80 %) or test (20 %) by the SHA-256 of its name, on every machine alike."""
    fraction = int.from_bytes(_sha256(name)[:8], "big") / 2**64
    return "test" if fraction < TEST_SHARE else "train"


def _sha256(text: str) -> bytes:
    """Hash a text that may hold file names that are not UTF-8, as Python spells them."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def checked_class_names(found: Sequence[str], given: Sequence[str] | None, source: str) -> tuple[str, ...]:
    """Return the class names in the order of their indices: as given, otherwise sorted.

    Raises:
        DatasetError: A class was found that is not among the given ones.
    """
    if given is None:
        return tuple(sorted(set(found)))
    unknown = sorted(set(found) - set(given))
    if unknown:
        raise DatasetError(f"{source}: unknown class {unknown[0]!r}; the classes are {', '.join(given)}")
    return tuple(given)
