import numpy as np
import pytest

from keras_i3d.figures.explanation import Picture, strip, video_frames


def picture(count: int = 5, height: int = 40, width: int = 60, streams: tuple[str, ...] = ("rgb",)) -> Picture:
    side = min(height, width)
    heat = {name: np.zeros((count, side, side), np.float32) for name in streams}
    for values in heat.values():
        values[count // 2, side // 4 : side // 2, side // 4 : side // 2] = 1
    return Picture(
        title="läuft 日本 " * 20,
        subtitle="a.mp4 " * 50,
        frames=np.full((count, height, width, 3), 230, np.uint8),
        seconds=np.arange(count) / 25,
        corner=((height - side) // 2, (width - side) // 2),
        heat=heat,
        over_time={name: values.mean(axis=(1, 2)) for name, values in heat.items()},
    )


@pytest.mark.parametrize(("height", "width"), [(40, 60), (91, 33), (1, 200), (33, 33)])
@pytest.mark.parametrize("streams", [("rgb",), ("rgb", "flow")])
@pytest.mark.parametrize("count", [1, 5])
def test_videos_of_any_shape_and_length_are_drawn_within_their_margins(height, width, streams, count) -> None:
    drawn = picture(count, height, width, streams)
    frames = list(video_frames(drawn))
    assert len(frames) == count and len({frame.shape for frame in frames}) == 1
    assert not frames[0].shape[0] % 2 and not frames[0].shape[1] % 2
    for canvas in (*frames, strip(drawn)):
        for edge in (canvas[:, :10], canvas[:, -10:]):
            assert (edge == 255).all()


def test_heat_is_on_the_frame_that_has_it() -> None:
    reddish = [int((frame[..., 0].astype(int) - frame[..., 2] > 60).sum()) for frame in video_frames(picture())]
    key = min(reddish)  # the legend is on every frame
    assert [value > 2 * key + 100 for value in reddish] == [False, False, True, False, False]


def test_the_cursor_runs_with_the_time() -> None:
    places = []
    for frame in video_frames(picture(height=60)):
        dark = (frame < 60).all(axis=-1)[frame.shape[0] - 60 : frame.shape[0] - 40]
        places.append(np.flatnonzero(dark.all(axis=0)).mean())
    assert np.diff(places) == pytest.approx(np.diff(places)[0], abs=1.5) and places[1] > places[0] + 20


def test_a_clip_without_evidence_is_drawn_without_heat() -> None:
    empty = picture()
    for part in (empty.heat, empty.over_time):
        part["rgb"][:] = 0
    assert len(list(video_frames(empty))) == 5
    assert strip(empty).dtype == np.uint8
