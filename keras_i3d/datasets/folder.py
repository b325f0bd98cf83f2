"""Read a folder with one folder of videos per class, with or without folders of splits above them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from keras_i3d import storage
from keras_i3d.datasets import files
from keras_i3d.datasets.dataset import SPLITS, LabelledClip, VideoDataset, checked_class_names, split_by_name
from keras_i3d.datasets.files import VIDEO_ENDINGS
from keras_i3d.errors import DatasetError


def read_folder(root: str | os.PathLike, *, class_names: Sequence[str] | None = None) -> VideoDataset:
    """List the videos of ``root/CLASS/*`` or ``root/SPLIT/CLASS/*`` with SPLIT train, val or test.

    Videos are told by their endings (`VIDEO_ENDINGS`), whatever their case. A folder without splits is
    divided 80/20 into train and test by the SHA-256 of each file's relative path. Videos one folder higher or
    lower than that, and other files beside the videos, are left out and listed in `VideoDataset.unlisted`.

    Args:
        root: The folder, a local path or a URL.
        class_names: Fixes the order of the classes, by default alphabetical.

    Raises:
        DatasetError: The folder cannot be read, holds no video in class folders, or has an unknown class.
    """
    found = files.find(root, ("",), depth=3)
    names = [name for name in found if files.is_video(name)]
    places = [name.split("/") for name in names]
    groups = {place[0] for place in places if len(place) > 1}
    has_splits = groups <= set(SPLITS)
    strangers = sorted(groups - set(SPLITS))
    if strangers and any(len(place) == 3 and place[0] in SPLITS for place in places):
        raise DatasetError(
            f"{root}: {strangers[0]!r} stands beside folders of splits, which are {', '.join(SPLITS)} alone"
        )
    depth = 3 if has_splits else 2
    unlisted = [name for name in found if (name.count("/") + 1 == depth) != files.is_video(name)]
    clips = []
    for name, place in zip(names, places, strict=True):
        if len(place) != depth:
            continue
        split = place[0] if has_splits else split_by_name(name)
        clips.append(LabelledClip(storage.join(root, name), name, place[-2], (split,)))
    if not clips:
        raise DatasetError(f"{root}: {_lack(root)}")
    classes = checked_class_names((clip.label for clip in clips), class_names, str(root))
    return VideoDataset("folder", tuple(clips), classes, unlisted=tuple(unlisted))


def _lack(root: str | os.PathLike) -> str:
    """Say why a folder has no video where one is expected."""
    if not storage.is_remote(root) and not any(is_folder for _, is_folder in files.entries(Path(root))):
        return "holds no folder; one folder of videos per class is expected"
    return f"no video in its folders; known endings are {' '.join(VIDEO_ENDINGS)}"
