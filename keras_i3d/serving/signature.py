"""The function that a served model runs: raw frames in, named answers out.

It calls the very preparation that training and evaluation call, so there is no skew between them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_i3d.clips import transforms
from keras_i3d.finished_model import FinishedModel
from keras_i3d.streams import channels

TOP = 5


def input_spec(modality: str) -> tf.TensorSpec:
    """Return what the served function takes: any number of clips of any length and size.

    Frames are uint8 RGB; flow is float32, pixels per frame.
    """
    dtype = tf.uint8 if modality == "rgb" else tf.float32
    return tf.TensorSpec((None, None, None, None, channels(modality)), dtype, name=modality)


def serving_function(finished: FinishedModel) -> Callable[[Any], dict[str, Any]]:
    """Return the function of a finished model.

    Takes a tensor of `input_spec`; returns ``logits`` and ``probabilities`` (float32, (batch, classes)),
    ``top_classes`` (string) and ``top_probabilities`` (float32), both (batch, 5) or fewer, best first.
    """
    network, preparation = finished.logits_network(), finished.preparation
    top = min(TOP, len(finished.class_names))

    def serve(frames: Any) -> dict[str, Any]:
        names = tf.constant(finished.class_names)
        shape = tf.shape(frames)
        pictures = tf.reshape(frames, (shape[0] * shape[1], shape[2], shape[3], frames.shape[-1]))
        prepared = transforms.testing_view(pictures, preparation.size, preparation.modality)
        clips = tf.reshape(prepared, (shape[0], shape[1], *prepared.shape[1:]))
        logits = network(clips, training=False)
        probabilities = tf.nn.softmax(logits)
        best = tf.math.top_k(probabilities, top)
        return {
            "logits": logits,
            "probabilities": probabilities,
            "top_classes": tf.gather(names, best.indices),
            "top_probabilities": best.values,
        }

    return serve
