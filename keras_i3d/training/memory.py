"""What memory a training step needs and what there is, told before the first step."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
from keras import layers

from keras_i3d.models import costs
from keras_i3d.models.graph import Step, Tensor, graph
from keras_i3d.training import rematerialisation

FLOAT16 = 2  # bytes of either half precision
# As `costs.IN_FLIGHT`, where gradients of batch norms are of `training.batch_norm`. On TensorFlow 2.21's CPU the peak
# resident memory rose by so many MB with each clip of 64x112x112 of I3D (estimated): 250 (365), with rematerialisation
# 150 (171); in bfloat16 183 (290), with rematerialisation 148 (142).
IN_FLIGHT_AGAIN = 3
MARGIN = 0.9  # share of what is free that a step may be estimated to need without a warning

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Available:
    """Memory that a step can take.

    Attributes:
        size: Bytes.
        what: Of what, to stand behind the number: ``"are free"``, or ``"are on the GPU"``.
    """

    size: int
    what: str


@dataclass(frozen=True)
class TrainingStep:
    """A forward and a backward pass on one device.

    Attributes:
        network: As it is trained: of `precision.prepared`.
        input_shapes: As in `graph.graph`.
        clips: Of one device and one forward pass.
        optimiser: ``"sgd"`` (with momentum) or ``"adam"``.
        policy: Of `precision.choose`; under a mixed one a step makes copies of the weights in 16 bits.
        rematerialise: Whether the step is of `rematerialisation.rematerialised`.
        more_slots: Values kept beside each weight besides the optimiser's, for moving averages or accumulated
            gradients.
    """

    network: keras.Model
    input_shapes: Mapping[str, tuple[int, ...]] | None
    clips: int
    optimiser: str = "sgd"
    policy: str = "float32"
    rematerialise: bool = False
    more_slots: int = 0


def estimate(step: TrainingStep) -> int:
    """Estimate the bytes of a training step.

    In float32 without rematerialisation it is `costs.training_memory`'s. Of layers that compute in 16 bits values take
    half, but for those of batch norms, which compute in float32. With rematerialisation what goes between blocks is
    kept, and the inside of one block at a time.

    Raises:
        ValueError: As `costs.training_memory` does.
    """
    memory = costs.training_memory(step.network, step.input_shapes, optimiser=step.optimiser)
    trainable, _ = costs.parameters(step.network)
    fixed = memory.fixed + costs.FLOAT32 * trainable * step.more_slots
    if step.policy != "float32":
        fixed += FLOAT16 * trainable
    return fixed + step.clips * _per_clip(step.network, step.input_shapes, step.rematerialise)


def available() -> Available | None:
    """Return the memory of the device that TensorFlow trains on; None where it cannot be told.

    Of a CPU, what is free on the machine and within the limits of the control groups (containers, batch jobs) that
    this process is in; of GPUs, all memory of the smallest.
    """
    import tensorflow as tf

    if tf.config.get_visible_devices("GPU"):
        size = _of_gpus()
        return size and Available(size, "are on the GPU")
    free = _of_machine()
    return Available(min([free, *_of_control_groups()]), "are free") if free is not None else None


def lines(step: TrainingStep, *, devices: int = 1, there_is: Available | None = None) -> tuple[str, ...]:
    """Return what to say before the first step: the estimate, and remedies where it will not fit.

    Args:
        step: Of one device.
        devices: Number of devices, each with as many clips.
        there_is: By default `available`.

    Raises:
        ValueError: As `estimate` does.
    """
    need = estimate(step)
    there_is = there_is or available()
    if there_is is None:
        return (f"a step needs about {_gigabytes(need)} of memory",)
    first = f"a step needs about {_gigabytes(need)} of memory, {_gigabytes(there_is.size)} {there_is.what}"
    if need <= MARGIN * there_is.size:
        return (first,)
    remedies = [
        f"--batch-size {fewer * devices} with --accumulation {step.clips // fewer}"
        for fewer in _fitting(step, there_is)
    ]
    if not step.rematerialise and rematerialisation.blocks(step.network):
        again = dataclasses.replace(step, rematerialise=True)
        remedies.append(f"--rematerialise (about {_gigabytes(estimate(again))})")
    remedies += ["fewer --frames", "a smaller --size"]
    return first, f"it will hardly fit; what helps: {', '.join(remedies)}"


def _fitting(step: TrainingStep, there_is: Available) -> list[int]:
    """Return the largest divisor of the number of clips that fits, if any does."""
    fewer = [clips for clips in range(step.clips // 2, 0, -1) if step.clips % clips == 0]
    fits = (clips for clips in fewer if estimate(dataclasses.replace(step, clips=clips)) <= MARGIN * there_is.size)
    return list(itertools.islice(fits, 1))


def _per_clip(network: keras.Model, input_shapes: Mapping[str, tuple[int, ...]] | None, rematerialise: bool) -> int:
    """Return the bytes that a clip takes at the fullest moment of a step."""
    whole = graph(network, input_shapes)
    blocks = rematerialisation.blocks(network) if rematerialise else ()
    block_of = {name: place for place, names in enumerate(blocks) for name in names}
    maker = {tensor: block_of.get(step.name) for step in whole.steps for tensor in step.outputs}
    widths: dict[Tensor, int] = dict.fromkeys(whole.inputs.values(), costs.FLOAT32)
    homes: dict[Tensor, int | None] = dict.fromkeys(whole.inputs.values())
    for step in whole.steps:
        place = block_of.get(step.name)
        for tensor in costs.kept(step):
            widths[tensor] = max(widths.get(tensor, 0), _width(step))
            homes.setdefault(tensor, place)
        for tensor in step.inputs:
            if place is not None and maker.get(tensor) != place:  # given to a block, so kept outside of it
                widths[tensor] = max(widths.get(tensor, 0), _width(step, keeps_as_given=True))
                homes[tensor] = None
    sizes = {tensor: tensor.size * width for tensor, width in widths.items()}
    outside = sum(size for tensor, size in sizes.items() if homes[tensor] is None)
    inside = [sum(size for tensor, size in sizes.items() if homes[tensor] == place) for place in range(len(blocks))]
    by_formula = rematerialise and not any(getattr(step.layer, "synchronized", False) for step in whole.steps)
    in_flight = IN_FLIGHT_AGAIN if by_formula else costs.IN_FLIGHT
    return round(outside + max(inside, default=0) + in_flight * max(sizes.values()))


def _width(step: Step, *, keeps_as_given: bool = False) -> int:
    """Return the bytes of a value that a layer keeps for its gradient."""
    is_short = getattr(step.layer, "compute_dtype", "float32") in ("float16", "bfloat16")
    is_norm = isinstance(step.layer, layers.BatchNormalization) and not keeps_as_given
    return FLOAT16 if is_short and not is_norm else costs.FLOAT32


def _of_gpus() -> int | None:
    """Return the bytes of the smallest GPU, as its driver's program tells."""
    query = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, check=True, timeout=30).stdout
        return min(int(line) for line in told.split()) * 2**20
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        _log.debug("the memory of the GPUs is unknown (%s)", error)
        return None


def _of_machine(root: Path = Path("/")) -> int | None:
    """Return the bytes that are free on this machine, or what it has where only that is known."""
    try:
        text = (root / "proc/meminfo").read_text("ascii")
        return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _of_control_groups(root: Path = Path("/")) -> Iterator[int]:
    """Yield the bytes that are left to each Linux control group that this process is in and that has a limit."""
    try:
        rows = [row.split(":", 2) for row in (root / "proc/self/cgroup").read_text("utf-8").splitlines()]
    except OSError:
        return
    for _, controllers, path in (row for row in rows if len(row) == 3):
        if not controllers:
            mount, files = root / "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            mount = root / "sys/fs/cgroup/memory"
            files = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        parts = [part for part in path.split("/") if part]
        for depth in range(len(parts), -1, -1):
            left = _left(mount.joinpath(*parts[:depth]), files)
            if left is not None:
                yield left


def _left(group: Path, files: Sequence[str]) -> int | None:
    """Return the bytes that a control group may still take; None without a limit."""
    limit, usage, droppable = files
    try:
        most, taken = int((group / limit).read_text("ascii")), int((group / usage).read_text("ascii"))
        statistics = dict(line.split() for line in (group / "memory.stat").read_text("ascii").splitlines())
    except (OSError, ValueError):  # a limit of "max" is none
        return None
    return max(0, most - taken + int(statistics.get(droppable, 0)))  # files that were read make room


def _gigabytes(size: float) -> str:
    digits = 1 if size < 10e9 else 0
    return f"{size / 1e9:.{digits}f} GB"
