"""One model and the videos of one split: which model was asked for, how it sees a video, and its answers so far.

What a model has said is kept in the output folder, if there is one, so that an interrupted evaluation goes on.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_i3d import labels, progress, storage, streams
from keras_i3d.errors import ModelFileError, RecordError
from keras_i3d.evaluation import predictions
from keras_i3d.evaluation.answers import Answers, joined
from keras_i3d.evaluation.predictions import Stream
from keras_i3d.evaluation.views import Views
from keras_i3d.records import selection
from keras_i3d.records.manifest import Manifest
from keras_i3d.records.selection import Selection

if TYPE_CHECKING:
    import tensorflow as tf

    from keras_i3d.finished_model import FinishedModel
    from keras_i3d.records.damage import Scan

ALL = "all"
SECONDS_BETWEEN_SAVES = 30
_LEAST_WORK = 20  # times as long as the last save took, before the next
_ALL_FRAMES = 2**31 - 1


@dataclass(frozen=True)
class Asked:
    """One model as it was asked for: a file, or published weights and their stream."""

    model: str
    modality: str | None = None

    @property
    def spelling(self) -> str:
        """How the command line says it."""
        return self.model if self.modality is None else f"{self.model}:{self.modality}"

    def identity(self) -> str:
        """Return what tells it from another model: a name, or the digest of the file."""
        if self.modality is not None:
            return self.spelling
        path = Path(self.model)
        return f"sha256 {_digest(path)}" if path.is_file() else f"absent {path}"

    def load(self) -> FinishedModel:
        """Load it; errors as in `finished_model.load`."""
        from keras_i3d import finished_model

        return finished_model.load(self.model, modality=self.modality)


@dataclass(frozen=True)
class Seeing:
    """How much of a video a model sees: `frames` in the middle (None: the usual), at once or in `views`."""

    frames: int | str | None = None
    views: Views | None = None

    def __post_init__(self) -> None:
        frames = self.frames
        if frames not in (None, ALL) and (isinstance(frames, bool) or not isinstance(frames, int) or frames < 1):
            raise ValueError(f"frames must be all or a number of at least 1, got {frames!r}")

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {"frames": self.frames, "views": self.views and str(self.views)}


@dataclass(frozen=True)
class Videos:
    """The videos of one split: where they are, what the manifest says, the split's name, and which shards hold it."""

    records: str | os.PathLike
    made: Manifest
    split: str
    chosen: Selection


class Task:
    """One model on one split.

    Attributes:
        asked: The model.
        split: Name of the split.
        videos: Where its videos are.
        modality: ``"rgb"``, ``"flow"`` or ``"both"``, once the model is loaded.
        class_names: Likewise, in the order of its logits.
    """

    def __init__(self, asked: Asked, videos: Videos, seeing: Seeing, path: Path | None) -> None:
        self.asked, self.split = asked, videos.split
        self.videos, self._seeing, self._path = videos, seeing, path
        self._expected, self._left_out = videos.chosen.records, ()
        self._done: list[Answers] = []
        self._finished: FinishedModel | None = None
        self.modality, self.class_names = asked.modality or "", ()
        if path is not None and path.is_file():
            kept = predictions.read(path)
            self._done, self.class_names, self.modality = [kept.answers], kept.class_names, kept.streams[0].name

    @property
    def answers(self) -> Answers:
        """What it has said so far."""
        return joined(self._done)

    @property
    def _count(self) -> int:
        return sum(len(part.ids) for part in self._done)

    def check(self) -> None:
        """Load the model, unless nothing is left to do, and check that it fits."""
        if self._count >= self._expected:
            return
        source, finished = self.videos, self.asked.load()
        self._finished, self.class_names, self.modality = finished, finished.class_names, finished.preparation.modality
        for modality in streams.modalities(self.modality):
            selection.check_fits(source.records, source.made, modality=modality, fps=finished.preparation.fps)
        _check_classes(source.records, finished.class_names)
        if self._seeing.views:
            _view_frames(self.asked, finished, self._seeing)

    def leave_out(self, scan: Scan) -> None:
        """Leave out the damaged records that were found in the videos, of which the others are to be answered."""
        self._expected, self._left_out = scan.intact, scan.damage

    def run(self, title: str) -> None:
        """Answer the videos that are left, keeping what was answered now and then, and when anything fails."""
        if self._finished is None or self._count >= self._expected:
            return
        from keras_i3d.clips import shard_files
        from keras_i3d.evaluation import whole_video

        videos, options = self._clips()
        fresh: list[tuple[str, np.ndarray, np.ndarray]] = []
        next_save = time.monotonic() + SECONDS_BETWEEN_SAVES
        modalities = streams.modalities(self.modality)
        with (
            progress.bar(title, self._expected) as bar,
            shard_files.reading(self.videos.records, [self.videos.chosen], modalities=modalities),
        ):
            if self._count:
                bar.advance(self._count)
            try:
                for answer in whole_video.iterate(self._finished.logits_network(), videos, **options):
                    self._check(answer)
                    fresh.append(answer)
                    bar.advance()
                    if (start := time.monotonic()) >= next_save:
                        self._keep(fresh)
                        end = time.monotonic()
                        next_save = end + max(SECONDS_BETWEEN_SAVES, _LEAST_WORK * (end - start))
            finally:
                self._keep(fresh)
        self._finished = None
        if self._count != self._expected:
            raise RecordError(
                f"{self.videos.records}: split {self.split!r} has {self._count} records where {self._expected} are "
                "expected by its manifest"
            )

    def _clips(self) -> tuple[tf.data.Dataset, dict[str, Any]]:
        """Return the videos that are left, and how `whole_video.iterate` takes them."""
        from keras_i3d.clips import pipeline

        finished, seeing = self._finished, self._seeing
        protocol, most = finished.protocol, _ALL_FRAMES if seeing.frames == ALL else seeing.frames
        options = {
            "size": finished.preparation.size,
            "modalities": protocol.streams,
            "classes": len(self.class_names),
            "first": self._count,
            "without": self._left_out,
        }
        if seeing.views:
            frames = _view_frames(self.asked, finished, seeing)
            pair = (seeing.views.windows, seeing.views.crops)
            videos = pipeline.video_views(self.videos.chosen, views=pair, frames=frames, most=most, **options)
            return videos, {"parts": seeing.views.windows}
        multiple = finished.window or protocol.period
        videos = pipeline.whole_videos(
            self.videos.chosen, most=most or protocol.test_frames, multiple=multiple, **options
        )
        windows = finished.window and {name: part.count(finished.window) for name, part in protocol.streams.items()}
        return videos, {"windows": windows}

    def _check(self, answer: tuple[str, np.ndarray, np.ndarray]) -> None:
        name, logits, label = answer
        if label.ndim == 0 and not 0 <= label < len(self.class_names):
            raise RecordError(
                f"{self.videos.records}: the label of {name} is {label}, none of {len(self.class_names)} classes"
            )
        if not np.isfinite(logits).all():
            raise ModelFileError(
                f"{self.asked.spelling}: its logits of {name} are {logits[~np.isfinite(logits)][0]}, no finite "
                "numbers; its weights cannot be used"
            )

    def _keep(self, fresh: list[tuple[str, np.ndarray, np.ndarray]]) -> None:
        """Move fresh answers to the others, and write all of them where there is a folder."""
        if not fresh:
            return
        ids, logits, truth = zip(*fresh, strict=True)
        self._done = [joined([*self._done, Answers(ids, np.array(logits, np.float32), np.array(truth))])]
        fresh.clear()
        if self._path is not None:
            stream = Stream(self.modality, self.asked.spelling, 1.0, self._done[0])
            predictions.combined(self.split, self.class_names, [stream]).write(self._path)


def _check_classes(records: str | os.PathLike, wanted: tuple[str, ...]) -> None:
    found = tuple(labels.read(storage.join(records, labels.FILE_NAME)))
    if found == wanted:
        return
    unknown = next((name for name in found if name not in wanted), None)
    complaint = f"class {unknown!r} is unknown to the model" if unknown else "its classes have another order"
    raise RecordError(
        f"{records}: {complaint}; make the records with --labels naming the labels.txt beside the model "
        f"({len(wanted)} classes: {', '.join(wanted[:5])}{', ...' if len(wanted) > 5 else ''})"
    )


def _view_frames(asked: Asked, finished: FinishedModel, seeing: Seeing) -> int:
    """Return how many frames of the video a view covers: those asked for, or those of the training.

    Raises:
        ValueError: The network takes other clips.
    """
    protocol = finished.protocol
    fixed = finished.window if finished.network.inputs[0].shape[1] is not None else None
    frames = seeing.views.frames or fixed or _trained_frames(asked) or protocol.train_frames
    if fixed is not None and frames != fixed:
        raise ValueError(f"view_frames must be {fixed}, all that {asked.spelling} takes; got {frames}")
    if frames % protocol.period:
        raise ValueError(
            f"view_frames must be a multiple of {protocol.period}, the frames after which the streams of "
            f"{asked.spelling} begin anew; got {frames}"
        )
    return frames


def _trained_frames(asked: Asked) -> int | None:
    """Return the frames that the recipe beside a model names; None where it has none."""
    if not Path(asked.model).is_file():  # a published name; what lies in the working folder is not beside it
        return None
    try:
        frames = json.loads((Path(asked.model).parent / "recipe.json").read_text("utf-8"))["frames"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return frames if isinstance(frames, int) and frames > 0 else None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
