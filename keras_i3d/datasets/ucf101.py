"""Read UCF-101 as it is published (Soomro, Zamir and Shah, 2012): ``UCF-101/CLASS/*.avi`` and ``ucfTrainTestlist``."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from keras_i3d import storage
from keras_i3d.datasets import files, official
from keras_i3d.datasets.dataset import VideoDataset, checked_class_names
from keras_i3d.datasets.official import VideoLists
from keras_i3d.errors import DatasetError

CLASSES = "classInd.txt"
LISTS_FOLDER = "ucfTrainTestlist"
LISTS_URL = "https://www.crcv.ucf.edu/wp-content/uploads/2019/03/UCF101TrainTestSplits-RecognitionTask.zip"
VIDEOS_URL = "https://www.crcv.ucf.edu/datasets/human-actions/ucf101/UCF101.rar"

_TRAIN_LINE = re.compile(r"(?P<name>[^/]+/[^/]+)\s(?P<number>[0-9]+)")
_TEST_LINE = re.compile(r"(?P<name>[^/]+/[^/\s]+)(\s(?P<number>[0-9]+))?")


def read_ucf101(
    root: str | os.PathLike,
    *,
    annotations: str | os.PathLike | None = None,
    class_names: Sequence[str] | None = None,
) -> VideoDataset:
    """List the videos of UCF-101 with their three splits into train and test.

    Names are compared without regard to case: the class HandstandPushups has files named v_HandStandPushups_*.
    Videos that no list names are left out, and listed in `VideoDataset.unlisted`.

    Args:
        root: The folder that holds the folder of videos, or that folder itself; a local path or a URL.
        annotations: The folder of ``classInd.txt``, ``trainlist01.txt`` and so on, by default the one below `root`
            or ``ucfTrainTestlist`` beside it.
        class_names: Fixes the order of the classes, by default that of ``classInd.txt``.

    Raises:
        DatasetError: A list is missing, has a line that is none, names a video twice or with another class than the
            video's folder; or not one video is there.
    """
    folder = official.lists_folder(root, annotations, LISTS_FOLDER, lambda file: file == CLASSES)
    if not folder:
        where = root if annotations is None else annotations
        raise DatasetError(f"{where}: no {CLASSES} in it; download {LISTS_URL} and unpack it there")
    classes = _read_classes(storage.join(folder, CLASSES))
    lists = _read_lists(folder, classes)
    names = files.find(root, files.VIDEO_ENDINGS, depth=official.DEPTH)
    matched = official.match(root, lists, names)
    if not matched.clips:
        raise DatasetError(
            f"{root}: not one of the {len(matched.missing)} listed videos is there, such as {matched.missing[0][0]}; "
            f"download {VIDEOS_URL} and unpack it there"
        )
    ordered = tuple(classes) if class_names is None else checked_class_names(classes, class_names, str(root))
    return VideoDataset("ucf101", matched.clips, ordered, matched.missing, matched.unlisted)


def _read_classes(path: str) -> list[str]:
    """Read lines ``1 ApplyEyeMakeup``, whose numbers count from 1."""
    names: list[str] = []
    for place, line in files.read_lines(path, "class names with their numbers"):
        number, _, name = line.partition(" ")
        name = name.strip()
        if number != str(len(names) + 1) or not name or "/" in name:
            raise DatasetError(f"{place}: must be '{len(names) + 1} CLASS', got {line!r}")
        if name.casefold() in (other.casefold() for other in names):
            raise DatasetError(f"{place}: names the class {name} a second time")
        names.append(name)
    return names


def _read_lists(folder: str, classes: Sequence[str]) -> VideoLists:
    lists = VideoLists(str.casefold)
    numbers = {name.casefold(): number for number, name in enumerate(classes, start=1)}
    for index in range(official.DIVISIONS):
        for part, line_form in (("train", _TRAIN_LINE), ("test", _TEST_LINE)):
            path = storage.join(folder, f"{part}list{index + 1:02d}.txt")
            for place, line in _lines(path):
                match = line_form.fullmatch(line)
                if not match:
                    form = "CLASS/VIDEO.avi NUMBER" if part == "train" else "CLASS/VIDEO.avi"
                    raise DatasetError(f"{place}: must be '{form}', got {line!r}")
                number = _number(place, match["name"].strip(), match["number"], numbers)
                lists.add(place, match["name"].strip(), classes[number - 1], index, part)
    return lists


def _lines(path: str) -> list[tuple[str, str]]:
    try:
        return list(files.read_lines(path, "a list of videos"))
    except DatasetError as error:
        raise DatasetError(f"{error}; download {LISTS_URL} and unpack it afresh") from error


def _number(place: str, name: str, written: str | None, numbers: dict[str, int]) -> int:
    """Return the number of a video's class by its folder, which the written number and the file's name must share."""
    folder, file = name.split("/")
    number = numbers.get(folder.casefold())
    if number is None:
        raise DatasetError(f"{place}: {folder!r} is no class of {CLASSES}")
    if written is not None and int(written) != number:
        raise DatasetError(f"{place}: {name} has the label {written}, and its class {folder} the number {number}")
    if not file.casefold().startswith(f"v_{folder}_".casefold()):
        raise DatasetError(f"{place}: {file} is in the folder of another class, {folder}")
    return number
