"""The work of an evaluation: which models see which splits, one after the other, and the sum of what they say."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_i3d import progress, quiet, streams
from keras_i3d.datasets.dataset import parse_split, split_name
from keras_i3d.errors import RecordError
from keras_i3d.evaluation import predictions
from keras_i3d.evaluation.fusion import checked_weights, unlike
from keras_i3d.evaluation.predictions import Stream
from keras_i3d.evaluation.result import Evaluation
from keras_i3d.evaluation.task import Asked, Seeing, Task, Videos
from keras_i3d.records import manifest, selection
from keras_i3d.records.damage import ON_DAMAGE
from keras_i3d.records.manifest import Manifest
from keras_i3d.records.selection import Selection

if TYPE_CHECKING:
    from keras_i3d.records.damage import Damage

NUMBER = "{n}"  # in a model's path: the number of the split
_PART = "unfinished-"


@dataclass(frozen=True, eq=False)
class Job:
    """An evaluation to do.

    Attributes:
        records: Folder of records.
        made: Its manifest.
        splits: Names of the splits.
        models: Of each split, the models whose logits are summed.
        weights: A factor for each of them.
        seeing: How they see the videos.
        on_damage: ``"stop"`` or ``"skip"``.
    """

    records: str | os.PathLike
    made: Manifest
    splits: tuple[str, ...]
    models: tuple[tuple[Asked, ...], ...]
    weights: tuple[float, ...]
    seeing: Seeing
    on_damage: str

    @classmethod
    def of(
        cls,
        model: str | os.PathLike | Sequence[str | os.PathLike],
        records: str | os.PathLike,
        split: str | Sequence[str],
        weights: Sequence[float] | None,
        *,
        seeing: Seeing,
        on_damage: str = "stop",
    ) -> Job:
        """Check what was asked for; arguments and errors as in `keras_i3d.evaluate`."""
        if on_damage not in ON_DAMAGE:
            raise ValueError(f"on_damage must be one of {', '.join(ON_DAMAGE)}; got {on_damage!r}")
        made = manifest.read(records)
        divisions = made.dataset["divisions"]
        numbers = [_parsed(records, name, made) for name in ([split] if isinstance(split, str) else split)]
        names = tuple(split_name(part, number, divisions) for part, number in numbers)
        if not names or len(set(names)) < len(names):
            raise ValueError(f"splits must be one or more, each named once; got {', '.join(names) or 'none'}")
        given = [str(each) for each in ([model] if isinstance(model, str | os.PathLike) else model)]
        asked = [each for one in given for each in _asked(one)]
        _check_models(asked, splits=len(names))
        factors = checked_weights(weights, len(asked), "models")
        of_splits = tuple(
            tuple(replace(each, model=each.model.replace(NUMBER, str(number))) for each in asked)
            for _, number in numbers
        )
        return cls(records, made, names, of_splits, tuple(factors), seeing, on_damage)

    def settings(self) -> dict[str, Any]:
        """Return what decides the result, as JSON values."""
        shards = json.dumps({name: report.sha256 for name, report in self.made.shards.items()}, sort_keys=True)
        return {
            "models": [[each.identity() for each in models] for models in self.models],
            "records": hashlib.sha256(shards.encode()).hexdigest()[:16],
            "splits": list(self.splits),
            "weights": list(self.weights),
            **self.seeing.to_json(),
            "on_damage": self.on_damage,
        }

    def facts(self) -> dict[str, Any]:
        """Return what was asked for, as JSON values."""
        models = [[each.spelling for each in models] for models in self.models]
        return {"models": models[0] if len(models) == 1 else models, **self.seeing.to_json()}

    def run(self, folder: Path | None) -> Evaluation:
        """Do what is not done yet.

        Args:
            folder: Where to keep what was done; None keeps nothing.

        Raises:
            KerasI3DError: As in `keras_i3d.evaluate`.
        """
        quiet.import_tensorflow()
        tasks = []
        for place, (split, models) in enumerate(zip(self.splits, self.models, strict=True)):
            videos = Videos(self.records, self.made, split, self._selected(split))
            tasks.append([Task(each, videos, self.seeing, _part(folder, place, n)) for n, each in enumerate(models)])
        every = [task for row in tasks for task in row]
        for task in every:
            task.check()
        damaged = [one for row in tasks for one in self._find_damaged(row)] if self.on_damage == "skip" else []
        for task in every:
            task.run("evaluating" if len(every) == 1 else f"evaluating {task.asked.spelling} on {task.split}")
        splits = (self._combined(split, row) for split, row in zip(self.splits, tasks, strict=True))
        return Evaluation(tuple(splits), tuple(dict.fromkeys(map(str, damaged))))

    def clear(self, folder: Path) -> None:
        """Take away what was kept for going on."""
        for path in folder.glob(f"{_PART}*"):
            path.unlink()

    def _find_damaged(self, tasks: Sequence[Task]) -> Sequence[Damage]:
        """Look for damaged records of a split, which none of its models is to see."""
        from keras_i3d.records import damage

        chosen = tasks[0].videos.chosen
        modalities = dict.fromkeys(name for task in tasks for name in streams.modalities(task.modality))
        with progress.bar("looking for damage", chosen.records) as bar:
            scan = damage.scan(chosen, modalities=tuple(modalities), on_record=bar.advance)
        if not scan.intact:
            raise RecordError(f"{self.records}: every record of split {tasks[0].split!r} is damaged")
        for task in tasks:
            task.leave_out(scan)
        return scan.damage

    def _combined(self, split: str, tasks: Sequence[Task]) -> predictions.Predictions:
        names = unlike([task.modality for task in tasks], [task.asked.spelling for task in tasks])
        parts = [
            Stream(name, task.asked.spelling, weight, task.answers)
            for name, task, weight in zip(names, tasks, self.weights, strict=True)
        ]
        return predictions.combined(split, tasks[0].class_names, parts)

    def _selected(self, split: str) -> Selection:
        chosen = selection.select(self.records, split)
        if chosen.without_label:
            raise RecordError(
                f"{self.records}: {chosen.without_label} clips of split {split!r} have no label, so there is nothing "
                f"to compare with; its splits are {', '.join(self.made.records)}"
            )
        return chosen


def _part(folder: Path | None, split: int, model: int) -> Path | None:
    return None if folder is None else folder / f"{_PART}{split}-{model}.npz"


def _parsed(records: str | os.PathLike, name: str, made: Manifest) -> tuple[str, int]:
    try:
        return parse_split(name, made.records)
    except ValueError as error:
        raise RecordError(f"{records}: {error}") from error


def _asked(model: str) -> list[Asked]:
    """Read a model as the command line says it; ``:both`` stands for two."""
    from keras_i3d.checkpoints import catalogue

    name, _, modality = model.partition(":")
    if not any(row.name == name and row.network == "I3D" for row in catalogue.rows()):
        return [Asked(model)]
    return [Asked(name, stream) for stream in streams.modalities(modality or "rgb")]


def _check_models(asked: Sequence[Asked], *, splits: int) -> None:
    if not asked:
        raise ValueError("model must be one or more, got none")
    shared = [each.model for each in asked if each.modality is None and NUMBER not in each.model]
    if splits > 1 and shared:
        raise ValueError(
            f"several splits need a model each: write {NUMBER} where the number of the split stands in the path, as "
            f"in rgb{NUMBER}/best.keras; got {shared[0]!r}"
        )
