"""A record to the inputs and the label of one clip, and clips to batches of the dtype that travels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from keras_i3d.clips import transforms
from keras_i3d.clips.decoding import Strip
from keras_i3d.protocol import Frames
from keras_i3d.records import schema
from keras_i3d.records.selection import Selection

AUTOTUNE = tf.data.AUTOTUNE
Streams = Sequence[str] | Mapping[str, Frames]  # modalities, or which frames of a clip each of them takes
TRANSFER_DTYPES = ("float32", "float16", "bfloat16")


def taken(modalities: Streams) -> dict[str, Frames]:
    """Return which frames of a clip each stream takes."""
    if isinstance(modalities, Mapping):
        return dict(modalities)
    return {modality: Frames() for modality in modalities}


def label_classes(selection: Selection, classes: int | None) -> int | None:
    """Return how many classes a label is to be coded for; None where a record has one class, a number.

    Raises:
        ValueError: They are wanted, and not given.
    """
    if not selection.multi_label:
        return None
    if classes is None:
        raise ValueError("classes must be given: these records may have several labels each")
    return classes


def check_dtype(name: str) -> None:
    """Raise ValueError where inputs cannot be given in a dtype."""
    if name not in TRANSFER_DTYPES:
        raise ValueError(f"transfer_dtype must be one of {', '.join(TRANSFER_DTYPES)}, got {name!r}")


def example(
    record: Any,
    store: str,
    streams: Mapping[str, Frames],
    choose: Callable[[Any], Any],
    view: Callable[[Strip], Any],
    frames: int | None,
    classes: int | None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parse a record, and decode and prepare what each stream takes of it.

    Args:
        record: String scalar.
        store: ``"frames"`` or ``"video"``, as the records were written.
        streams: Which frames of the clip each stream takes.
        choose: The clip: indices of frames, int32 (time,), from how many there are.
        view: What becomes of the frames that a stream takes.
        frames: Of the clip, or None where that is not known beforehand.
        classes: As of `label_classes`.

    Returns:
        What `view` gives, by modality, and what `schema.parse` gives.
    """
    parsed = schema.parse(record, tuple(streams), store=store, label_classes=classes)
    available = tf.reduce_min([tf.size(parsed[modality]) for modality in streams])
    indices = choose(available)
    inputs = {}
    for modality, part in streams.items():
        places = indices[part.offset :: part.step]
        video = parsed.get("video") if modality == "rgb" else None
        values = view(Strip(modality, places, parsed[modality], video))
        inputs[modality] = tf.ensure_shape(values, (frames and part.count(frames), *values.shape[1:]))
    return inputs, parsed


def cast(inputs: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    """Cast what is scaled already; bytes stay."""
    return {
        modality: values if values.dtype == tf.uint8 else tf.cast(values, dtype) for modality, values in inputs.items()
    }


def batches(clips: tf.data.Dataset, count: int, dtype: str) -> tf.data.Dataset:
    """Give full batches of `count` clips ahead of time, bytes among their inputs scaled and cast.

    Args:
        clips: Elements are (inputs, ...).
        count: Clips of a batch.
        dtype: Of the inputs.
    """

    def scaled(inputs: Mapping[str, Any], *others: Any) -> tuple[Any, ...]:
        floats = {
            modality: transforms.scale(values, modality) if values.dtype == tf.uint8 else values
            for modality, values in inputs.items()
        }
        return cast(floats, dtype), *others

    full = clips.batch(count, drop_remainder=True)
    if any(spec.dtype == tf.uint8 for spec in full.element_spec[0].values()):
        full = full.map(scaled, num_parallel_calls=AUTOTUNE, deterministic=True)
    return full.prefetch(AUTOTUNE)
