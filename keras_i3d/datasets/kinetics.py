"""Read Kinetics-400, -600 or -700 as it is published (Kay et al., 2017): CSV files of stretches of YouTube videos.

Columns: ``label,youtube_id,time_start,time_end,split``. The videos are those that a download has brought, under the
names that the usual downloaders give them.
"""

from __future__ import annotations

import csv
import logging
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from keras_i3d import storage
from keras_i3d.datasets import files
from keras_i3d.datasets.dataset import LabelledClip, VideoDataset, checked_class_names
from keras_i3d.datasets.stretch import read_stretch
from keras_i3d.errors import DatasetError

REQUIRED = ("youtube_id", "time_start", "time_end")
DEPTH = 6  # of videos and CSV files below the folder, as in kinetics/videos/train/part_0/CLASS/
LISTS_URL = "https://storage.googleapis.com/deepmind-media/Datasets/kinetics400.tar.gz"
KIND = "a CSV table of Kinetics"

_SPLITS = {"train": "train", "validate": "val", "validation": "val", "val": "val", "test": "test"}
_SPLIT_IN_NAME = re.compile(r"(?<![a-z])(train|validate|validation|val|test)(?![a-z])")
_log = logging.getLogger(__name__)


class _Row(NamedTuple):
    """One stretch, and where it is named."""

    youtube_id: str
    start_s: float
    end_s: float
    label: str | None
    split: str
    table: str
    line: int


def read_kinetics(
    root: str | os.PathLike,
    *,
    annotations: str | os.PathLike | Sequence[str | os.PathLike] | None = None,
    class_names: Sequence[str] | None = None,
    trimmed: bool = False,
) -> VideoDataset:
    """List the videos of Kinetics that are there, with their labels from the CSV files.

    A video may lie anywhere below `root`, at most five folders deep. ``ID_000417_000427.mp4`` (or another ending) is
    taken for the annotated stretch and read whole; ``ID.mp4`` for the whole YouTube video, of which the annotated
    stretch is read, for each stretch of the same id. Where a clip has several files, the one in a folder
    ``replacement*`` goes first, then the one in a folder of its split, then of its class, then by name. Videos
    that no line names are left out, and listed in `VideoDataset.unlisted`. A line that is there twice counts once.

    Args:
        root: The folder of the videos, a local path or a URL.
        annotations: The CSV files, or a folder of them, by default all below `root` with a column ``youtube_id``.
            A file without the column ``split`` says it in its name.
        class_names: Fixes the order of the classes, by default alphabetical, as in the published label maps.
        trimmed: Whether ``ID.mp4`` too holds no more than the annotated stretch.

    Raises:
        DatasetError: There is no CSV file, one lacks a column or has a wrong line, two lines give one stretch
            different labels or splits, or not one video is there.
    """
    names = files.find(root, (*files.VIDEO_ENDINGS, ".csv"), depth=DEPTH)
    videos = [name for name in names if files.is_video(name)]
    tables = [storage.join(root, name) for name in names if not files.is_video(name)]
    rows = _read_tables(tables if annotations is None else _named_tables(annotations), annotations is not None)
    if not rows:
        raise DatasetError(
            f"{root if annotations is None else annotations}: no CSV file of Kinetics with a line in it; "
            f"download {LISTS_URL} (or kinetics600, kinetics700) and unpack it there, or name the files as annotations"
        )
    # all rows count, or the order of the classes would depend on what a download has brought
    classes = checked_class_names({row.label for row in rows.values()} - {None}, class_names, str(root))
    clips, missing, used = _match(root, rows, _Index(videos), trimmed)
    if not clips:
        example = next(iter(rows))
        raise DatasetError(
            f"{root}: not one of the {len(missing)} listed videos is there, such as {example}.mp4; "
            "name the folder into which they were downloaded"
        )
    unlisted = tuple(name for name in videos if name not in used)
    return VideoDataset("kinetics", tuple(clips), classes, tuple(missing), unlisted)


def _named_tables(annotations: str | os.PathLike | Sequence[str | os.PathLike]) -> list[str]:
    given = [annotations] if isinstance(annotations, str | os.PathLike) else list(annotations)
    tables: list[str] = []
    for path in map(os.fspath, given):
        is_folder = not path.lower().endswith(".csv") if storage.is_remote(path) else Path(path).is_dir()
        names = files.find(path, (".csv",), depth=1) if is_folder else []
        tables += [storage.join(path, name) for name in names] if is_folder else [path]
    return tables


def _read_tables(tables: Iterable[str], named: bool) -> dict[str, _Row]:
    """Read all rows by the names of their stretches, in the order of the names."""
    rows: dict[str, _Row] = {}
    repeated = 0
    for table in tables:
        for row in _read_table(table, named):
            name = f"{row.youtube_id}{_bounds(row)}"
            other = rows.setdefault(name, row)
            if other is not row:
                rows[name] = _agreed(name, other, row)
                repeated += 1
    if repeated:
        _log.warning("%d lines of the CSV files name a stretch that another line names; each counts once", repeated)
    return dict(sorted(rows.items()))


def _agreed(name: str, first: _Row, second: _Row) -> _Row:
    """Return the row that says more of two that name one stretch."""
    for what in ("split", "label"):
        one, other = getattr(first, what), getattr(second, what)
        if one != other and one and other:
            raise DatasetError(
                f"{second.table}: line {second.line}: {name} has the {what} {other!r}, and {one!r} by "
                f"{first.table}: line {first.line}; remove one of the two, or name the right files as annotations"
            )
    return first if first.label else second


def _read_table(table: str, named: bool) -> Iterator[_Row]:
    """Yield the rows of a CSV file; none where it is not of Kinetics and was not named either."""
    known: dict[str, str] = {}  # each label once in memory
    try:
        with files.open_text(table, KIND) as file:
            reader = csv.reader(file)
            columns = _columns(table, next(reader, []), named)
            if not columns:
                return
            for cells in reader:
                if cells:
                    row = columns.row(f"{table}: line {reader.line_num}", cells, table, reader.line_num)
                    yield row._replace(label=known.setdefault(row.label, row.label)) if row.label else row
    except csv.Error as error:
        raise DatasetError(f"{table}: cannot be read as {KIND} ({error})") from error


@dataclass(frozen=True)
class _Columns:
    """Where the cells of a line stand; -1 for columns that are absent."""

    count: int
    youtube_id: int
    time_start: int
    time_end: int
    label: int
    split: int
    default_split: str | None

    def row(self, where: str, cells: Sequence[str], table: str, line: int) -> _Row:
        """Read a line."""
        if len(cells) != self.count:
            raise DatasetError(f"{where}: has {len(cells)} cells, and the header {self.count}")
        youtube_id = cells[self.youtube_id].strip()
        if not youtube_id or "/" in youtube_id:
            raise DatasetError(f"{where}: {youtube_id!r} is no YouTube id")
        start, end = cells[self.time_start].strip(), cells[self.time_end].strip()
        start_s, end_s = read_stretch(where, ("time_start", start), ("time_end", end))
        if not start or end_s is None:
            raise DatasetError(f"{where}: {'time_end' if start else 'time_start'} is empty")
        written = cells[self.split].strip().lower() if self.split >= 0 else ""
        split = _SPLITS.get(written) if written else self.default_split
        if split is None:
            raise DatasetError(f"{where}: unknown split {written!r}; splits are {', '.join(_SPLITS)}")
        label = cells[self.label].strip() if self.label >= 0 else ""
        if not label and split != "test":
            raise DatasetError(f"{where}: label is empty, which it may be in split test alone")
        return _Row(youtube_id, start_s, end_s, label or None, split, table, line)


def _columns(table: str, header: Sequence[str], named: bool) -> _Columns | None:
    names = [name.strip().lower() for name in header]
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        if not named and "youtube_id" not in names:
            return None
        raise DatasetError(f"{table}: the header lacks the column {missing[0]}; it must have {', '.join(REQUIRED)}")
    places = {name: names.index(name) if name in names else -1 for name in (*REQUIRED, "label", "split")}
    words = {_SPLITS[word] for word in _SPLIT_IN_NAME.findall(re.split(r"[/\\]", table)[-1].lower())}
    if places["split"] < 0 and len(words) != 1:
        raise DatasetError(
            f"{table}: the header lacks the column split, and the file's name is none of {', '.join(_SPLITS)}"
        )
    return _Columns(count=len(names), default_split=words.pop() if len(words) == 1 else None, **places)


def _bounds(row: _Row) -> str:
    """Return what the downloaders put behind the id, unless the times are no whole seconds."""
    if row.start_s.is_integer() and row.end_s.is_integer():
        return f"_{int(row.start_s):06d}_{int(row.end_s):06d}"
    return f"_{row.start_s:g}_{row.end_s:g}"


class _Index:
    """The videos below a folder by their file names without ending."""

    def __init__(self, names: Iterable[str]) -> None:
        self._first: dict[str, str] = {}
        self._others: dict[str, list[str]] = {}  # few have any
        for name in names:
            stem = _stem(name)
            if self._first.setdefault(stem, name) is not name:
                self._others.setdefault(stem, []).append(name)

    def stretch(self, name: str, row: _Row) -> str | None:
        """Return the best video whose name has the times of a row."""
        # some downloaders write the times without leading zeros, all of them without fractions
        times = int(row.start_s), int(row.end_s)
        stems = (name, "{}_{:06d}_{:06d}".format(row.youtube_id, *times), "{}_{}_{}".format(row.youtube_id, *times))
        return next((video for stem in stems if (video := self._best(stem, row))), None)

    def whole(self, row: _Row) -> str | None:
        """Return the best video whose name is the id of a row."""
        return self._best(row.youtube_id, row)

    def _best(self, stem: str, row: _Row) -> str | None:
        first = self._first.get(stem)
        if stem not in self._others:
            return first
        return min([first, *self._others[stem]], key=lambda name: _preference(name, row))


def _stem(name: str) -> str:
    stem = name.rpartition("/")[2]
    while files.is_video(stem):  # some downloaders leave ID.mp4.webm
        stem = stem.rpartition(".")[0]
    return stem


def _preference(name: str, row: _Row) -> tuple:
    folders = [part.lower().replace("_", " ") for part in name.split("/")[:-1]]
    return (
        not any(folder.startswith("replacement") for folder in folders),  # of files that came broken
        row.split not in [_SPLITS.get(folder) for folder in folders],
        (row.label or "").lower().replace("_", " ") not in folders,
        name,
    )


def _match(
    root: str | os.PathLike, rows: dict[str, _Row], index: _Index, trimmed: bool
) -> tuple[list[LabelledClip], list[tuple[str, str]], set[str]]:
    """Return the clips whose videos are there, the names and reasons of the others, and the videos that are used."""
    clips: list[LabelledClip] = []
    missing: list[tuple[str, str]] = []
    taken: dict[str, str] = {}  # video -> the stretch that it is all of
    used: set[str] = set()
    for name, row in rows.items():
        video, stretch = index.stretch(name, row), (0.0, None)
        if video is None:
            video, stretch = index.whole(row), stretch if trimmed else (row.start_s, row.end_s)
        if video is None:
            missing.append((name, "no such file"))
        elif stretch[1] is None and taken.setdefault(video, name) != name:
            missing.append((name, f"the file {video} is taken for {taken[video]}"))
        else:
            used.add(video)
            clips.append(LabelledClip(storage.join(root, video), name, row.label, _DIVISION[row.split], *stretch))
    return clips, missing, used


_DIVISION = {part: (part,) for part in ("train", "val", "test")}  # shared by all clips
