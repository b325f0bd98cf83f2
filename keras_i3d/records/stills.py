"""Some frames of a record as arrays, evenly spread in time, and the flow at them, decoded without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_i3d.errors import RecordError, VideoError
from keras_i3d.extras import import_extra
from keras_i3d.records import schema
from keras_i3d.records.contents import FLOW_CONTEXT, Clip, first_number, pictures_of, timestamps
from keras_i3d.records.messages import values_of
from keras_i3d.streams import FLOW_BOUND
from keras_i3d.video import decode
from keras_i3d.video.flow import from_stored


@dataclass(frozen=True, eq=False)
class Stills:
    """Some frames of a clip, evenly spread in time, and the flow at them.

    Attributes:
        frames: uint8 arrays of shape (height, width, 3), RGB.
        times_s: Seconds after the clip's first frame, one for each; None where the record tells no time.
        flow: float32 arrays of shape (height, width, 2), x then y, pixels per frame, one for each; or None. A
            stored value counts as the middle of what it stands for, so that no motion is 0 (readers for networks
            take its lower end, -0.078, as MediaPipe does).
    """

    frames: list[np.ndarray]
    times_s: list[float] | None
    flow: list[np.ndarray] | None


def take(clip: Clip, count: int) -> Stills | None:
    """Decode some frames of a clip, and its flow at them.

    Args:
        clip: The record.
        count: How many; a shorter clip shows all that it has. One frame is the middle one.

    Returns:
        The pictures, or None where the record holds no frames.

    Raises:
        RecordError: A picture, or the video in the record, is damaged.
        MissingDependency: OpenCV, or PyAV for videos, is not installed.
        ValueError: `count` is below 1.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    if clip.summary.rgb is None or clip.summary.rgb.count == 0:
        return None
    if clip.summary.rgb.coding == "video":
        try:
            frames, indices, total = _video_frames(clip, count)
        except VideoError as error:
            raise RecordError(f"{clip.place}, the video in it: {error}") from error
    else:
        encoded = pictures_of(clip.example, schema.RGB_FRAMES)
        total = len(encoded)
        indices = _spread(total, count)
        frames = [_picture(encoded[index], f"{clip.place}, frame {index}") for index in indices]
    return Stills(frames, _times(clip, indices), _flow(clip, indices, total))


def _spread(total: int, count: int) -> list[int]:
    if count == 1:
        return [total // 2]
    return np.linspace(0, total - 1, min(count, total)).round().astype(int).tolist()


def _picture(data: bytes, place: str) -> np.ndarray:
    cv2 = import_extra("cv2")
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    except cv2.error:  # as of a header that asks for more pixels than OpenCV takes
        picture = None
    if picture is None:
        raise RecordError(f"{place}: {len(data)} bytes that are no whole picture")
    return np.ascontiguousarray(picture[..., ::-1])


def _video_frames(clip: Clip, count: int) -> tuple[list[np.ndarray], list[int], int]:
    """Decode the frames as readers of the records do: of ours at the record's rate and size, of others as they are."""
    context = {key: values_of(feature) for key, feature in clip.example.context.feature.items()}
    options = _video_options(context)
    total = clip.summary.rgb.count or sum(1 for _ in _decoded(context, options))
    indices = _spread(total, count)
    wanted, found = set(indices), {}
    for index, frame in enumerate(_decoded(context, options)):
        if index in wanted:
            found[index] = frame
        if index >= indices[-1]:
            break
    shown = [index for index in indices if index in found]
    if not shown:
        raise RecordError(f"{clip.place}: the video in it has none of the {total} frames that it should have")
    return [found[index] for index in shown], shown, total


def _decoded(context: dict[str, list], options: dict[str, Any]) -> Iterator[np.ndarray]:
    return decode.iterate_frames(context[schema.VIDEO][0], threads=1, on_damage=lambda reason: None, **options)


def _video_options(context: dict[str, list]) -> dict[str, Any]:
    video_start = first_number(context, schema.VIDEO_START)
    fps, height, width = (first_number(context, f"image/{key}") for key in ("frame_rate", "height", "width"))
    start, end = first_number(context, schema.START), first_number(context, schema.END)
    is_ours = None not in (video_start, fps, height, width, start, end) and min(height, width) >= 1
    if not is_ours or not decode.LOWEST_FPS <= fps <= decode.HIGHEST_FPS or not video_start <= start < end:
        return {"fps": None, "short_side": None}
    return {
        "fps": fps,
        "short_side": int(min(height, width)),
        "start_s": (start - video_start) / schema.MICROSECONDS,
        "end_s": (end - video_start) / schema.MICROSECONDS,
    }


def _times(clip: Clip, indices: Sequence[int]) -> list[float] | None:
    times = timestamps(clip.example)
    if indices[-1] < len(times):
        return [(times[index] - times[0]) / schema.MICROSECONDS for index in indices]
    return [index / clip.summary.fps for index in indices] if clip.summary.fps else None


def _flow(clip: Clip, indices: Sequence[int], total: int) -> list[np.ndarray] | None:
    encoded = pictures_of(clip.example, schema.FLOW_FRAMES)
    if not encoded:
        return None
    # n frames have n fields, or n - 1 in records of MediaPipe; anything else has the flow at another rate
    share = 1 if len(encoded) in (total, total - 1) else (len(encoded) - 1) / max(1, total - 1)
    fields = [min(round(index * share), len(encoded) - 1) for index in indices]
    pictures = [_picture(encoded[field], f"{clip.place}, flow field {field}") for field in fields]
    feature = clip.example.context.feature
    key = f"{FLOW_CONTEXT}/saturation"
    bound = first_number({key: values_of(feature[key])} if key in feature else {}, key) or FLOW_BOUND
    share_of_bound = np.float32(bound / FLOW_BOUND)
    return [from_stored(picture[..., :2] + np.float32(0.5)) * share_of_bound for picture in pictures]
