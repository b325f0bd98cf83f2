"""Every network of the paper as data: its name, its input, how it is trained and tested.

Source: Carreira & Zisserman 2017 (arXiv v3), section 2 and table 1. Imports no Keras: the command line's help and
the recipe read it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from keras_i3d import streams
from keras_i3d.protocol import Frames, Protocol

if TYPE_CHECKING:
    import keras

CLASSES = 400  # of Kinetics-400, which classifiers are made for where nothing else tells
FLOW_FRAMES = 10  # that Two-Stream and 3D-Fused stack around each RGB frame
SNAPSHOTS = {"rgb": Frames(step=FLOW_FRAMES, offset=FLOW_FRAMES // 2), "flow": Frames()}


@dataclass(frozen=True)
class Network:
    """One network.

    Attributes:
        name: As the command line says it.
        builder: The public function that builds it.
        title: The paper's name for it.
        protocols: How clips are cut for it, by modality: ``"rgb"``, ``"flow"`` or ``"both"``; the first is the
            usual one. Empty for a network of images.
        million_parameters: Of the paper's table 1, trainable, with 400 classes.
        has_time_plan: Whether the extents in time can be chosen.
        has_free_frames: Whether the time axis may be None.
        least: Frames of the video and pixels of the smallest clip.
    """

    name: str
    builder: str
    title: str
    protocols: dict[str, Protocol]
    million_parameters: float | None = None
    has_time_plan: bool = False
    has_free_frames: bool = True
    least: tuple[int, int] = (1, 1)

    @property
    def modality(self) -> str:
        """The usual modality."""
        return next(iter(self.protocols))

    def protocol(self, modality: str | None = None) -> Protocol:
        """Return how clips are cut for a modality, by default the usual one.

        Raises:
            ValueError: The network has no such input.
        """
        modality = modality or self.modality
        if modality not in self.protocols:
            raise ValueError(
                f"network {self.name!r} takes modality {' or '.join(map(repr, self.protocols))}, got {modality!r}"
            )
        return self.protocols[modality]

    def function(self) -> Callable[..., keras.Model]:
        """Return the function that builds it (imports Keras)."""
        return getattr(importlib.import_module(f"keras_i3d.models.{self.name}"), self.builder)


NETWORKS = {
    network.name: network
    for network in (
        Network(
            "i3d",
            "I3D",
            "I3D, one stream",
            {
                modality: Protocol({modality: Frames()}, train_frames=64, test_frames=250)
                for modality in ("rgb", "flow")
            },
            has_time_plan=True,
        ),
        Network(
            "two_stream_i3d",
            "TwoStreamI3D",
            "Two-Stream I3D",
            {"both": Protocol({"rgb": Frames(), "flow": Frames()}, train_frames=64, test_frames=250)},
            million_parameters=25,
            has_time_plan=True,
        ),
        Network(
            "convnet_lstm",
            "ConvNetLSTM",
            "ConvNet+LSTM",
            # one frame of every five: 25 in five seconds of training, 50 in ten of testing
            {"rgb": Protocol({"rgb": Frames(step=5)}, train_frames=125, test_frames=250, loss_at_every_step=True)},
            million_parameters=9,
        ),
        Network(
            "c3d",
            "C3D",
            "3D-ConvNet",
            {"rgb": Protocol({"rgb": Frames()}, train_frames=16, test_frames=240, window=16, size=112)},
            million_parameters=79,
            has_free_frames=False,
        ),
        Network(
            "two_stream",
            "TwoStream",
            "Two-Stream",
            {"both": Protocol(SNAPSHOTS, train_frames=10, test_frames=250)},
            million_parameters=12,
        ),
        Network(
            "fused_two_stream",
            "FusedTwoStream",
            "3D-Fused Two-Stream",
            # five RGB frames, ten apart, each with the flow around it
            {"both": Protocol(SNAPSHOTS, train_frames=50, test_frames=250, window=50)},
            million_parameters=39,
            least=(50, 129),
        ),
    )
}


def network(name: str) -> Network:
    """Return a network by its name.

    Raises:
        ValueError: The name is unknown.
    """
    if not isinstance(name, str) or name not in NETWORKS:
        raise ValueError(f"unknown network {name!r}; known: {', '.join(NETWORKS)}")
    return NETWORKS[name]


def inputs_of(model: keras.Model) -> Any:
    """Return a model's input tensor, or its input tensors by name where it has several."""
    if len(model.inputs) == 1:
        return model.inputs[0]  # a model of one input, taken as dict, warns at every call
    return {tensor.name: tensor for tensor in model.inputs}


def input_shapes(name: str, modality: str, *, frames: int, size: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of a clip, without the batch, by the names of a network's inputs; arguments as in `build`."""
    taken = network(name).protocol(modality).streams
    return {stream: (part.count(frames), size, size, streams.channels(stream)) for stream, part in taken.items()}


def build(name: str, *, modality: str, frames: int, size: int, any_length: bool = True, **options: Any) -> keras.Model:
    """Build a network for clips of a training protocol.

    Args:
        name: Name of the network.
        modality: ``"rgb"``, ``"flow"`` or ``"both"``.
        frames: Consecutive frames of the video that a clip covers.
        size: Height and width of a clip.
        any_length: Whether the time axis is left open, where the network lets it be.
        **options: ``classes``, ``dropout_rate`` and what else the builder takes; ``weights`` are None unless given.
            ``time_plan`` is passed on to the networks that have one.

    Raises:
        ValueError: An argument does not fit the network.
    """
    chosen = network(name)
    protocol = chosen.protocol(modality)
    steps = min(stream.count(frames) for stream in protocol.streams.values())
    shape: tuple[int | None, ...] = (None if any_length and chosen.has_free_frames else steps, size, size)
    if modality != streams.BOTH:
        shape = (*shape, streams.channels(modality))
    if chosen.name == "i3d":
        options["modality"] = modality
    if not chosen.has_time_plan:
        options.pop("time_plan", None)
    return chosen.function()(**{"weights": None, "input_shape": shape} | options)
