"""Records whose pictures tell which frame, row and column they are, and what a pipeline makes of them."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_i3d.clips.pipeline import training_clips
from keras_i3d.records import coding, schema

SIZE = 14  # whose short side is 16, so that the frames here are cut and not resized


STEP = 10


def record(
    number: int,
    frames: np.ndarray,
    flow: np.ndarray | None = None,
    *,
    label: int | None = None,
    splits: tuple[str, ...] = ("train",),
    fps: float = 25.0,
    start_s: float = 0.0,
    jpeg_quality: int = 100,
    **source: object,
) -> bytes:
    """Serialise frames, and flow that is coded already, as one record of the class `number`."""
    facts = {"example_id": f"clip {number}", "dataset": "made", "path": f"{number}.mp4", "label_name": str(number)}
    pictures = schema.Pictures(
        frames.shape[1:3],
        fps,
        start_s,
        len(frames),
        jpegs=[coding.encode_jpeg(frame, jpeg_quality) for frame in frames],
        flow=None if flow is None else [coding.encode_png(field) for field in flow],
    )
    return schema.to_example(
        schema.Source(**(facts | {"label_index": number if label is None else label, "splits": splits} | source)),
        pictures,
    )


def write_shard(path: Path, records: Iterable[bytes]) -> str:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for one in records:
            writer.write(one)
    return str(path)


def shades(count: int) -> np.ndarray:
    """Return grey frames, of 16x20 pixels, whose brightness tells their index."""
    levels = STEP * np.arange(count, dtype=np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, 16, 20, 3))


def shown(values: np.ndarray) -> list[int]:
    """Return the indices of frames of `shades` in the range of a network; flow is stored in the same 256 levels."""
    return np.rint((values.mean(axis=(-3, -2, -1)) + 1) * 127.5 / STEP).astype(int).tolist()


def places(height: int = 16, width: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Return a frame and a stored flow field whose values tell row and column."""
    row, column = np.mgrid[:height, :width]
    frame = np.stack([STEP * column, STEP * row, 0 * row], axis=-1).astype(np.uint8)
    return frame, np.stack([STEP * column, STEP * row], axis=-1).astype(np.uint8)


def batches(paths: list[str], count: int, **options) -> list[tuple[dict[str, np.ndarray], np.ndarray]]:
    options = {"frames": 4, "size": SIZE, "batch_size": 5} | options
    return list(training_clips(paths, **options).take(count).as_numpy_iterator())


def garbled(serialized: bytes, keep: range) -> bytes:
    """Replace all frames and fields but those to keep by what is no picture."""
    example = tf.train.SequenceExample.FromString(serialized)
    for key in schema.FRAMES_OF.values():
        for index, feature in enumerate(example.feature_lists.feature_list[key].feature):
            if index not in keep:
                feature.bytes_list.value[0] = b"no picture"
    return example.SerializeToString()


def assert_equal(one: list, other: list) -> None:
    """Compare batches of (inputs, labels), every value."""
    assert len(one) == len(other)
    for (inputs, label), (other_inputs, other_label) in zip(one, other, strict=True):
        np.testing.assert_array_equal(label, other_label)
        assert set(inputs) == set(other_inputs)
        for modality, values in inputs.items():
            np.testing.assert_array_equal(values, other_inputs[modality])


def labels(paths: list[str], count: int, **options) -> list[int]:
    """Return the labels of the clips of so many batches."""
    return [int(label) for _, batch in batches(paths, count, **options) for label in batch]
