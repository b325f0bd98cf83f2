"""Messages of our own against TensorFlow's, in both directions."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from keras_i3d.records.messages import SequenceExample, sequence_example, values_of

CONTEXT = {
    "example/id": "läuft/a.mp4",
    "clip/label/index": [7, 3],
    "clip/label/string": ["läuft", "springt"],
    "clip/start/timestamp": -(2**63),
    "clip/end/timestamp": 2**63 - 1,
    "image/frame_rate": 29.97,
    "WAVEFORM/feature/floats": [0.5, -1e30, 3.0],
    "clip/encoded_media_bytes": bytes(range(256)) * 9,
    "empty": "",
    "zero": 0,
}
LISTS = {
    "image/encoded": [b"", b"\xff\xd8\xff", b"x" * 300],
    "image/timestamp": [0, 40_000, 80_000],
    "FORWARD_FLOW/image/encoded": [],
    "BBOX/label/index": [[1, 2], [3]],
}


def theirs() -> tf.train.SequenceExample:
    """Return the same values in TensorFlow's message, made by its own classes."""

    def feature(value) -> tf.train.Feature:
        values = value if isinstance(value, list) else [value]
        if isinstance(values[0], float):
            return tf.train.Feature(float_list=tf.train.FloatList(value=values))
        if isinstance(values[0], int):
            return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        encoded = [one.encode() if isinstance(one, str) else one for one in values]
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=encoded))

    return tf.train.SequenceExample(
        context=tf.train.Features(feature={key: feature(value) for key, value in CONTEXT.items()}),
        feature_lists=tf.train.FeatureLists(
            feature_list={
                key: tf.train.FeatureList(feature=[feature(value) for value in values]) for key, values in LISTS.items()
            }
        ),
    )


def test_ours_are_tensorflows_byte_for_byte() -> None:
    assert sequence_example(CONTEXT, LISTS) == theirs().SerializeToString(deterministic=True)


def test_tensorflow_reads_ours() -> None:
    assert tf.train.SequenceExample.FromString(sequence_example(CONTEXT, LISTS)) == theirs()


def test_we_read_tensorflows() -> None:
    example = SequenceExample.FromString(theirs().SerializeToString())
    found = {key: values_of(feature) for key, feature in example.context.feature.items()}
    assert found["example/id"] == ["läuft/a.mp4".encode()]
    assert found["clip/label/index"] == [7, 3]
    assert found["clip/start/timestamp"] == [-(2**63)]
    assert found["image/frame_rate"] == [float(np.float32(29.97))]
    assert found["clip/encoded_media_bytes"] == [CONTEXT["clip/encoded_media_bytes"]]
    assert found["zero"] == [0]
    lists = {
        key: [values_of(step) for step in steps.feature] for key, steps in example.feature_lists.feature_list.items()
    }
    assert lists == {
        "image/encoded": [[b""], [b"\xff\xd8\xff"], [b"x" * 300]],
        "image/timestamp": [[0], [40_000], [80_000]],
        "FORWARD_FLOW/image/encoded": [],
        "BBOX/label/index": [[1, 2], [3]],
    }
    assert example.SerializeToString(deterministic=True) == theirs().SerializeToString(deterministic=True)


def test_tensorflows_parser_reads_ours() -> None:
    context, lists = tf.io.parse_single_sequence_example(
        sequence_example(CONTEXT, LISTS),
        context_features={
            "clip/label/index": tf.io.VarLenFeature(tf.int64),
            "image/frame_rate": tf.io.FixedLenFeature([], tf.float32),
        },
        sequence_features={"image/encoded": tf.io.FixedLenSequenceFeature([], tf.string)},
    )
    assert tf.sparse.to_dense(context["clip/label/index"]).numpy().tolist() == [7, 3]
    assert context["image/frame_rate"].numpy() == np.float32(29.97)
    assert lists["image/encoded"].numpy().tolist() == LISTS["image/encoded"]


def test_a_feature_without_a_kind_has_no_values() -> None:
    empty = tf.train.SequenceExample(context=tf.train.Features(feature={"nothing": tf.train.Feature()}))
    example = SequenceExample.FromString(empty.SerializeToString())
    assert values_of(example.context.feature["nothing"]) == []


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (np.int64(3), "int64_list"),
        (True, "int64_list"),
        ([np.int32(1), 2], "int64_list"),
        (np.float32(0.5), "float_list"),
        ([1, 0.5], "float_list"),
        ((b"a", "b"), "bytes_list"),
    ],
)
def test_the_kind_follows_the_values(value: object, kind: str) -> None:
    read = tf.train.SequenceExample.FromString(sequence_example({"key": value}, {})).context.feature["key"]
    assert read.WhichOneof("kind") == kind
    expected = list(value) if isinstance(value, list | tuple) else [value]
    encoded = [one.encode() if isinstance(one, str) else one for one in expected]
    assert list(getattr(read, kind).value) == encoded


def test_bytes_of_undecodable_file_names_pass() -> None:
    read = tf.train.SequenceExample.FromString(sequence_example({"clip/data_path": "a\udcff.mp4"}, {}))
    assert read.context.feature["clip/data_path"].bytes_list.value[0] == b"a\xff.mp4"


def test_the_order_of_keys_is_not_the_callers() -> None:
    turned = dict(reversed(CONTEXT.items()))
    assert sequence_example(turned, dict(reversed(LISTS.items()))) == sequence_example(CONTEXT, LISTS)


def test_every_process_gives_the_same_bytes_without_tensorflow() -> None:
    script = (
        "import sys\nfrom keras_i3d.records.messages import sequence_example\n"
        "context = {f'key/{i}': i for i in range(50)}\n"
        "sys.stdout.buffer.write(sequence_example(context, {'b': [1, 2], 'a': [b'x']}))\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script], check=True, capture_output=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {sequence_example({f"key/{i}": i for i in range(50)}, {"b": [1, 2], "a": [b"x"]})}
