"""A data set as a list of labelled stretches of video files."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from keras_i3d.errors import DatasetError

SPLITS = ("train", "val", "test")
UNUSED = "unused"
TEST_SHARE = 0.2  # of a data set that names no splits


@dataclass(frozen=True, slots=True)
class LabelledClip:
    """One stretch of one video file.

    Attributes:
        path: The video file: a local path, or a URL.
        name: The video as the data set names it, on every machine alike.
        label: Class name, or None for a test video whose label is not published, and where a clip may have several
            labels for one that has none.
        splits: What the clip is for in each of the data set's divisions: one of `SPLITS`, or `UNUSED`. Most data
            sets have one division, UCF-101 and HMDB-51 have three.
        start_s: Start in seconds.
        end_s: End in seconds, or None for the end of the video.
        further_labels: The other classes of a clip that has several.
    """

    path: str
    name: str
    label: str | None
    splits: tuple[str, ...]
    start_s: float = 0.0
    end_s: float | None = None
    further_labels: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """All classes of the clip; none where it has no label."""
        return () if self.label is None else (self.label, *self.further_labels)

    @property
    def id(self) -> str:
        """A name that no other clip of the data set has."""
        return self.name if self.end_s is None and not self.start_s else f"{self.name}@{self.start_s}-{self.end_s}"


@dataclass(frozen=True)
class VideoDataset:
    """Clips and the class names, in the order of the class indices.

    Attributes:
        name: Of the data set, such as ``"ucf101"``.
        clips: What there is to read, in an order that does not depend on the file system.
        class_names: The class of each index, counted from 0.
        missing: (name, reason) of each video that the data set lists and whose file is absent.
        unlisted: Paths, below the data set's folder, of files that are left out: videos that it does not list, and
            what lies among videos and is none.
        multi_label: Whether a clip may have any number of labels; one without any is of no class. Otherwise each
            has one, and one without is a test video whose label is not published.

    Raises:
        ValueError: Two clips have one id, a clip has an unknown split, an unknown class or another number of
            divisions than the first, lacks a label without being for testing, has several where one is meant, or
            one label twice.
    """

    name: str
    clips: tuple[LabelledClip, ...]
    class_names: tuple[str, ...]
    missing: tuple[tuple[str, str], ...] = ()
    unlisted: tuple[str, ...] = ()
    multi_label: bool = False

    def __post_init__(self) -> None:
        classes, ids = set(self.class_names), set()
        for clip in self.clips:
            _check_splits(clip, self.divisions)
            _check_labels(clip, classes, multi_label=self.multi_label)
            if clip.id in ids:
                raise ValueError(f"two clips have the id {clip.id!r}")
            ids.add(clip.id)

    @property
    def divisions(self) -> int:
        """The number of ways in which the data set is divided into train, val and test."""
        return len(self.clips[0].splits) if self.clips else 1

    def split_names(self, clip: LabelledClip) -> tuple[str, ...]:
        """Return the names of the splits that a clip is in, such as ``("train1", "test2", "train3")``."""
        uses = enumerate(clip.splits, start=1)
        return tuple(split_name(part, number, self.divisions) for number, part in uses if part != UNUSED)

    def counts(self) -> dict[str, int]:
        """Return the number of clips of each split that has any, by the names of `split_names`."""
        found = Counter(name for clip in self.clips for name in self.split_names(clip))
        return {name: found[name] for name in split_names(self.divisions) if found[name]}

    def unused(self) -> tuple[int, ...]:
        """Return, for each division, the number of clips that it does not use."""
        return tuple(sum(clip.splits[index] == UNUSED for clip in self.clips) for index in range(self.divisions))

    def digest(self) -> str:
        """Return a SHA-256 that changes when what is to be written does, but not when files are moved.

        It covers the data set's name, each clip's name, stretch, labels and splits, and the order of the classes.
        """
        hashed = hashlib.sha256()
        for fields in self._identity():
            hashed.update(_bytes("\0".join(fields) + "\n"))
        return hashed.hexdigest()

    def _identity(self) -> Iterator[Sequence[str]]:
        yield self.name, *self.class_names
        if self.multi_label:
            yield ("several labels",)
        for clip in self.clips:
            labels = (str(len(clip.labels)), *clip.labels) if self.multi_label else (clip.label or "",)
            yield clip.id, *labels, *clip.splits


def _check_splits(clip: LabelledClip, divisions: int) -> None:
    if len(clip.splits) != divisions or not set(clip.splits) <= {*SPLITS, UNUSED}:
        raise ValueError(
            f"clip {clip.id!r}: splits must be {divisions} of {', '.join((*SPLITS, UNUSED))}, got {clip.splits}"
        )


def _check_labels(clip: LabelledClip, classes: set[str], *, multi_label: bool) -> None:
    if clip.label is None and not multi_label and not set(clip.splits) <= {"test", UNUSED}:
        raise ValueError(f"clip {clip.id!r}: only a clip of split test may lack a label, got {clip.splits}")
    if clip.further_labels and (clip.label is None or not multi_label):
        allowed = "a first label" if multi_label else "a data set with multi_label"
        raise ValueError(f"clip {clip.id!r}: further labels want {allowed}, got {', '.join(clip.further_labels)}")
    labels = clip.labels
    for label in labels:
        if label not in classes:
            raise ValueError(f"clip {clip.id!r}: its class {label!r} is not among the class names")
    if len(set(labels)) < len(labels):
        raise ValueError(f"clip {clip.id!r}: its labels must differ from each other, got {', '.join(labels)}")


def split_name(part: str, division: int, divisions: int) -> str:
    """Return what a user calls a part of a division, counted from 1: ``"train"``, or ``"train1"`` of several."""
    return part if divisions == 1 else f"{part}{division}"


def split_names(divisions: int) -> tuple[str, ...]:
    """Return the names of all parts: train, val and test, or train1, val1, test1, train2 and so on."""
    return tuple(split_name(part, 1 + index, divisions) for index in range(divisions) for part in SPLITS)


def parse_split(text: str, available: Iterable[str] | None = None) -> tuple[str, int]:
    """Return the part, one of `SPLITS`, and the division, counted from 1, that a user means.

    Args:
        text: Such as ``"train2"``, or ``"train"``, which means the first division where there are several.
        available: The splits that there are, spelt as in `split_names`, such as the keys of `VideoDataset.counts`;
            None leaves open which there are.

    Raises:
        ValueError: The split is none, or not among them.
    """
    match = re.fullmatch(rf"({'|'.join(SPLITS)})([1-9][0-9]*)?", text)
    part, division = (match[1], int(match[2] or 1)) if match else ("", 0)
    if available is None:
        if not match:
            raise ValueError(f"unknown split {text!r}; splits are {', '.join(SPLITS)}, or train1, test2 and so on")
        return part, division
    names = tuple(available)
    if f"{part}{division}" in names or (division == 1 and part in names):
        return part, division
    raise ValueError(f"unknown split {text!r}; {'there are ' + ', '.join(names) if names else 'there is none'}")


def split_by_name(name: str) -> str:
    """Put a clip into train (80 %) or test (20 %) by the SHA-256 of its name, on every machine alike."""
    fraction = int.from_bytes(hashlib.sha256(_bytes(name)).digest()[:8], "big") / 2**64
    return "test" if fraction < TEST_SHARE else "train"


def _bytes(text: str) -> bytes:
    """Encode a text that may hold file names that are not UTF-8, as Python spells them."""
    return text.encode("utf-8", "surrogateescape")


def _is_foreign(name: str) -> bool:
    """Tell whether a name, of a file perhaps, is not text in UTF-8."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def checked_class_names(found: Iterable[str], given: Sequence[str] | None, source: str) -> tuple[str, ...]:
    """Return the class names in the order of their indices: as given, otherwise sorted.

    Raises:
        DatasetError: A class was found that is not among the given ones, or whose name is no line of text.
        ValueError: A given name stands twice.
    """
    found = set(found)
    for name in found:
        if not name.strip() or {"\n", "\r"} & set(name) or _is_foreign(name):
            raise DatasetError(
                f"{source}: the class name {name!r} cannot be a line of text in UTF-8; give it another name"
            )
    if given is None:
        return tuple(sorted(found))
    twice = [name for name, count in Counter(given).items() if count > 1]
    if twice:
        raise ValueError(f"class_names must differ from each other, got {twice[0]!r} twice")
    unknown = sorted(found - set(given))
    if unknown:
        raise DatasetError(f"{source}: unknown class {unknown[0]!r}; the classes are {', '.join(given)}")
    return tuple(given)
