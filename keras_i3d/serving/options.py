"""What can be chosen of a served model: the dtype it computes in, the shapes it takes. Imports no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

PRECISIONS = ("float32", "bfloat16")
AXES = ("batch", "time", "height", "width")
FREE = (None,) * len(AXES)
MOST_PIXELS = 600_000_000  # of all encoded frames of a request, 1.8 GB when decoded: ten seconds of 1920x1080
MOST_FRAMES = 1000  # forty seconds; what a request asks for in memory grows with it


@dataclass(frozen=True)
class ServingOptions:
    """How a served model computes.

    Attributes:
        precision: ``"float32"``, or ``"bfloat16"``: weights stay float32, the classifier computes in float32, all
            else in 16 bits. For CPUs that have it (AVX-512 BF16, AMX) and GPUs from Ampere on.
        fold_batch_norm: Whether batch norms are folded into the layers in front of them, which changes results
            by rounding; None does it with bfloat16, where it pays.
        shape: Batch, time, height and width of the raw frames, each a number to fix it, or None.
        xla: Whether XLA compiles the network, once for each shape. For GPUs: on CPUs it is several times slower.
        max_frames: The longest clip that is answered; longer ones get an error.
        flow_inside: Whether a network that sees flow computes it itself, of the rgb frames that are all it is given
            then: TV-L1, as in records. For GPUs: on a CPU it is many times slower than the network.

    Raises:
        ValueError: One of them is not what is allowed.
    """

    precision: str = "float32"
    fold_batch_norm: bool | None = None
    shape: tuple[int | None, int | None, int | None, int | None] = FREE
    xla: bool = False
    max_frames: int = MOST_FRAMES
    flow_inside: bool = False

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision must be {' or '.join(map(repr, PRECISIONS))}, got {self.precision!r}")
        if len(self.shape) != len(AXES) or not all(size is None or _is_count(size) for size in self.shape):
            raise ValueError(f"shape must be {len(AXES)} numbers above 0 or None ({', '.join(AXES)}), got {self.shape}")
        if not _is_count(self.max_frames):
            raise ValueError(f"max_frames must be a whole number above 0, got {self.max_frames!r}")
        if self.frames is not None and self.frames > self.max_frames:
            raise ValueError(f"a shape of {self.frames} frames is more than max_frames, {self.max_frames}")

    @property
    def folds(self) -> bool:
        """Whether batch norms are folded."""
        return self.precision != "float32" if self.fold_batch_norm is None else self.fold_batch_norm

    @property
    def frames(self) -> int | None:
        """Frames of a clip, where they are fixed."""
        return self.shape[1]


def parse_shape(text: str) -> tuple[int | None, ...]:
    """Read a shape as the command line has it: ``1,64,256,?``, ``?`` for what is left open.

    Raises:
        ValueError: It is spelt otherwise.
    """
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != len(AXES) or not all(part == "?" or (part.isdecimal() and int(part) > 0) for part in parts):
        raise ValueError(f"a shape is {','.join(AXES)}, each a number above 0 or ?, such as 1,64,256,?; got {text!r}")
    return tuple(None if part == "?" else int(part) for part in parts)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
