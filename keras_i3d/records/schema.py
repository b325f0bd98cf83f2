"""One clip as a SequenceExample: the writer and the parser, side by side.

The keys are those of MediaPipe's media_sequence, which DMVR and tensorflow/models read too (the class name
stands under ``clip/label/string`` and ``clip/label/text``). Frames are JPEG, or the whole clip is a video in the
record; flow is PNG, x in red and y in green, coded by `keras_i3d.video.flow.to_stored`. The writer needs no
TensorFlow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_i3d import streams
from keras_i3d.records.messages import sequence_example
from keras_i3d.streams import FLOW_BOUND

RGB_FRAMES = "image/encoded"
RGB_TIMES = "image/timestamp"
FLOW_FRAMES = "FORWARD_FLOW/image/encoded"
VIDEO = "clip/encoded_media_bytes"
VIDEO_START = "clip/encoded_media_start_timestamp"
START, END = "clip/start/timestamp", "clip/end/timestamp"
LABEL_INDEX = "clip/label/index"
EXAMPLE_ID = "example/id"
FRAMES_OF = {"rgb": RGB_FRAMES, "flow": FLOW_FRAMES}
NO_LABEL = -1  # of records of a test set whose labels are not published

MICROSECONDS = 1_000_000
# The accurate transform, as OpenCV and libjpeg have it; TensorFlow's default differs by some levels.
DCT_METHOD = "INTEGER_ACCURATE"


@dataclass(frozen=True)
class Source:
    """What a record says of where it comes from.

    Attributes:
        example_id: What names the record in its data set.
        dataset: Name of the data set.
        path: The video, as the data set names it.
        label_index: Class, counted from 0, or None where it is not known.
        label_name: Its name.
        splits: ``"train"``, ``"val"``, ``"test"`` or ``"unused"`` for each division of the data set.
        further_labels: Index and name of each other class, where a clip may have several.
    """

    example_id: str
    dataset: str
    path: str
    label_index: int | None
    label_name: str | None
    splits: tuple[str, ...] = ()
    further_labels: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class Pictures:
    """The encoded pictures of a record.

    Attributes:
        size: Height and width.
        fps: Frames per second.
        start_s: Time of the first frame in the video.
        count: Number of frames.
        jpegs: The frames, where they are stored each for itself.
        video: The bytes of a video that has them, otherwise.
        video_start_s: Where that video starts in the source.
        flow: A PNG for each frame, or None.
    """

    size: tuple[int, int]
    fps: float
    start_s: float
    count: int
    jpegs: Sequence[bytes] | None = None
    video: bytes | None = None
    video_start_s: float = 0.0
    flow: Sequence[bytes] | None = None


def to_example(source: Source, pictures: Pictures) -> bytes:
    """Serialise one record; equal ones give equal bytes."""
    times = [round((pictures.start_s + index / pictures.fps) * MICROSECONDS) for index in range(pictures.count)]
    context = {
        EXAMPLE_ID: source.example_id,
        "example/dataset_name": source.dataset,
        "clip/data_path": source.path,
        "clip/media_id": source.path,
        START: times[0],
        END: round((pictures.start_s + pictures.count / pictures.fps) * MICROSECONDS),
        **_image_context("image", "JPEG", pictures),
        "image/colorspace": "RGB",
        **{division_key(number): part for number, part in enumerate(source.splits, start=1)},
    }
    if source.label_index is not None:
        indices = [source.label_index, *(index for index, _ in source.further_labels)]
        names = [source.label_name, *(name for _, name in source.further_labels)]
        context |= {LABEL_INDEX: indices, "clip/label/string": names, "clip/label/text": names}
    lists: dict[str, Sequence] = {RGB_TIMES: times}
    if pictures.jpegs is not None:
        lists[RGB_FRAMES] = pictures.jpegs
    if pictures.video is not None:
        del context["image/format"]
        context |= {VIDEO: pictures.video, VIDEO_START: round(pictures.video_start_s * MICROSECONDS)}
    if pictures.flow is not None:
        context |= _image_context("FORWARD_FLOW/image", "PNG", pictures)
        context["FORWARD_FLOW/image/saturation"] = FLOW_BOUND
        lists |= {FLOW_FRAMES: pictures.flow, "FORWARD_FLOW/image/timestamp": times}
    return sequence_example(context, lists)


def division_key(number: int) -> str:
    """Return the key that says to which part of a data set's division, counted from 1, a record belongs."""
    return f"split/{number}"


def parse(
    serialized: Any, modalities: Sequence[str], *, store: str = "frames", label_classes: int | None = None
) -> dict[str, Any]:
    """Read back one clip, its frames still encoded, so that only those that are used need decoding.

    Args:
        serialized: String tensor, a scalar.
        modalities: Of ``"rgb"`` and ``"flow"``; a record without one of them fails.
        store: ``"frames"``, or ``"video"`` where the rgb frames are those of a video in the record.
        label_classes: The number of classes, where a record may have any number of labels; None where it has one.

    Returns:
        ``label`` (int64 scalar, -1 where the record has none; with `label_classes` float32 of shape
        (label_classes,), 1 for each of its classes, else 0), ``id`` (string scalar), and for each modality a
        string tensor of shape (time,), of which the rgb one holds times where the frames are those of
        ``video``, what `decode_video` takes. Shards of others may have one flow field less than frames.

    Raises:
        tf.errors.InvalidArgumentError: A label is outside of `label_classes`, a record has several labels although
            one is meant, or a list is missing; as the tensors are computed.
    """
    import tensorflow as tf

    from_video = store == "video" and "rgb" in modalities
    context_features = {
        LABEL_INDEX: tf.io.FixedLenFeature([], tf.int64, default_value=NO_LABEL)
        if label_classes is None
        else tf.io.RaggedFeature(tf.int64),
        EXAMPLE_ID: tf.io.FixedLenFeature([], tf.string, default_value=""),
    }
    if from_video:
        numbers = (START, END, VIDEO_START, "image/height", "image/width")
        context_features |= {key: tf.io.FixedLenFeature([], tf.int64) for key in numbers}
        context_features |= {
            VIDEO: tf.io.FixedLenFeature([], tf.string),
            "image/frame_rate": tf.io.FixedLenFeature([], tf.float32),
        }
    keys = FRAMES_OF | ({"rgb": RGB_TIMES} if from_video else {})
    context, lists = tf.io.parse_single_sequence_example(
        serialized,
        context_features=context_features,
        sequence_features={
            keys[modality]: tf.io.FixedLenSequenceFeature([], tf.int64 if keys[modality] == RGB_TIMES else tf.string)
            for modality in modalities
        },
    )
    label = context[LABEL_INDEX]
    if label_classes is not None:
        label = _multi_hot(label, label_classes, context[EXAMPLE_ID])
    parsed = {"label": label, "id": context[EXAMPLE_ID]}
    parsed |= {modality: lists[keys[modality]] for modality in modalities}
    if from_video:
        start = context[START] - context[VIDEO_START]
        sides = (context["image/height"], context["image/width"])
        parsed["video"] = (
            context[VIDEO],
            context["image/frame_rate"],
            tf.stack([*sides, start, start + context[END] - context[START]]),
        )
    return parsed


def _multi_hot(indices: Any, classes: int, example_id: Any) -> Any:
    """Return 1 at each index, else 0: float32 of shape (classes,), from int64 of shape (labels,)."""
    import tensorflow as tf

    is_inside = tf.reduce_all((indices >= 0) & (indices < classes))
    check = tf.debugging.Assert(is_inside, ["record", example_id, "labels outside of", classes, "classes:", indices])
    with tf.control_dependencies([check] if check is not None else []):
        hits = tf.one_hot(indices, classes, on_value=True, off_value=False)
        return tf.cast(tf.reduce_any(hits, axis=0), tf.float32)


def part_of(serialized: Any, division: int) -> Any:
    """Return the part of a division that a record belongs to, a string scalar; empty where it does not say.

    Args:
        serialized: String tensor, a scalar.
        division: Number of the division, counted from 1.
    """
    import tensorflow as tf

    key = division_key(division)
    feature = tf.io.FixedLenFeature([], tf.string, default_value="")
    return tf.io.parse_single_sequence_example(serialized, context_features={key: feature})[0][key]


def decode_images(encoded: Any, modality: str) -> Any:
    """Decode frames of one clip.

    Args:
        encoded: String tensor of shape (time,), JPEG or PNG.
        modality: ``"rgb"`` or ``"flow"``.

    Returns:
        uint8 tensor of shape (time, height, width, channels), 3 channels for rgb, 2 (x, y) for flow.
    """
    import tensorflow as tf

    return tf.map_fn(
        lambda one: decode_picture(one, modality),
        encoded,
        fn_output_signature=tf.TensorSpec([None, None, streams.channels(modality)], tf.uint8),
    )


def decode_picture(encoded: Any, modality: str) -> Any:
    """Decode one frame: uint8 (height, width, channels), from a string scalar; arguments as in `decode_images`."""
    import tensorflow as tf

    if modality == "rgb":
        return tf.io.decode_jpeg(encoded, channels=3, dct_method=DCT_METHOD)
    return tf.io.decode_png(encoded, channels=3)[..., :2]


def decode_video(video: tuple[Any, Any, Any], indices: Any) -> Any:
    """Decode frames of a video in a record, with PyAV.

    Args:
        video: What `parse` gives.
        indices: int32 tensor of shape (time,), which frames.

    Returns:
        uint8 tensor of shape (time, height, width, 3), RGB.
    """
    import tensorflow as tf

    frames = tf.numpy_function(_frames_of_video, [*video, indices], tf.uint8)
    return tf.ensure_shape(frames, (None, None, None, 3))


def _frames_of_video(content: bytes | np.ndarray, fps: float, numbers: np.ndarray, indices: np.ndarray) -> np.ndarray:
    from keras_i3d.video import decode

    if isinstance(content, np.ndarray):  # of no axis, when called eagerly
        content = content.item()
    height, width, start, end = (int(number) for number in numbers)
    wanted = set(indices.tolist())
    found = {}
    frames = decode.iterate_frames(
        content,
        fps=float(fps),
        short_side=min(height, width),
        start_s=start / MICROSECONDS,
        end_s=end / MICROSECONDS,
        threads=1,
        on_damage=lambda reason: None,  # what could be decoded was counted as the record was written
    )
    for index, frame in enumerate(frames):
        if index in wanted:
            found[index] = frame
        if len(found) == len(wanted):
            break
    return np.stack([found[index] for index in indices.tolist()])


def _image_context(prefix: str, image_format: str, pictures: Pictures) -> dict[str, Any]:
    return {
        f"{prefix}/format": image_format,
        f"{prefix}/channels": 3,
        f"{prefix}/height": pictures.size[0],
        f"{prefix}/width": pictures.size[1],
        f"{prefix}/frame_rate": float(pictures.fps),
    }
