"""Read a CSV table of clips: ``path,label,start_s,end_s,split``."""

from __future__ import annotations

import csv
import os
import posixpath
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from keras_i3d import storage
from keras_i3d.datasets import files
from keras_i3d.datasets.dataset import SPLITS, LabelledClip, VideoDataset, checked_class_names, split_by_name
from keras_i3d.datasets.stretch import read_stretch
from keras_i3d.errors import DatasetError

REQUIRED = ("path", "label")
OPTIONAL = ("start_s", "end_s", "split")
KIND = "a CSV table"
SEPARATOR = ";"  # of the labels of a clip


def read_table(
    path: str | os.PathLike, *, class_names: Sequence[str] | None = None, multi_label: bool = False
) -> VideoDataset:
    """List the clips of a CSV file with a header line.

    ``path`` is a URL, an absolute path, or relative to the CSV's folder. An empty or absent ``start_s`` is 0 and
    ``end_s`` the end of the video. Without a split the clip goes to train (80 %) or test by the SHA-256 of its
    path, so that all stretches of one video fall on the same side. The label may be empty where the split is
    written as test. No stretch of a video may be named twice.

    Args:
        path: The CSV file, UTF-8; a local path or a URL.
        class_names: Fixes the order of the classes, by default alphabetical.
        multi_label: Whether a clip may have several labels, written ``run;jump``, or none, which then says that it
            is of no class.

    Raises:
        DatasetError: The file cannot be read, lacks a column, or a line has an unknown class or split, a wrong
            number, a label twice, or a stretch that an earlier line names; the message names the line.
    """
    table = os.fspath(path)
    place = _beside_url(table) if storage.is_remote(table) else _beside_file(table)
    clips: dict[str, tuple[LabelledClip, int]] = {}
    labels: set[str] = set()
    try:
        with files.open_text(table, KIND) as file:
            reader = csv.DictReader(file)
            _check_columns(table, reader.fieldnames)
            for row in reader:
                where = f"{table}: line {reader.line_num}"
                clip = _clip(where, row, place, multi_label)
                if clip.id in clips:
                    raise DatasetError(_named_twice(where, clip, *clips[clip.id], multi_label))
                clips[clip.id] = clip, reader.line_num
                if not labels.issuperset(clip.labels):
                    checked_class_names(clip.labels, class_names, where)
                    labels.update(clip.labels)
    except csv.Error as error:
        raise DatasetError(f"{table}: cannot be read as {KIND} ({error})") from error
    if not clips:
        raise DatasetError(f"{table}: has a header but no clip")
    classes = checked_class_names(labels, class_names, table)
    if multi_label and not classes:
        raise DatasetError(f"{table}: not one clip has a label")
    return VideoDataset("table", tuple(clip for clip, _ in clips.values()), classes, multi_label=multi_label)


def _check_columns(path: str | os.PathLike, found: Sequence[str] | None) -> None:
    found = found or ()
    missing = [name for name in REQUIRED if name not in found]
    unknown = [name for name in found if name not in REQUIRED + OPTIONAL]
    twice = [name for name in found if list(found).count(name) > 1]
    if missing or unknown or twice:
        complaint = (
            f"lacks the column {missing[0]}"
            if missing
            else f"has an unknown column {unknown[0]!r}"
            if unknown
            else f"has the column {twice[0]} twice"
        )
        raise DatasetError(
            f"{path}: the header {complaint}; columns are {','.join(REQUIRED + OPTIONAL)}, "
            f"of which {' and '.join(REQUIRED)} are required"
        )


def _clip(where: str, row: dict[str, str | None], place: Callable[[str, str], str], multi_label: bool) -> LabelledClip:
    cells = {name: (row.get(name) or "").strip() for name in REQUIRED + OPTIONAL}
    if None in row or any(value is None for value in row.values()):
        raise DatasetError(f"{where}: has another number of cells than the header")
    if not cells["path"]:
        raise DatasetError(f"{where}: path is empty")
    if not cells["label"] and cells["split"] != "test" and not multi_label:
        raise DatasetError(f"{where}: label is empty, which it may be where the split is test alone")
    if {"\n", "\r"} & set(cells["label"]):
        raise DatasetError(f"{where}: the label must be one line, got {cells['label']!r}")
    label, *further = _labels(where, cells["label"], multi_label) or [None]
    start_s, end_s = read_stretch(where, ("start_s", cells["start_s"]), ("end_s", cells["end_s"]))
    name = cells["path"] if storage.is_remote(cells["path"]) else posixpath.normpath(cells["path"])
    split = cells["split"] or split_by_name(name)
    if split not in SPLITS:
        raise DatasetError(f"{where}: unknown split {split!r}; splits are {', '.join(SPLITS)}")
    return LabelledClip(place(where, cells["path"]), name, label, (split,), start_s, end_s, tuple(further))


def _labels(where: str, cell: str, multi_label: bool) -> list[str]:
    if not multi_label or not cell:
        return [cell] if cell else []
    found = [part.strip() for part in cell.split(SEPARATOR)]
    if not all(found):
        raise DatasetError(f"{where}: a label between {SEPARATOR!r} is empty, got {cell!r}")
    twice = [label for label in found if found.count(label) > 1]
    if twice:
        raise DatasetError(f"{where}: names the label {twice[0]!r} twice, got {cell!r}")
    return found


def _named_twice(where: str, clip: LabelledClip, other: LabelledClip, line: int, multi_label: bool) -> str:
    if clip.labels != other.labels:
        one, two = (SEPARATOR.join(each.labels) for each in (clip, other))
        remedy = f"; all labels of a clip stand in one line, separated by {SEPARATOR!r}" if multi_label else ""
        return f"{where}: {clip.id!r} has the label {one!r}, and in line {line} {two!r}{remedy}"
    return f"{where}: {clip.id!r} is named a second time, after line {line}; remove one of the two"


def _beside_file(table: str) -> Callable[[str, str], str]:
    """Return what places a path of a line of a local table."""
    folder = Path(table).parent
    return lambda where, path: path if storage.is_remote(path) else str(folder / path)


def _beside_url(table: str) -> Callable[[str, str], str]:
    """Return what places a path of a line of a table behind a URL."""
    scheme, rest = table.split("://", 1)
    if scheme.lower() in ("http", "https"):
        rest = re.split("[?#]", rest, maxsplit=1)[0]
    folders = rest.split("/")[:-1]

    def placed(where: str, path: str) -> str:
        if storage.is_remote(path) or path.startswith("/"):
            return path
        parts = posixpath.normpath(path).split("/")
        ups = parts.count("..")
        if ups >= len(folders):
            raise DatasetError(f"{where}: the path {path!r} leads out of {scheme}://{rest.split('/')[0]}")
        return storage.join(f"{scheme}://{'/'.join(folders[: len(folders) - ups])}", "/".join(parts[ups:]))

    return placed
