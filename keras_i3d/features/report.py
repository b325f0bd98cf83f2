"""What became of the videos of an output folder: ``report.json`` beside their features."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from typing import Any

from keras_i3d import storage

FILE_NAME = "report.json"


@dataclass(frozen=True)
class VideoReport:
    """What became of a video.

    Attributes:
        video: Its path.
        frames: That were decoded.
        windows: That there are features of.
        skipped: Why there are none, otherwise None.
        damaged: What is wrong with the video although it was kept, otherwise None.
    """

    video: str
    frames: int = 0
    windows: int = 0
    skipped: str | None = None
    damaged: str | None = None


@dataclass
class Report:
    """What became of the videos of an output folder, in this run and those before it.

    Attributes:
        output: The folder.
        written: Videos whose features this run wrote.
        present: Videos whose features were there already.
        windows: That this run computed features of.
        skipped: Why there are no features of a video, by its path.
        damaged: What is wrong with a video that was kept, by its path.
    """

    output: str
    written: int = 0
    present: int = 0
    windows: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)

    def add(self, one: VideoReport) -> None:
        """Count a video, and write the report where something is wrong with it, so that a later run knows."""
        was_known = [known.pop(one.video, None) for known in (self.skipped, self.damaged)]
        if one.skipped is not None:
            self.skipped[one.video] = one.skipped
        else:
            self.written += 1
            self.windows += one.windows
        if one.damaged is not None:
            self.damaged[one.video] = one.damaged
        if one.skipped or one.damaged or any(was_known):
            self.write()

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)

    def write(self) -> None:
        """Write ``report.json``."""
        storage.write_json(storage.join(self.output, FILE_NAME), {"skipped": self.skipped, "damaged": self.damaged})

    @classmethod
    def read(cls, output: str | os.PathLike) -> Report:
        """Return what earlier runs had to say; nothing where there was none, or it is in pieces."""
        report, path = cls(str(output)), storage.join(output, FILE_NAME)
        if storage.exists(path):
            try:
                found = json.loads(storage.read_text(path))
                report.skipped, report.damaged = dict(found["skipped"]), dict(found["damaged"])
            except (ValueError, LookupError, TypeError):
                pass
        return report
