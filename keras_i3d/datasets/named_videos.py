"""Which videos are meant by files and folders, and the names of what is written of each."""

from __future__ import annotations

import os
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


def check_names(videos: Sequence[NamedVideo]) -> None:
    """Check that results which are called after their videos, endings and all, are of one video each.

    Raises:
        ValueError: Two videos have one name.
    """
    owners: dict[str, str] = {}
    for video in videos:
        other = owners.setdefault(video.name, video.path)
        if other != video.path:
            raise ValueError(
                f"what is written of {other} and {video.path} would both be called {video.name!r}; give the folder "
                "above both, whose tree is kept, or give them one at a time"
            )


def _below(given: str) -> Iterator[NamedVideo]:
    if not storage.is_folder(given):
        yield NamedVideo(given, given.replace(os.sep, "/").rsplit("/", 1)[-1])
        return
    names = files.find(given, files.VIDEO_ENDINGS, depth=DEPTH)
    if not names:
        raise DatasetError(f"{given}: no video in this folder (*{', *'.join(files.VIDEO_ENDINGS)})")
    for name in names:
        yield NamedVideo(storage.join(given, *name.split("/")), name)
