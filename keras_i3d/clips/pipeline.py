"""Record shards to a ``tf.data.Dataset`` of network inputs and labels.

Everything random is a function of the seed, the epoch and the place in it, so a run repeats, and one that
starts at a later epoch sees what the uninterrupted one saw.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from keras_i3d.clips import sampling, shard_files, transforms
from keras_i3d.protocol import Frames
from keras_i3d.records import schema
from keras_i3d.records.selection import Selection
from keras_i3d.video.flow import from_stored

AUTOTUNE = tf.data.AUTOTUNE
Shards = Selection | Sequence[str]  # the records of a split, or all those of some files
Streams = Sequence[str] | Mapping[str, Frames]  # modalities, or which frames of a clip each of them takes
SHUFFLE_BUFFER = 128  # encoded clips; they were dealt to shards in random order already


def training_clips(
    shards: Shards,
    *,
    frames: int = 64,
    size: int = 224,
    batch_size: int = 6,
    modalities: Streams = ("rgb",),
    flips: bool = True,
    seed: int = 0,
    first_epoch: int = 0,
) -> tf.data.Dataset:
    """Give endless batches of random clips, epoch after epoch in another order.

    Args:
        shards: The records of a split (`keras_i3d.records.selection.select`), or paths of TFRecord files.
        frames: Consecutive frames of the video that a clip covers.
        size: Height and width of a clip.
        batch_size: Clips of a batch.
        modalities: Of ``"rgb"`` and ``"flow"``; all get the same frames, crop and flip. A mapping says which
            frames of the clip a stream takes, where not all.
        flips: Whether half of the clips are mirrored; classes that name a direction forbid it.
        seed: Of the order, the start frames, the crops and the flips.
        first_epoch: Where to start.

    Returns:
        Dataset of ({modality: float32 (batch_size, frames, size, size, channels) in [-1, 1]}, int64
        (batch_size,)).
    """
    taken, selection = _taken(modalities), _selected(shards)

    def epoch(number: Any) -> tf.data.Dataset:
        tf.random.set_seed(1)  # of this function's graph alone, so that the caller's global seed plays no part
        order = tf.random.stateless_uniform([], tf.random.fold_in([seed, 1], number), 0, 2**62, tf.int64)
        files = shard_files.readable(selection.paths, order=order)
        records = _records(files, selection, cycle_length=4)
        records = records.shuffle(SHUFFLE_BUFFER, seed=order)
        keyed = records.enumerate().map(lambda place, record: (tf.stack([number, place]), record))
        return keyed.batch(batch_size, drop_remainder=True).unbatch()

    def clip(key: Any, record: Any) -> tuple[dict[str, Any], Any]:
        seeds = tf.random.split(tf.random.fold_in(tf.random.fold_in([seed, 0], key[0]), key[1]), 3)
        place = tf.random.stateless_uniform([2], seeds[1])
        mirrored = tf.logical_and(flips, tf.random.stateless_uniform([], seeds[2]) < 0.5)
        return _example(
            record,
            selection.store,
            taken,
            lambda available: sampling.random_clip(available, frames, seeds[0]),
            lambda x, modality: transforms.training_view(x, size, modality, place=place, mirrored=mirrored),
            frames,
        )

    epochs = tf.data.Dataset.counter(first_epoch)
    clips = epochs.flat_map(epoch).map(clip, num_parallel_calls=AUTOTUNE, deterministic=True)
    return clips.batch(batch_size, drop_remainder=True).prefetch(AUTOTUNE)


def centre_clips(
    shards: Shards, *, frames: int, size: int, batch_size: int, modalities: Streams = ("rgb",)
) -> tf.data.Dataset:
    """Give the middle clip of each video once, centre crop: for validation during training.

    Arguments and elements as in `training_clips`; the last batch may be smaller.
    """
    taken, selection = _taken(modalities), _selected(shards)

    def clip(record: Any) -> tuple[dict[str, Any], Any]:
        return _example(
            record,
            selection.store,
            taken,
            lambda available: sampling.centre_clip(available, frames),
            lambda x, modality: transforms.testing_view(x, size, modality),
            frames,
        )

    clips = _in_order(selection).map(clip, num_parallel_calls=AUTOTUNE, deterministic=True)
    return clips.batch(batch_size).prefetch(AUTOTUNE)


def whole_videos(
    shards: Shards,
    *,
    size: int,
    modalities: Streams = ("rgb",),
    most: int = sampling.WHOLE_VIDEO_FRAMES,
    multiple: int = 1,
) -> tf.data.Dataset:
    """Give every video once, whole (at most its middle 250 frames), centre crop, unbatched: for testing.

    Args:
        shards: As in `training_clips`.
        size: Height and width of a clip.
        modalities: As in `training_clips`.
        most: Frames of the video that are seen at most.
        multiple: The frames seen are a multiple of it.

    Returns:
        Dataset of ({modality: float32 (time, size, size, channels) in [-1, 1]}, int64 label, string id).
    """
    taken, selection = _taken(modalities), _selected(shards)

    def video(record: Any) -> tuple[dict[str, Any], Any, Any]:
        inputs, label = _example(
            record,
            selection.store,
            taken,
            lambda available: sampling.whole_video(available, most, multiple),
            lambda x, modality: transforms.testing_view(x, size, modality),
            None,
        )
        return inputs, label, schema.parse(record, ())["id"]

    return _in_order(selection).map(video, num_parallel_calls=2).prefetch(2)


def _selected(shards: Shards) -> Selection:
    return shards if isinstance(shards, Selection) else Selection(tuple(shards), records=0)


def _in_order(selection: Selection) -> tf.data.Dataset:
    return _records(shard_files.readable(selection.paths), selection, cycle_length=1)


def _records(files: tf.data.Dataset, selection: Selection, *, cycle_length: int) -> tf.data.Dataset:
    """Read the records of files that belong to the selection."""
    records = files.interleave(tf.data.TFRecordDataset, cycle_length=cycle_length)
    if selection.part is None:
        return records
    return records.filter(lambda record: schema.part_of(record, selection.division) == selection.part)


def _taken(modalities: Streams) -> dict[str, Frames]:
    if isinstance(modalities, Mapping):
        return dict(modalities)
    return {modality: Frames() for modality in modalities}


def _example(
    record: Any,
    store: str,
    taken: Mapping[str, Frames],
    choose: Callable[[Any], Any],
    view: Callable[[Any, str], Any],
    frames: int | None,
) -> tuple[dict[str, Any], Any]:
    """Parse a record, decode what each stream takes of the frames that `choose` names, prepare it by `view`."""
    parsed = schema.parse(record, tuple(taken), store=store)
    available = tf.reduce_min([tf.size(parsed[modality]) for modality in taken])
    indices = choose(available)
    inputs = {}
    for modality, part in taken.items():
        places = indices[part.offset :: part.step]
        if modality == "rgb" and store == "video":
            images = schema.decode_video(parsed["video"], places)
        else:
            images = schema.decode_images(tf.gather(parsed[modality], places), modality)
        decoded = tf.cast(images, tf.float32)
        stream = view(from_stored(decoded) if modality == "flow" else decoded, modality)
        inputs[modality] = tf.ensure_shape(stream, (frames and part.count(frames), *stream.shape[1:]))
    return inputs, parsed["label"]
