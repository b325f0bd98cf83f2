from pathlib import Path

import numpy as np
import pytest
import video_records
from numbered_videos import indices, write_at
from video_records import FPS, HEIGHT, WIDTH

from keras_i3d.errors import RecordError
from keras_i3d.records import coding, contents, schema, stills
from keras_i3d.records.messages import sequence_example
from keras_i3d.video import decode


def only(tmp_path: Path, record: bytes) -> contents.Clip:
    (clip,) = contents.read(str(video_records.write(tmp_path / "a.tfrecord", [record])))
    return clip


def numbered_video(tmp_path: Path, count: int, step_ms: int = 40) -> bytes:
    return write_at(tmp_path / "a.mkv", "libx264", range(0, count * step_ms, step_ms)).read_bytes()


def test_frames_are_spread_from_the_first_to_the_last(tmp_path: Path) -> None:
    shown = stills.take(only(tmp_path, video_records.record(count=9, flow=True)), 3)
    expected = video_records.frames(9)[[0, 4, 8]]
    assert np.abs(np.stack(shown.frames).astype(int) - expected.astype(int)).mean() < 3
    assert shown.times_s == [0.0, 0.16, 0.32]


def test_flow_is_that_of_the_frame_and_no_motion_is_zero(tmp_path: Path) -> None:
    shown = stills.take(only(tmp_path, video_records.record(count=9, flow=True)), 3)
    half_a_level = 20 / 255 + 1e-5
    for field, x in zip(shown.flow, (0, 4, 8), strict=True):
        assert field.shape == (HEIGHT, WIDTH, 2)
        assert np.abs(field[..., 0] - x).max() <= half_a_level
        assert np.abs(field[..., 1] + 3).max() <= half_a_level
    assert np.abs(shown.flow[0][..., 0]).max() < 1e-6


@pytest.mark.parametrize(
    ("count", "expected"), [(1, [4]), (5, [0, 2, 4, 6, 8]), (9, list(range(9))), (100, list(range(9)))]
)
def test_as_many_frames_as_asked_for_and_there(tmp_path: Path, count: int, expected: list[int]) -> None:
    shown = stills.take(only(tmp_path, video_records.record(count=9)), count)
    assert shown.times_s == pytest.approx([index / FPS for index in expected])
    assert shown.flow is None


def test_one_field_less_than_frames_is_fine(tmp_path: Path) -> None:
    frames = [coding.encode_jpeg(frame, 95) for frame in video_records.frames(5)]
    fields = [coding.encode_png(np.full((4, 4, 2), 10 * number, np.uint8)) for number in range(4)]
    record = sequence_example({}, {"image/encoded": frames, "FORWARD_FLOW/image/encoded": fields})
    shown = stills.take(only(tmp_path, record), 5)
    assert [round(float((field[0, 0, 0] + 20) * 255 / 40 - 0.5)) for field in shown.flow] == [0, 10, 20, 30, 30]
    assert shown.times_s is None


def test_flow_at_another_rate_is_spread_alike_and_its_bound_counts(tmp_path: Path) -> None:
    frames = [coding.encode_jpeg(frame, 95) for frame in video_records.frames(9)]
    fields = [coding.encode_png(np.full((4, 4, 2), level, np.uint8)) for level in (0, 127, 255)]
    record = sequence_example(
        {"FORWARD_FLOW/image/saturation": 10.0}, {"image/encoded": frames, "FORWARD_FLOW/image/encoded": fields}
    )
    shown = stills.take(only(tmp_path, record), 3)
    assert [float(field[0, 0, 0]) for field in shown.flow] == pytest.approx([-10, 0, 10], abs=0.05)


def test_frames_of_a_video_in_the_record_are_those_readers_decode(tmp_path: Path) -> None:
    video = numbered_video(tmp_path, 11)
    shown = stills.take(only(tmp_path, video_records.record(video=video, count=11)), 3)
    readers = decode.read_frames(video, fps=FPS, short_side=HEIGHT)
    assert np.array_equal(shown.frames, readers[[0, 5, 10]])
    assert shown.frames[0].shape == (HEIGHT, WIDTH, 3)
    assert shown.times_s == [0.0, 0.2, 0.4]


def test_an_untouched_video_is_cut_to_the_clip_and_its_rate(tmp_path: Path) -> None:
    video = numbered_video(tmp_path, 20, step_ms=20)  # 50 fps, of which the clip takes 0.1 s to 0.3 s at 25 fps
    source = schema.Source("a", "folder", "a", 0, "a")
    pictures = schema.Pictures((32, 48), 25.0, 0.1, 5, video=video)
    shown = stills.take(only(tmp_path, schema.to_example(source, pictures)), 5)
    assert indices(shown.frames) == [5, 7, 9, 11, 13]


def test_a_video_that_says_nothing_is_shown_as_it_is(tmp_path: Path) -> None:
    record = sequence_example({"clip/encoded_media_bytes": numbered_video(tmp_path, 7)}, {})
    shown = stills.take(only(tmp_path, record), 3)
    assert indices(shown.frames) == [0, 3, 6]
    assert shown.frames[0].shape == (32, 48, 3)
    assert shown.times_s is None


def test_odd_numbers_beside_a_video_do_no_harm(tmp_path: Path) -> None:
    context = {
        "clip/encoded_media_bytes": numbered_video(tmp_path, 7),
        "clip/encoded_media_start_timestamp": 9,
        "clip/start/timestamp": 5,
        "clip/end/timestamp": 2,
        "image/frame_rate": 1e9,
        "image/height": 0,
        "image/width": 1,
    }
    shown = stills.take(only(tmp_path, sequence_example(context, {"image/timestamp": [0] * 99})), 3)
    assert indices(shown.frames) == [0]  # of 99 promised frames the 1st, 50th and 99th: two are not there


def test_a_record_without_frames_shows_nothing(tmp_path: Path) -> None:
    assert stills.take(only(tmp_path, sequence_example({"a": 1}, {})), 3) is None
    assert stills.take(only(tmp_path, sequence_example({}, {"image/encoded": []})), 3) is None


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    good = coding.encode_jpeg(video_records.frames(1)[0], 95)
    for bad in (b"", b"no picture", good[:2]):
        clip = only(tmp_path, sequence_example({}, {"image/encoded": [good, bad, good]}))
        with pytest.raises(RecordError, match=rf"a\.tfrecord: record 0, frame 1: {len(bad)} bytes that are no whole"):
            stills.take(clip, 3)
    clip = only(tmp_path, sequence_example({}, {"image/encoded": [good], "FORWARD_FLOW/image/encoded": [b"x"]}))
    with pytest.raises(RecordError, match=r"record 0, flow field 0: 1 bytes that are no whole picture"):
        stills.take(clip, 3)


def test_a_damaged_video_is_named(tmp_path: Path) -> None:
    clip = only(tmp_path, sequence_example({"clip/encoded_media_bytes": b"no video at all"}, {}))
    with pytest.raises(RecordError, match=r"a\.tfrecord: record 0, the video in it: "):
        stills.take(clip, 3)


def test_a_video_with_none_of_the_wanted_frames_is_named(tmp_path: Path) -> None:
    record = sequence_example({"clip/encoded_media_bytes": numbered_video(tmp_path, 2)}, {"image/timestamp": [0] * 99})
    with pytest.raises(RecordError, match="has none of the 99 frames"):
        stills.take(only(tmp_path, record), 1)


def test_no_frames_at_all_cannot_be_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        stills.take(only(tmp_path, video_records.record()), 0)
