"""List, download and verify the published weights, and tell where they lie.

Weights are fetched at the first use anyhow; this is for looking, for filling a cache ahead of time, and for
machines without a network: there `path` tells where to put the files, or KERAS_I3D_MIRROR names a folder or an
address (file://, http://, https://) that has them.

  keras-i3d weights list
  keras-i3d weights download kinetics --modality rgb
  keras-i3d weights verify
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from keras_i3d import exit_codes, progress, quiet, streams
from keras_i3d.errors import WeightsUnavailable

if TYPE_CHECKING:
    import numpy as np

    from keras_i3d.checkpoints.catalogue import Reference, RemoteFile, Row

TOLERANCE = 1e-3  # of a logit, absolute: float32 noise of the original between two runs is about 1e-5
SIZE = 224  # of the sample clip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    action = actions.add_parser("list", help="what there is, what is in the cache, which to choose when")
    action.add_argument("--json", action="store_true", help="print one JSON array")
    for name, text in (
        ("download", "fetch and verify weights and their class names; prints the files"),
        ("path", "print the files of the cache that are wanted, also where they are absent"),
    ):
        action = actions.add_parser(name, help=text, description=text)
        action.add_argument("name", metavar="NAME", help="such as kinetics; see list")
        action.add_argument("--modality", choices=(*streams.CHANNELS, "all"), default="all", help="default: all")
    text = "compare what is in the cache with the published digests"
    action = actions.add_parser(
        "verify", help=text, description=f"{text}; exit code 1 where something is damaged, or nothing of NAME is there"
    )
    action.add_argument("name", metavar="NAME", nargs="?", help="weights to verify (default: all)")
    action.add_argument(
        "--sample",
        action="store_true",
        help="also run the I3D weights in the cache on the published sample clip, and compare the logits with the "
        "original's (fetches the clip)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    if arguments.action == "list":
        return _list(as_json=arguments.json)
    if arguments.action == "download":
        return _download(arguments.name, arguments.modality)
    if arguments.action == "path":
        return _path(arguments.name, arguments.modality)
    code = _verify(arguments.name)
    if not arguments.sample:
        return code
    checks = check_sample(arguments.name)
    for check in checks:
        print(check.line())
    return code if all(check.is_good for check in checks) else exit_codes.FAILED


def _list(*, as_json: bool) -> int:
    from keras_i3d.checkpoints import catalogue

    facts = [_facts(row) for row in catalogue.rows()]
    if as_json:
        print(json.dumps(facts))
        return 0
    table = [("name", "stream", "network", "classes", "top-1", "top-5", "size", "in cache", "when to choose it")]
    for fact in facts:
        size = "-" if fact["bytes"] is None else f"{fact['bytes'] / 1e6:.0f} MB"
        accuracies = ("-" if fact[key] is None else str(fact[key]) for key in ("top1", "top5"))
        table.append(
            (
                *(fact["name"], fact["modality"], fact["network"], str(fact["classes"]), *accuracies),
                *(size, fact["in_cache"], fact["when"]),
            )
        )
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        print("  ".join(f"{text:{width}}" for text, width in zip(line, widths, strict=True)).rstrip())
    return 0


def _facts(row: Row) -> dict[str, object]:
    from keras_i3d.checkpoints import download
    from keras_i3d.checkpoints.cache import cache_folder

    return {
        "name": row.name,
        "modality": row.modality,
        "network": row.network,
        "description": row.description,
        "classes": row.classes,
        "top1": row.top1,
        "top5": row.top5,
        "accuracy_on": row.accuracy_on,
        "licence": row.licence,
        "bytes": row.size,
        "in_cache": _in_cache(row),
        "when": row.when,
        "files": [
            {
                "address": row.source + file.path,
                "path": str(cache_folder() / file.path),
                "git_blob_id": file.blob,
                "bytes": file.size,
                "in_cache": (cache_folder() / file.path).is_file(),
            }
            for file in _files(row)
        ],
        "converted": str(download.converted_path(row)),
    }


def _files(row: Row) -> tuple[RemoteFile, ...]:
    """Return the files that a row wants, its class names last."""
    return row.files if row.label_map is None else (*row.files, row.label_map)


def _in_cache(row: Row) -> str:
    """Return "yes", "in part" or "no": whether a row's weights can be had without a network, unverified."""
    from keras_i3d.checkpoints import download
    from keras_i3d.checkpoints.cache import cache_folder

    present = [(cache_folder() / file.path).is_file() for file in row.files]
    if all(present) or download.converted_path(row).is_file():
        return "yes"
    return "in part" if any(present) else "no"


def _rows(name: str, modality: str) -> tuple[Row, ...]:
    from keras_i3d.checkpoints import catalogue

    return catalogue.named(name) if modality == "all" else (catalogue.row(name, modality),)


def _download(name: str, modality: str) -> int:
    from keras_i3d.checkpoints import download

    for file, source in _with_sources(_rows(name, modality)):
        print(download.fetch(file, source), flush=True)
    return 0


def _path(name: str, modality: str) -> int:
    from keras_i3d.checkpoints.cache import cache_folder

    for file, _ in _with_sources(_rows(name, modality)):
        print(cache_folder() / file.path)
    return 0


def _with_sources(rows: tuple[Row, ...]) -> Iterator[tuple[RemoteFile, str]]:
    """Yield the files of rows and their sources, each once (streams share their class names)."""
    yield from dict.fromkeys((file, row.source) for row in rows for file in _files(row))


def _verify(name: str | None) -> int:
    from keras_i3d.checkpoints import catalogue, download
    from keras_i3d.checkpoints.cache import cache_folder

    rows = catalogue.rows() if name is None else catalogue.named(name)
    damaged = False
    for file, _ in _with_sources(rows):
        path = cache_folder() / file.path
        damaged |= _report(path, download.complaint(file, path) if path.is_file() else None)
    for row in rows:
        path = download.converted_path(row)
        if path.is_file():  # which no use before the first has, so its absence is no news
            damaged |= _report(path, download.converted_complaint(row))
    if name is not None and all(_in_cache(row) == "no" for row in rows):
        return exit_codes.FAILED  # who asks for one set wants to know that it is there
    return exit_codes.FAILED if damaged else 0


def _report(path: Path, complaint: str | None) -> bool:
    """Print a file's state; returns whether it is damaged."""
    state = "absent" if not path.is_file() else "DAMAGED" if complaint else "ok"
    print(f"{state:8}{path}{f' ({complaint})' if complaint else ''}")
    return complaint is not None


@dataclass(frozen=True)
class SampleCheck:
    """What weights gave on the sample clip, beside what the original gave.

    Attributes:
        name: Of the weights.
        stream: ``"rgb"``, ``"flow"`` or ``"rgb + flow"``.
        logit_error: Greatest absolute difference of a logit that the reference names, or None without one.
        norm_error: Absolute difference of the norms of the logits.
        best: Class of the greatest logit.
        is_good: Whether the errors are within the tolerance and the best class is the reference's.
    """

    name: str
    stream: str
    logit_error: float | None
    norm_error: float
    best: str
    is_good: bool

    def line(self) -> str:
        """Return the check in words."""
        if self.logit_error is None:
            return f"unknown {self.name} {self.stream}: {self.best}; no reference is published"
        return (
            f"{'ok' if self.is_good else 'WRONG':8}{self.name} {self.stream}: {self.best}; off by at most "
            f"{self.logit_error:.1e} in a logit (allowed: {TOLERANCE:.0e}) and {self.norm_error:.1e} in the norm"
        )


def check_sample(name: str | None = None) -> list[SampleCheck]:
    """Run the I3D weights in the cache on the published sample clip and compare with the original's logits.

    Args:
        name: Weights to check, or None for all that are in the cache.

    Raises:
        WeightsUnavailable: None are in the cache, or the clip can be neither found nor fetched.
        ValueError: There are no such weights.
    """
    from keras_i3d.checkpoints import catalogue

    rows = catalogue.rows() if name is None else catalogue.named(name)
    rows = [row for row in rows if row.network == "I3D" and _in_cache(row) == "yes"]
    if not rows:
        raise WeightsUnavailable(
            f"no I3D weights {f'named {name} ' if name else ''}are in the cache to be run on the sample clip; "
            f"`keras-i3d weights download {name or 'kinetics'}` brings them"
        )
    quiet.import_tensorflow()
    checks = []
    logits: dict[tuple[str, str], np.ndarray] = {}
    with progress.bar("sample clip", len(rows)) as bar:
        for row in rows:
            logits[row.name, row.modality] = _sample_logits(row)
            checks.append(_compare(row, row.modality, logits[row.name, row.modality], row.sample))
            bar.advance()
    for row in rows:
        reference = catalogue.joint_sample(row.name)
        if row.modality == "rgb" and (row.name, "flow") in logits and reference is not None:
            joint = logits[row.name, "rgb"] + logits[row.name, "flow"]
            checks.append(_compare(row, "rgb + flow", joint, reference))
    return checks


def _sample_logits(row: Row) -> np.ndarray:
    """Return the float32 logits (classes,) of a row's network on the sample clip of its stream."""
    import numpy as np

    import keras_i3d
    from keras_i3d.checkpoints import catalogue, download

    clip = np.load(download.fetch(*catalogue.sample_clip(row.modality)), allow_pickle=False)
    network = keras_i3d.I3D(
        weights=row.name,
        modality=row.modality,
        input_shape=(None, SIZE, SIZE, streams.channels(row.modality)),
        classifier_activation=None,
    )
    return network.predict(clip, batch_size=1, verbose=0)[0]


def _compare(row: Row, stream: str, logits: np.ndarray, reference: Reference | None) -> SampleCheck:
    import numpy as np

    from keras_i3d.checkpoints import download

    names = download.class_names(row)
    best = names[int(logits.argmax())]
    if reference is None:
        return SampleCheck(row.name, stream, None, 0.0, best, True)
    logit_error = max(abs(float(logits[names.index(name)]) - wanted) for name, wanted in reference.logits)
    norm_error = abs(float(np.linalg.norm(logits)) - reference.norm)
    # An error of the tolerance in every logit moves the norm by its root of the number of classes at most.
    is_near = logit_error <= TOLERANCE and norm_error <= TOLERANCE * len(names) ** 0.5
    return SampleCheck(row.name, stream, logit_error, norm_error, best, is_near and best == reference.logits[0][0])
