"""Show what is inside TFRecord files of videos, as a table and as pictures.

SHARD is a file, or a folder for all its shards and its manifest: ours, or anybody's with the keys of MediaSequence.
Prints the totals and a line for each of the first clips; --sheet draws a contact sheet of them, with the flow as
colours. Every checksum is tested on the way. What can be read of a damaged file is shown before the error.

  keras-i3d inspect records/train-00000-of-00012.tfrecord
  keras-i3d inspect records/ --clips 0
  keras-i3d inspect records/ --sheet sheet.png --clips 8
  keras-i3d inspect records/ --json

Sizes are height x width in pixels. Under "flow" stands how the fields are stored (PNG is exact, JPEG is not), and
their number where it is another one than the frames'.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_i3d import exit_codes, progress
from keras_i3d.errors import RecordError

if TYPE_CHECKING:
    from keras_i3d.figures.contact_sheet import Row
    from keras_i3d.records.contents import Clip, Stream, Summary
    from keras_i3d.records.survey import Survey

CLIPS = 20
FRAMES = 8
LISTED = 10  # of skipped videos, names of classes: more are counted
HEADINGS = ("#", "id", "label", "splits", "frames", "size", "fps", "seconds", "flow", "bytes")
TO_THE_RIGHT = {"#", "frames", "fps", "seconds", "bytes", "records"}
LINE = 100  # characters of a manifest's settings
WIDEST = 48  # characters of an id or a label
NOTHING = "-"
PARTS = ("train", "val", "test", "unused")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("shards", metavar="SHARD", nargs="+", help="TFRecord file, or folder of them")
    parser.add_argument(
        "--clips", type=int, default=CLIPS, metavar="N", help="show the first N clips, 0 for all (default: %(default)s)"
    )
    parser.add_argument("--keys", action="store_true", help="also list every key that the records hold")
    parser.add_argument("--sheet", metavar="FILE", help="write a contact sheet of these clips: .png or .jpg")
    parser.add_argument(
        "--frames",
        type=int,
        default=FRAMES,
        metavar="N",
        help="frames of each clip on the sheet (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, with everything")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from keras_i3d.figures import contact_sheet
    from keras_i3d.records import survey as surveys

    if arguments.clips < 0 or not 1 <= arguments.frames <= contact_sheet.MOST_COLUMNS:
        raise ValueError(
            f"--clips must be at least 0, and --frames 1 to {contact_sheet.MOST_COLUMNS}; "
            f"got {arguments.clips} and {arguments.frames}"
        )
    if arguments.sheet:
        contact_sheet.check_path(arguments.sheet)
    most_rows = min(arguments.clips or contact_sheet.MOST_ROWS, contact_sheet.MOST_ROWS) if arguments.sheet else 0
    survey, rows = surveys.Survey(), []

    def draw(clip: Clip) -> None:
        if len(rows) >= most_rows:
            return
        try:
            rows.extend(sheet_row(clip, arguments.frames))
        except RecordError as error:
            survey.problems.append(str(error))

    files = surveys.files_of(arguments.shards, survey)
    with progress.bar("shards", len(files)) as bar:
        for path in files:
            surveys.look_into(path, survey, draw)
            if len(files) > 1:
                bar.advance()
    lines = [json.dumps(survey.to_json(), indent=2)] if arguments.json else as_text(survey, arguments)
    print(*lines, sep="\n")
    if arguments.sheet and rows:
        contact_sheet.write(arguments.sheet, rows, title=_title(arguments.shards), subtitle=_totals(survey))
        print(f"{arguments.sheet}: contact sheet of {_count(len(rows), 'clip')}", file=sys.stderr)
    elif arguments.sheet:
        survey.problems.append(f"{arguments.sheet}: not written, for no record has frames to show")
    for complaint in survey.complaints:
        print(f"keras-i3d inspect: {_line(complaint)}", file=sys.stderr)
    return exit_codes.FAILED if survey.complaints else 0


def sheet_row(clip: Clip, frames: int) -> Iterator[Row]:
    """Yield the row of the contact sheet for a clip, if it has frames.

    Args:
        clip: The record.
        frames: Most frames to show.

    Raises:
        RecordError: A picture, or the video in the record, is damaged.
        MissingDependency: OpenCV, or PyAV for videos, is not installed.
    """
    from keras_i3d.figures.contact_sheet import Row
    from keras_i3d.records import stills

    shown = stills.take(clip, frames)
    if shown is None:
        return
    summary = clip.summary
    numbers = [
        _count(summary.rgb.count, "frame") if summary.rgb.count else "video",
        f"{_size(summary.rgb)} px",
        f"{summary.fps:.4g} fps" if summary.fps else "",
        f"{summary.duration_s:.2f} s" if summary.duration_s else "",
    ]
    stored = f"stored as {summary.rgb.coding}" + (f", flow {summary.flow.coding}" if shown.flow else "")
    indices = ", ".join(map(str, summary.label_indices))
    lines = [
        _line(summary.id or ""),
        f"class {indices}" if indices else "",
        ", ".join(filter(None, numbers[:2])),
        ", ".join(filter(None, numbers[2:])),
        _line(", ".join(summary.splits)),
        stored,
    ]
    captions = [f"{time:.2f} s" for time in shown.times_s or []] or [""] * len(shown.frames)
    title = _line(", ".join(summary.label_names)) or (f"class {indices}" if indices else "no label")
    yield Row(title, [line for line in lines if line], shown.frames, captions, shown.flow)


def as_text(survey: Survey, arguments: argparse.Namespace) -> Iterator[str]:
    """Yield the lines that people read."""
    yield _line(_title(arguments.shards))
    yield f"  {_totals(survey)}"
    yield from _facts(survey)
    for folder, manifest in survey.manifests.items():
        yield ""
        yield from _manifest_lines(folder, manifest)
    if survey.clips:
        yield ""
        yield from _clip_lines(survey, arguments.clips or len(survey.clips))
    if survey.keys and (arguments.keys or not any(clip.rgb for clip in survey.clips)):
        rows = [
            (name, place, "/".join(use.kinds), f"{use.records:,}", _shortened(use.example))
            for (place, name), use in sorted(survey.keys.items())
        ]
        yield ""
        yield from _aligned(("key", "place", "kind", "records", "first value"), rows)


def _title(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return (Path(paths[0]).name or str(paths[0])) + more


def _totals(survey: Survey) -> str:
    totals = survey.totals()
    parts = [
        *([_count(len(survey.files), "file")] if len(survey.files) > 1 else []),
        _bytes(totals["bytes"]),
        _count(totals["records"], "record"),
        _count(totals["frames"], "frame"),
        f"{totals['seconds']:,.1f} s",
    ]
    return ", ".join(parts)


def _facts(survey: Survey) -> Iterator[str]:
    totals = survey.totals()
    if totals["datasets"]:
        yield f"  data set  {_line(', '.join(totals['datasets']))}"
    if totals["classes"]:
        names = [f"{index} {_line(name or '')}".strip() for index, name in totals["classes"].items()]
        more = f", and {len(names) - LISTED:,} more" if len(names) > LISTED else ""
        yield f"  classes   {len(names):,}: {', '.join(names[:LISTED])}{more}"
    if totals["unlabelled"]:
        yield f"  no label  {_count(totals['unlabelled'], 'record')}"
    divisions = list(totals["splits"].values())
    for number, counts in enumerate(divisions, start=1):
        name = "split" if len(divisions) == 1 else f"split {number}"
        yield f"  {name:<9} {_line(_listed(counts))}"
    for name in ("rgb", "flow"):
        if totals[name]:
            yield f"  {name:<9} {_listed(totals[name])}"


def _listed(counts: dict[str, int]) -> str:
    order = {name: place for place, name in enumerate(PARTS)}
    names = sorted(counts, key=lambda name: (order.get(name, len(order)), name))
    return ", ".join(f"{name or '(empty)'} {counts[name]:,}" for name in names)


def _manifest_lines(folder: str, manifest: dict[str, Any]) -> Iterator[str]:
    """Show what a manifest says, whatever it is: values, objects on a line of their own, lists of reasons."""
    yield _line(f"{folder}: manifest.json")
    for key, value in manifest.items():
        is_reasons = key in ("skipped", "damaged", "missing") and isinstance(value, dict | list)
        if key == "shards":
            yield f"  {key:<9} {len(value):,}" if isinstance(value, dict | list) else f"  {key:<9} {_line(str(value))}"
        elif is_reasons:
            yield f"  {key:<9} {len(value):,}"
            pairs = list(value.items()) if isinstance(value, dict) else value
            yield from (f"    {_line(_said(pair))}" for pair in pairs[:LISTED])
            if len(pairs) > LISTED:
                yield f"    ... and {len(pairs) - LISTED:,} more"
        else:
            words = ", ".join(f"{name} {one}" for name, one in value.items()) if isinstance(value, dict) else value
            words = _line(f"{words:,}" if isinstance(words, int) else str(words)) or NOTHING
            first, *more = textwrap.wrap(words, LINE, break_on_hyphens=False)
            yield f"  {_line(key):<9} {first}"
            yield from (" " * 12 + line for line in more)


def _said(pair: Any) -> str:
    return ": ".join(map(str, pair)) if isinstance(pair, list | tuple) else str(pair)


def _clip_lines(survey: Survey, most: int) -> Iterator[str]:
    listed = [(file, clip) for file in survey.files for clip in file.clips]
    lines = list(_aligned(HEADINGS, [_cells(clip) for _, clip in listed[:most]]))
    yield lines[0]
    previous = None
    for (file, _), line in zip(listed, lines[1:], strict=False):
        if file is not previous and len(survey.files) > 1:
            yield f"{_line(file.path)}: {_count(len(file.clips), 'record')}, {_bytes(file.size)}"
        previous = file
        yield line
    if len(listed) > most:
        yield f"... and {len(listed) - most:,} more; --clips 0 lists all"


def _cells(clip: Summary) -> tuple[str, ...]:
    return (
        str(clip.number),
        _shortened(clip.id or NOTHING, from_the_left=True),
        _shortened(_label(clip)),
        _shortened(" ".join(part or NOTHING for part in clip.splits) or NOTHING),
        f"{clip.rgb.count:,}" if clip.rgb and clip.rgb.count is not None else NOTHING,
        _size(clip.rgb) if clip.rgb else NOTHING,
        f"{clip.fps:.4g}" if clip.fps else NOTHING,
        f"{clip.duration_s:,.2f}" if clip.duration_s is not None else NOTHING,
        _flow(clip),
        _bytes(clip.size),
    )


def _label(clip: Summary) -> str:
    indices, names = list(map(str, clip.label_indices)), [_line(name) for name in clip.label_names]
    if not indices or len(indices) != len(names):
        return ", ".join(indices + names) or NOTHING
    return ", ".join(f"{index} {name}" for index, name in zip(indices, names, strict=True))


def _size(stream: Stream) -> str:
    return f"{stream.height}x{stream.width}" if stream.height and stream.width else NOTHING


def _flow(clip: Summary) -> str:
    if clip.flow is None:
        return NOTHING
    is_one_each = clip.rgb is not None and clip.flow.count == clip.rgb.count
    return clip.flow.coding if is_one_each else f"{clip.flow.coding}, {clip.flow.count:,}"


def _aligned(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    table = [headings, *rows]
    widths = [max(_width(row[column]) for row in table) for column in range(len(headings))]
    for row in table:
        cells = []
        for heading, cell, width in zip(headings, row, widths, strict=True):
            space = " " * (width - _width(cell))
            cells.append(space + cell if heading in TO_THE_RIGHT else cell + space)
        yield "  ".join(cells).rstrip()


def _width(text: str) -> int:
    """Return the columns that a text takes in a terminal."""
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text
    )


def _line(text: str) -> str:
    """Make one line of a text that may hold anything, so that no file writes to the terminal as it likes."""
    return "".join(one if one.isprintable() else "\ufffd" for one in " ".join(text.split()))


def _shortened(text: str, *, from_the_left: bool = False) -> str:
    text = _line(text)
    if len(text) <= WIDEST:
        return text
    return f"...{text[3 - WIDEST :]}" if from_the_left else f"{text[: WIDEST - 3]}..."


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _bytes(number: int) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 1000 or unit == "GB":
            return f"{number:,.0f} {unit}" if number >= 100 or unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1000
    raise AssertionError
