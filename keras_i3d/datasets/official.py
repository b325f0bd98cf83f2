"""Match the videos that a data set's official lists name with the files of a folder.

What UCF-101 and HMDB-51 share: three divisions, a file of lists for each, and videos at ``CLASS/FILE`` somewhere
below the folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from keras_i3d import storage
from keras_i3d.datasets import files
from keras_i3d.datasets.dataset import UNUSED, LabelledClip
from keras_i3d.errors import DatasetError

DIVISIONS = 3
DEPTH = 3  # of videos and lists below the folder that a user names


@dataclass
class ListedVideo:
    """One video of the lists.

    Attributes:
        name: ``CLASS/FILE``, as the first list that names it spells it.
        label: Class name.
        places: Where each division names it: file and line, or None.
        splits: What each division has it for.
    """

    name: str
    label: str
    places: list[str | None]
    splits: list[str]


class VideoLists:
    """Collects what the lists of all divisions say, and refuses what does not agree.

    Args:
        key: Makes equal what counts as one name.
    """

    def __init__(self, key: Callable[[str], str] = str) -> None:
        self.key = key
        self.videos: dict[str, ListedVideo] = {}

    def add(self, place: str, name: str, label: str, index: int, part: str) -> None:
        """Add one line of a list.

        Args:
            place: File and line.
            name: ``CLASS/FILE``.
            label: Class name.
            index: The division, counted from 0.
            part: What it has the video for.

        Raises:
            DatasetError: The division names the video already.
        """
        new = ListedVideo(name, label, [None] * DIVISIONS, [UNUSED] * DIVISIONS)
        video = self.videos.setdefault(self.key(name), new)
        if video.places[index]:
            raise DatasetError(
                f"{place}: {name} is named a second time in split {index + 1}, as {part}; as {video.splits[index]} "
                f"by {video.places[index]}"
            )
        video.places[index], video.splits[index] = place, part


def lists_folder(
    root: str | os.PathLike, annotations: str | os.PathLike | None, name: str, is_list: Callable[[str], bool]
) -> str:
    """Find the folder of the lists: as named, or below the data set's folder, or beside it.

    Args:
        root: The data set's folder, a local path or a URL.
        annotations: The folder that the caller names, if any.
        name: What the folder is called beside a local `root`.
        is_list: Tells a list by its file name.

    Raises:
        DatasetError: There are several such folders, or a folder cannot be read. Where there is none, the message
            is left to the caller: the result is empty then.
    """
    places = [root if annotations is None else annotations]
    if annotations is None and not storage.is_remote(root):
        places += [beside for beside in [Path(root).absolute().parent / name] if beside.is_dir()]
    for place in places:
        texts = files.find(place, (".txt",), depth=DEPTH)
        found = {folder for folder, _, file in (text.rpartition("/") for text in texts) if is_list(file)}
        if len(found) > 1:
            one, other = sorted(found)[:2]
            raise DatasetError(f"{place}: has lists in {one or '.'} and in {other}; name one folder with annotations")
        if found:
            return storage.join(place, found.pop())
    return ""


@dataclass(frozen=True)
class Matched:
    """What became of the listed videos: clips, (name, reason) of the absent ones, and the videos on no list."""

    clips: tuple[LabelledClip, ...]
    missing: tuple[tuple[str, str], ...]
    unlisted: tuple[str, ...]


def match(root: str | os.PathLike, lists: VideoLists, names: Sequence[str]) -> Matched:
    """Find the file of each listed video.

    Args:
        root: The data set's folder.
        lists: What the lists say.
        names: The videos below the folder.

    Raises:
        DatasetError: A video is there twice.
    """
    index: dict[str, list[str]] = {}
    for name in names:
        index.setdefault(lists.key(_class_and_file(name)), []).append(name)
    clips, missing, used = [], [], set()
    for key, video in sorted(lists.videos.items(), key=lambda item: item[1].name):
        found = index.get(key, [])
        exact = [name for name in found if _class_and_file(name) == video.name]
        if len(exact or found) > 1:
            one, other = (exact or found)[:2]
            raise DatasetError(f"{root}: {video.name} is there twice, as {one} and as {other}; remove one of them")
        if not found:
            missing.append((video.name, "no such file"))
            continue
        path = (exact or found)[0]
        used.add(path)
        clips.append(LabelledClip(storage.join(root, path), video.name, video.label, tuple(video.splits)))
    return Matched(tuple(clips), tuple(missing), _unlisted(names, used))


def _unlisted(names: Sequence[str], used: set[str]) -> tuple[str, ...]:
    """Return the videos that are not used and stand in class folders beside those of videos that are."""
    homes = {_home(name) for name in used}
    return tuple(name for name in names if name not in used and _home(name) in homes)


def _home(name: str) -> str:
    """Return the folder of the class folders."""
    return "/".join(name.split("/")[:-2])


def _class_and_file(name: str) -> str:
    return "/".join(name.split("/")[-2:])
