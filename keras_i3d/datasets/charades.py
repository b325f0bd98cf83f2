"""Read Charades as it is published (Sigurdsson et al., 2016): videos of about 30 seconds with several actions each.

``Charades_v1_classes.txt`` names the actions, ``Charades_v1_train.csv`` and ``Charades_v1_test.csv`` say which videos
show which: a column ``id``, and a column ``actions`` such as ``c092 11.90 21.20;c147 0.00 12.60``, codes with the
seconds from start to end. What is read is the task of classification, in which a video is one clip with the set of its
actions; the seconds are not used.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Sequence

from keras_i3d import storage
from keras_i3d.datasets import files, official
from keras_i3d.datasets.dataset import LabelledClip, VideoDataset, checked_class_names
from keras_i3d.errors import DatasetError

CLASSES = "Charades_v1_classes.txt"
TABLES = {"train": "Charades_v1_train.csv", "test": "Charades_v1_test.csv"}
COLUMNS = ("id", "actions")  # of those that are read
LISTS_FOLDER = "Charades"
LISTS_URL = "https://ai2-public-datasets.s3-us-west-2.amazonaws.com/charades/Charades.zip"
VIDEOS_PAGE = "https://prior.allenai.org/projects/charades"
KIND = "a CSV table of Charades"

_ACTION = re.compile(r"(?P<code>c[0-9]{3}) [0-9.]+ [0-9.]+")


def read_charades(
    root: str | os.PathLike,
    *,
    annotations: str | os.PathLike | None = None,
    class_names: Sequence[str] | None = None,
) -> VideoDataset:
    """List the videos of Charades with the actions of each, of which a video may have none.

    A video ``ID.mp4`` may lie up to two folders below `root`. Videos that no table names are left out, and listed in
    `VideoDataset.unlisted`.

    Args:
        root: The folder that holds the folder of videos, or that folder itself; a local path or a URL.
        annotations: The folder of ``Charades_v1_classes.txt`` and the two tables, by default the one below `root`, or
            ``Charades`` beside it.
        class_names: Fixes the order of the classes, by default that of ``Charades_v1_classes.txt``.

    Raises:
        DatasetError: A file is missing, lacks a column, has a line that is none, or names a video twice; a video is
            there twice; or not one is there.
    """
    folder = official.lists_folder(root, annotations, LISTS_FOLDER, lambda file: file == CLASSES)
    if not folder:
        where = root if annotations is None else annotations
        raise DatasetError(f"{where}: no {CLASSES} in it; download {LISTS_URL} and unpack it there")
    classes = _read_classes(storage.join(folder, CLASSES))
    videos = _find_videos(root)
    clips, missing, places = [], [], {}
    for part, table in TABLES.items():
        for place, name, labels in _read_table(storage.join(folder, table), classes):
            if name in places:
                raise DatasetError(f"{place}: {name} is named a second time, after {places[name]}")
            places[name] = place
            if name not in videos:
                missing.append((name, "no such file"))
                continue
            first, *further = labels or [None]
            path = storage.join(root, videos[name])
            clips.append(LabelledClip(path, name, first, (part,), further_labels=tuple(further)))
    if not clips:
        raise DatasetError(
            f"{root}: not one of the {len(missing)} listed videos is there, such as {missing[0][0]}.mp4; "
            f"download them from {VIDEOS_PAGE} and unpack them there"
        )
    names = classes.values()
    ordered = tuple(names) if class_names is None else checked_class_names(names, class_names, str(root))
    unlisted = tuple(path for name, path in videos.items() if name not in places)
    return VideoDataset("charades", tuple(clips), ordered, tuple(missing), unlisted, multi_label=True)


def _read_classes(path: str) -> dict[str, str]:
    """Read lines ``c000 Holding some clothes``, whose codes count from 0: names by codes."""
    names: dict[str, str] = {}
    for place, line in files.read_lines(path, "class names with their codes"):
        code, _, name = line.partition(" ")
        name = name.strip()
        if code != f"c{len(names):03d}" or not name:
            raise DatasetError(f"{place}: must be 'c{len(names):03d} CLASS', got {line!r}")
        if name in names.values():
            raise DatasetError(f"{place}: names the class {name!r} a second time")
        names[code] = name
    return names


def _find_videos(root: str | os.PathLike) -> dict[str, str]:
    """Return the videos below a folder by their file names without ending."""
    videos: dict[str, str] = {}
    for path in files.find(root, files.VIDEO_ENDINGS, depth=official.DEPTH):
        name = path.rpartition("/")[2].rpartition(".")[0]
        if name in videos:
            raise DatasetError(
                f"{root}: {name} is there twice, as {videos[name]} and as {path}; name the folder of one of them, and "
                "that of the tables as annotations"
            )
        videos[name] = path
    return videos


def _read_table(path: str, classes: dict[str, str]) -> Iterator[tuple[str, str, list[str]]]:
    """Yield the place, the id and the labels, in the order of their codes, of each line."""
    try:
        with files.open_text(path, KIND) as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise DatasetError(f"{path}: the header lacks the column {missing[0]}; download {LISTS_URL} afresh")
            for row in reader:
                place = f"{path}: line {reader.line_num}"
                if None in row or None in row.values():
                    raise DatasetError(f"{place}: has another number of cells than the header")
                if not row["id"].strip():
                    raise DatasetError(f"{place}: id is empty")
                yield place, row["id"].strip(), _labels(place, row["actions"].strip(), classes)
    except csv.Error as error:
        raise DatasetError(f"{path}: cannot be read as {KIND} ({error})") from error


def _labels(place: str, cell: str, classes: dict[str, str]) -> list[str]:
    codes = set()
    for action in cell.split(";") if cell else []:
        match = _ACTION.fullmatch(action.strip())
        if not match:
            raise DatasetError(f"{place}: actions must be 'CODE START END;CODE START END', got {cell!r}")
        if match["code"] not in classes:
            raise DatasetError(f"{place}: {match['code']} is no class of {CLASSES}, which has {len(classes)}")
        codes.add(match["code"])
    return [classes[code] for code in sorted(codes)]
