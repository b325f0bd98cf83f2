"""A finished model as the function of prepared clips that converters take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from keras_i3d.finished_model import FinishedModel
from keras_i3d.layers import BatchNormLSTM
from keras_i3d.models import copies, networks
from keras_i3d.models.folding import fold_batch_norm
from keras_i3d.serving.names import DEFAULT, LOGITS
from keras_i3d.serving.runtimes.layers import PoolingByPlanes, UnrolledLSTM, is_mean_or_maximum

PROBABILITIES = "probabilities"
OUTPUTS = (LOGITS, PROBABILITIES)


@dataclass(frozen=True)
class ClipNetwork:
    """A network for prepared clips.

    Attributes:
        model: Takes float32 clips, (batch, time, height, width, channels) in [-1, 1]: the one stream, or a dict of
            both. Gives a dict of `OUTPUTS`, float32 (batch, classes).
        shapes: Of the clips, by stream; None for an axis that may have any length.
    """

    model: keras.Model
    shapes: Mapping[str, tuple[int | None, ...]]

    def specs(self) -> list[tf.TensorSpec]:
        """Return what `function` takes."""
        return [tf.TensorSpec(shape, tf.float32, name=name) for name, shape in self.shapes.items()]

    def function(self) -> Any:
        """Return the network as a TensorFlow function of its streams, in the order of `shapes`."""
        names = list(self.shapes)

        def answer(*clips: tf.Tensor) -> dict[str, tf.Tensor]:
            given = clips[0] if len(clips) == 1 else dict(zip(names, clips, strict=True))
            outputs = self.model(given, training=False)
            return {name: tf.identity(outputs[name], name=name) for name in OUTPUTS}

        return tf.function(answer, input_signature=self.specs(), autograph=False)

    def save(self, folder: Path) -> None:
        """Write the network as a SavedModel of the one signature ``serving_default``."""
        function = self.function()
        function.get_concrete_function()
        archive = keras.export.ExportArchive()
        archive.track(self.model)
        archive.add_endpoint(DEFAULT, function)
        archive.write_out(folder, verbose=False)

    def answer(self, clips: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return what Keras answers on clips, computed on the CPU: GPUs round float32 to TensorFloat-32."""
        with tf.device("CPU:0"):
            outputs = self.model(next(iter(clips.values())) if len(clips) == 1 else dict(clips), training=False)
        return {name: outputs[name].numpy() for name in OUTPUTS}


def clip_network(
    finished: FinishedModel, *, frames: int | None = None, batch: int | None = None, is_fixed: bool = False
) -> ClipNetwork:
    """Return the network of a finished model, with logits and probabilities as outputs.

    Args:
        finished: The model.
        frames: Consecutive frames of the video that a clip covers; by default any number, if the network takes any.
        batch: Clips of a batch; by default any number.
        is_fixed: Whether every axis must be known. Those that nothing else tells are then one clip, the frames of a
            training clip, and the preparation's size.

    Raises:
        ValueError: `frames` or `batch` is less than 1, the frames are fewer than the network takes, or it takes
            another number.
    """
    for name, count in (("frames", frames), ("batch", batch)):
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
            raise ValueError(f"{name} must be a whole number of at least 1, got {count!r}")
    network = finished.network
    if any(isinstance(layer, BatchNormLSTM) for layer in network._flatten_layers()) and frames is None:
        frames = usual_frames(finished)  # no converter takes the loop over time, so it is written out
    usual = _input_shapes(finished, usual_frames(finished) if frames is None else frames)
    shapes = {}
    for tensor in network.inputs:
        own, wanted = tensor.shape[1:], usual[tensor.name]
        if frames is not None and wanted[0] != (own[0] or max(wanted[0], 1)):
            raise ValueError(
                f"the network {finished.preparation.network} takes {own[0] or 'at least 1'} {tensor.name} frames; of "
                f"the {frames} frames of a clip {wanted[0]} would be left"
            )
        size = [known or (new if is_fixed else None) for known, new in zip(own, wanted, strict=True)]
        size[0] = own[0] or (wanted[0] if is_fixed or frames is not None else None)
        shapes[tensor.name] = (batch or (1 if is_fixed else None), *size)
    logits = network.get_layer("Logits").output
    named = [layer.output for layer in network.layers if layer.name == "Predictions"]
    outputs = {LOGITS: logits, PROBABILITIES: named[0] if named else keras.ops.softmax(logits)}
    return ClipNetwork(keras.Model(networks.inputs_of(network), outputs, name=network.name), shapes)


def convertible(network: ClipNetwork, *, has_3d_pools: bool = True, folds_batch_norm: bool = True) -> ClipNetwork:
    """Return a network in float32 of layers that converters can take; the same model where there is nothing to change.

    Args:
        network: The network.
        has_3d_pools: Whether 3-D pools can be taken.
        folds_batch_norm: Whether batch norms can be taken; else they are folded, for which all axes but the batch
            must be known.
    """
    model = network.model
    if not folds_batch_norm:
        model = fold_batch_norm(model, {name: shape[1:] for name, shape in network.shapes.items()})

    def replaced(layer: Any) -> Any:
        if not has_3d_pools and is_mean_or_maximum(layer):
            return PoolingByPlanes(type(layer).from_config(layer.get_config() | {"dtype": "float32"}))
        kind = UnrolledLSTM if isinstance(layer, BatchNormLSTM) else type(layer)
        return kind.from_config(layer.get_config() | {"dtype": "float32"})

    if not any(_is_changed(layer, has_3d_pools) for layer in model._flatten_layers(include_self=False)):
        return ClipNetwork(model, network.shapes)
    copy = copies.cloned(model, replaced)
    copies.copy_values(model, copy)
    return ClipNetwork(copy, network.shapes)


def usual_frames(finished: FinishedModel) -> int:
    """Return how many frames of the video a clip covers where nobody says: those of a window, or of training."""
    return finished.protocol.window or finished.protocol.train_frames


def example_clips(finished: FinishedModel, network: ClipNetwork) -> list[dict[str, np.ndarray]]:
    """Return random clips in [-1, 1] to compare answers on, the same every time.

    The first is a clip as long as in training. Where an axis is open, two clips follow, half as long if the time is
    open and the network takes that: what a converter has taken for a constant shows there.
    """
    frames = usual_frames(finished)
    clips = [_random_clips(network, _input_shapes(finished, frames), 1)]
    if any(None in shape[:2] for shape in network.shapes.values()):
        half = _input_shapes(finished, frames // 2)
        if finished.protocol.window is None and all(shape[0] for shape in half.values()):
            frames //= 2
        clips.append(_random_clips(network, _input_shapes(finished, frames), 2))
    return clips


def _random_clips(network: ClipNetwork, usual: Mapping[str, tuple[int, ...]], batch: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    clips = {}
    for name, shape in network.shapes.items():
        known = [own or new for own, new in zip(shape, (batch, *usual[name]), strict=True)]
        clips[name] = generator.uniform(-1, 1, known).astype(np.float32)
    return clips


def _input_shapes(finished: FinishedModel, frames: int) -> dict[str, tuple[int, ...]]:
    own = finished.preparation
    return networks.input_shapes(own.network, own.modality, frames=frames, size=own.size)


def _is_changed(layer: Any, has_3d_pools: bool) -> bool:
    if isinstance(layer, BatchNormLSTM) or (not has_3d_pools and is_mean_or_maximum(layer)):
        return True
    return isinstance(layer, layers.Layer) and layer.dtype_policy.name != "float32"
