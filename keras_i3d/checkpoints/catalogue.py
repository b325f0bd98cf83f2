"""Read ``weights/catalogue.json``, the only list of published checkpoints, into rows."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class RemoteFile:
    """A published file: its path under the source, and its git blob id."""

    path: str
    blob: str


@dataclass(frozen=True)
class Row:
    """One published checkpoint.

    Attributes:
        name: What users write, ``weights=name``.
        modality: ``"rgb"`` or ``"flow"``.
        description: One line.
        source: Address that the files' paths are relative to, pinned to a commit.
        files: The checkpoint's files.
        label_map: File of the class names, one a line.
        classes: Number of classes.
        top1: Accuracy in per cent on the Kinetics-400 test set of 2017.
        top5: The same of the five best classes.
    """

    name: str
    modality: str
    description: str
    source: str
    files: tuple[RemoteFile, ...]
    label_map: RemoteFile
    classes: int
    top1: float
    top5: float


@functools.cache
def _document() -> dict[str, Any]:
    package = Path(__file__).parents[1]
    shipped = package / "weights"  # where setup.py puts the folder that a checkout has beside the package
    folder = shipped if shipped.is_dir() else package.parent / "weights"
    return json.loads((folder / "catalogue.json").read_text("utf-8"))


def rows() -> tuple[Row, ...]:
    """Return all rows, in the order of the file."""
    document = _document()
    result = []
    for entry in document["weights"]:
        labels = document["label_maps"][entry["label_map"]]
        result.append(
            Row(
                name=entry["name"],
                modality=entry["modality"],
                description=entry["description"],
                source=document["source"],
                files=tuple(RemoteFile(path, blob) for path, blob in entry["files"].items()),
                label_map=RemoteFile(labels["path"], labels["blob"]),
                classes=labels["classes"],
                top1=entry["top1"],
                top5=entry["top5"],
            )
        )
    return tuple(result)


def names() -> tuple[str, ...]:
    """Return the names that ``weights=`` accepts."""
    return tuple(dict.fromkeys(row.name for row in rows()))


def row(name: str, modality: str) -> Row:
    """Return the row of a name and modality.

    Raises:
        ValueError: There is none; the message lists what there is.
    """
    for candidate in rows():
        if (candidate.name, candidate.modality) == (name, modality):
            return candidate
    known = ", ".join(f"{row.name} ({row.modality})" for row in rows())
    raise ValueError(f"no published weights {name!r} for modality {modality!r}; there are: {known}")
