"""TV-L1 flow of a video on a GPU: many pairs of frames at once, by `keras_i3d.layers.TVL1Flow` on Keras's backend."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

import numpy as np

from keras_i3d.video import flow

PAIRS_AT_ONCE = 64  # some 1.7 GB at 256x340
_SIZES = 16  # of frames, whose compiled functions are kept

# several processes share the GPU, so none takes all of its memory; TensorFlow and JAX read these as they start
_SHARED = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


def check_device() -> None:
    """Raise ValueError where Keras's backend sees no GPU."""
    os.environ.update(_SHARED)
    import keras

    if not keras.distribution.list_devices("gpu"):
        raise ValueError(
            f"flow device 'gpu': Keras's backend, {keras.backend.backend()}, sees no GPU on this machine; leave it out "
            "to compute flow on the CPU, or see that the driver and a build of the backend for GPUs are installed"
        )


def with_flow(
    frames: Iterable[np.ndarray], *, pairs_at_once: int = PAIRS_AT_ONCE
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pair each frame with the flow from it to the next, as `keras_i3d.video.flow.with_flow` does on the CPU.

    The values are OpenCV's as near as OpenCV's builds are to one another, and not the same to the bit. The first video
    of each size waits for a compilation, some ten seconds.

    Args:
        frames: uint8 arrays of shape (height, width, 3), RGB, all of one shape.
        pairs_at_once: Pairs computed together; so many frames are held.

    Yields:
        (frame, field): the frame itself, and float32 of shape (height, width, 2), x then y, in pixels per frame,
        bounded to +-20. There are as many fields as frames: the last one is repeated. A single frame has no motion.

    Raises:
        ValueError: The frames have another shape or dtype.
    """
    os.environ.update(_SHARED)
    frames = iter(frames)
    held, field = list(islice(frames, 1)), None
    for frame in held:
        flow.check_frame(frame)
    while following := list(islice(frames, pairs_at_once)):
        for frame in following:
            flow.check_frame(frame, held[0])
        held += following
        fields = _fields(np.stack(held), pairs_at_once)
        for frame, field in zip(held, fields, strict=False):
            yield frame, field
        held = held[-1:]
    for frame in held:
        yield frame, np.zeros((*frame.shape[:2], 2), np.float32) if field is None else field.copy()


def _fields(frames: np.ndarray, pairs_at_once: int) -> np.ndarray:
    """Return the fields between frames; so that all clips have one length, the last frame is repeated, at rest."""
    missing = pairs_at_once + 1 - len(frames)
    clip = np.concatenate([frames, np.repeat(frames[-1:], missing, axis=0)])
    model = _model(*clip.shape)
    return np.asarray(model.predict_on_batch(clip[np.newaxis]))[0, : len(frames) - 1]


@lru_cache(_SIZES)
def _model(*shape: int) -> Any:
    import keras

    from keras_i3d.layers import TVL1Flow

    inputs = keras.Input(shape, dtype="uint8")
    return keras.Model(inputs, TVL1Flow(pairs_at_once=None)(inputs))  # which Keras compiles by XLA where it can
