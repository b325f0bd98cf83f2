"""What a network sees of each frame of a video: its centre, as bytes, or resized to it where the sizes differ.

Frames are cut before anything keeps them: windows, batches and queues hold squares of the network's size and no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from keras_i3d.clips import transforms
from keras_i3d.errors import VideoError, first_line
from keras_i3d.extras import import_extra
from keras_i3d.protocol import short_side_for
from keras_i3d.video import flow

View = dict[str, np.ndarray]  # by stream


@dataclass(frozen=True)
class Views:
    """How frames become what the network sees, as `keras_i3d.clips.transforms.testing_view` does it.

    Attributes:
        streams: ``"rgb"``, ``"flow"`` or both.
        size: Height and width of the network's input.
        as_bytes: Whether views are uint8, of frames that need only be cut, flow in the eight bits of records; else they
            are float32 in [-1, 1], of frames of any size.
    """

    streams: tuple[str, ...]
    size: int
    as_bytes: bool = True

    def over(self, frames: Iterable[np.ndarray], *, flow_threads: int = 1) -> Iterator[View]:
        """Yield the view of each frame, in the memory of a few.

        Args:
            frames: uint8 (height, width, 3), RGB, all of one shape; as bytes, of the short side that a cut wants.
            flow_threads: Fields of flow that are computed at once.

        Yields:
            By stream, (size, size, channels). The last frame repeats the flow of the one before it.

        Raises:
            VideoError: Flow of the frames cannot be computed.
        """
        prepared = self._cut if self.as_bytes else self._resized
        if "flow" not in self.streams:
            for picture in frames:
                yield {"rgb": prepared(picture, "rgb")}
            return
        try:
            for picture, field in flow.with_flow(frames, "tvl1", threads=flow_threads):
                found = {"rgb": picture, "flow": field}
                yield {stream: prepared(found[stream], stream) for stream in self.streams}
        except (ValueError, import_extra("cv2").error) as error:
            raise VideoError(f"flow of its frames cannot be computed ({first_line(error)})") from error

    def _cut(self, array: np.ndarray, stream: str) -> np.ndarray:
        top, left = (int(np.floor((side - self.size) * 0.5 + 0.5)) for side in array.shape[:2])
        square = array[top : top + self.size, left : left + self.size]
        return flow.to_stored(square) if stream == "flow" else square.copy()  # a slice would keep the whole frame

    def _resized(self, array: np.ndarray, stream: str) -> np.ndarray:
        if stream == "flow":
            array = flow.as_stored(array)
        return transforms.testing_view(array[np.newaxis], self.size, stream).numpy()[0]


def need_only_a_cut(short_side: float, size: int) -> bool:
    """Tell whether frames of a short side are only cut, and not resized, for a network of an input size."""
    return short_side == short_side_for(size)
