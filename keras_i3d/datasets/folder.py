"""Read a folder with one folder of videos per class, with or without folders of splits above them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from keras_i3d.datasets.dataset import SPLITS, LabelledClip, VideoDataset, checked_class_names, split_by_name
from keras_i3d.errors import DatasetError

VIDEO_ENDINGS = (
    *(".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts"),
    *(".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m"),
)


def read_folder(root: str | os.PathLike, *, class_names: Sequence[str] | None = None) -> VideoDataset:
    """List the videos of ``root/CLASS/*`` or ``root/SPLIT/CLASS/*`` with SPLIT train, val or test.

    Videos are told by their endings (`VIDEO_ENDINGS`), whatever their case. A folder without splits is
    divided 80/20 into train and test by the SHA-256 of each file's relative path.

    Args:
        root: The folder.
        class_names: Fixes the order of the classes, by default alphabetical.

    Raises:
        DatasetError: The folder cannot be read, holds no video in class folders, or has an unknown class.
    """
    root = Path(root)
    groups = _folders(root)
    if not groups:
        raise DatasetError(f"{root}: holds no folder; one folder of videos per class is expected")
    split_folders = {folder.name for folder in groups} <= set(SPLITS)
    clips = []
    for group in groups:
        for class_folder in _folders(group) if split_folders else [group]:
            for path in _videos(class_folder):
                name = path.relative_to(root).as_posix()
                split = group.name if split_folders else split_by_name(name)
                clips.append(LabelledClip(path, name, class_folder.name, split))
    if not clips and {folder.name for folder in groups} & set(SPLITS) and not split_folders:
        other = next(folder.name for folder in groups if folder.name not in SPLITS)
        raise DatasetError(f"{root}: {other!r} stands beside folders of splits, which are {', '.join(SPLITS)} alone")
    if not clips:
        raise DatasetError(f"{root}: no video in its folders; known endings are {' '.join(VIDEO_ENDINGS)}")
    return VideoDataset(tuple(clips), checked_class_names([c.label for c in clips], class_names, str(root)))


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DatasetError(f"{folder}: cannot be read as a folder ({error.strerror})") from error


def _folders(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if _is_dir(path)]


def _videos(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if path.suffix.lower() in VIDEO_ENDINGS and not _is_dir(path)]


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read as a folder ({error.strerror})") from error
