"""Which clip goes into which shard: decided by the data set and the settings, before any video is opened."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from keras_i3d.datasets.dataset import SPLITS, LabelledClip, VideoDataset
from keras_i3d.records.settings import RecordSettings

_SHARD = re.compile(r"(?P<name>.+)-(?P<index>\d{5,})-of-(?P<count>\d{5,})\.tfrecord")


@dataclass(frozen=True)
class PlannedShard:
    """A shard to be, and its clips in their order."""

    name: str
    clips: tuple[LabelledClip, ...]


def shard_name(name: str, index: int, count: int) -> str:
    """Return the file name of a shard."""
    return f"{name}-{index:05d}-of-{count:05d}.tfrecord"


def parsed_name(file_name: str) -> tuple[str, int, int] | None:
    """Return name, index and count of a shard's file name; None for a file that is no shard."""
    match = _SHARD.fullmatch(file_name)
    return (match["name"], int(match["index"]), int(match["count"])) if match else None


def deal(dataset: VideoDataset, settings: RecordSettings) -> list[PlannedShard]:
    """Deal the clips of a data set, shuffled by the seed, to shards of about equal length.

    A data set with one division has shards of its own for each part, ``train-00000-of-00012.tfrecord``, so that
    tools which know no more than file names can tell them apart. Where every video belongs to several divisions
    the shards bear the data set's name, and the records say what they belong to.
    """
    return [
        PlannedShard(shard_name(name, index, len(parts)), tuple(clips[place] for place in part))
        for name, clips in _sets(dataset)
        for parts in [_dealt(len(clips), settings)]
        for index, part in enumerate(parts)
    ]


def _sets(dataset: VideoDataset) -> Iterator[tuple[str, list[LabelledClip]]]:
    if dataset.divisions > 1:
        yield dataset.name, list(dataset.clips)
        return
    for part in SPLITS:
        clips = [clip for clip in dataset.clips if clip.splits[0] == part]
        if clips:
            yield part, clips


def _dealt(total: int, settings: RecordSettings) -> list[np.ndarray]:
    order = np.random.default_rng(settings.seed).permutation(total)
    return np.array_split(order, math.ceil(total / settings.clips_per_shard))
