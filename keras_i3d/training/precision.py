"""The dtypes that a network is trained in: chosen for the device, and given to a network that was built in float32.

Under a mixed policy of Keras layers compute in 16 bits, their weights stay float32, and so do the classifier and what
follows it, as if the network had been built under that policy.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from keras_i3d.models import copies
from keras_i3d.models.graph import Step, graph
from keras_i3d.training.execution import PRECISIONS

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
# NVIDIA's compute capabilities from which on a GPU is fast in a dtype: Ampere, and Volta
NATIVE = {"bfloat16": (8, 0), "float16": (7, 0)}
SMALL_KERNEL = 3

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Gpu:
    """A GPU.

    Attributes:
        name: Of the make.
        capability: NVIDIA's compute capability, such as (8, 0); None where there is none.
    """

    name: str
    capability: tuple[int, int] | None


@dataclass(frozen=True)
class Choice:
    """The dtype policy of a run.

    Attributes:
        policy: ``"float32"``, ``"mixed_bfloat16"``, or ``"mixed_float16"``, which needs its loss scaled.
        reason: Why, in one line to show; empty where that goes without saying.
        on_cpu: Whether the run is on a CPU.
    """

    policy: str
    reason: str
    on_cpu: bool


def choose(wanted: str = "auto", gpus: Sequence[Gpu] | None = None) -> Choice:
    """Choose the dtype policy for the devices of this machine.

    On GPUs ``"auto"`` takes bfloat16 or else float16 where all of them are fast in it; on CPUs it takes float32. A
    wish that the devices cannot compute is not fulfilled, and the choice says why.

    Args:
        wanted: ``"auto"``, ``"float32"``, ``"bfloat16"`` or ``"float16"``.
        gpus: Those that a run uses, none for a CPU; by default all that TensorFlow sees.

    Raises:
        ValueError: The wish is none of those.
    """
    if wanted not in PRECISIONS:
        raise ValueError(f"unknown precision {wanted!r}; known: {', '.join(PRECISIONS)}")
    gpus = visible_gpus() if gpus is None else gpus
    if not gpus:
        return _on_cpu(wanted)
    names = " and ".join(sorted({gpu.name for gpu in gpus}))
    native = [dtype for dtype in NATIVE if all(_is_native(dtype, gpu) for gpu in gpus)]
    if wanted == "auto":
        dtype = native[0] if native else "float32"
        return Choice(POLICIES[dtype], f"computing in {dtype}: {_why(dtype)} on {names}", on_cpu=False)
    if wanted == "float32" or wanted in native:
        return Choice(POLICIES[wanted], "", on_cpu=False)
    instead = native[0] if native else "float32"
    reason = f"computing in {instead}, not in {wanted}, for which {names} has no fast arithmetic"
    return Choice(POLICIES[instead], reason, on_cpu=False)


def visible_gpus() -> tuple[Gpu, ...]:
    """Return the GPUs that TensorFlow sees."""
    import tensorflow as tf

    found = []
    for device in tf.config.get_visible_devices("GPU"):
        details = tf.config.experimental.get_device_details(device)
        found.append(Gpu(details.get("device_name", device.name), details.get("compute_capability")))
    return tuple(found)


def _on_cpu(wanted: str) -> Choice:
    if wanted == "float16":
        reason = "computing in float32, not in float16: TensorFlow has no float16 kernel for 3-D pooling on CPUs"
        return Choice("float32", reason, on_cpu=True)
    return Choice(POLICIES.get(wanted, "float32"), "", on_cpu=True)


def _is_native(dtype: str, gpu: Gpu) -> bool:
    return gpu.capability is not None and tuple(gpu.capability) >= NATIVE[dtype]


def _why(dtype: str) -> str:
    return {
        "bfloat16": "it is native",
        "float16": "it is native (bfloat16 is not), the loss is scaled",
        "float32": "no shorter dtype is fast",
    }[dtype]


def prepared(
    network: keras.Model,
    policy: str,
    input_shapes: Mapping[str, tuple[int, ...]] | None = None,
    *,
    on_cpu: bool,
    synchronized: bool = False,
) -> keras.Model:
    """Return a network to train by a policy.

    It is a copy with the same layer names and values, its variables in the same order, nested models too; or the
    network itself where there is nothing to change. Where that is `wrong_on_cpus`, a convolution on a CPU stays in
    float32.

    Args:
        network: A functional model, built in float32.
        policy: ``"float32"``, ``"mixed_bfloat16"`` or ``"mixed_float16"``.
        input_shapes: Of the clips to train on, by the names of the inputs, without the batch; needed where the network
            leaves an axis open and the policy is mixed.
        on_cpu: Whether it is trained on a CPU.
        synchronized: Whether batch norms share their statistics between the replicas of a distribution strategy.

    Raises:
        ValueError: The policy is unknown, or float16 on a CPU; the network is not functional; a shape is missing or
            wrong.
    """
    if policy not in POLICIES.values():
        raise ValueError(f"unknown policy {policy!r}; known: {', '.join(POLICIES.values())}")
    if policy == "mixed_float16" and on_cpu:
        raise ValueError(
            "mixed_float16 cannot be trained on a CPU: TensorFlow has no such kernel for 3-D pooling there"
        )
    changes = _changes(network, policy, input_shapes, on_cpu) if policy != "float32" else {}
    for layer in network._flatten_layers(recursive=True):
        if synchronized and isinstance(layer, layers.BatchNormalization) and not layer.synchronized:
            changes[id(layer)] = changes.get(id(layer), {}) | {"synchronized": True}
    if not changes:
        return network
    return copies.with_settings(network, changes)


def wrong_on_cpus(step: Step) -> bool:
    """Tell whether TensorFlow's CPU kernels get the bfloat16 gradient of a convolution's weights wrong.

    oneDNN's kernel for AVX-512 does (3.7.3, TensorFlow 2.21) where windows of a padded 3-D convolution reach over an
    axis's end soon after others reached over its beginning: the gradient is NaN, arbitrary or other every time, or the
    process crashes. Over 12 kernels of extents 1 to 7 and strides 1 and 2, times of 1 to 16 steps and sizes of 1 to 14,
    that was so only where an axis is shorter than the extent plus the stride less one. Of those it is right, and
    memory stays whole, where the extent in space is 3, and at some others, which are counted as wrong here.

    Args:
        step: Of `graph.graph`.
    """
    layer = step.layer
    if not isinstance(layer, layers.Conv3D) or layer.padding != "same":
        return False
    sizes = step.inputs[0].shape[:-1]
    for axis, (size, extent, stride) in enumerate(zip(sizes, layer.kernel_size, layer.strides, strict=True)):
        is_at_risk = extent > 1 if axis == 0 else extent > SMALL_KERNEL
        if is_at_risk and size < extent + stride - 1:
            return True
    return False


def _changes(
    network: keras.Model, policy: str, input_shapes: Mapping[str, tuple[int, ...]] | None, on_cpu: bool
) -> dict[int, dict[str, Any]]:
    """Return what of the configuration of each layer, by its id, is to be another."""
    whole = graph(network, input_shapes)
    exact = copies.kept_in_float32(whole)
    wrong = {id(step.layer) for step in whole.steps if on_cpu and policy == "mixed_bfloat16" and wrong_on_cpus(step)}
    if wrong:
        _log.info("%d convolutions stay in float32, whose bfloat16 gradients are wrong on CPUs", len(wrong))
    return {
        id(step.layer): {"dtype": policy}
        for step in whole.steps
        if isinstance(step.layer, layers.Layer) and id(step.layer) not in exact | wrong
    }
