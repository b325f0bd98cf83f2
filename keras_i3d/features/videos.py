"""Which videos are meant, and under which names their features are written."""

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
class Video:
    """A video, and where its features go.

    Attributes:
        path: From the root on, or a URL.
        name: Of the file of features, below the output folder, without its ending: that of a video's file without its
            own, or where a folder was given, its path below that. Videos that differ in their endings alone keep them.
    """

    path: str
    name: str


def find(given: Sequence[str | os.PathLike]) -> list[Video]:
    """List the videos that files and folders stand for; one that is named twice counts once.

    Args:
        given: Files, whatever their endings, and folders, which are searched for files with a video's ending.

    Raises:
        DatasetError: A folder cannot be read, or has no video.
        ValueError: None is given, or the features of two would go to one file.
    """
    if not given:
        raise ValueError("a video is wanted, or a folder of videos; got none")
    found: dict[str, str] = {}
    for path in given:
        for video, name in _below(os.fspath(path)):
            found.setdefault(video, name)
    stems = Counter(map(_stem, set(found.values())))
    by_name: dict[str, str] = {}
    for video, name in found.items():
        # a.avi and a.mp4 keep their endings
        chosen = name if stems[_stem(name)] > 1 else _stem(name)
        other = by_name.setdefault(chosen, video)
        if other != video:
            raise ValueError(
                f"the features of {other} and {video} would both be written as {chosen!r}; give the folder above both, "
                "whose tree is kept, or an output folder for each"
            )
    return [Video(video, name) for name, video in by_name.items()]


def _below(given: str) -> Iterator[tuple[str, str]]:
    """Yield the paths of videos, and their names below the folder that is given."""
    is_folder = storage.is_folder(given)
    path = str(storage.absolute(given))
    if not is_folder:
        yield path, path.replace(os.sep, "/").rsplit("/", 1)[-1]
        return
    names = files.find(path, files.VIDEO_ENDINGS, depth=DEPTH)
    if not names:
        raise DatasetError(f"{given}: no video in this folder (*{', *'.join(files.VIDEO_ENDINGS)})")
    for name in names:
        yield storage.join(path, *name.split("/")), name


def _stem(name: str) -> str:
    """Return a name without its ending; that of a hidden file is no ending."""
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{os.path.splitext(last)[0]}"  # noqa: PTH122  (a URL's part)
