"""What decides the features of a video: one frozen dataclass, whose fields are the options of ``features``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from keras_i3d.video.windows import LOOP, Sliding

FEATURES = "features"  # the end point in front of the classifier
MEAN, NONE = "mean", "none"
POOLINGS = (MEAN, NONE)
PRECISIONS = ("float32", "bfloat16")
NPZ, H5 = "npz", "h5"
FORMATS = (NPZ, H5)
WINDOW, STRIDE, BATCH_SIZE = 64, 8, 4
INDECISIVE = ("batch_size", "keep_truncated")  # change rounding, or what is skipped, and nothing else


@dataclass(frozen=True)
class FeatureSettings:
    """What decides the features of a video.

    Attributes:
        endpoint: ``"features"``, the 1024 channels in front of the classifier, or the name of a layer of the network,
            such as ``"Mixed_5c"``.
        pooling: ``"mean"`` averages what the end point gives of a window over time and space, ``"none"`` keeps it.
        window: Frames of a window; None for 64, or what the network takes where it takes so many alone.
        stride: Frames from the begin of a window to that of the next.
        fill: What a window is filled up with that the video does not fill: ``"loop"`` starts it over, ``"pad"``
            repeats the last frame.
        batch_size: Windows that the network sees at once.
        precision: What the network computes in: ``"float32"``, or ``"bfloat16"`` (weights and classifier stay in
            float32).
        file_format: ``"npz"`` or ``"h5"``.
        keep_truncated: Whether a video that ends early or is damaged is used up to there, and reported, or skipped.

    Raises:
        ValueError: One of them is not what is allowed.
    """

    endpoint: str = FEATURES
    pooling: str = MEAN
    window: int | None = None
    stride: int = STRIDE
    fill: str = LOOP
    batch_size: int = BATCH_SIZE
    precision: str = "float32"
    file_format: str = NPZ
    keep_truncated: bool = False

    def __post_init__(self) -> None:
        choices = {"pooling": POOLINGS, "precision": PRECISIONS, "file_format": FORMATS}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ValueError(f"unknown {name} {getattr(self, name)!r}; known: {', '.join(known)}")
        size = self.batch_size
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ValueError(f"batch_size is a number of windows, at least 1; got {size!r}")
        Sliding(WINDOW if self.window is None else self.window, self.stride, self.fill)

    def decisive(self) -> dict[str, Any]:
        """Return, as JSON values, those that decide what is written of a video."""
        return {name: value for name, value in asdict(self).items() if name not in INDECISIVE}
