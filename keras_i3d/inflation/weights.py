"""Carry the weights of a 2-D network into a 3-D one by the names of layers, all or nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import layers

from keras_i3d.errors import CheckpointMismatch
from keras_i3d.inflation.kernels import flow_stem, inflate_kernel
from keras_i3d.inflation.network import leaves
from keras_i3d.models.architecture import IMAGENET_CLASSES, layer_name

_CLASSIFIER, _TEMPORAL, _GATE = "Logits__", "__temporal__", "__gating__"
_SHOWN = 3  # examples of each kind in a message
_log = logging.getLogger(__name__)


def carry(source: keras.Model, target: keras.Model, method: str) -> None:
    """Assign the inflated values of `source` to `target`; both and the errors as in `keras_i3d.inflate`."""
    plan = _Plan(source, target, method)
    for layer in leaves(target):
        plan.add(layer)
    plan.check()
    for variable, value in plan.values:
        variable.assign(value)
    for layer in leaves(target):
        if isinstance(layer, layers.Normalization) and layer.input_mean is None:
            layer.finalize_state()
    for message in plan.warnings:
        _log.warning("%s: %s", target.name, message)


def counterpart(name: str, names: Any) -> str | None:
    """Return the 2-D name of a 3-D layer among `names`: the same, or Conv2d for Conv3d and so on; else None."""
    return next((candidate for candidate in (name, layer_name(name, rank=2)) if candidate in names), None)


@dataclass
class _Plan:
    source: keras.Model
    target: keras.Model
    method: str
    values: list[tuple[Any, np.ndarray]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    alone: list[str] = field(default_factory=list)  # layers of the target without a counterpart

    def __post_init__(self) -> None:
        self.layers: dict[str, layers.Layer] = {}
        for layer in leaves(self.source):
            if not _variables(layer):
                continue
            if layer.name in self.layers:
                raise ValueError(
                    f"{self.source.name} has two layers named {layer.name}; a network of several streams is inflated "
                    "stream by stream, such as source.get_layer('rgb_stream')"
                )
            self.layers[layer.name] = layer
        self.stem = next((name for name, layer in self.layers.items() if "kernel" in _variables(layer)), None)
        last = next(reversed(self.layers), None)
        self.classifiers = {
            name
            for name, layer in self.layers.items()
            if name.startswith(_CLASSIFIER) or (name == last and isinstance(layer, layers.Dense))
        }

    def add(self, layer: layers.Layer) -> None:
        """Note the values of one layer of the target, or why it gets none."""
        variables = _variables(layer)
        if not variables:
            return
        scope, temporal, _ = layer.name.partition(_TEMPORAL)
        own = counterpart(layer.name, self.layers)
        if own is not None:
            self.used.add(own)
            self._match(layer, variables, self.layers[own])
        elif temporal and counterpart(f"{scope}__conv_3d", self.layers):
            self._identity(layer, variables)
        else:
            self.alone.append(layer.name)

    def check(self) -> None:
        """Raise CheckpointMismatch unless everything fits; word the warnings."""
        unused = sorted(set(self.layers) - self.used - self.classifiers)
        if unused:
            self.complaints.append(
                f"{_examples(unused)} of {self.source.name} {_are(unused)} not in {self.target.name}"
            )
        if not self.used:
            self.complaints = [f"no layer of {self.target.name} bears a name of {self.source.name}'s"]
        if self.complaints:
            raise CheckpointMismatch(
                f"{self.target.name} cannot be inflated from {self.source.name}: "
                f"{'; '.join(self.complaints[:_SHOWN])}{'; ...' if len(self.complaints) > _SHOWN else ''}; nothing was "
                "changed"
            )
        gates = [name for name in self.alone if _GATE in name]
        others = [name for name in self.alone if _GATE not in name]
        for names, what in (
            (others, "have no 2-D counterpart and stay as they are"),
            (gates, "are gates and stay new"),
        ):
            if names:
                self.warnings.append(f"{len(names)} layers {what}: {_examples(names)}")

    def _match(self, layer: layers.Layer, variables: dict[str, Any], source: layers.Layer) -> None:
        own = {name: keras.ops.convert_to_numpy(variable) for name, variable in _variables(source).items()}
        if isinstance(source, layers.DepthwiseConv2D):
            own["kernel"] = own["kernel"].reshape(*own["kernel"].shape[:2], 1, -1)  # one group for every channel
        if source.name in self.classifiers and not self._fit_classes(layer, variables, own):
            return
        if set(own) != set(variables):
            self._complain(layer, f"received {', '.join(sorted(own))}, wanted {', '.join(sorted(variables))}")
            return
        if isinstance(source, layers.BatchNormalization) and source.epsilon != getattr(layer, "epsilon", None):
            self._complain(layer, f"received epsilon {source.epsilon}, wanted {getattr(layer, 'epsilon', None)}")
            return
        for name, variable in variables.items():
            wanted = tuple(variable.shape)
            value = self._inflated(own[name], wanted, is_stem=name == "kernel" and source.name == self.stem)
            if tuple(value.shape) != wanted:
                received = list(own[name].shape)
                self._complain(layer, f"{name} received {received}, wanted {list(wanted)}")
                continue
            self.values.append((variable, value))

    def _inflated(self, value: np.ndarray, wanted: tuple[int, ...], *, is_stem: bool) -> np.ndarray:
        if is_stem and len(wanted) in (4, 5) and value.ndim == 4 and value.shape[-2] != wanted[-2]:
            value = flow_stem(value, wanted[-2])
        return inflate_kernel(value, wanted[0], self.method) if (value.ndim, len(wanted)) == (4, 5) else value

    def _fit_classes(self, layer: layers.Layer, variables: dict[str, Any], own: dict[str, np.ndarray]) -> bool:
        """Tell whether a classifier is carried; drops the background where the target has none."""
        received, wanted = own["kernel"].shape[-1], variables["kernel"].shape[-1]
        if (received, wanted) == (IMAGENET_CLASSES, IMAGENET_CLASSES - 1):
            own |= {name: value[..., 1:] for name, value in own.items()}
        elif received != wanted:
            self.warnings.append(
                f"{self.source.name} has {received} classes, the network {wanted}: its last layer ({layer.name}) "
                "stays new"
            )
            return False
        return True

    def _identity(self, layer: layers.Layer, variables: dict[str, Any]) -> None:
        """Let the temporal half of a split convolution, and its batch norm, pass on what they get."""
        for name, variable in variables.items():
            shape = tuple(variable.shape)
            if name == "kernel":
                if len(shape) != 5 or shape[1:3] != (1, 1) or shape[3] != shape[4]:
                    self._complain(layer, f"received an identity in time, [t, 1, 1, n, n], wanted {list(shape)}")
                    continue
                value = inflate_kernel(np.eye(shape[3])[np.newaxis, np.newaxis], shape[0], self.method)
            else:
                ones = {"moving_variance": 1 - getattr(layer, "epsilon", 0), "gamma": 1}
                value = np.full(shape, ones.get(name, 0), np.float32)
            self.values.append((variable, value))

    def _complain(self, layer: layers.Layer, what: str) -> None:
        self.complaints.append(f"layer {layer.name}: {what}")


def _variables(layer: layers.Layer) -> dict[str, Any]:
    """Return a layer's variables by name, without the seeds of dropout."""
    return dict(_named(layer))


def _named(layer: layers.Layer) -> Iterator[tuple[str, Any]]:
    for variable in layer.weights:
        if "seed_generator" not in variable.path:
            yield variable.name, variable


def _examples(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"
