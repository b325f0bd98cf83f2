"""Load a TensorFlow checkpoint of DeepMind's layout, all or nothing.

Every variable of the network must be found by name and shape, and every variable of the checkpoint must be
used (optimiser slots apart, and the classifier where the model has none), before the first one is written.
Source of the layout: google-deepmind/kinetics-i3d, ``data/checkpoints``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from keras_i3d.checkpoints.names import OPTIMISER_SLOTS, PREFIXES, deepmind_name, is_head
from keras_i3d.errors import CheckpointMismatch, first_line

_SHOWN = 3  # examples of each kind in a message


def checkpoint_prefix(path: str | os.PathLike) -> str:
    """Return the checkpoint's prefix: the path without ``.index`` or ``.data-?????-of-?????``."""
    text = os.fspath(path)
    for ending in (".index", ".data-00000-of-00001"):
        text = text.removesuffix(ending)
    return text


def is_checkpoint(path: str | os.PathLike) -> bool:
    """Tell whether a path names a TensorFlow checkpoint (its ``.index`` file exists)."""
    return Path(checkpoint_prefix(path) + ".index").is_file()


def load_checkpoint(model: Any, path: str | os.PathLike) -> None:
    """Copy the values of a checkpoint into a model of this package.

    Accepts DeepMind's Kinetics-400 files (batch norm of shape [C]) and what Sonnet 1 writes
    ([1, 1, 1, 1, C], with or without the stream's prefix and momentum slots).

    Args:
        model: A model built by `keras_i3d.I3D`.
        path: Prefix of the checkpoint, or its ``.index`` file.

    Raises:
        CheckpointMismatch: The files are damaged, or not exactly this network's. Nothing was changed.
    """
    import tensorflow as tf

    try:
        reader = tf.train.load_checkpoint(checkpoint_prefix(path))
        shapes = reader.get_variable_to_shape_map()
    except (tf.errors.OpError, ValueError) as error:
        raise CheckpointMismatch(f"{path}: not a TensorFlow checkpoint ({first_line(error)})") from error

    stored = {name: shape for name, shape in shapes.items() if name.split("/")[-1] not in OPTIMISER_SLOTS}
    prefix = next(p for p in PREFIXES if not p or any(name.startswith(p) for name in stored))
    stored = {name.removeprefix(prefix): shape for name, shape in stored.items()}
    wanted = {deepmind_name(variable): variable for variable in model.variables if not _is_random_state(variable)}
    _check_match(path, stored, wanted)

    try:
        values = {name: reader.get_tensor(prefix + name) for name in wanted}
    except (tf.errors.OpError, ValueError, IndexError, RuntimeError) as error:
        raise CheckpointMismatch(f"{path}: damaged checkpoint ({first_line(error)})") from error
    for name, variable in wanted.items():
        variable.assign(values[name].reshape(variable.shape))


def _check_match(path: Any, stored: dict[str, list[int]], wanted: dict[str, Any]) -> None:
    has_head = any(is_head(name) for name in wanted)
    missing = sorted(set(wanted) - set(stored))
    unused = sorted(name for name in set(stored) - set(wanted) if has_head or not is_head(name))
    wrong = [
        f"{name} is {list(stored[name])} in the file and {list(variable.shape)} in the model"
        for name, variable in sorted(wanted.items())
        if name in stored and not _same_shape(stored[name], variable.shape)
    ]
    complaints = [
        f"{len(names)} {kind} ({'; '.join(names[:_SHOWN])}{'; ...' if len(names) > _SHOWN else ''})"
        for kind, names in (
            ("missing in the file", missing),
            ("unknown to the model", unused),
            ("of another shape", wrong),
        )
        if names
    ]
    if complaints:
        raise CheckpointMismatch(
            f"{path}: not a checkpoint of this network, of whose {len(wanted)} variables "
            f"{', '.join(complaints)}; nothing was loaded"
        )


def _same_shape(stored: list[int], wanted: tuple[int, ...]) -> bool:
    """Compare shapes; Sonnet's batch norm [1, 1, 1, 1, C] equals Keras's [C]."""
    if len(wanted) == 1 and len(stored) == 5 and stored[:4] == [1, 1, 1, 1]:
        stored = stored[4:]
    return list(stored) == list(wanted)


def _is_random_state(variable: Any) -> bool:
    """Tell whether a variable is the seed of a dropout layer, which no checkpoint holds."""
    return variable.path.endswith("seed_generator_state")
