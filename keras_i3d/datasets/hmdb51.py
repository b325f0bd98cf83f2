"""Read HMDB-51 as it is published (Kuehne et al., 2011): ``CLASS/*.avi`` and ``testTrainMulti_7030_splits``."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from keras_i3d import storage
from keras_i3d.datasets import files, official
from keras_i3d.datasets.dataset import UNUSED, VideoDataset, checked_class_names
from keras_i3d.datasets.official import VideoLists
from keras_i3d.errors import DatasetError

LISTS_FOLDER = "testTrainMulti_7030_splits"
PARTS = {"0": UNUSED, "1": "train", "2": "test"}

_LIST_NAME = re.compile(r"(?P<label>.+)_test_split(?P<number>[1-3])\.txt")


def read_hmdb51(
    root: str | os.PathLike,
    *,
    annotations: str | os.PathLike | None = None,
    class_names: Sequence[str] | None = None,
) -> VideoDataset:
    """List the videos of HMDB-51 with their three splits into train, test and unused.

    Videos that no list names are left out, and listed in `VideoDataset.unlisted`.

    Args:
        root: The folder that holds the folder of videos, or that folder itself; a local path or a URL.
        annotations: The folder of ``CLASS_test_split1.txt`` and so on, by default the one below `root` or
            ``testTrainMulti_7030_splits`` beside it.
        class_names: Fixes the order of the classes, by default alphabetical.

    Raises:
        DatasetError: A list is missing, has a line that is none, or names a video twice; two classes name one video;
            a folder of videos has no list; or not one video is there.
    """
    folder = official.lists_folder(root, annotations, LISTS_FOLDER, lambda file: bool(_LIST_NAME.fullmatch(file)))
    if not folder:
        where = root if annotations is None else annotations
        raise DatasetError(
            f"{where}: no CLASS_test_split1.txt in it; download the data set's three splits and unpack their folder "
            f"{LISTS_FOLDER} there"
        )
    lists, classes = _read_lists(folder)
    names = files.find(root, files.VIDEO_ENDINGS, depth=official.DEPTH)
    _check_one_class_each(lists, names)
    matched = official.match(root, lists, names)
    if not matched.clips:
        raise DatasetError(
            f"{root}: not one of the {len(matched.missing)} listed videos is there, such as {matched.missing[0][0]}; "
            "unpack hmdb51_org.rar, and the archive of each class that it holds, there"
        )
    for class_folder in (name.rpartition("/")[0] for name in matched.unlisted):
        label = class_folder.rpartition("/")[2]
        if label not in classes:
            raise DatasetError(
                f"{folder}: no {label}_test_split1.txt for the videos of {storage.join(root, class_folder)}; "
                "unpack the splits afresh, or move that folder away"
            )
    return VideoDataset(
        "hmdb51",
        matched.clips,
        checked_class_names(classes, class_names, str(root)),
        matched.missing,
        matched.unlisted,
    )


def _read_lists(folder: str) -> tuple[VideoLists, list[str]]:
    matches = [_LIST_NAME.fullmatch(name) for name in files.find(folder, (".txt",), depth=1)]
    present = {(match["label"], int(match["number"])) for match in matches if match}
    classes = sorted({label for label, _ in present})
    lists = VideoLists()
    for label in classes:
        for number in range(1, official.DIVISIONS + 1):
            path = storage.join(folder, f"{label}_test_split{number}.txt")
            if (label, number) not in present:
                raise DatasetError(f"{path}: is missing; download the data set's three splits and unpack them afresh")
            for place, line in files.read_lines(path, "a list of videos"):
                name, part = _video_and_part(place, line)
                lists.add(place, f"{label}/{name}", label, number - 1, part)
    return lists, classes


def _video_and_part(place: str, line: str) -> tuple[str, str]:
    """Split a line at its last blank: file names have characters of all kinds."""
    name, _, code = line.replace("\t", " ").rpartition(" ")
    if not name.strip() or "/" in name or code not in PARTS:
        raise DatasetError(
            f"{place}: must be 'VIDEO.avi N' with N 1 for train, 2 for test or 0 for unused, got {line!r}"
        )
    return name.strip(), PARTS[code]


def _check_one_class_each(lists: VideoLists, names: Sequence[str]) -> None:
    """Check that no file is listed for two classes, unless both have a file of that name."""
    present = {"/".join(name.split("/")[-2:]) for name in names}
    first: dict[str, str] = {}
    for key, video in lists.videos.items():
        file = key.split("/")[1]
        other = lists.videos[first.setdefault(file, key)]
        if other is not video and not {video.name, other.name} <= present:
            here, there = (next(place for place in one.places if place) for one in (video, other))
            raise DatasetError(
                f"{here}: {file} is of class {video.label}, and of class {other.label} by {there}; "
                "unpack the splits afresh"
            )
