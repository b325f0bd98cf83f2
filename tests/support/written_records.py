"""What tests ask of folders of records."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from keras_i3d.datasets.dataset import VideoDataset
from keras_i3d.records import messages, tfrecord


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder, by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def examples(path: Path | str) -> list[messages.SequenceExample]:
    with Path(path).open("rb") as file:
        return [messages.SequenceExample.FromString(record) for record in tfrecord.read(file, str(path))]


def context(example: messages.SequenceExample, key: str) -> object:
    """Return the one value of a key, texts as such."""
    (value,) = messages.values_of(example.context.feature[key])
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def ids(path: Path | str) -> list[str]:
    """Return the ids of the records of a shard."""
    return [context(example, "example/id") for example in examples(path)]


def all_ids(paths: Iterable[Path | str]) -> list[str]:
    return [name for path in paths for name in ids(path)]


def with_bad(dataset: VideoDataset, *indices: int, path: Path) -> VideoDataset:
    """Let some of the clips point to `path`, which is no video."""
    clips = [replace(clip, path=str(path)) if index in indices else clip for index, clip in enumerate(dataset.clips)]
    return replace(dataset, clips=tuple(clips))
