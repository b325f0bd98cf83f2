"""How two sets of videos are gone through, and how sure one may be of the number."""

from __future__ import annotations

from dataclasses import dataclass

from keras_i3d.fvd import interval

DEFAULT_ENDPOINT = "logits"
BATCH_SIZE = 8
WHAT_TO_DO = ("stop", "skip")


@dataclass(frozen=True)
class FvdOptions:
    """What is seldom changed.

    Attributes:
        fps: Frames per second that video files are brought to, by the nearest frame; None keeps their own frames.
        batch_size: Videos that the network sees at once. The distance does not depend on it but for rounding.
        on_damage: At a file that cannot be decoded up to the last frame wanted: ``"stop"`` with its error, or
            ``"skip"`` it and list it in the result.
        on_short: At a video of fewer frames than `frames`: the same choice.
        threads: That decode and resize ahead of the network; None takes one for each core, eight at most.
        level: Of the interval's confidence.
        seed: Of the interval's draws.
    """

    fps: float | None = None
    batch_size: int = BATCH_SIZE
    on_damage: str = "stop"
    on_short: str = "stop"
    threads: int | None = None
    level: float = interval.LEVEL
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("batch_size", "threads"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("on_damage", "on_short"):
            if getattr(self, name) not in WHAT_TO_DO:
                raise ValueError(f"{name} must be one of {', '.join(WHAT_TO_DO)}; got {getattr(self, name)!r}")
        interval.check(0, self.level)
