"""Say what a reader of data sets has found, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_i3d.datasets.dataset import VideoDataset

SHOWN = 5  # names of each kind; a program gets all of them


def to_dict(dataset: VideoDataset) -> dict[str, Any]:
    """Return what was found, as JSON has it.

    Returns:
        ``name``; ``class_names`` in order; ``videos`` and ``clips``, their numbers (a video may hold several clips);
        ``splits``, the number of clips by split; ``unused``, the number of clips that each division leaves out;
        ``multi_label``, whether a clip may have several labels, ``labels``, how many there are together, and
        ``most_labels``, of one clip; ``without_label``, the number of clips; ``empty_classes``, those of no clip;
        ``missing``, (name, reason) of each listed video without a file; ``unlisted``, the files that are left out,
        as no list names them or they are no videos.
    """
    labels = {label for clip in dataset.clips for label in clip.labels}
    return {
        "name": dataset.name,
        "class_names": list(dataset.class_names),
        "videos": len({clip.path for clip in dataset.clips}),
        "clips": len(dataset.clips),
        "splits": dataset.counts(),
        "unused": list(dataset.unused()),
        "multi_label": dataset.multi_label,
        "labels": sum(len(clip.labels) for clip in dataset.clips),
        "most_labels": max((len(clip.labels) for clip in dataset.clips), default=0),
        "without_label": sum(clip.label is None for clip in dataset.clips),
        "empty_classes": [name for name in dataset.class_names if name not in labels],
        "missing": [list(pair) for pair in dataset.missing],
        "unlisted": list(dataset.unlisted),
    }


def to_text(dataset: VideoDataset) -> str:
    """Return what was found, in a few lines that begin with the data set's name."""
    found = to_dict(dataset)
    names = found["class_names"]
    lines = [
        f"{found['name']}: {_count(found['clips'], 'clip')} of {_count(found['videos'], 'video')}, "
        f"{_count(len(names), 'class', 'classes')}",
        f"  classes: {_ends(names)}",
        f"  clips by split: {', '.join(f'{count} {split}' for split, count in found['splits'].items())}",
    ]
    if any(found["unused"]):
        lines.append(f"  unused in a split: {', '.join(_unused(found['unused']))}")
    if found["multi_label"]:
        mean = found["labels"] / max(1, found["clips"])
        lines.append(f"  labels of a clip: {mean:.1f} in the mean, at most {found['most_labels']}")
    if found["without_label"]:
        lines.append(f"  without label: {_count(found['without_label'], 'clip')}")
    lines += _listed("classes without a clip", found["empty_classes"])
    lines += _listed("missing videos", [f"{name} ({reason})" for name, reason in found["missing"]])
    lines += _listed("videos left out", found["unlisted"])
    return "\n".join(lines).encode("utf-8", "backslashreplace").decode()  # names that are not UTF-8


def _count(number: int, singular: str, plural: str | None = None) -> str:
    return f"{number} {singular if number == 1 else plural or singular + 's'}"


def _ends(names: Sequence[str]) -> str:
    """Name the first and the last classes with their indices, which shows the order."""
    numbered = [f"{index} {name}" for index, name in enumerate(names)]
    return ", ".join(numbered if len(numbered) <= 2 * SHOWN else [*numbered[:SHOWN], "...", numbered[-1]])


def _unused(counts: Sequence[int]) -> list[str]:
    if len(counts) == 1:
        return [_count(counts[0], "clip")]
    return [f"{count} of split {number}" for number, count in enumerate(counts, start=1)]


def _listed(title: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    rest = [f"    and {len(names) - SHOWN} more"] if len(names) > SHOWN else []
    return [f"  {title}: {len(names)}", *(f"    {name}" for name in names[:SHOWN]), *rest]
