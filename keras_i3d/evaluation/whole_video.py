"""The paper's test: the network sees the whole video, centre crop, logits averaged over time.

Carreira & Zisserman 2017, section 2.5. Videos of more than 250 frames are tested on their middle 250. I3D sees
them at once; a network of fixed clips (3D-ConvNet) sees them in windows, whose logits are averaged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    logits_network: keras.Model,
    videos: tf.data.Dataset,
    *,
    windows: Mapping[str, int] | None = None,
    on_video: Callable[[], None] = lambda: None,
) -> Answers:
    """Run a network over whole videos, one at a time.

    Args:
        logits_network: Inputs of shape (batch, time, size, size, channels) by modality, logits out.
        videos: Elements of `keras_i3d.clips.pipeline.whole_videos`.
        windows: Frames of a window by modality; None lets the network see the whole video at once.
        on_video: Called after each video.
    """
    names = [tensor.name for tensor in logits_network.inputs]
    specs = {tensor.name: tf.TensorSpec((None, *tensor.shape[2:]), tf.float32) for tensor in logits_network.inputs}

    @tf.function(input_signature=[specs])  # one trace for all lengths
    def run(video: dict[str, Any]) -> Any:
        clips = {name: video[name][tf.newaxis] for name in names}
        if windows is not None:
            count = tf.shape(video[names[0]])[0] // windows[names[0]]
            clips = {name: tf.reshape(video[name], (count, windows[name], *video[name].shape[1:])) for name in names}
        logits = logits_network(clips if len(names) > 1 else clips[names[0]], training=False)
        return tf.reduce_mean(logits, axis=0)

    ids, logits, truth = [], [], []
    for inputs, label, video_id in videos:
        logits.append(run({name: inputs[name] for name in names}).numpy())
        truth.append(int(label))
        ids.append(video_id.numpy().decode("utf-8", "surrogateescape"))
        on_video()
    classes = logits_network.outputs[0].shape[-1]
    return Answers(tuple(ids), np.reshape(logits, (-1, classes)), np.array(truth, np.int64))
