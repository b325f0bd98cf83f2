import math

import tensorflow as tf
from finished_models import paper_model, tiny_model

from keras_i3d.serving import messages, tensors, warm_up
from keras_i3d.serving.options import ServingOptions
from keras_i3d.serving.signatures import Signatures


def arrays(signatures: Signatures) -> dict[str, dict]:
    return {
        request.model_spec.signature_name: {name: tensors.from_proto(tensor) for name, tensor in request.inputs.items()}
        for request in warm_up.requests(signatures, "actions")
    }


def test_every_signature_is_asked_for_a_training_clip_of_usual_size() -> None:
    signatures = Signatures(tiny_model())
    asked = arrays(signatures)
    assert list(asked) == list(signatures.names)
    assert asked["serving_default"]["rgb"].shape == asked["features"]["rgb"].shape == (1, 64, 37, 49, 3)
    assert asked["clip"]["rgb"].shape == (1, 64, 32, 32, 3)
    assert asked["frames"]["rgb_bytes"].shape == (1, 64)
    assert tf.io.decode_jpeg(asked["frames"]["rgb_bytes"][0, 63]).shape == (37, 37, 3)
    assert asked["description"]["query"].shape == (1,)
    assert (asked["serving_default"]["rgb"] == 127).all()


def test_streams_that_take_fewer_frames_are_asked_for_fewer_prepared_ones() -> None:
    asked = arrays(Signatures(paper_model("two_stream")))
    assert {name: array.shape for name, array in asked["clip"].items()} == {
        "rgb": (1, 1, 32, 32, 3),
        "flow": (1, 10, 32, 32, 2),
    }
    assert {name: array.shape[1] for name, array in asked["frames"].items()} == {"rgb_bytes": 10, "flow": 10}


def test_fixed_axes_and_the_longest_clip_are_kept() -> None:
    asked = arrays(Signatures(tiny_model(), ServingOptions(shape=(3, 20, None, 60))))
    assert asked["serving_default"]["rgb"].shape == (3, 20, 37, 60, 3)
    asked = arrays(Signatures(tiny_model(), ServingOptions(max_frames=9)))
    assert asked["serving_default"]["rgb"].shape == (1, 9, 37, 49, 3)


def test_the_file_is_of_the_servers_records_and_small(tmp_path) -> None:
    signatures = Signatures(tiny_model())
    warm_up.write(tmp_path, signatures, "actions")
    file = tmp_path / "tf_serving_warmup_requests"
    logs = [messages.PredictionLog.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(file))]
    specs = [log.predict_log.request.model_spec for log in logs]
    assert [(spec.name, spec.signature_name) for spec in specs] == [("actions", name) for name in signatures.names]
    pixels = math.prod(logs[0].predict_log.request.inputs["rgb"].tensor_shape.dim[axis].size for axis in range(5))
    assert pixels > 300_000 and file.stat().st_size < 5_000
