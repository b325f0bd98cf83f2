"""Two-Stream I3D: the RGB and the flow stream of I3D as one model (Carreira & Zisserman 2017, section 2.4)."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from keras_i3d import streams
from keras_i3d.layers import EightBitFlow, TVL1Flow
from keras_i3d.models import arguments, heads, starting_weights
from keras_i3d.models.i3d import FRAMES, I3D, SIZE

# of I3D's arguments, those that hold for both streams
STREAM_OPTIONS = ("dropout_rate", "time_plan", "temporal_padding", "batch_norm_momentum", "synchronized_batch_norm")


def TwoStreamI3D(
    weights: str | os.PathLike | tuple[str | os.PathLike, str | os.PathLike] | None = "kinetics",
    input_shape: tuple[int | None, ...] | None = None,
    classes: int | None = None,
    classifier_activation: str | None = "softmax",
    name: str = "two_stream_i3d",
    *,
    stream_weights: tuple[float, float] = (1.0, 1.0),
    flow_from_rgb: bool = False,
    **options: Any,
) -> keras.Model:
    """Build both streams of I3D, and the sum of their logits.

    ``Logits`` is the float32 sum, as in the original (the paper says average: the class ranking is the same,
    the softmax is not). The streams are the nested models ``rgb_stream`` and ``flow_stream``; the paper trains
    them apart. Inputs are float32 in [-1, 1]: ``"rgb"`` (batch, time, height, width, 3) and ``"flow"`` (batch,
    time, height, width, 2).

    With ``flow_from_rgb`` the model takes ``rgb`` alone and computes its flow inside, by the layers ``tvl1``
    (`keras_i3d.layers.TVL1Flow`) and ``flow`` (`EightBitFlow`), through the eight bits of records, as flow networks
    see it in training. Weights are the same. The flow is that of the clip as it is given: of a crop it differs a little
    at the borders, over some ten pixels, from a crop of the flow of whole frames, and of frames in another size it is
    another flow. It costs more than the networks on a CPU; where there is a GPU,
    ``model.get_layer("tvl1").pairs_at_once = 64``, before the first call, lets it compute many pairs together.

    Args:
        weights: A name of published weights for both streams (``"kinetics"``, ``"kinetics_scratch"``,
            ``"imagenet"``), a pair of names or files (rgb, flow), the path of a file of this network's own
            weights, or None.
        input_shape: (time, height, width), by default (64, 224, 224); None for an axis known at run time only.
        classes: As in `I3D`.
        classifier_activation: ``"softmax"``, or None to end in the layer ``Logits``.
        name: Name of the model.
        stream_weights: Factors of the RGB and the flow stream's logits in the sum.
        flow_from_rgb: Whether the flow is computed from ``rgb``, whose channels are then read as RGB in [-1, 1].
        **options: Of both streams, as in `I3D`: ``dropout_rate``, ``time_plan``, ``temporal_padding``,
            ``batch_norm_momentum``, ``synchronized_batch_norm``.

    Raises:
        ValueError: An argument is not one of those named; weights are not published for both streams, or the
            streams' have different numbers of classes.
        FileNotFoundError: ``weights`` is neither a known name nor a file of weights.
        CheckpointMismatch: The file is not exactly this network's.
        WeightsUnavailable: Named weights can be neither found nor fetched.
    """
    unknown = sorted(set(options) - set(STREAM_OPTIONS))
    if unknown:
        raise ValueError(f"TwoStreamI3D has no option {unknown[0]!r}; of I3D's it takes {', '.join(STREAM_OPTIONS)}")
    arguments.check_classes(classes)
    arguments.check_activation(classifier_activation, weights)
    shape = arguments.checked_shape(input_shape, (FRAMES, SIZE, SIZE), axes="time, height, width")
    if type(flow_from_rgb) is not bool:
        raise ValueError(f"flow_from_rgb is true or false, got {flow_from_rgb!r}")
    if not _are_two_numbers(stream_weights):
        raise ValueError(f"stream_weights must be two numbers, for rgb and flow, got {stream_weights!r}")
    pair, own = _per_stream(weights)
    start = starting_weights.find(own, network="TwoStreamI3D")
    classes = classes or start.classes or _classes_of(pair)

    inputs, scaled = {}, []
    for modality, factor, its_weights in zip(streams.CHANNELS, stream_weights, pair, strict=True):
        stream = I3D(
            weights=its_weights,
            input_shape=(*shape, streams.channels(modality)),
            classes=classes,
            classifier_activation=None,
            name=f"{modality}_stream",
            modality=modality,
            **options,
        )
        if modality == "flow" and flow_from_rgb:
            clip = EightBitFlow(name="flow")(TVL1Flow((-1, 1), name="tvl1")(inputs["rgb"]))
        else:
            clip = inputs[modality] = layers.Input(stream.input.shape[1:], name=modality)
        logits = stream(clip)
        if factor != 1.0:
            logits = layers.Rescaling(factor, dtype="float32", name=f"{modality}_weighted")(logits)
        scaled.append(logits)
    logits = layers.Add(dtype="float32", name="Logits")(scaled)
    given = inputs["rgb"] if flow_from_rgb else inputs  # a model of one input, taken as dict, warns at every call
    model = keras.Model(given, heads.predictions(logits, classifier_activation), name=name)
    start.load_into(model)
    return model


def _are_two_numbers(values: object) -> bool:
    return (
        isinstance(values, Sequence)
        and len(values) == 2
        and all(isinstance(value, int | float | np.number) and math.isfinite(value) for value in values)
    )


def _classes_of(pair: tuple) -> int | None:
    """Return the number of classes of both streams' weights, found before any of them is fetched."""
    found = {
        modality: starting_weights.find(weights, network="I3D", modality=modality).classes
        for modality, weights in zip(streams.CHANNELS, pair, strict=True)
    }
    known = {classes for classes in found.values() if classes}
    if len(known) > 1:
        raise ValueError(
            f"weights must have as many classes in both streams, got {found['rgb']} in rgb and {found['flow']} in "
            "flow; classes=... gives both a new last layer where theirs has another number"
        )
    return known.pop() if known else None


def _per_stream(weights: object) -> tuple[tuple, str | os.PathLike | None]:
    """Return the weights of each stream, and those of the whole network."""
    if isinstance(weights, tuple | list):
        if len(weights) != 2:
            raise ValueError(f"weights must be one name or file, or a pair (rgb, flow); got {weights!r}")
        return tuple(weights), None
    if weights is None:
        return (None, None), None
    from keras_i3d.checkpoints import catalogue

    if str(weights) in catalogue.names():
        return (weights, weights), None
    return (None, None), weights
