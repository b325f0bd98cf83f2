"""The answers of an evaluation as a file, ``predictions.npz``, which numpy reads without this package.

It holds ``ids`` (text), ``logits`` (float32, videos x classes: the weighted sum over the streams), ``truth`` (int64,
or float32 videos x classes of 0 and 1), ``class_names`` (text), ``split`` (text); and of each stream ``stream_names``,
``stream_models`` (text) and ``stream_weights``. With several streams ``stream_logits`` (float32, streams x videos x
classes) holds what each of them says. No pickles: it opens with ``numpy.load(path)``.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from keras_i3d.errors import RecordError
from keras_i3d.evaluation import answers
from keras_i3d.evaluation.answers import Answers
from keras_i3d.evaluation.metrics import Metrics, MultiLabelMetrics, measure
from keras_i3d.whole_file import replacing

FILE_NAME = "predictions.npz"
_TEXTS = ("ids", "class_names", "stream_names", "stream_models")


@dataclass(frozen=True, eq=False)
class Stream:
    """One network's share in the predictions.

    Attributes:
        name: What to call it, such as ``"rgb"``.
        model: Where it comes from.
        weight: Factor of its logits in the sum.
        answers: What it says alone.
    """

    name: str
    model: str
    weight: float
    answers: Answers

    @cached_property
    def metrics(self) -> Metrics | MultiLabelMetrics:
        """Its numbers alone."""
        return measure(self.answers.logits, self.answers.truth)


@dataclass(frozen=True, eq=False)
class Predictions:
    """What one network, or several together, say of the videos of one split.

    Attributes:
        split: Its name.
        class_names: In the order of the logits.
        streams: The networks; the videos of all are those of the first, in its order.
        answers: The sum.

    Raises:
        ValueError: The class names are not as many as the logits.
    """

    split: str
    class_names: tuple[str, ...]
    streams: tuple[Stream, ...]
    answers: Answers

    def __post_init__(self) -> None:
        if len(self.class_names) != self.answers.shape[1]:
            raise ValueError(f"{self.answers.shape[1]} logits need as many class names, got {len(self.class_names)}")

    @cached_property
    def metrics(self) -> Metrics | MultiLabelMetrics:
        """The numbers of the sum."""
        return measure(self.answers.logits, self.answers.truth)

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        together = {} if len(self.streams) == 1 else {"stream_logits": [each.answers.logits for each in self.streams]}
        with replacing(path) as aside, aside.open("wb") as file:
            np.savez_compressed(
                file,
                ids=np.array(self.answers.ids, dtype=str),
                logits=self.answers.logits.astype(np.float32),
                truth=self.answers.truth,
                class_names=np.array(self.class_names, dtype=str),
                split=np.array(self.split),
                stream_names=np.array([each.name for each in self.streams], dtype=str),
                stream_models=np.array([each.model for each in self.streams], dtype=str),
                stream_weights=np.array([each.weight for each in self.streams], np.float64),
                **{name: np.array(values, np.float32) for name, values in together.items()},
            )


def combined(
    split: str, class_names: Sequence[str], streams: Sequence[Stream], called: Sequence[str] | None = None
) -> Predictions:
    """Add up what several networks say of one split.

    Args:
        split: Its name.
        class_names: In the order of the logits.
        streams: The networks.
        called: What to call each in messages, by default their names.

    Raises:
        ValueError: They are about other videos or classes.
    """
    said = answers.aligned([each.answers for each in streams], called or [each.name for each in streams])
    total = answers.summed(said, [each.weight for each in streams])
    ordered = tuple(replace(each, answers=own) for each, own in zip(streams, said, strict=True))
    return Predictions(split, tuple(class_names), ordered, total)


def read(path: Path) -> Predictions:
    """Read the file back.

    Raises:
        RecordError: It cannot be read, is damaged, or is none.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            values = {name: file[name] for name in file.files}
        texts = {name: tuple(map(str, values[name])) for name in _TEXTS}
        ids, truth, weights = texts["ids"], values["truth"], values["stream_weights"]
        if not (len(texts["stream_names"]) == len(texts["stream_models"]) == len(weights) > 0):
            raise ValueError("names, models and weights of the streams are not equally many")
        each = values["stream_logits"] if len(weights) > 1 else [values["logits"]]
        streams = tuple(
            Stream(name, model, float(weight), Answers(ids, logits, truth))
            for name, model, weight, logits in zip(
                texts["stream_names"], texts["stream_models"], weights, each, strict=True
            )
        )
        return Predictions(str(values["split"]), texts["class_names"], streams, Answers(ids, values["logits"], truth))
    except FileNotFoundError as error:
        raise RecordError(f"{path}: there is no such file; `keras-i3d evaluate --output` writes it") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise RecordError(
            f"{path}: cannot be read as predictions, which `keras-i3d evaluate --output` writes ({error})"
        ) from error


def file_name(split: str | None) -> str:
    """Return the name of the file of a split among several; None for the only one."""
    return FILE_NAME if split is None else f"{Path(FILE_NAME).stem}-{split}.npz"


def find(path: Path) -> list[Path]:
    """Return the files of predictions that a path stands for: itself, or those in the folder of an evaluation.

    Raises:
        RecordError: A folder holds none.
    """
    if not path.is_dir():
        return [path]
    found = sorted(path.glob(f"{Path(FILE_NAME).stem}*.npz"))
    if not found:
        raise RecordError(f"{path}: holds no {FILE_NAME}, which a finished `keras-i3d evaluate --output` writes")
    return found
