"""Show what every network costs and what it sees.

Parameters beside the paper's, GFLOPs of a training clip, the memory of a training step, and the receptive field;
of one NETWORK, or with --end-points, also the map and the receptive field of every end point.

  keras-i3d models
  keras-i3d models i3d --frames 16 --size 112 --time-plan s3d
  keras-i3d models --json

GFLOPs count a multiply-add as two; papers often count it as one. The memory is an estimate from the shapes, in
float32, without what TensorFlow takes before it trains. A receptive field counts frames of the video at 25 per
second, and pixels; padding counts too, so it may exceed the clip.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from keras_i3d import exit_codes, progress, quiet, streams
from keras_i3d.models import networks, time_plan
from keras_i3d.models.networks import NETWORKS, Network
from keras_i3d.protocol import FPS, Frames
from keras_i3d.training.recipe import OPTIMISERS, Recipe

if TYPE_CHECKING:
    import keras

    from keras_i3d.models.costs import TrainingMemory
    from keras_i3d.models.receptive_field import Sight

IMAGES = Network("inception_v1", "InceptionV1", "Inception-v1, 2-D", {})
KNOWN = (*NETWORKS, IMAGES.name)
IMAGE_SIZE = 224
HIDDEN = ("Dropout", "flatten")  # layers that are no places to look at


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("network", metavar="NETWORK", nargs="?", help=f"one of {', '.join(KNOWN)} (default: all)")
    parser.add_argument("--frames", type=int, help="frames of the video that a clip covers (default: the paper's)")
    parser.add_argument("--size", type=int, help="height and width of a clip (default: the paper's)")
    parser.add_argument("--time-plan", help=f"of I3D: {time_plan.SPELLINGS} (default: i3d)")
    parser.add_argument("--classes", type=int, help="number of classes (default: 400; of Inception-v1 1001)")
    parser.add_argument(
        "--batch-size", type=int, default=Recipe.batch_size, help="clips of a training step (default: %(default)s)"
    )
    parser.add_argument(
        "--optimiser", choices=OPTIMISERS, default=Recipe.optimiser, help="of the training step (default: %(default)s)"
    )
    parser.add_argument("--end-points", action="store_true", help="show every end point, also of all networks")
    parser.add_argument("--json", action="store_true", help="print one JSON array, with everything")


@dataclass(frozen=True)
class Wishes:
    """What the networks are to be measured with; None is a network's own.

    Attributes:
        frames: Frames of the video that a clip covers.
        size: Height and width.
        time_plan: Extents in time.
        classes: Number of classes.
        optimiser: Of the training step.
    """

    frames: int | None = None
    size: int | None = None
    time_plan: str | None = None
    classes: int | None = None
    optimiser: str = Recipe.optimiser

    def __post_init__(self) -> None:
        for name in ("frames", "size", "classes"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        time_plan.time_plan(self.time_plan or "i3d")


@dataclass(frozen=True)
class EndPoint:
    """A place in a network.

    Attributes:
        layer: Name of the layer, behind that of the stream's model where there is one.
        shape: Of its map, without the batch.
        sights: What a position sees of each stream: frames of the video and pixels.
    """

    layer: str
    shape: tuple[int, ...]
    sights: dict[str, Sight]


@dataclass(frozen=True)
class Facts:
    """What was found out about a network.

    Attributes:
        network: The network.
        modality: ``"rgb"``, ``"flow"`` or ``"both"``.
        inputs: Shape of each stream of a clip, without the batch.
        frames: Frames of the video that a clip covers; None for an image.
        trainable: Number of trainable parameters.
        parameters: Number of all parameters.
        flops: Of one clip; a multiply-add counts as two.
        memory: Of a training step.
        end_points: In the order of the graph.
    """

    network: Network
    modality: str
    inputs: dict[str, tuple[int, ...]]
    frames: int | None
    trainable: int
    parameters: int
    flops: int
    memory: TrainingMemory
    end_points: tuple[EndPoint, ...]

    def last(self, stream: str) -> Sight:
        """Return what a position of the last map sees of a stream, before all positions are taken together."""
        points = [point for point in self.end_points if stream in point.sights]
        sights = [(point.sights[stream], len(point.shape) - 1) for point in points]
        return [sight for sight, axes in sights if len(sight.reach) == axes][-1]


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    wishes = Wishes(
        *(arguments.frames, arguments.size, arguments.time_plan, arguments.classes), optimiser=arguments.optimiser
    )
    if arguments.batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {arguments.batch_size}")
    if arguments.network is not None:
        _check_one(arguments.network, wishes)
    quiet.import_tensorflow()
    chosen = [*NETWORKS.values(), IMAGES] if arguments.network is None else [_network(arguments.network)]
    pairs = [(network, modality) for network in chosen for modality in network.protocols or ("rgb",)]
    found: list[Facts] = []
    skipped = False
    with progress.bar("networks", len(pairs)) as bar:
        for network, modality in pairs:
            try:
                found.append(study(network, modality, wishes))
            except ValueError as error:
                if arguments.network is not None:
                    raise
                skipped = True
                bar.log(f"{network.name}: left out; {error}")
            bar.advance()
    if arguments.json:
        print(json.dumps([to_json(facts) for facts in found]))
    else:
        print("\n".join(_table(found, arguments.batch_size, wishes.optimiser)))
        if arguments.end_points or arguments.network is not None:
            print("\n".join(_end_point_lines(found)))
    return exit_codes.SKIPPED if skipped else 0


def _network(name: str) -> Network:
    if name not in KNOWN:
        raise ValueError(f"unknown network {name!r}; known: {', '.join(KNOWN)}")
    return IMAGES if name == IMAGES.name else NETWORKS[name]


def _check_one(name: str, wishes: Wishes) -> None:
    """Raise ValueError where a wish is of no account for the one network that was asked for."""
    network = _network(name)
    if wishes.frames is not None and not network.protocols:
        raise ValueError(f"network {name!r} takes images, so there is no number of frames to choose")
    if wishes.time_plan is not None and not network.has_time_plan:
        planned = ", ".join(other.name for other in NETWORKS.values() if other.has_time_plan)
        raise ValueError(f"network {name!r} has no time plan to choose; those that have: {planned}")


def study(network: Network, modality: str, wishes: Wishes) -> Facts:
    """Build a network and find out what it costs and sees.

    Args:
        network: The network.
        modality: One of its modalities; of a network of images ``"rgb"``.
        wishes: What to measure it with.

    Raises:
        ValueError: The network cannot be built so.
    """
    from keras_i3d.models import costs, receptive_field

    protocol = network.protocol(modality) if network.protocols else None
    frames = None if protocol is None else wishes.frames or protocol.train_frames
    sampling = {"rgb": Frames()} if protocol is None else dict(protocol.streams)
    model = _build(network, modality, wishes)
    inputs = {name: tuple(model.get_layer(name).output.shape[1:]) for name in sampling}
    trainable, parameters = costs.parameters(model)
    end_points = []
    for name, place in receptive_field.receptive_fields(model).items():
        if "__" in name or name.rpartition("/")[2].startswith(HIDDEN):
            continue
        sights = {stream: _in_video(sight, sampling[stream]) for stream, sight in place.sights.items()}
        end_points.append(EndPoint(name, place.shape, sights))
    return Facts(
        network=network,
        modality=modality,
        inputs=inputs,
        frames=frames,
        trainable=trainable,
        parameters=parameters,
        flops=costs.flops(model),
        memory=costs.training_memory(model, optimiser=wishes.optimiser),
        end_points=tuple(end_points),
    )


def _build(network: Network, modality: str, wishes: Wishes) -> keras.Model:
    options: dict[str, Any] = {} if wishes.classes is None else {"classes": wishes.classes}
    if not network.protocols:
        size = wishes.size or IMAGE_SIZE
        return network.function()(weights=None, input_shape=(size, size, streams.CHANNELS["rgb"]), **options)
    # a recipe refuses what cannot be trained, and knows the network's own clip
    recipe = Recipe(network=network.name, modality=modality, frames=wishes.frames, size=wishes.size)
    if wishes.time_plan is not None:
        options["time_plan"] = wishes.time_plan
    return networks.build(
        network.name, modality=modality, frames=recipe.frames, size=recipe.size, any_length=False, **options
    )


def _in_video(sight: Sight, sampling: Frames) -> Sight:
    """Return a sight that counts frames of the video, of one that counts the frames that a stream takes of it."""
    from keras_i3d.models.receptive_field import Sight

    if len(sight.reach) != 3 or sight.reach[0] is None:
        return sight
    stride = None if sight.stride[0] is None else sight.stride[0] * sampling.step
    return Sight(
        ((sight.reach[0] - 1) * sampling.step + 1, *sight.reach[1:]),
        (stride, *sight.stride[1:]),
    )


def to_json(facts: Facts) -> dict[str, Any]:
    """Return all facts as JSON values; null in a receptive field means all of the clip."""
    sampling = facts.network.protocol(facts.modality).streams if facts.network.protocols else {"rgb": Frames()}
    return {
        "network": facts.network.name,
        "builder": facts.network.builder,
        "title": facts.network.title,
        "modality": facts.modality,
        "frames": facts.frames,
        "span_s": None if facts.frames is None else facts.frames / FPS,
        "inputs": {
            name: {"shape": shape, "step": sampling[name].step, "offset": sampling[name].offset}
            for name, shape in facts.inputs.items()
        },
        "parameters": {
            "trainable": facts.trainable,
            "all": facts.parameters,
            "paper_millions": facts.network.million_parameters,
        },
        "flops": facts.flops,
        "training_memory": {"fixed_bytes": facts.memory.fixed, "bytes_per_clip": facts.memory.per_clip},
        "end_points": [
            {
                "layer": point.layer,
                "shape": point.shape,
                "receptive_field": {
                    stream: {"reach": sight.reach, "stride": sight.stride} for stream, sight in point.sights.items()
                },
            }
            for point in facts.end_points
        ],
    }


def _table(found: list[Facts], batch_size: int, optimiser: str) -> Iterator[str]:
    """Yield the lines of the table of networks, none of them longer than 80 characters."""
    yield f"{'network':21}{'clip':15}{'span':>6}{'parameters':>12}{'GFLOPs':>7}{'GB of':>6}{'a step':>7}{'sees':>6}"
    yield f"{'':21}{'':15}{'s':>6}{'M (paper)':>12}{'':7}{'1':>5}{batch_size:>5}  frames"
    yield f"{'':71}  x px"
    for facts in found:
        paper = facts.network.million_parameters
        parameters = f"{facts.trainable / 1e6:5.2f}{'' if paper is None else f' ({paper:g})'}"
        memory = "".join(f"{facts.memory.total(clips) / 1e9:5.1f}" for clips in (1, batch_size))
        span = "-" if facts.frames is None else f"{facts.frames / FPS:.2f}"
        numbers = f"{span:>6}  {parameters:10}{facts.flops / 1e9:7.1f}{memory}  "
        first, second = [
            (f"{name:4} {_times(shape[:-1])}", _times(facts.last(name).reach[:-1]))
            for name, shape in facts.inputs.items()
        ] + [("", "")] * (2 - len(facts.inputs))
        yield f"{facts.network.name:21}{first[0]:15}{numbers}{first[1]}".rstrip()
        yield f" {facts.network.title:20}{second[0]:15}{'':{len(numbers)}}{second[1]}".rstrip()
    yield "\nGFLOPs: of one clip; a multiply-add counts as two. GB: estimated peak of a step"
    yield f"of training, of 1 and of {batch_size} clips ({optimiser}, float32). sees: what one position of"
    yield "the last map depends on, in frames of the video and pixels, padding included."


def _times(sizes: tuple[int | None, ...]) -> str:
    return "x".join("all" if size is None else str(size) for size in sizes) if any(sizes) else "all"


def _end_point_lines(found: list[Facts]) -> Iterator[str]:
    """Yield a table of end points for each stream of each network; streams that are alike share one."""
    tables: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    for facts in found:
        for stream in facts.inputs:
            rows = tuple(
                (point.layer, _times(point.shape), _times(sight.reach), _times(sight.stride))
                for point in facts.end_points
                for name, sight in point.sights.items()
                if name == stream
            )
            axes = "px x px" if facts.frames is None else "frames x px x px"
            tables.setdefault(rows, [facts.network.name, axes]).insert(-1, stream)
    for rows, (network, *names, axes) in tables.items():
        yield f"\n{network}, what one position sees of {' or '.join(names)} ({axes})"
        lines = [("end point", "map", "sees", "next one is moved"), *rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            yield "  ".join(f"{text:{width}}" for text, width in zip(line, widths, strict=True)).rstrip()
