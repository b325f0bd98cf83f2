"""Read TensorFlow checkpoints: DeepMind's layout and TF-Slim's Inception-v1, in both formats of TensorFlow.

Format V2 is a prefix with an ``.index`` and ``.data-?????-of-?????`` files, V1 (as TF-Slim published) one file.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keras_i3d import extras
from keras_i3d.checkpoints.names import DEEPMIND, SLIM
from keras_i3d.checkpoints.stored import StoredVariable, StoredWeights
from keras_i3d.errors import CheckpointMismatch, first_line

# Scopes in front of the network's own, by how a stream was saved; Kinetics-600 has none.
DEEPMIND_PREFIXES = ("RGB/inception_i3d/", "Flow/inception_i3d/", "")
SLIM_PREFIX = "InceptionV1/"
# Last parts of variables that training keeps beside the network's (rgb_scratch_kin600 has Momentum).
_NOT_OF_THE_NETWORK = re.compile(
    r"(^|/)(Momentum|RMSProp|Adam|Adagrad|Ftrl)(_\d+)?$|/ExponentialMovingAverage$|(^|/)global_step$|^beta[12]_power$"
)
_ENDING = r"\.(?:index|data-\d{5}-of-\d{5})"
_NORM_PARTS = ("beta", "moving_mean", "moving_variance")


def prefix_of(path: str) -> str:
    """Return a checkpoint's prefix: the path without ``.index`` or ``.data-?????-of-?????``."""
    return re.sub(f"{_ENDING}$", "", path)


def files_of(prefix: str) -> dict[str, Path]:
    """Return the files of a checkpoint by their endings: ``.index``, ``.data-?????-of-?????``, none of a V1 file."""
    start = Path(prefix)
    if not start.parent.is_dir():
        return {}
    endings = ((file, file.name.removeprefix(start.name)) for file in start.parent.iterdir())
    return {
        ending: file
        for file, ending in endings
        if file.name.startswith(start.name) and re.fullmatch(f"({_ENDING})?", ending)
    }


@contextmanager
def open_weights(path: str) -> Iterator[StoredWeights]:
    """Open a TensorFlow checkpoint.

    Names are the file's without the stream's or network's scope. The batch norm of Sonnet 1, [1, 1, 1, 1, C], is
    given as [C].

    Args:
        path: Prefix, ``.index`` or ``.data`` file of a V2 checkpoint, or a V1 checkpoint.

    Raises:
        CheckpointMismatch: It is damaged.
        MissingDependency: TensorFlow is not installed.
    """
    tf = extras.import_extra("tensorflow")
    with _without_wildcards(prefix_of(path)) as prefix:
        try:
            reader = tf.train.load_checkpoint(prefix)
            shapes = {
                name: shape
                for name, shape in reader.get_variable_to_shape_map().items()
                if not _NOT_OF_THE_NETWORK.search(name)
            }
        except (tf.errors.OpError, ValueError, RuntimeError) as error:
            raise CheckpointMismatch(f"{path}: damaged TensorFlow checkpoint ({first_line(error)})") from error
        is_slim = any(name.startswith(SLIM_PREFIX) for name in shapes)
        candidates = (SLIM_PREFIX,) if is_slim else DEEPMIND_PREFIXES
        scope = next(p for p in candidates if not p or any(name.startswith(p) for name in shapes))
        variables = {name.removeprefix(scope): _variable(reader, name, shape) for name, shape in shapes.items()}
        yield StoredWeights(path, SLIM if is_slim else DEEPMIND, variables)


def _variable(reader: Any, name: str, shape: list[int]) -> StoredVariable:
    if len(shape) == 5 and shape[:4] == [1, 1, 1, 1] and name.endswith(_NORM_PARTS):
        shape = shape[4:]
    return StoredVariable(tuple(shape), lambda: reader.get_tensor(name).reshape(shape))


@contextmanager
def _without_wildcards(prefix: str) -> Iterator[str]:
    """Return a path of the checkpoint that TensorFlow does not take for a pattern, as it would ``runs[1]/model``."""
    if not re.search(r"[*?\[\]\\]", prefix):
        yield prefix
        return
    with tempfile.TemporaryDirectory() as folder:
        for ending, file in files_of(prefix).items():
            Path(folder, f"checkpoint{ending}").symlink_to(file.resolve())
        yield str(Path(folder, "checkpoint"))
