"""Messages of our own against the official ones, byte for byte."""

import subprocess
import sys

import numpy as np
import pytest
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from keras_i3d.serving import messages, tensors

REASON = "tensorflow-serving-api is not installed (pip install --no-deps tensorflow-serving-api)"


def official(module: str):
    """Return a module of the official stubs, or skip."""
    return pytest.importorskip(f"tensorflow_serving.apis.{module}", reason=REASON)


def same_fields(ours, theirs) -> None:
    """Check that our messages have no field that the official ones have not, of the same name, number and coding."""
    varints = {3: "int", 5: "int", 14: "int"}  # an enumeration, int32 and int64 are the same bytes
    for field in ours.fields:
        match = theirs.fields_by_name[field.name]
        assert field.number == match.number, field.full_name
        assert varints.get(field.type, field.type) == varints.get(match.type, match.type), field.full_name
        for fact in ("is_repeated", "is_packed"):
            assert getattr(field, fact, None) == getattr(match, fact, None), field.full_name
        assert getattr(field.containing_oneof, "name", "") == getattr(match.containing_oneof, "name", "")
        if field.message_type:
            assert field.message_type.full_name == match.message_type.full_name
            same_fields(field.message_type, match.message_type)


def test_the_fields_are_tensorflows() -> None:
    same_fields(messages.TensorProto.DESCRIPTOR, tensor_pb2.TensorProto.DESCRIPTOR)
    same_fields(messages.MetaGraphDef.DESCRIPTOR, meta_graph_pb2.MetaGraphDef.DESCRIPTOR)


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("predict_pb2", ["PredictRequest", "PredictResponse"]),
        ("get_model_metadata_pb2", ["GetModelMetadataRequest", "GetModelMetadataResponse", "SignatureDefMap"]),
        ("get_model_status_pb2", ["GetModelStatusRequest", "GetModelStatusResponse"]),
        ("prediction_log_pb2", ["PredictionLog"]),
        ("model_pb2", ["ModelSpec"]),
    ],
)
def test_the_fields_are_tensorflow_servings(module: str, names: list[str]) -> None:
    theirs = official(module)
    for name in names:
        same_fields(getattr(messages, name).DESCRIPTOR, getattr(theirs, name).DESCRIPTOR)


def test_the_states_of_a_version_are_the_official_ones() -> None:
    states = official("get_model_status_pb2").ModelVersionStatus.State
    assert {number: name for name, number in states.items()} == messages.STATES


def test_requests_and_records_are_the_official_ones_byte_for_byte() -> None:
    predict_pb2, log_pb2 = official("predict_pb2"), official("prediction_log_pb2")
    frames = np.arange(2 * 3 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 3, 4, 5, 3)
    ours = messages.PredictRequest(model_spec=messages.model_spec("i3d", version=3, signature="serving_default"))
    ours.inputs["rgb"].CopyFrom(tensors.to_proto(frames))
    ours.inputs["query"].CopyFrom(tensors.to_proto(["", "é"]))

    theirs = predict_pb2.PredictRequest()
    theirs.model_spec.name, theirs.model_spec.signature_name = "i3d", "serving_default"
    theirs.model_spec.version.value = 3
    import tensorflow as tf

    theirs.inputs["rgb"].CopyFrom(tf.make_tensor_proto(frames))
    theirs.inputs["query"].CopyFrom(tf.make_tensor_proto(["", "é"]))
    assert ours.SerializeToString(deterministic=True) == theirs.SerializeToString(deterministic=True)

    record = messages.PredictionLog()
    record.predict_log.request.CopyFrom(ours)
    official_record = log_pb2.PredictionLog(predict_log=log_pb2.PredictLog(request=theirs))
    assert record.SerializeToString(deterministic=True) == official_record.SerializeToString(deterministic=True)


def test_the_version_zero_is_asked_for_and_none_is_not() -> None:
    assert messages.model_spec("a", version=0).HasField("version")
    assert not messages.model_spec("a").HasField("version")


def test_no_tensorflow_is_imported() -> None:
    script = "import sys, keras_i3d.serving.tensors; assert not {'tensorflow', 'keras'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
