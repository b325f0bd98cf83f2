"""Our records, parsed by the feature specifications that other programs use, and decoded as they decode.

The specifications are those of MediaPipe's ``media_sequence`` (keys and kinds), DMVR's ``modalities.add_image`` and
``add_label``, and ``official/vision/dataloaders/video_input.py`` of tensorflow/models.
"""

import numpy as np
import pytest
import tensorflow as tf
import video_records
from video_records import FPS, HEIGHT, WIDTH

from keras_i3d.records.messages import sequence_example
from keras_i3d.video.flow import from_stored, to_stored

STEPS = tf.io.FixedLenSequenceFeature((), tf.string)
COUNT = 6


@pytest.fixture(scope="module")
def with_flow() -> bytes:
    return video_records.record(count=COUNT, flow=True, splits=("train", "test", "unused"))


def decoded(encoded: tf.Tensor) -> np.ndarray:
    """Decode as DMVR and tensorflow/models do, PNG too: with decode_jpeg and its usual options."""
    return tf.map_fn(
        lambda one: tf.io.decode_jpeg(one, channels=3),
        encoded,
        fn_output_signature=tf.TensorSpec([None, None, 3], tf.uint8),
    ).numpy()


def is_close(found: np.ndarray, frames: np.ndarray) -> bool:
    """Tell whether frames are those that were written, but for JPEG at quality 95 with its halved chroma."""
    difference = np.abs(found.astype(int) - frames.astype(int))
    return found.shape == frames.shape and difference.mean() < 3 and difference.max() < 25


def test_tensorflow_models_reads_frames_and_label(with_flow: bytes) -> None:
    context, lists = tf.io.parse_single_sequence_example(
        with_flow,
        {"clip/label/index": tf.io.VarLenFeature(tf.int64)},
        {"image/encoded": STEPS},
    )
    assert tf.sparse.to_dense(context["clip/label/index"]).numpy().tolist() == [7]
    assert is_close(decoded(lists["image/encoded"]), video_records.frames(COUNT))


def test_dmvr_reads_frames_flow_label_and_its_name(with_flow: bytes) -> None:
    context, lists = tf.io.parse_single_sequence_example(
        with_flow,
        {
            "clip/label/index": tf.io.VarLenFeature(tf.int64),
            "clip/label/text": tf.io.VarLenFeature(tf.string),
        },
        {"image/encoded": STEPS, "FORWARD_FLOW/image/encoded": STEPS},
    )
    assert tf.sparse.to_dense(context["clip/label/index"]).numpy().tolist() == [7]
    assert tf.sparse.to_dense(context["clip/label/text"]).numpy().tolist() == ["läuft".encode()]
    assert is_close(decoded(lists["image/encoded"]), video_records.frames(COUNT))
    pictures = decoded(lists["FORWARD_FLOW/image/encoded"])
    assert np.array_equal(pictures[..., :2], to_stored(video_records.fields(COUNT)))
    assert not pictures[..., 2].any()
    # DMVR's own way from eight bits to [-1, 1], of flow that is bounded to +-20
    flow = 20 * (pictures[..., :2].astype(np.float32) / 127.5 - 1)
    assert np.allclose(flow, from_stored(pictures[..., :2].astype(np.float32)), atol=1e-5)
    assert np.abs(flow - video_records.fields(COUNT)).max() <= 40 / 255 + 1e-5


def test_mediapipe_reads_every_key_in_its_kind(with_flow: bytes) -> None:
    one, many = tf.io.FixedLenFeature, tf.io.VarLenFeature
    text, number, real = one((), tf.string), one((), tf.int64), one((), tf.float32)
    specification = {
        **dict.fromkeys(("example/id", "example/dataset_name", "clip/data_path", "clip/media_id"), text),
        **dict.fromkeys(("clip/start/timestamp", "clip/end/timestamp"), number),
        "clip/label/index": many(tf.int64),
        "clip/label/string": many(tf.string),
        "image/format": text,
        "image/colorspace": text,
        "FORWARD_FLOW/image/format": text,
        "FORWARD_FLOW/image/saturation": real,
    }
    for prefix in ("image", "FORWARD_FLOW/image"):
        specification |= dict.fromkeys((f"{prefix}/{key}" for key in ("channels", "height", "width")), number)
        specification[f"{prefix}/frame_rate"] = real
    times = tf.io.FixedLenSequenceFeature((), tf.int64)
    context, lists = tf.io.parse_single_sequence_example(
        with_flow,
        specification,
        {
            "image/encoded": STEPS,
            "image/timestamp": times,
            "FORWARD_FLOW/image/encoded": STEPS,
            "FORWARD_FLOW/image/timestamp": times,
        },
    )
    values = {key: value.numpy() for key, value in context.items() if not isinstance(value, tf.SparseTensor)}
    assert values == {
        "example/id": b"run/a.mp4",
        "example/dataset_name": b"folder",
        "clip/data_path": b"run/a.mp4",
        "clip/media_id": b"run/a.mp4",
        "clip/start/timestamp": 1_500_000,
        "clip/end/timestamp": 1_740_000,
        "image/format": b"JPEG",
        "image/colorspace": b"RGB",
        "image/channels": 3,
        "image/height": HEIGHT,
        "image/width": WIDTH,
        "image/frame_rate": FPS,
        "FORWARD_FLOW/image/format": b"PNG",
        "FORWARD_FLOW/image/channels": 3,
        "FORWARD_FLOW/image/height": HEIGHT,
        "FORWARD_FLOW/image/width": WIDTH,
        "FORWARD_FLOW/image/frame_rate": FPS,
        "FORWARD_FLOW/image/saturation": 20,
    }
    assert tf.sparse.to_dense(context["clip/label/string"]).numpy().tolist() == ["läuft".encode()]
    expected = [1_500_000 + 40_000 * index for index in range(COUNT)]
    assert lists["image/timestamp"].numpy().tolist() == expected
    assert lists["FORWARD_FLOW/image/timestamp"].numpy().tolist() == expected
    assert lists["FORWARD_FLOW/image/encoded"].shape == lists["image/encoded"].shape == (COUNT,)


def test_a_record_without_label_reads_as_one_with_none() -> None:
    context, _ = tf.io.parse_single_sequence_example(
        video_records.record(label=None),
        {"clip/label/index": tf.io.VarLenFeature(tf.int64), "clip/label/text": tf.io.VarLenFeature(tf.string)},
        {"image/encoded": STEPS},
    )
    assert context["clip/label/index"].values.shape == context["clip/label/text"].values.shape == (0,)


def test_a_batch_of_records_of_different_length_reads_too(with_flow: bytes) -> None:
    context, lists, lengths = tf.io.parse_sequence_example(
        [with_flow, video_records.record(count=2, label=(1, "springt"))],
        {"clip/label/index": tf.io.VarLenFeature(tf.int64)},
        {"image/encoded": STEPS},
    )
    assert lengths["image/encoded"].numpy().tolist() == [COUNT, 2]
    assert context["clip/label/index"].values.numpy().tolist() == [7, 1]
    assert lists["image/encoded"].shape == (2, COUNT)


def test_mediapipes_key_of_the_media_holds_the_video() -> None:
    context, lists = tf.io.parse_single_sequence_example(
        video_records.record(video=b"a whole video"),
        {
            "clip/encoded_media_bytes": tf.io.FixedLenFeature((), tf.string),
            "clip/encoded_media_start_timestamp": tf.io.FixedLenFeature((), tf.int64),
        },
        {"image/timestamp": tf.io.FixedLenSequenceFeature((), tf.int64)},
    )
    assert context["clip/encoded_media_bytes"].numpy() == b"a whole video"
    assert context["clip/encoded_media_start_timestamp"].numpy() == 1_500_000
    assert lists["image/timestamp"].shape == (5,)


def test_a_specification_that_is_not_met_fails() -> None:
    """So that the tests above could fail: TensorFlow is strict about kinds and absent lists."""
    wrong = sequence_example({"clip/label/index": 1.0}, {"image/timestamp": [0]})
    with pytest.raises(tf.errors.InvalidArgumentError, match="clip/label/index"):
        tf.io.parse_single_sequence_example(wrong, {"clip/label/index": tf.io.VarLenFeature(tf.int64)}, {})
    with pytest.raises(tf.errors.InvalidArgumentError, match="image/encoded"):
        tf.io.parse_single_sequence_example(wrong, {}, {"image/encoded": STEPS})
