"""Read the state dicts of the common PyTorch ports of I3D.

Their batch norm has a scale, ours (as the original's) has none: the scale is folded exactly into the kernel before
it and the moving mean. hassony2's port divides by sqrt(variance + 1e-5) where the original and we have 1e-3; the
variances are taken as they are, which is right for weights that were converted from DeepMind's.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from keras_i3d import extras
from keras_i3d.checkpoints.names import HASSONY, PIERGIAJ, Layout
from keras_i3d.checkpoints.stored import StoredVariable, StoredWeights
from keras_i3d.errors import CheckpointMismatch, first_line

_WRAPPERS = ("state_dict", "model_state_dict", "model")
# The first kernel's name tells the port, and what stands before it is a prefix such as "module."
_PORTS = {"Conv3d_1a_7x7.conv3d.weight": (PIERGIAJ, "bn"), "conv3d_1a_7x7.conv3d.weight": (HASSONY, "batch3d")}


@contextmanager
def open_weights(path: str) -> Iterator[StoredWeights]:
    """Open a ``.pt`` or ``.pth`` file that holds a state dict of a known port, bare or under ``"state_dict"``.

    Nothing but tensors is unpickled. Names are the port's, without a prefix such as ``module.``.

    Raises:
        CheckpointMismatch: The file is damaged, holds other things than tensors, or is of no known port.
        MissingDependency: PyTorch is not installed.
    """
    torch = extras.import_extra("torch")
    try:
        # mapped into memory, so that asking for shapes reads no values; the old format has no such way
        content = torch.load(path, weights_only=True, map_location="cpu", mmap=zipfile.is_zipfile(path))
    except Exception as error:  # torch raises UnpicklingError, RuntimeError, EOFError, OSError, ...
        raise CheckpointMismatch(
            f"{path}: cannot be read as a PyTorch state dict ({first_line(error)}); a file of tensors alone is wanted, "
            "as torch.save(model.state_dict(), path) writes it"
        ) from error
    yield _stored(path, _tensors(path, content, torch))


def _tensors(path: str, content: Any, torch: Any) -> dict[str, Any]:
    """Return the tensors of a state dict, which may lie under a key of its own."""
    if isinstance(content, Mapping):
        content = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)), content)
    if not isinstance(content, Mapping) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise CheckpointMismatch(
            f"{path}: a PyTorch file, but not a state dict (names with tensors), bare or under "
            f"{', '.join(_WRAPPERS)}; it holds {_described(content)}"
        )
    return {str(name): tensor for name, tensor in content.items()}


def _described(content: Any) -> str:
    if isinstance(content, Mapping):
        return f"a dict of {', '.join(sorted(map(str, content))[:5]) or 'nothing'}"
    return f"a {type(content).__name__}"


def _stored(path: str, tensors: dict[str, Any]) -> StoredWeights:
    layout, norm, prefix = _port(path, tensors)
    variables = {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if not name.endswith("num_batches_tracked")
    }
    scales = _scales(variables, norm)
    stored = {
        name: _variable(tensor, scales.get(name))
        for name, tensor in variables.items()
        if not (name.endswith(f".{norm}.weight") and f"{name.removesuffix('weight')}running_mean" in scales)
    }
    return StoredWeights(path, layout, stored)


def _port(path: str, tensors: dict[str, Any]) -> tuple[Layout, str, str]:
    """Return the layout, the name of its batch norms, and the prefix of all names."""
    found = [
        (*port, name.removesuffix(first))
        for name in tensors
        for first, port in _PORTS.items()
        if name == first or name.endswith(f".{first}")
    ]
    if len(found) != 1:
        what = f"{len(found)} networks" if found else "no network"
        raise CheckpointMismatch(
            f"{path}: a PyTorch state dict with {what} of a known port; one is wanted, with a variable "
            f"{' or '.join(_PORTS)}; its names begin with {', '.join(sorted(tensors)[:3]) or 'nothing'}"
        )
    return found[0]


def _scales(variables: dict[str, Any], norm: str) -> dict[str, Any]:
    """Return, for each kernel and moving mean behind which a scale stands, that scale."""
    scales = {}
    ending = f".{norm}.weight"
    for name, scale in variables.items():
        unit = name.removesuffix(ending)
        kernel, mean = f"{unit}.conv3d.weight", f"{unit}.{norm}.running_mean"
        fits = name.endswith(ending) and kernel in variables and mean in variables
        if fits and tuple(scale.shape) == tuple(variables[mean].shape) == tuple(variables[kernel].shape[:1]):
            scales[kernel] = scales[mean] = scale
    return scales


def _variable(tensor: Any, scale: Any) -> StoredVariable:
    shape = tuple(tensor.shape)
    if len(shape) == 5:  # (out, in, time, height, width)
        return StoredVariable((*shape[2:], shape[1], shape[0]), _reader(tensor, scale, (2, 3, 4, 1, 0)))
    return StoredVariable(shape, _reader(tensor, scale, tuple(range(len(shape)))))


def _reader(tensor: Any, scale: Any, axes: tuple[int, ...]) -> Callable[[], np.ndarray]:
    def read() -> np.ndarray:
        value = _float32(tensor).transpose(axes)
        return np.ascontiguousarray(value if scale is None else value * _float32(scale))

    return read


def _float32(tensor: Any) -> np.ndarray:
    return tensor.detach().float().numpy() if tensor.is_floating_point() else tensor.detach().numpy()
