"""Read a CSV table of clips: ``path,label,start_s,end_s,split``."""

from __future__ import annotations

import csv
import math
import os
import posixpath
from collections.abc import Sequence
from pathlib import Path

from keras_i3d.datasets.dataset import SPLITS, LabelledClip, VideoDataset, checked_class_names, split_by_name
from keras_i3d.errors import DatasetError

REQUIRED = ("path", "label")
OPTIONAL = ("start_s", "end_s", "split")


def read_table(path: str | os.PathLike, *, class_names: Sequence[str] | None = None) -> VideoDataset:
    """List the clips of a CSV file with a header line.

    ``path`` is absolute or relative to the CSV's folder. An empty or absent ``start_s`` is 0 and ``end_s``
    the end of the video. Without a split the clip goes to train (80 %) or test by the SHA-256 of its path, so
    that all stretches of one video fall on the same side.

    Args:
        path: The CSV file, UTF-8.
        class_names: Fixes the order of the classes, by default alphabetical.

    Raises:
        DatasetError: The file cannot be read, lacks a column, or a line has an unknown class or split or a
            wrong number; the message names the line.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            _check_columns(path, reader.fieldnames)
            clips = [_clip(path, reader.line_num, row, class_names) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: cannot be read as a CSV table ({error})") from error
    if not clips:
        raise DatasetError(f"{path}: has a header but no clip")
    return VideoDataset(tuple(clips), checked_class_names([c.label for c in clips], class_names, str(path)))


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


def _clip(
    table: str | os.PathLike, line: int, row: dict[str, str | None], class_names: Sequence[str] | None
) -> LabelledClip:
    where = f"{table}: line {line}"
    cells = {name: (row.get(name) or "").strip() for name in REQUIRED + OPTIONAL}
    if None in row or any(value is None for value in row.values()):
        raise DatasetError(f"{where}: has another number of cells than the header")
    for name in REQUIRED:
        if not cells[name]:
            raise DatasetError(f"{where}: {name} is empty")
    if {"\n", "\r"} & set(cells["label"]):
        raise DatasetError(f"{where}: the label must be one line, got {cells['label']!r}")
    checked_class_names([cells["label"]], class_names, where)
    start_s = _seconds(where, "start_s", cells["start_s"]) or 0.0
    end_s = _seconds(where, "end_s", cells["end_s"])
    if end_s is not None and end_s <= start_s:
        raise DatasetError(f"{where}: end_s must be after start_s, got {start_s:g} to {end_s:g}")
    name = posixpath.normpath(cells["path"])
    split = cells["split"] or split_by_name(name)
    if split not in SPLITS:
        raise DatasetError(f"{where}: unknown split {split!r}; splits are {', '.join(SPLITS)}")
    return LabelledClip(
        path=Path(table).parent / cells["path"],
        name=name,
        label=cells["label"],
        split=split,
        start_s=start_s,
        end_s=end_s,
    )


def _seconds(where: str, name: str, text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise DatasetError(f"{where}: {name} must be seconds of at least 0, got {text!r}")
    return value
