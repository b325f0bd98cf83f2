"""The official stubs of TensorFlow Serving against the double: what it speaks is the protocol, and not our idea of it.

They import TensorFlow and are no dependency: `pip install --no-deps tensorflow-serving-api` brings them.
"""

import grpc
import numpy as np
import pytest
import tensorflow as tf

from keras_i3d.serving import pictures
from keras_i3d.serving.client import connect

apis = pytest.importorskip(
    "tensorflow_serving.apis",
    reason="tensorflow-serving-api is not installed (pip install --no-deps tensorflow-serving-api)",
)

FRAMES = np.random.default_rng(0).integers(0, 256, (2, 9, 37, 50, 3), np.uint8)


@pytest.fixture
def channel(double):
    with grpc.insecure_channel(double.grpc, [("grpc.max_send_message_length", -1)]) as opened:
        yield opened


@pytest.fixture
def prediction_service(channel):
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def request(signature: str = "serving_default", **inputs: object):
    from tensorflow_serving.apis import predict_pb2

    asked = predict_pb2.PredictRequest()
    asked.model_spec.name, asked.model_spec.signature_name = "i3d", signature
    for name, value in inputs.items():
        asked.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return asked


def test_predictions_are_those_of_our_client(prediction_service, double) -> None:
    answer = prediction_service.Predict(request(rgb=FRAMES), timeout=30)
    with connect(double.grpc) as client:
        ours = client.predict({"rgb": FRAMES})
    assert set(answer.outputs) == set(ours)
    for name, tensor in answer.outputs.items():
        np.testing.assert_array_equal(tf.make_ndarray(tensor), ours[name])
    assert (answer.model_spec.name, answer.model_spec.version.value) == ("i3d", 1)


def test_encoded_frames_and_chosen_outputs(prediction_service) -> None:
    asked = request("frames", rgb_bytes=pictures.to_png(FRAMES))
    asked.output_filter.append("logits")
    answer = prediction_service.Predict(asked, timeout=30)
    assert list(answer.outputs) == ["logits"]
    raw = prediction_service.Predict(request(rgb=FRAMES), timeout=30)
    np.testing.assert_array_equal(tf.make_ndarray(answer.outputs["logits"]), tf.make_ndarray(raw.outputs["logits"]))


def test_metadata_is_read(prediction_service) -> None:
    from tensorflow_serving.apis import get_model_metadata_pb2

    asked = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    asked.model_spec.name = "i3d"
    answer = prediction_service.GetModelMetadata(asked, timeout=30)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(signatures)
    rgb = signatures.signature_def["serving_default"].inputs["rgb"]
    assert rgb.dtype == tf.uint8.as_datatype_enum
    assert [dim.size for dim in rgb.tensor_shape.dim] == [-1, -1, -1, -1, 3]
    assert signatures.signature_def["serving_default"].method_name == "tensorflow/serving/predict"


def test_the_status_is_read(channel) -> None:
    from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

    asked = get_model_status_pb2.GetModelStatusRequest()
    asked.model_spec.name = "i3d"
    (version,) = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(asked, timeout=30).model_version_status
    assert (version.version, version.state) == (1, get_model_status_pb2.ModelVersionStatus.AVAILABLE)


def test_errors_have_the_codes_of_the_protocol(prediction_service) -> None:
    for asked, code in (
        (request(rgb=FRAMES[0]), grpc.StatusCode.INVALID_ARGUMENT),
        (request("dance", rgb=FRAMES), grpc.StatusCode.FAILED_PRECONDITION),
        (request(other=FRAMES), grpc.StatusCode.INVALID_ARGUMENT),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            prediction_service.Predict(asked, timeout=30)
        assert caught.value.code() == code
    asked.model_spec.name = "nobody"
    with pytest.raises(grpc.RpcError) as caught:
        prediction_service.Predict(asked, timeout=30)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
