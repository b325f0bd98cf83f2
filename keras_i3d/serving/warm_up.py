"""Warm-up requests: what TensorFlow Serving answers to itself before it takes the first client's.

The file is a TFRecord of PredictionLogs in ``assets.extra``. A tensor in it is one value that stands for all, so
that the file has some hundred bytes and not a hundred megabytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from keras_i3d.serving import messages
from keras_i3d.serving.names import RGB_BYTES
from keras_i3d.serving.signatures import Signatures

FILE_NAME = "tf_serving_warmup_requests"
GREY = 127


def write(folder: Path, signatures: Signatures, name: str) -> None:
    """Write one request for every signature.

    Args:
        folder: ``assets.extra`` of a SavedModel.
        signatures: Of the model.
        name: The model's on the server.
    """
    with tf.io.TFRecordWriter(str(folder / FILE_NAME)) as writer:
        for request in requests(signatures, name):
            log = messages.PredictionLog()
            log.predict_log.request.CopyFrom(request)
            writer.write(log.SerializeToString(deterministic=True))


def requests(signatures: Signatures, name: str) -> Iterator[messages.PredictRequest]:
    """Yield a request for every signature: one clip as long as those of training, where the length is free."""
    for signature in signatures.names:
        request = messages.PredictRequest(model_spec=messages.model_spec(name, signature=signature))
        shapes = signatures.request_shapes(signature)
        for spec in signatures.specs(signature):
            _fill(request.inputs[spec.name], spec, shapes[spec.name], signatures.finished.preparation.short_side)
        yield request


def _fill(tensor: messages.TensorProto, spec: tf.TensorSpec, shape: tuple[int, ...], side: int) -> None:
    tensor.dtype = spec.dtype.as_datatype_enum
    for axis in shape:
        tensor.tensor_shape.dim.add(size=axis)
    if spec.dtype == tf.uint8:
        tensor.int_val.append(GREY)
    elif spec.dtype == tf.float32:
        tensor.float_val.append(0.0)
    else:
        grey = tf.io.encode_jpeg(tf.fill((side, side, 3), tf.constant(GREY, tf.uint8)))
        tensor.string_val.append(grey.numpy() if spec.name == RGB_BYTES else b"")
