"""The paper's test: the network sees the whole video, centre crop, logits averaged over time.

Carreira & Zisserman 2017, section 2.5. Videos of more than 250 frames are tested on their middle 250. I3D sees
them at once; a network of fixed clips (3D-ConvNet) sees them in windows, whose logits are averaged. Views, several
windows of several crops each, are averaged likewise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_i3d.errors import KerasI3DError

Answer = tuple[str, np.ndarray, np.ndarray]  # id, logits (classes,), label


def iterate(
    logits_network: keras.Model,
    videos: tf.data.Dataset,
    *,
    windows: Mapping[str, int] | None = None,
    parts: int = 1,
) -> Iterator[Answer]:
    """Yield a network's answer to one video after the other.

    Args:
        logits_network: Inputs of shape (batch, time, size, size, channels) by modality, logits out.
        videos: Elements of `keras_i3d.clips.pipeline.whole_videos`, or of `video_views`, whose inputs have an axis
            of crops before that of time.
        windows: Frames of a window by modality; None lets the network see the whole video at once. Not with crops.
        parts: How many elements that follow one another belong to one video; their logits are averaged.

    Yields:
        The video's id, its float32 logits (classes,), its label.

    Raises:
        KerasI3DError: A video does not fit into memory.
    """
    names = [tensor.name for tensor in logits_network.inputs]
    run = _runner(logits_network, names, windows)
    gathered: list[np.ndarray] = []
    for inputs, label, video_id in videos:
        own_name = video_id.numpy().decode("utf-8", "surrogateescape")
        clips = {name: inputs[name] if inputs[name].shape.rank == 5 else inputs[name][tf.newaxis] for name in names}
        try:
            gathered.append(run(clips).numpy())
        except tf.errors.ResourceExhaustedError as error:
            shape = tuple(clips[names[0]].shape)
            raise KerasI3DError(
                f"{own_name}: its {shape[0]} clips of {shape[1]} frames do not fit into memory at once; fewer frames "
                "do (--frames, --view-frames), or fewer crops (--views)"
            ) from error
        if len(gathered) == parts:
            yield own_name, np.mean(gathered, axis=0, dtype=np.float32), label.numpy()
            gathered = []


def _runner(
    logits_network: keras.Model, names: list[str], windows: Mapping[str, int] | None
) -> Callable[[dict[str, Any]], Any]:
    """Return the function that gives the mean logits of clips: one trace for all numbers and lengths of them."""
    specs = {
        tensor.name: tf.TensorSpec((None, None if windows else tensor.shape[1], *tensor.shape[2:]), tf.float32)
        for tensor in logits_network.inputs
    }

    @tf.function(input_signature=[specs])
    def run(clips: dict[str, Any]) -> Any:
        if windows is not None:
            count = tf.shape(clips[names[0]])[1] // windows[names[0]]
            clips = {name: tf.reshape(clips[name], (count, windows[name], *clips[name].shape[2:])) for name in names}
        logits = logits_network(clips if len(names) > 1 else clips[names[0]], training=False)
        return tf.reduce_mean(logits, axis=0)

    return run
