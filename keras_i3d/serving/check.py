"""Compare a SavedModel with the Keras model that it was made of, loaded as a server loads it.

That is: a graph and a session, no Python object of TensorFlow 2. The warm-up requests are replayed too.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_i3d.errors import ModelFileError, first_line
from keras_i3d.finished_model import FinishedModel
from keras_i3d.layers import TVL1Flow
from keras_i3d.serving import messages, tensors, warm_up
from keras_i3d.serving.names import (
    ACTIVATION,
    CLASS_NAMES,
    CLIP,
    DEFAULT,
    DESCRIPTION,
    EXTRA,
    MAX_FRAMES,
    PREPARATION,
    RGB_BYTES,
)
from keras_i3d.serving.options import ServingOptions
from keras_i3d.serving.signatures import Signatures
from keras_i3d.whole_file import write_json

FILE_NAME = "check.json"
# of the deviation of what is compared; in float32 about 1e-6 is usual, and what folding rounds may add up
LIMITS = {"float32": 1e-4, "bfloat16": 0.2}
FRAMES_OF_CHECK = 16
COMPARED = {"logits", "features", "mean_features", PREPARATION, ACTIVATION, CLASS_NAMES, MAX_FRAMES}
Run = Callable[[str, Mapping[str, np.ndarray]], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Check:
    """What a comparison found.

    Attributes:
        differences: By signature, the largest difference from the Keras model in float32, in standard deviations of
            the logits (or of the features).
        replayed: Number of warm-up requests that were answered.
    """

    differences: Mapping[str, float]
    replayed: int

    def write(self, folder: Path) -> None:
        """Write ``check.json``."""
        write_json(folder / FILE_NAME, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Check | None:
        """Read ``check.json``; None where the model was not checked."""
        path = folder / FILE_NAME
        return cls(**json.loads(path.read_text("utf-8"))) if path.is_file() else None


def check(version: Path, finished: FinishedModel, options: ServingOptions) -> Check:
    """Compare every signature of a SavedModel with the Keras model, on a clip of noise.

    Args:
        version: Folder of the SavedModel.
        finished: What it was made of.
        options: That it was made with.

    Raises:
        ModelFileError: It cannot be loaded, answers otherwise, or fails on a warm-up request.
    """
    as_asked = {name: getattr(options, name) for name in ("shape", "max_frames", "flow_inside")}
    literal = Signatures(finished, ServingOptions(**as_asked))
    inputs = {name: _noise(literal, name) for name in literal.names}
    try:
        wanted = {name: _expected(literal, name, inputs[name]) for name in literal.names}
        requests = list(_warm_up_requests(version))
        with loaded(version) as run:
            found = {name: run(name, inputs[name]) for name in literal.names}
            for name, given in requests:
                run(name, given)
    except (tf.errors.OpError, LookupError, OSError, TypeError, ValueError) as error:
        raise ModelFileError(f"{version}: cannot be loaded and run as a server does ({first_line(error)})") from error
    _compare_descriptions(version, found.pop(DESCRIPTION), wanted.pop(DESCRIPTION))
    differences = {
        name: float(np.max([_difference(found[name][output], value) for output, value in outputs.items()]))
        for name, outputs in wanted.items()
    }
    limit = LIMITS[options.precision]
    for name, difference in differences.items():
        if not difference <= limit:
            raise ModelFileError(
                f"{version}: signature {name} differs from the Keras model by {difference:.1e} of the deviation; "
                f"{limit:g} is allowed in {options.precision}"
            )
    return Check(differences, len(requests))


@contextlib.contextmanager
def loaded(version: Path) -> Iterator[Run]:
    """Load a SavedModel as a server does while the block runs.

    Args:
        version: Folder of the SavedModel.

    Yields:
        A function of a signature's name and its inputs, arrays by name; it gives the outputs by name, and raises
        ``tf.errors.OpError``, or KeyError of a name that is not there.
    """
    graph = tf.Graph()
    session = tf.compat.v1.Session(graph=graph)
    with contextlib.closing(session):
        with graph.as_default(), _without_notes():
            definitions = tf.compat.v1.saved_model.load(session, ["serve"], str(version)).signature_def

        def run(name: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            definition = definitions[name]
            fetches = {key: info.name for key, info in definition.outputs.items()}
            return session.run(fetches, {definition.inputs[key].name: value for key, value in inputs.items()})

        yield run


def _noise(signatures: Signatures, name: str) -> dict[str, np.ndarray]:
    """Return inputs of a signature: two clips of noise, where the batch is free."""
    generator = np.random.default_rng(0)
    options, finished = signatures.options, signatures.finished
    period = finished.window or finished.protocol.period
    frames = max(min(FRAMES_OF_CHECK, options.max_frames) // period, 1) * period
    shapes = signatures.request_shapes(name, batch=2, frames=frames)
    size = next(iter(signatures.request_shapes(DEFAULT).values()))[2:4]
    # flow of noise is long in coming, and no two ways to compute it agree
    has_layer = any(isinstance(layer, TVL1Flow) for layer in finished.network.layers)
    is_calm = has_layer or finished.preparation.flow_inside
    inputs = {}
    for spec in signatures.specs(name):
        shape = shapes[spec.name]
        if name == CLIP:
            clips = generator.uniform(-1, 1, shape).astype(np.float32)
            inputs[spec.name] = np.repeat(clips[:, :1], shape[1], axis=1) if has_layer else clips
        elif spec.name == RGB_BYTES:
            clips = _frames(generator, (*shape, *size, 3), is_calm=is_calm)
            files = [[tf.io.encode_jpeg(frame).numpy() for frame in clip] for clip in clips]
            inputs[spec.name] = np.array(files, object)
        elif spec.dtype == tf.string:
            inputs[spec.name] = np.full(shape, b"", object)
        elif spec.dtype == tf.uint8:
            inputs[spec.name] = _frames(generator, shape, is_calm=is_calm)
        else:
            inputs[spec.name] = generator.uniform(-20, 20, shape).astype(np.float32)
    return inputs


def _frames(generator: np.random.Generator, shape: tuple[int, ...], *, is_calm: bool) -> np.ndarray:
    """Return clips of noise; calm ones have a single motion, at their end."""
    frames = generator.integers(0, 256, shape, np.uint8)
    if is_calm:
        frames[:, :-1], frames[:, -1] = frames[:, :1], np.roll(frames[:, 0], 1, axis=2)
    return frames


def _expected(literal: Signatures, name: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    outputs = literal.concrete(name)(**{key: tf.constant(value) for key, value in inputs.items()})
    if name == CLIP:  # by nothing of ours
        clips = inputs if len(inputs) > 1 else next(iter(inputs.values()))
        outputs = {"logits": literal.finished.logits_network()(clips, training=False)}
    return {key: value.numpy() for key, value in outputs.items() if key in COMPARED}


def _difference(found: np.ndarray, wanted: np.ndarray) -> float:
    if found.shape != wanted.shape:
        return float("inf")
    return float(np.abs(found - wanted).max() / max(float(wanted.std()), float(np.finfo(np.float32).tiny)))


def _compare_descriptions(version: Path, found: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray]) -> None:
    for name, value in wanted.items():
        if not np.array_equal(found[name], value):
            raise ModelFileError(f"{version}: its {name} are {found[name][0]}, the model's {value[0]}")


def _warm_up_requests(version: Path) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yield signature and inputs of every warm-up request."""
    for record in tf.data.TFRecordDataset(str(version / EXTRA / warm_up.FILE_NAME)):
        request = messages.PredictionLog.FromString(record.numpy()).predict_log.request
        inputs = {name: tensors.from_proto(tensor) for name, tensor in request.inputs.items()}
        yield request.model_spec.signature_name, inputs


@contextlib.contextmanager
def _without_notes() -> Iterator[None]:
    """Keep back TensorFlow's note that its old loader is old: it is the one that does as servers do."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
