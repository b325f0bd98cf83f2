"""The functions of a served model: raw frames in, named answers out.

They call the very preparation that training and evaluation call, and cut a clip into what the network sees at once
as the paper's test does, so there is no skew between them.

| signature | takes | gives |
|---|---|---|
| ``serving_default`` | raw frames | ``logits``, ``probabilities``, ``top_classes``, ``top_probabilities`` |
| ``frames`` | the same with rgb as JPEGs or PNGs | the same |
| ``clip`` | prepared clips | the same |
| ``features`` | raw frames | ``features``, ``mean_features`` |
| ``description`` | ``query``, anything | ``preparation``, ``activation``, ``class_names``, ``max_frames`` |
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cached_property
from typing import Any

import keras
import tensorflow as tf

from keras_i3d import streams
from keras_i3d.clips import sampling, transforms
from keras_i3d.finished_model import FinishedModel
from keras_i3d.layers import EightBitFlow, TVL1Flow
from keras_i3d.models import copies, folding
from keras_i3d.models import features as cutting
from keras_i3d.records import schema
from keras_i3d.serving.names import CLIP, DEFAULT, DESCRIPTION, FEATURES, FRAMES, QUERY, RGB_BYTES
from keras_i3d.serving.options import MOST_PIXELS, ServingOptions
from keras_i3d.tvl1_parameters import PAIRS_ON_A_GPU

TOP = 5
Tensors = dict[str, Any]


class Signatures:
    """The functions of a finished model, by the names of their signatures.

    Raw frames are uint8 RGB (batch, time, height, width, 3), flow is float32 pixels per frame, (..., 2); a network of
    two streams takes both, of as many frames, and with ``flow_inside`` rgb alone. Clips are float32 in [-1, 1], as the
    network takes them. Logits and probabilities are float32 (batch, classes), the best five classes (or all, of fewer)
    and theirs (batch, 5). Features are float32 (batch, steps, width), those of both streams side by side where each has
    its own, and their mean over the steps (batch, width). Every function raises ``InvalidArgumentError`` of what is no
    clip, and says why.

    Args:
        finished: Of any network.
        options: How it computes, and on which shapes.
    """

    def __init__(self, finished: FinishedModel, options: ServingOptions | None = None) -> None:
        self.options = options or ServingOptions()
        self.finished = finished.with_flow_inside() if self.options.flow_inside else finished
        self._streams = finished.protocol.streams
        self._names = list(finished.class_names)
        self._traced: dict[str, Any] = {}
        network = _in_use(finished, self.options)
        try:
            self._body, self._head = cutting.split(network)
        except ValueError:  # a network of the user's own, without a dropout to tell its features by
            self._body, self._head = None, network

    @property
    def names(self) -> tuple[str, ...]:
        """The signatures that this model has: one of flow alone has no encoded frames, some have no features."""
        absent = {FRAMES: "rgb" not in self.finished.preparation.given, FEATURES: self._body is None}
        return tuple(name for name in self._functions if not absent.get(name))

    @property
    def variables(self) -> list[tf.Variable]:
        """All that the functions read."""
        halves = [half for half in (self._body, self._head) if half is not None]
        return [variable.value for half in halves for variable in half.variables]

    def concrete(self, name: str) -> Any:
        """Return a function, traced; it takes tensors by name and gives tensors by name.

        Raises:
            ValueError: The model has no such signature.
        """
        if name not in self.names:
            raise ValueError(f"unknown signature {name!r}; this model has {', '.join(self.names)}")
        if name not in self._traced:

            def function(**inputs: Any) -> Tensors:
                return self._functions[name](inputs)

            specs = {spec.name: spec for spec in self.specs(name)}
            self._traced[name] = tf.function(function).get_concrete_function(**specs)
        return self._traced[name]

    def specs(self, name: str) -> list[tf.TensorSpec]:
        """Return what a function takes."""
        batch, time, height, width = self.options.shape
        if name == DESCRIPTION:
            return [tf.TensorSpec((None,), tf.string, name=QUERY)]
        if name == CLIP:
            return self._clip_specs(batch)
        raw = {"rgb": tf.uint8, "flow": tf.float32}
        return [
            tf.TensorSpec((batch, time), tf.string, name=RGB_BYTES)
            if name == FRAMES and stream == "rgb"
            else tf.TensorSpec((batch, time, height, width, streams.channels(stream)), raw[stream], name=stream)
            for stream in self.finished.preparation.given
        ]

    def request_shapes(self, name: str, *, batch: int = 1, frames: int | None = None) -> dict[str, tuple[int, ...]]:
        """Return the shapes of what a function takes in a usual request, by name.

        Args:
            name: Of the signature.
            batch: Clips, where the batch is open.
            frames: Of the video, where the time is open; None for those of a training clip.
        """
        protocol, (_, _, height, width) = self.finished.protocol, self.options.shape
        short_side = self.finished.preparation.short_side
        frames = frames or min(protocol.train_frames, self.options.max_frames)
        shapes = {}
        for spec in self.specs(name):
            steps = protocol.streams[spec.name].count(frames) if name == CLIP else frames
            usual = (batch, steps, height or short_side, width or round(short_side * 4 / 3), None)
            shapes[spec.name] = tuple(given or free for given, free in zip(spec.shape, usual, strict=False))
        return shapes

    @cached_property
    def _functions(self) -> dict[str, Callable[[Tensors], Tensors]]:
        return {
            DEFAULT: lambda raw: self._answers(raw),
            FRAMES: lambda raw: self._answers(_decoded(raw, self.options.max_frames)),
            CLIP: lambda clips: self._named(self._run(self._checked_clips(clips))[1]),
            FEATURES: lambda raw: self._raw_features(raw),
            DESCRIPTION: lambda inputs: self._description(inputs[QUERY]),
        }

    def _clip_specs(self, batch: int | None) -> list[tf.TensorSpec]:
        """Return what the network takes; the time of windows is not that of the raw frames."""
        time, size = self.options.frames if self.finished.window is None else None, self.finished.preparation.size
        given = {tensor.name: tensor.shape for tensor in self.finished.network.inputs}
        steps = {stream: given[stream][1] or (time and part.count(time)) for stream, part in self._streams.items()}
        return [
            tf.TensorSpec((batch, steps[stream], size, size, given[stream][-1]), tf.float32, name=stream)
            for stream in self._streams
        ]

    def _answers(self, raw: Tensors) -> Tensors:
        clips, windows = self._prepared(raw)
        _, logits = self._run(clips)
        if windows is not None:
            logits = tf.reduce_mean(tf.reshape(logits, (-1, windows, logits.shape[-1])), axis=1)
        return self._named(logits)

    def _raw_features(self, raw: Tensors) -> Tensors:
        clips, windows = self._prepared(raw)
        steps, _ = self._run(clips)
        if windows is not None:
            steps = tf.reshape(steps, (-1, windows * tf.shape(steps)[1], steps.shape[-1]))
        return {"features": steps, "mean_features": tf.reduce_mean(steps, axis=1)}

    @cached_property
    def _run(self) -> Any:
        """The network: clips to features over time and logits. Traced once for all signatures."""
        batch = self.options.shape[0] if self.finished.window is None else None
        specs = {spec.name: spec for spec in self._clip_specs(batch)}

        @tf.function(input_signature=[specs], jit_compile=self.options.xla or None)
        def run(clips: Tensors) -> tuple[Any, Any]:
            inputs = clips if len(clips) > 1 else next(iter(clips.values()))
            if self._body is None:
                return None, self._head(inputs, training=False)
            found = self._body(inputs, training=False)
            parts = list(found.values()) if isinstance(found, dict) else [found]
            steps = tf.concat([tf.cast(_over_time(part), tf.float32) for part in parts], axis=-1)
            return steps, self._head(found, training=False)

        return run

    def _flow(self, rgb: Any) -> Any:
        """Return the TV-L1 flow of raw frames as records hold it: of the resized frames, whole, through eight bits."""
        shape = tf.shape(rgb)
        pictures = tf.reshape(rgb, (shape[0] * shape[1], shape[2], shape[3], 3))
        pictures = transforms.resize(pictures, self.finished.preparation.short_side)
        return self._motion(tf.reshape(pictures, tf.concat([shape[:2], tf.shape(pictures)[1:]], axis=0)))

    @cached_property
    def _motion(self) -> Any:
        """From frames to flow in pixels. Traced once for all signatures."""
        # compiled, many pairs of frames go together, as GPUs want it; else one by one, as a CPU wants it
        motion, coded = TVL1Flow(pairs_at_once=PAIRS_ON_A_GPU if self.options.xla else 1), EightBitFlow()
        specs = [tf.TensorSpec((None, None, None, None, 3))]
        return tf.function(
            lambda frames: coded(motion(frames)) * streams.FLOW_BOUND,
            input_signature=specs,
            jit_compile=self.options.xla or None,
        )

    def _checked_clips(self, clips: Tensors) -> Tensors:
        """Return prepared clips behind checks; of two streams each has its share of the same frames."""
        in_order = {stream: clips[stream] for stream in self._streams}
        clips = _of_some_length(_of_ranks(in_order), self.options.max_frames)
        steps = {stream: part.step for stream, part in self._streams.items()}
        return _of_equal_length(clips, steps)

    def _named(self, logits: Any) -> Tensors:
        probabilities = keras.activations.get(self.finished.activation)(logits)
        best = tf.math.top_k(probabilities, min(TOP, len(self._names)))
        return {
            "logits": logits,
            "probabilities": probabilities,
            "top_classes": tf.gather(tf.constant(self._names), best.indices),
            "top_probabilities": best.values,
        }

    def _description(self, query: Any) -> Tensors:
        count = tf.size(query)
        preparation = json.dumps(asdict(self.finished.preparation))
        return {
            "preparation": tf.fill([count], preparation),
            "activation": tf.fill([count], self.finished.activation),
            "class_names": tf.tile(tf.constant([self._names]), [count, 1]),
            "max_frames": tf.fill([count], tf.constant(self.options.max_frames, tf.int64)),
        }

    def _prepared(self, raw: Tensors) -> tuple[Tensors, Any]:
        """Return the clips that the network takes, those of a batch's windows in one batch, and windows per video."""
        preparation, window = self.finished.preparation, self.finished.window
        in_order = {stream: raw[stream] for stream in preparation.given}
        raw = _of_equal_length(_of_some_length(_of_ranks(in_order), self.options.max_frames))
        if preparation.flow_inside:
            raw["flow"] = self._flow(raw["rgb"])
        time = tf.shape(next(iter(raw.values())))[1]
        multiple = window or self.finished.protocol.period
        windows = None if window is None else tf.maximum(time // window, 1)
        clips = {}
        for stream, part in self._streams.items():
            frames = raw[stream]
            if multiple > 1:
                indices = sampling.whole_video(time, time, multiple)[part.offset :: part.step]
                frames = tf.gather(frames, indices, axis=1)
            shape = tf.shape(frames)
            pictures = tf.reshape(frames, (shape[0] * shape[1], shape[2], shape[3], frames.shape[-1]))
            views = transforms.testing_view(pictures, preparation.size, stream)
            steps = shape[1] if window is None else part.count(window)
            clips[stream] = tf.reshape(views, (-1, steps, *views.shape[1:]))
        return clips, windows


def _in_use(finished: FinishedModel, options: ServingOptions) -> keras.Model:
    """Return the network up to its logits, as the options want it."""
    network, shapes = finished.logits_network(), finished.clip_shapes()
    if options.folds:
        network = folding.fold_batch_norm(network, shapes)
    policy = {"float32": "float32", "bfloat16": "mixed_bfloat16"}[options.precision]
    if policy != "float32" or any(layer.dtype_policy.name != policy for layer in network._flatten_layers()):
        network = copies.under_policy(network, policy, shapes)
    return network


# A server hands on what it is sent: of a tensor it checks the type, but not the shape. So these stand before all else.


def _of_ranks(given: Mapping[str, Any]) -> Tensors:
    return {name: _of_rank(tensor, name) for name, tensor in given.items()}


def _of_rank(frames: Any, stream: str) -> Any:
    """Return a tensor behind a check of its rank and channels, which TensorFlow takes for granted of an input."""
    unknown = tf.raw_ops.PlaceholderWithDefault(input=frames, shape=tf.TensorShape(None))
    shape, wanted = tf.shape(unknown), frames.shape
    fixed = [-1 if size is None else size for size in wanted]
    matches = tf.cond(
        tf.equal(tf.size(shape), wanted.rank),
        lambda: tf.reduce_all(tf.logical_or(tf.equal(fixed, -1), tf.equal(shape, fixed))),
        lambda: False,
    )
    axes = ", ".join(
        name if size is None else str(size)
        for name, size in zip(("batch", "time", "height", "width", "channels"), wanted, strict=False)
    )
    check = _check(matches, f"{stream} must be of shape [{axes}]; got shape", shape)
    with tf.control_dependencies([check]):
        return tf.ensure_shape(tf.identity(unknown), wanted)


def _of_some_length(given: Mapping[str, Any], max_frames: int) -> Tensors:
    """Return tensors (batch, time, ...) behind checks that none is empty or too long."""
    checks = []
    for name, tensor in given.items():
        shape = tf.shape(tensor)
        too_long = f"{name} has more than {max_frames} frames; send a longer video in parts; shape"
        checks += [
            _check(tf.reduce_all(shape > 0), f"{name} has no clips, no frames or no pixels; shape", shape),
            _check(shape[1] <= max_frames, too_long, shape),
        ]
        if tensor.dtype.is_floating:
            finite = tf.reduce_all(tf.math.is_finite(tensor))
            checks.append(_check(finite, f"{name} holds values that are no finite numbers; shape", shape))
    with tf.control_dependencies(checks):
        return {name: tf.identity(tensor) for name, tensor in given.items()}


def _of_equal_length(given: Mapping[str, Any], steps: Mapping[str, int] | None = None) -> Tensors:
    """Return the streams behind a check that they are of as many clips and frames of the video.

    Args:
        given: Tensors (batch, time, ...) by stream.
        steps: Frames of the video from one step in time to the next, by stream; one if not said.
    """
    shapes = {stream: tf.shape(tensor) for stream, tensor in given.items()}
    spans = {stream: shape[:2] * [1, steps[stream] if steps else 1] for stream, shape in shapes.items()}
    first = next(iter(spans.values()))
    message = f"{' and '.join(given)} differ in batch or time; shapes"
    same = tf.reduce_all([tf.reduce_all(span == first) for span in spans.values()])
    with tf.control_dependencies([_check(same, message, *shapes.values())]):
        return {stream: tf.identity(tensor) for stream, tensor in given.items()}


def _check(condition: Any, message: str, *shapes: Any) -> Any:
    return tf.debugging.Assert(condition, [message, *shapes], summarize=8)


def _decoded(inputs: Tensors, max_frames: int) -> Tensors:
    """Return raw frames of encoded ones, which must be of one size and, before any is decoded, not too many."""
    ranked = _of_rank(inputs[RGB_BYTES], RGB_BYTES)
    encoded = _of_some_length({RGB_BYTES: ranked}, max_frames)[RGB_BYTES]
    flat = tf.reshape(encoded, (-1,))
    first = tf.shape(schema.decode_picture(flat[0], "rgb"))

    count = tf.cast(tf.size(flat), tf.int64) * tf.reduce_prod(tf.cast(first[:2], tf.int64))
    too_many = f"{RGB_BYTES} holds more than {MOST_PIXELS} pixels; send smaller frames, or fewer; the first is"
    with tf.control_dependencies([_check(count <= MOST_PIXELS, too_many, first)]):
        flat = tf.identity(flat)

    def decode(one: Any) -> Any:
        picture = schema.decode_picture(one, "rgb")
        message = "frames of different sizes; the first and another are"
        same = _check(tf.reduce_all(tf.shape(picture) == first), message, first, tf.shape(picture))
        with tf.control_dependencies([same]):
            return tf.identity(picture)

    pictures = tf.map_fn(decode, flat, fn_output_signature=tf.TensorSpec((None, None, 3), tf.uint8))
    shape = tf.concat([tf.shape(encoded), first], axis=0)
    return {"rgb": tf.ensure_shape(tf.reshape(pictures, shape), (*encoded.shape, None, None, 3))} | {
        name: tensor for name, tensor in inputs.items() if name != RGB_BYTES
    }


def _over_time(features: Any) -> Any:
    """Return features as (batch, steps, width), averaged over space; those of a whole clip as of one step."""
    if features.shape.rank == 5:
        return tf.reduce_mean(features, axis=(2, 3))
    return features if features.shape.rank == 3 else features[:, tf.newaxis]
