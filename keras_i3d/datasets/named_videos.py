"""Which videos are meant by files and folders, and the names of what is written of each."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from keras_i3d import storage
from keras_i3d.datasets import files
from keras_i3d.errors import DatasetError

DEPTH = 16  # of the deepest video below a folder


@dataclass(frozen=True)
class NamedVideo:
    """A video.

    Attributes:
        path: As it was given, or below the folder that was; a URL may be.
        name: Of its file, or where a folder was given, its path below that.
    """

    path: str
    name: str


def find(given: Sequence[str | os.PathLike]) -> list[NamedVideo]:
    """List the videos that files and folders stand for; one that is named twice counts once.

    Args:
        given: Files, whatever their endings, and folders, which are searched for files with a video's ending.

    Raises:
        DatasetError: A folder cannot be read, or has no video.
        ValueError: None is given.
    """
    if not given:
        raise ValueError("a video is wanted, or a folder of videos; got none")
    found: dict[str, NamedVideo] = {}
    for path in given:
        for video in _below(os.fspath(path)):
            found.setdefault(str(storage.absolute(video.path)), video)
    return list(found.values())


def names_of_results(videos: Sequence[NamedVideo]) -> list[str]:
    """Return what the results of each video are called, below an output folder.

    It is the video's name without its ending; videos that differ in their endings alone keep them.

    Raises:
        ValueError: Two would have the same.
    """
    stems = Counter(_stem(name) for name in {video.name for video in videos})
    owners: dict[str, str] = {}
    for video in videos:
        chosen = video.name if stems[_stem(video.name)] > 1 else _stem(video.name)
        if chosen in owners:
            raise ValueError(
                f"what is written of {owners[chosen]} and {video.path} would both be called {chosen!r}; give the "
                "folder above both, whose tree is kept, or give them one at a time"
            )
        owners[chosen] = video.path
    return list(owners)


def _below(given: str) -> Iterator[NamedVideo]:
    if not storage.is_folder(given):
        yield NamedVideo(given, given.replace(os.sep, "/").rsplit("/", 1)[-1])
        return
    names = files.find(given, files.VIDEO_ENDINGS, depth=DEPTH)
    if not names:
        raise DatasetError(f"{given}: no video in this folder (*{', *'.join(files.VIDEO_ENDINGS)})")
    for name in names:
        yield NamedVideo(storage.join(given, *name.split("/")), name)


def _stem(name: str) -> str:
    """Return a name without its ending; that of a hidden file is no ending."""
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{os.path.splitext(last)[0]}"  # noqa: PTH122  (a URL's part)
