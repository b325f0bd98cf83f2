"""The messages of TensorFlow Serving that its clients need, declared by their public field numbers.

From ``tensorflow_serving/apis/*.proto`` (predict, model, get_model_metadata, get_model_status, prediction_log) and
TensorFlow's ``tensor.proto``, ``tensor_shape.proto`` and ``meta_graph.proto``; fields that nothing here reads or writes
are left out, which the format allows. The official package ``tensorflow-serving-api`` imports TensorFlow.
"""

from __future__ import annotations

from google.protobuf import any_pb2, wrappers_pb2

from keras_i3d import proto

_MESSAGES = proto.declare(
    {
        "tensorflow": """
            message TensorShapeProto {
              message Dim { int64 size = 1; string name = 2; }
              repeated Dim dim = 2;
              bool unknown_rank = 3;
            }
            message TensorProto {
              int32 dtype = 1;
              TensorShapeProto tensor_shape = 2;
              int32 version_number = 3;
              bytes tensor_content = 4;
              repeated int32 half_val = 13;
              repeated float float_val = 5;
              repeated double double_val = 6;
              repeated int32 int_val = 7;
              repeated bytes string_val = 8;
              repeated int64 int64_val = 10;
              repeated bool bool_val = 11;
              repeated uint32 uint32_val = 16;
              repeated uint64 uint64_val = 17;
            }
            message TensorInfo {
              oneof encoding { string name = 1; }
              int32 dtype = 2;
              TensorShapeProto tensor_shape = 3;
            }
            message SignatureDef {
              map<string, TensorInfo> inputs = 1;
              map<string, TensorInfo> outputs = 2;
              string method_name = 3;
            }
            message MetaGraphDef { map<string, SignatureDef> signature_def = 5; }
        """,
        "tensorflow.serving": """
            message ModelSpec {
              string name = 1;
              oneof version_choice { google.protobuf.Int64Value version = 2; string version_label = 4; }
              string signature_name = 3;
            }
            message PredictRequest {
              ModelSpec model_spec = 1;
              map<string, TensorProto> inputs = 2;
              repeated string output_filter = 3;
            }
            message PredictResponse {
              map<string, TensorProto> outputs = 1;
              ModelSpec model_spec = 2;
            }
            message SignatureDefMap { map<string, SignatureDef> signature_def = 1; }
            message GetModelMetadataRequest {
              ModelSpec model_spec = 1;
              repeated string metadata_field = 2;
            }
            message GetModelMetadataResponse {
              ModelSpec model_spec = 1;
              map<string, google.protobuf.Any> metadata = 2;
            }
            message StatusProto { int32 error_code = 1; string error_message = 2; }
            message ModelVersionStatus { int64 version = 1; int32 state = 2; StatusProto status = 3; }
            message GetModelStatusRequest { ModelSpec model_spec = 1; }
            message GetModelStatusResponse { repeated ModelVersionStatus model_version_status = 1; }
            message LogMetadata { ModelSpec model_spec = 1; }
            message PredictLog { PredictRequest request = 1; PredictResponse response = 2; }
            message PredictionLog { LogMetadata log_metadata = 1; oneof log_type { PredictLog predict_log = 6; } }
        """,
    },
    known=[any_pb2.DESCRIPTOR.serialized_pb, wrappers_pb2.DESCRIPTOR.serialized_pb],
)

TensorShapeProto = _MESSAGES["tensorflow.TensorShapeProto"]
TensorProto = _MESSAGES["tensorflow.TensorProto"]
SignatureDef = _MESSAGES["tensorflow.SignatureDef"]
MetaGraphDef = _MESSAGES["tensorflow.MetaGraphDef"]
ModelSpec = _MESSAGES["tensorflow.serving.ModelSpec"]
PredictRequest = _MESSAGES["tensorflow.serving.PredictRequest"]
PredictResponse = _MESSAGES["tensorflow.serving.PredictResponse"]
SignatureDefMap = _MESSAGES["tensorflow.serving.SignatureDefMap"]
GetModelMetadataRequest = _MESSAGES["tensorflow.serving.GetModelMetadataRequest"]
GetModelMetadataResponse = _MESSAGES["tensorflow.serving.GetModelMetadataResponse"]
GetModelStatusRequest = _MESSAGES["tensorflow.serving.GetModelStatusRequest"]
GetModelStatusResponse = _MESSAGES["tensorflow.serving.GetModelStatusResponse"]
PredictionLog = _MESSAGES["tensorflow.serving.PredictionLog"]

STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}  # of a version

PREDICT = "/tensorflow.serving.PredictionService/Predict"
GET_MODEL_METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
GET_MODEL_STATUS = "/tensorflow.serving.ModelService/GetModelStatus"


def model_spec(name: str, *, version: int | None = None, signature: str = "") -> ModelSpec:
    """Return which model a request is for.

    Args:
        name: Name that the server knows the model by.
        version: Its version; None is the server's choice, the newest.
        signature: Name of the signature.
    """
    spec = ModelSpec(name=name, signature_name=signature)
    if version is not None:
        spec.version.value = version  # also 0, which must be said to be there
        spec.version.SetInParent()
    return spec
