"""TV-L1 flow of a video on a GPU: many pairs of frames at once, by `keras_i3d.layers.TVL1Flow` on Keras's backend."""

from __future__ import annotations

import importlib
import os
import platform
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

import numpy as np

from keras_i3d.errors import VideoError, first_line
from keras_i3d.tvl1_parameters import PAIRS_ON_A_GPU
from keras_i3d.video import flow

MOST_PIXELS = PAIRS_ON_A_GPU * 256 * 341  # of the pairs computed together, some 1.7 GB
_SIZES = 16  # of frames, whose compiled functions are kept

# several processes share the GPU, so none takes all of its memory; TensorFlow and JAX read these as they start
_SHARED = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


def check_device() -> None:
    """Raise ValueError where Keras's backend sees no GPU."""
    _share()
    import keras

    if not keras.distribution.list_devices("gpu"):
        raise ValueError(
            f"flow device 'gpu': Keras's backend, {keras.backend.backend()}, sees no GPU on {platform.node()}; leave "
            "it out to compute flow on the CPU, or see that the driver and the backend for GPUs are installed"
        )


def versions() -> dict[str, str]:
    """Return the versions of Keras and of its backend, on which the last bits depend."""
    import keras

    backend = keras.backend.backend()
    return {"keras": keras.__version__, backend: importlib.import_module(backend).__version__}


def _share() -> None:
    for name, value in _SHARED.items():
        os.environ.setdefault(name, value)


def with_flow(
    frames: Iterable[np.ndarray], *, pairs_at_once: int = PAIRS_ON_A_GPU
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pair each frame with the flow from it to the next, as `keras_i3d.video.flow.with_flow` does on the CPU.

    The values are OpenCV's as near as OpenCV's builds are to one another, and not the same to the bit. The first video
    of each size waits for a compilation, some ten seconds.

    Args:
        frames: uint8 arrays of shape (height, width, 3), RGB, all of one shape.
        pairs_at_once: Pairs computed together, of frames that are larger than 256x341 fewer; so many frames are held.

    Yields:
        (frame, field): the frame itself, and float32 of shape (height, width, 2), x then y, in pixels per frame,
        bounded to +-20. There are as many fields as frames: the last one is repeated. A single frame has no motion.

    Raises:
        ValueError: The frames have another shape or dtype.
        VideoError: The backend cannot compute it, such as for want of memory.
    """
    _share()
    frames = iter(frames)
    held, field = list(islice(frames, 1)), None
    for frame in held:
        flow.check_frame(frame)
        height, width, _ = frame.shape
        pairs_at_once = max(1, min(pairs_at_once, MOST_PIXELS // (height * width)))
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
    import keras

    try:
        found = _model(*clip.shape).predict_on_batch(clip[np.newaxis])
    except Exception as error:  # the backends' errors have no class in common
        height, width = clip.shape[1:3]
        raise VideoError(
            f"{keras.backend.backend()} cannot compute the flow of {pairs_at_once} pairs of frames of {width}x{height} "
            f"({first_line(error)})"
        ) from error
    return np.asarray(found)[0, : len(frames) - 1]


@lru_cache(_SIZES)
def _model(*shape: int) -> Any:
    import keras

    from keras_i3d.layers import TVL1Flow

    inputs = keras.Input(shape, dtype="uint8")
    return keras.Model(inputs, TVL1Flow(pairs_at_once=None)(inputs))  # which Keras compiles by XLA where it can
