"""How a video becomes a model's input: the facts that must be the same in training and in use."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from keras_i3d import streams
from keras_i3d.errors import ModelFileError
from keras_i3d.whole_file import write_json

FILE_NAME = "preparation.json"


@dataclass(frozen=True)
class Preparation:
    """What lies beside every trained and every exported model.

    Attributes:
        modality: ``"rgb"``, ``"flow"`` or ``"both"``.
        fps: Frames per second that videos are resampled to.
        short_side: Pixels of the shorter side that videos are decoded to (and flow is computed at).
        size: Height and width of the network's input, cut from the centre.
        network: Name of the network, which tells the frames that it takes.
        flow_inside: Whether the model computes its flow itself, of rgb, which is all that it is given then.
    """

    modality: str
    fps: float
    short_side: int
    size: int
    network: str = "i3d"
    flow_inside: bool = False

    def __post_init__(self) -> None:
        modalities = streams.modalities(self.modality)
        if type(self.flow_inside) is not bool or (self.flow_inside and "flow" not in modalities):
            raise ValueError(f"flow_inside is true or false, and true of a model that sees flow, got {self}")
        for name in ("fps", "short_side", "size"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise ValueError(f"{name} must be a number above 0, got {value!r}")

    @property
    def given(self) -> tuple[str, ...]:
        """The streams that are to be given to the model."""
        return ("rgb",) if self.flow_inside else streams.modalities(self.modality)

    def write(self, folder: Path) -> None:
        """Write ``preparation.json``."""
        write_json(folder / FILE_NAME, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Preparation | None:
        """Read ``preparation.json``; None where there is none.

        Raises:
            ModelFileError: The file is damaged.
        """
        path = folder / FILE_NAME
        try:
            return cls(**json.loads(path.read_text("utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise ModelFileError(f"{path}: cannot be read ({error})") from error
