"""Record shards to a ``tf.data.Dataset`` of network inputs and labels.

Everything random is a function of the seed, the epoch and the place in it, so a run repeats, and one that
starts later sees what the uninterrupted one saw. What is random is drawn, and what another process takes is left out,
before any frame is decoded.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import tensorflow as tf

from keras_i3d.clips import examples, sampling, shard_files, transforms
from keras_i3d.clips.augmentation import Augmentation, relit
from keras_i3d.clips.decoding import Strip
from keras_i3d.clips.examples import Streams
from keras_i3d.protocol import short_side_for
from keras_i3d.records import schema
from keras_i3d.records.damage import Damage
from keras_i3d.records.selection import Selection

AUTOTUNE = tf.data.AUTOTUNE
Shards = Selection | Sequence[str]  # the records of a split, or all those of some files
SHARDS_AT_ONCE = 4
# Of encoded clips, which were dealt to shards in random order already: so many, if they take no more bytes than that
SHUFFLE_BUFFER, SHUFFLE_BYTES = 128, 1 << 30


def training_clips(
    shards: Shards,
    *,
    frames: int = 64,
    size: int = 224,
    batch_size: int = 6,
    modalities: Streams = ("rgb",),
    augmentation: Augmentation = Augmentation(),  # noqa: B008  (frozen)
    seed: int = 0,
    first_epoch: int = 0,
    first_batch: int = 0,
    part: tuple[int, int] = (0, 1),
    classes: int | None = None,
    transfer_dtype: str = "float32",
    short_side: int | None = None,
    without: Collection[Damage] = (),
) -> tf.data.Dataset:
    """Give endless batches of random clips, epoch after epoch in another order.

    Clips are shuffled three times over: the writer deals them to shards at random, each epoch reads the shards in an
    order of its own, four at a time in turn, and what comes of that passes through a buffer of 128 clips (of fewer
    where these would take more than 1 GiB): of 40 shards of 50 clips, the six of a batch come from 4.4. In each epoch
    the clips beyond its last full batch are left out, others every time.

    Args:
        shards: The records of a split (`keras_i3d.records.selection.select`), or paths of TFRecord files.
        frames: Consecutive frames of the video that a clip covers.
        size: Height and width of a clip.
        batch_size: Clips of a batch, of all processes together.
        modalities: Of ``"rgb"`` and ``"flow"``; all get the same frames, crop and flip. A mapping says which
            frames of the clip a stream takes, where not all.
        augmentation: What is varied, apart from start frame and crop.
        seed: Of the order, the start frames, the crops and the augmentation.
        first_epoch: Where to start.
        first_batch: How many batches of the first epoch are passed over. They are read, but not decoded.
        part: (i, n): of every batch this process gets the i-th, counted from 0, of n equal slices, so that the n
            slices together are the batch that one process alone would get.
        classes: Number of classes, for the labels of records that may have several.
        transfer_dtype: What the inputs are given in; with ``"float16"`` or ``"bfloat16"`` half the bytes travel.
        short_side: That of the frames, where all are JPEGs of one, as the manifest of records says. Where it is the
            one before the crop, and no light is changed, clips stay bytes up to the batch, which is quicker.
        without: Damaged records (`keras_i3d.records.damage`) to leave out rather than to fail. An epoch has so many
            clips less.

    Returns:
        Dataset of ({modality: (batch_size / n, frames, size, size, channels) in [-1, 1]}, labels): int64
        (batch_size / n,), of records that may have several labels float32 (batch_size / n, classes) of 0 and 1.

    Raises:
        ValueError: `part` is none, or does not divide the batch; `classes` are missing; the scale jitter makes
            frames smaller than the crop; the dtype is unknown.
    """
    taken, selection = examples.taken(modalities), _selected(shards)
    mine, label_classes = _slice(part, batch_size), examples.label_classes(selection, classes)
    least, most = augmentation.short_sides(short_side_for(size), size)
    as_bytes = least == most == short_side and selection.store == "frames" and not augmentation.changes_light
    left_out = _left_out(selection, without)
    examples.check_dtype(transfer_dtype)

    def epoch(number: Any) -> tf.data.Dataset:
        tf.random.set_seed(1)  # of this function's graph alone, so that the caller's global seed plays no part
        order = tf.random.stateless_uniform([], tf.random.fold_in([seed, 1], number), 0, 2**62, tf.int64)
        records = _records(selection, left_out, order=order)
        keyed = records.enumerate().map(lambda place, record: (tf.stack([number, place]), record))
        # windows, unlike batches, hold the records without copying them
        windows = keyed.window(batch_size, drop_remainder=True)
        windows = windows.skip(tf.where(number == first_epoch, tf.constant(first_batch, tf.int64), 0))
        return windows.flat_map(lambda *pair: _cut(tf.data.Dataset.zip(pair), mine))

    def clip(key: Any, record: Any) -> tuple[dict[str, Any], Any]:
        of_clip = tf.random.fold_in(tf.random.fold_in([seed, 0], key[0]), key[1])
        seeds = tf.random.split(of_clip, 3)
        place = tf.random.stateless_uniform([2], seeds[1])
        mirrored = tf.logical_and(augmentation.flips, tf.random.stateless_uniform([], seeds[2]) < 0.5)
        drawn = least
        if least < most:
            drawn = tf.random.stateless_uniform([], tf.random.fold_in(of_clip, 1), least, most + 1, tf.int32)

        def relight(images: Any) -> Any:
            return relit(images, augmentation, tf.random.fold_in(of_clip, 2))

        def view(strip: Strip) -> Any:
            if strip.modality == "rgb" and as_bytes:
                return strip.squares(size, place, mirrored=mirrored)
            light = relight if augmentation.changes_light else None
            return strip.view(size, place, short_side=drawn, mirrored=mirrored, relight=light)

        inputs, parsed = examples.example(
            record,
            selection.store,
            taken,
            lambda available: sampling.random_clip(available, frames, seeds[0]),
            view,
            frames,
            label_classes,
        )
        return examples.cast(inputs, transfer_dtype), parsed["label"]

    epochs = tf.data.Dataset.counter(first_epoch)
    clips = epochs.flat_map(epoch).map(clip, num_parallel_calls=AUTOTUNE, deterministic=True)
    return examples.batches(clips, mine[1], transfer_dtype)


def centre_clips(
    shards: Shards,
    *,
    frames: int,
    size: int,
    batch_size: int,
    modalities: Streams = ("rgb",),
    part: tuple[int, int] = (0, 1),
    classes: int | None = None,
    transfer_dtype: str = "float32",
    short_side: int | None = None,
    without: Collection[Damage] = (),
) -> tf.data.Dataset:
    """Give the middle clip of each video once, centre crop: for validation during training.

    Arguments, inputs and labels as in `training_clips`. All batches are full: clips of the last one are repeated
    to fill it, and count nothing.

    Returns:
        Dataset of (inputs, labels, weights), the last float32 (batch_size / n,): 1, and 0 for repeated clips.
    """
    taken, selection = examples.taken(modalities), _selected(shards)
    mine, label_classes = _slice(part, batch_size), examples.label_classes(selection, classes)
    as_bytes = short_side == short_side_for(size) and selection.store == "frames"
    examples.check_dtype(transfer_dtype)

    def filled(window: tf.data.Dataset) -> tf.data.Dataset:
        once = window.map(lambda record: (record, 1.0))
        again = window.map(lambda record: (record, 0.0)).repeat()
        return _cut(once.concatenate(again).take(batch_size), mine)

    def clip(record: Any, weight: Any) -> tuple[dict[str, Any], Any, Any]:
        inputs, parsed = examples.example(
            record,
            selection.store,
            taken,
            lambda available: sampling.centre_clip(available, frames),
            lambda strip: strip.squares(size) if strip.modality == "rgb" and as_bytes else strip.view(size),
            frames,
            label_classes,
        )
        return examples.cast(inputs, transfer_dtype), parsed["label"], weight

    full = _records(selection, _left_out(selection, without)).window(batch_size).flat_map(filled)
    clips = full.map(clip, num_parallel_calls=AUTOTUNE, deterministic=True)
    return examples.batches(clips, mine[1], transfer_dtype)


def whole_videos(
    shards: Shards,
    *,
    size: int,
    modalities: Streams = ("rgb",),
    most: int = sampling.WHOLE_VIDEO_FRAMES,
    multiple: int = 1,
    classes: int | None = None,
    first: int = 0,
    without: Collection[Damage] = (),
) -> tf.data.Dataset:
    """Give every video once, whole (at most its middle 250 frames), centre crop, unbatched: for testing.

    Args:
        shards: As in `training_clips`.
        size: Height and width of a clip.
        modalities: As in `training_clips`.
        most: Frames of the video that are seen at most.
        multiple: The frames seen are a multiple of it.
        classes: As in `training_clips`.
        first: How many videos are passed over.
        without: As in `training_clips`.

    Returns:
        Dataset of ({modality: float32 (time, size, size, channels) in [-1, 1]}, label, string id); the label is
        an int64 scalar, or float32 (classes,).
    """
    taken, selection = examples.taken(modalities), _selected(shards)
    label_classes = examples.label_classes(selection, classes)

    def video(record: Any) -> tuple[dict[str, Any], Any, Any]:
        inputs, parsed = examples.example(
            record,
            selection.store,
            taken,
            lambda available: sampling.whole_video(available, most, multiple),
            lambda strip: strip.view(size),
            None,
            label_classes,
        )
        return inputs, parsed["label"], parsed["id"]

    return _records(selection, _left_out(selection, without)).skip(first).map(video, num_parallel_calls=2).prefetch(2)


def video_views(
    shards: Shards,
    *,
    views: tuple[int, int],
    frames: int,
    size: int,
    modalities: Streams = ("rgb",),
    most: int | None = None,
    classes: int | None = None,
    first: int = 0,
    without: Collection[Damage] = (),
) -> tf.data.Dataset:
    """Give every video once, as windows that lie evenly over it, of each some crops: for testing.

    The elements of a video follow one another. Frames that several windows have in common are decoded for each of
    them, so that no more than a window of one video is in memory at once.

    Args:
        shards: As in `training_clips`.
        views: Windows, and crops of each: squares evenly spread along the longer side, of one the middle.
        frames: Consecutive frames of the video that a window covers.
        size: Height and width of a crop.
        modalities: As in `training_clips`.
        most: Frames of the middle of the video that are seen at most; None for all.
        classes: As in `training_clips`.
        first: How many videos are passed over.
        without: As in `training_clips`.

    Returns:
        Dataset of ({modality: float32 (crops, frames, size, size, channels) in [-1, 1]}, label, string id), as many
        elements for a video as there are windows; labels as in `whole_videos`.
    """
    taken, selection = examples.taken(modalities), _selected(shards)
    label_classes = examples.label_classes(selection, classes)
    windows, crops = views

    def window(record: Any, number: Any) -> tuple[dict[str, Any], Any, Any]:
        inputs, parsed = examples.example(
            record,
            selection.store,
            taken,
            lambda available: sampling.spread_clip(available, frames, number, windows, most),
            lambda strip: transforms.testing_views(strip.frames(), size, strip.modality, crops),
            frames,
            label_classes,
        )
        clips = {modality: tf.transpose(values, [1, 0, 2, 3, 4]) for modality, values in inputs.items()}
        return clips, parsed["label"], parsed["id"]

    numbers = tf.data.Dataset.range(windows)
    records = _records(selection, _left_out(selection, without)).skip(first)
    pairs = records.flat_map(lambda record: numbers.map(lambda number: (record, number)))
    return pairs.map(window, num_parallel_calls=2).prefetch(2)


def _selected(shards: Shards) -> Selection:
    return shards if isinstance(shards, Selection) else Selection(tuple(shards), records=0)


def _slice(part: tuple[int, int], batch_size: int) -> tuple[int, int]:
    """Return first clip and number of clips of a process in each batch."""
    index, count = part
    if not 0 <= index < count:
        raise ValueError(f"part must be (i, n) with 0 <= i < n, got {part!r}")
    if batch_size < 1 or batch_size % count:
        raise ValueError(f"batch_size must be a multiple of the {count} parts of a batch, got {batch_size}")
    return index * (batch_size // count), batch_size // count


def _cut(clips: tf.data.Dataset, mine: tuple[int, int]) -> tf.data.Dataset:
    first, count = mine
    return clips.skip(first).take(count)


def _records(selection: Selection, without: Collection[Damage], *, order: Any = None) -> tf.data.Dataset:
    """Read the records that belong to a selection and are not left out.

    Args:
        selection: Of the records.
        without: Damaged ones, which are left out.
        order: Seed (int64 scalar) to shuffle shards and records by; None keeps their order.
    """
    left_out: dict[str, set[int]] = {}
    for one in without:
        left_out.setdefault(one.shard, set()).add(one.place)
    files = shard_files.readable(selection.paths, order=order, unchanged=left_out)
    cycle_length = 1 if order is None else SHARDS_AT_ONCE
    records = files.interleave(lambda path: shard_files.records(path, left_out), cycle_length=cycle_length)
    if selection.part is not None:
        records = records.filter(lambda record: schema.part_of(record, selection.division) == selection.part)
    return records if order is None else records.shuffle(_buffer(selection), seed=order)


def _buffer(selection: Selection) -> int:
    """Return how many encoded clips are kept to shuffle."""
    return min(SHUFFLE_BUFFER, max(1, SHUFFLE_BYTES // max(1, selection.record_size)))


def _left_out(selection: Selection, without: Collection[Damage]) -> list[Damage]:
    """Return the damaged records that lie in the shards of a selection."""
    return [one for one in without if one.shard in selection.paths]
