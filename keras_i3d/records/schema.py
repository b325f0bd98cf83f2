"""One clip as a SequenceExample: the writer and the parser, side by side.

The keys are those of MediaPipe's media_sequence, which DMVR and tensorflow/models read too (the class name
stands under ``clip/label/string`` and ``clip/label/text``). Frames are JPEG; flow is PNG, x in red and y in
green, coded by `keras_i3d.video.flow.to_stored`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_i3d.extras import import_extra

RGB_FRAMES = "image/encoded"
FLOW_FRAMES = "FORWARD_FLOW/image/encoded"
LABEL_INDEX = "clip/label/index"
EXAMPLE_ID = "example/id"
FRAMES_OF = {"rgb": RGB_FRAMES, "flow": FLOW_FRAMES}

MICROSECONDS = 1_000_000


def to_example(
    frames: np.ndarray,
    *,
    example_id: str,
    label_index: int,
    label_name: str,
    fps: float,
    start_s: float = 0.0,
    flow: np.ndarray | None = None,
    jpeg_quality: int = 95,
) -> bytes:
    """Serialise one clip; equal clips give equal bytes.

    Args:
        frames: uint8 array of shape (time, height, width, 3), RGB.
        example_id: What names the clip in its data set.
        label_index: Class, counted from 0.
        label_name: Its name.
        fps: Frames per second of `frames`.
        start_s: Where the clip starts in its video.
        flow: uint8 array of shape (time, height, width, 2), coded by `flow.to_stored`, or None.
        jpeg_quality: 1 to 100.

    Returns:
        A serialised ``tf.train.SequenceExample``.
    """
    count, height, width = frames.shape[:3]
    timestamps = [round((start_s + index / fps) * MICROSECONDS) for index in range(count)]
    context = {
        EXAMPLE_ID: _bytes(example_id),
        "clip/data_path": _bytes(example_id),
        "clip/media_id": _bytes(example_id),
        "clip/start/timestamp": _ints(timestamps[0]),
        "clip/end/timestamp": _ints(round((start_s + count / fps) * MICROSECONDS)),
        LABEL_INDEX: _ints(label_index),
        "clip/label/string": _bytes(label_name),
        "clip/label/text": _bytes(label_name),
        **_image_context("image", "JPEG", height, width, fps),
        "image/colorspace": _bytes("RGB"),
    }
    lists = {
        RGB_FRAMES: [_bytes(_encode_jpeg(frame, jpeg_quality)) for frame in frames],
        "image/timestamp": [_ints(time) for time in timestamps],
    }
    if flow is not None:
        context |= _image_context("FORWARD_FLOW/image", "PNG", height, width, fps)
        lists[FLOW_FRAMES] = [_bytes(_encode_png(field)) for field in flow]
        lists["FORWARD_FLOW/image/timestamp"] = [_ints(time) for time in timestamps]
    example = tf.train.SequenceExample(
        context=tf.train.Features(feature=context),
        feature_lists=tf.train.FeatureLists(
            feature_list={key: tf.train.FeatureList(feature=values) for key, values in lists.items()}
        ),
    )
    return example.SerializeToString(deterministic=True)


def parse(serialized: Any, modalities: Sequence[str]) -> dict[str, Any]:
    """Read back one clip, its frames still encoded, so that only those that are used need decoding.

    Args:
        serialized: String tensor, a scalar.
        modalities: Of ``"rgb"`` and ``"flow"``; a record without one of them fails.

    Returns:
        ``label`` (int64 scalar), ``id`` (string scalar), and for each modality a string tensor of shape
        (time,). Shards of others may have one flow field less than frames.
    """
    context, lists = tf.io.parse_single_sequence_example(
        serialized,
        context_features={
            LABEL_INDEX: tf.io.FixedLenFeature([], tf.int64),
            EXAMPLE_ID: tf.io.FixedLenFeature([], tf.string, default_value=""),
        },
        sequence_features={
            FRAMES_OF[modality]: tf.io.FixedLenSequenceFeature([], tf.string) for modality in modalities
        },
    )
    encoded = {modality: lists[FRAMES_OF[modality]] for modality in modalities}
    return {"label": context[LABEL_INDEX], "id": context[EXAMPLE_ID], **encoded}


def decode_images(encoded: Any, modality: str) -> Any:
    """Decode frames of one clip.

    Args:
        encoded: String tensor of shape (time,), JPEG or PNG.
        modality: ``"rgb"`` or ``"flow"``.

    Returns:
        uint8 tensor of shape (time, height, width, channels), 3 channels for rgb, 2 (x, y) for flow.
    """
    if modality == "rgb":
        # The accurate transform, as OpenCV and libjpeg have it; TensorFlow's default differs by some levels.
        return tf.map_fn(
            lambda one: tf.io.decode_jpeg(one, channels=3, dct_method="INTEGER_ACCURATE"),
            encoded,
            fn_output_signature=tf.TensorSpec([None, None, 3], tf.uint8),
        )
    return tf.map_fn(
        lambda one: tf.io.decode_png(one, channels=3)[..., :2],
        encoded,
        fn_output_signature=tf.TensorSpec([None, None, 2], tf.uint8),
    )


def _image_context(prefix: str, image_format: str, height: int, width: int, fps: float) -> dict[str, Any]:
    return {
        f"{prefix}/format": _bytes(image_format),
        f"{prefix}/channels": _ints(3),
        f"{prefix}/height": _ints(height),
        f"{prefix}/width": _ints(width),
        f"{prefix}/frame_rate": tf.train.Feature(float_list=tf.train.FloatList(value=[fps])),
    }


def _encode_jpeg(frame: np.ndarray, quality: int) -> bytes:
    cv2 = import_extra("cv2")
    return cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def _encode_png(field: np.ndarray) -> bytes:
    cv2 = import_extra("cv2")
    blue = np.zeros(field.shape[:2], np.uint8)
    return cv2.imencode(".png", np.stack([blue, field[..., 1], field[..., 0]], axis=-1))[1].tobytes()


def _bytes(value: str | bytes) -> Any:
    data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[data]))


def _ints(value: int) -> Any:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
