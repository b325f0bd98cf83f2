"""The paper's test: the network sees the whole video at once, centre crop, logits averaged over time.

Carreira & Zisserman 2017, section 2.5. Videos of more than 250 frames are tested on their middle 250.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf


@dataclass(frozen=True)
class Answers:
    """What a network says of every video.

    Attributes:
        ids: The videos' names.
        logits: float32 array of shape (videos, classes).
        truth: int64 array of shape (videos,).
    """

    ids: tuple[str, ...]
    logits: np.ndarray
    truth: np.ndarray


def answer(
    logits_network: keras.Model, videos: tf.data.Dataset, *, on_video: Callable[[], None] = lambda: None
) -> Answers:
    """Run a network over whole videos, one at a time.

    Args:
        logits_network: One input of shape (batch, time, size, size, channels), logits out.
        videos: Elements of `keras_i3d.clips.pipeline.whole_videos`.
        on_video: Called after each video.
    """
    name = logits_network.inputs[0].name
    spec = tf.TensorSpec((1, *logits_network.inputs[0].shape[1:]), tf.float32)

    @tf.function(input_signature=[spec])  # one trace for all lengths
    def run(clip: Any) -> Any:
        return logits_network(clip, training=False)

    ids, logits, truth = [], [], []
    for inputs, label, video_id in videos:
        logits.append(run(inputs[name][tf.newaxis]).numpy()[0])
        truth.append(int(label))
        ids.append(video_id.numpy().decode("utf-8", "surrogateescape"))
        on_video()
    classes = logits_network.outputs[0].shape[-1]
    return Answers(tuple(ids), np.reshape(logits, (-1, classes)), np.array(truth, np.int64))
