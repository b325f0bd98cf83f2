"""Small records of videos, made through the package's own writer, for those who read them."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from keras_i3d.records import coding, schema, tfrecord
from keras_i3d.video.flow import to_stored

HEIGHT, WIDTH, FPS = 16, 24, 25.0


def frames(count: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Return soft colours that differ from place to place and from frame to frame, uint8 RGB."""
    t, row, column = np.meshgrid(np.arange(count), np.arange(height), np.arange(width), indexing="ij")
    return np.stack([220 - 6 * row, 20 + 4 * column, 10 + 12 * t], axis=-1).astype(np.uint8)


def fields(count: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Return float flow whose x is the number of the field and whose y is -3."""
    field = np.zeros((count, height, width, 2), np.float32)
    field[..., 0] = np.arange(count)[:, None, None]
    field[..., 1] = -3
    return field


def record(
    example_id: str = "run/a.mp4",
    *,
    count: int = 5,
    label: tuple[int, str] | None = (7, "läuft"),
    splits: tuple[str, ...] = ("train",),
    flow: bool = False,
    video: bytes | None = None,
    start_s: float = 1.5,
) -> bytes:
    """Serialise one record; with `video` its frames are those of a video."""
    index, name = label or (None, None)
    source = schema.Source(example_id, "folder", example_id, index, name, splits)
    stored = {"jpegs": [coding.encode_jpeg(frame, 95) for frame in frames(count)]}
    if video is not None:
        stored = {"video": video, "video_start_s": start_s}
    if flow:
        stored["flow"] = [coding.encode_png(to_stored(field)) for field in fields(count)]
    return schema.to_example(source, schema.Pictures((HEIGHT, WIDTH), FPS, start_s, count, **stored))


def write(path: Path, records: Iterable[bytes]) -> Path:
    """Write a TFRecord file."""
    with path.open("wb") as file:
        for one in records:
            tfrecord.write(file, one)
    return path
