"""Read ``weights/catalogue.json``, the only list of published checkpoints, into rows."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class RemoteFile:
    """A published file.

    Attributes:
        path: Where it lies under the source, and under the cache.
        blob: Its git blob id, or None where no digest is published.
        size: In bytes, or None where it is not known.
        member: For an archive, the file inside that is wanted.
    """

    path: str
    blob: str | None
    size: int | None = None
    member: str | None = None


@dataclass(frozen=True)
class Reference:
    """What the original code computed on the published sample clip.

    Attributes:
        norm: Euclidean norm of the logits.
        logits: The greatest ones, as (class name, logit), best first.
    """

    norm: float
    logits: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Row:
    """One published checkpoint.

    Attributes:
        name: What users write, ``weights=name``.
        modality: ``"rgb"`` or ``"flow"``.
        description: One line.
        when: When to choose it, one line.
        network: Name of the builder whose weights these are, such as ``"I3D"``.
        source: Address that the files' paths are relative to; git's are pinned to a commit.
        licence: Its SPDX name.
        files: The checkpoint's files.
        label_map: File of the class names, one a line, or None where none is published.
        classes: Number of outputs.
        top1: Published accuracy in per cent, or None where there is none.
        top5: The same of the five best classes.
        accuracy_on: What the accuracy was measured on.
        sample: Reference output on the sample clip of the modality, or None where there is none.
    """

    name: str
    modality: str
    description: str
    when: str
    network: str
    source: str
    licence: str
    files: tuple[RemoteFile, ...]
    label_map: RemoteFile | None
    classes: int
    top1: float | None
    top5: float | None
    accuracy_on: str | None
    sample: Reference | None

    @property
    def size(self) -> int | None:
        """Bytes of the checkpoint's files, or None where they are not known."""
        sizes = [file.size for file in self.files]
        return None if None in sizes else sum(sizes)


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
        source = document["sources"][entry["source"]]
        labels = entry["label_map"] and document["label_maps"][entry["label_map"]]
        result.append(
            Row(
                name=entry["name"],
                modality=entry["modality"],
                description=entry["description"],
                when=entry["when"],
                network=entry["network"],
                source=source["address"],
                licence=source["licence"],
                files=tuple(_file(path, facts) for path, facts in entry["files"].items()),
                label_map=labels and _file(labels["path"], labels),
                classes=entry["classes"],
                top1=entry["top1"],
                top5=entry["top5"],
                accuracy_on=entry["accuracy_on"],
                sample=_reference(entry["sample"]),
            )
        )
    return tuple(result)


def names() -> tuple[str, ...]:
    """Return the names that ``weights=`` accepts."""
    return tuple(dict.fromkeys(row.name for row in rows()))


def named(name: str) -> tuple[Row, ...]:
    """Return the rows of a name, one for each stream.

    Raises:
        ValueError: There is none; the message lists the names.
    """
    found = tuple(row for row in rows() if row.name == name)
    if not found:
        raise ValueError(f"no published weights {name!r}; there are: {', '.join(names())}")
    return found


def row(name: str, modality: str) -> Row:
    """Return the row of a name and modality.

    Raises:
        ValueError: There is none; the message lists what there is.
    """
    streams = named(name)
    for candidate in streams:
        if candidate.modality == modality:
            return candidate
    known = " and ".join(row.modality for row in streams)
    raise ValueError(f"weights {name!r} exist for {known}{' only' * (len(streams) == 1)}, got modality {modality!r}")


def joint_sample(name: str) -> Reference | None:
    """Return the reference of both streams' logits added, or None where there is none."""
    entry = _document()["joint"].get(name)
    return _reference(entry and entry["sample"])


def sample_clip(modality: str) -> tuple[RemoteFile, str]:
    """Return the published sample clip of a stream, float32 (1, time, 224, 224, channels) in [-1, 1].

    Returns:
        The ``.npy`` file, and the source that its path is relative to.
    """
    clips = _document()["sample_clips"]
    return _file(clips[modality]["path"], clips[modality]), _document()["sources"][clips["source"]]["address"]


def _file(path: str, facts: dict[str, Any]) -> RemoteFile:
    return RemoteFile(path, facts["blob"], facts["bytes"], facts.get("member"))


def _reference(entry: dict[str, Any] | None) -> Reference | None:
    return Reference(entry["norm"], tuple(entry["logits"].items())) if entry else None
