from pathlib import Path

import numpy as np
import pytest
from coded_records import SIZE, STEP, garbled, places, record, shades, shown, write_shard

from keras_i3d.clips.pipeline import video_views, whole_videos
from keras_i3d.protocol import Frames
from keras_i3d.records.selection import Selection, select


def views_of(path: str, **options) -> list[tuple]:
    options = {"views": (1, 1), "frames": 4, "size": SIZE} | options
    return list(video_views([path], **options).as_numpy_iterator())


@pytest.mark.parametrize(
    ("available", "windows", "frames", "starts"),
    [(20, 3, 4, [0, 8, 16]), (20, 1, 4, [8]), (6, 4, 4, [0, 0, 1, 2]), (4, 2, 4, [0, 0])],
)
def test_windows_lie_evenly_from_the_first_frame_to_the_last(
    tmp_path: Path, available, windows, frames, starts
) -> None:
    path = write_shard(tmp_path / "shard", [record(7, shades(available))])
    views = views_of(path, views=(windows, 1), frames=frames)
    assert [shown(inputs["rgb"][0]) for inputs, _, _ in views] == [list(range(at, at + frames)) for at in starts]
    assert {(int(label), name) for _, label, name in views} == {(7, b"clip 7")}


def test_a_video_shorter_than_a_window_starts_over(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "shard", [record(0, shades(3))])
    assert [shown(inputs["rgb"][0]) for inputs, _, _ in views_of(path, views=(2, 1), frames=5)] == [[0, 1, 2, 0, 1]] * 2


def test_the_windows_may_be_kept_to_the_middle_of_a_video(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "shard", [record(0, shades(20))])
    views = views_of(path, views=(3, 1), frames=2, most=10)
    assert [shown(inputs["rgb"][0]) for inputs, _, _ in views] == [[5, 6], [9, 10], [13, 14]]


@pytest.mark.parametrize("is_wide", [True, False])
@pytest.mark.parametrize(("crops", "offsets"), [(1, [3]), (2, [0, 6]), (3, [0, 3, 6]), (4, [0, 2, 4, 6])])
def test_crops_lie_evenly_along_the_longer_side_the_same_for_both_streams(
    tmp_path: Path, crops, offsets, is_wide
) -> None:
    frame, field = places(16, 20) if is_wide else places(20, 16)
    path = write_shard(tmp_path / "shard", [record(0, np.repeat(frame[None], 4, 0), np.repeat(field[None], 4, 0))])
    ((inputs, _, _),) = views_of(path, views=(1, crops), modalities=("rgb", "flow"))
    assert inputs["rgb"].shape == (crops, 4, SIZE, SIZE, 3)
    assert inputs["flow"].shape == (crops, 4, SIZE, SIZE, 2)
    column, row = (0, 1) if is_wide else (1, 0)
    for number, offset in enumerate(offsets):
        for modality in ("rgb", "flow"):
            corner = np.rint((inputs[modality][number, 0, 0, 0] + 1) * 127.5 / STEP)
            assert (corner[column], corner[row]) == (offset, 1), modality


def test_a_stream_may_take_some_frames_of_a_window(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "shard", [record(0, shades(20))])
    views = views_of(path, views=(2, 1), frames=10, modalities={"rgb": Frames(step=5, offset=2)})
    assert [shown(inputs["rgb"][0]) for inputs, _, _ in views] == [[2, 7], [12, 17]]


def test_frames_outside_of_the_windows_are_not_decoded(tmp_path: Path) -> None:
    flow = np.zeros((20, 16, 20, 2), np.uint8)
    damaged = garbled(record(0, shades(20), flow), keep=range(8, 12))
    path = write_shard(tmp_path / "shard", [damaged])
    ((inputs, _, _),) = views_of(path, modalities=("rgb", "flow"))
    assert shown(inputs["rgb"][0]) == [8, 9, 10, 11]


def test_one_window_and_crop_of_a_whole_video_is_the_whole_video(records: Path) -> None:
    chosen = select(records, "test")
    whole = whole_videos(chosen, size=32, modalities=("rgb", "flow")).as_numpy_iterator()
    views = video_views(chosen, views=(1, 1), frames=12, size=32, modalities=("rgb", "flow")).as_numpy_iterator()
    for (inputs, label, name), (clips, same_label, same_name) in zip(whole, views, strict=True):
        assert (label, name) == (same_label, same_name)
        for modality, values in inputs.items():
            np.testing.assert_allclose(clips[modality][0], values, atol=1e-6)  # scaled before and after the cut


@pytest.mark.parametrize("first", [0, 3, 8])
def test_videos_that_are_done_are_passed_over_undecoded(tmp_path: Path, first: int) -> None:
    clips = [record(n, shades(4)) for n in range(8)]
    path = write_shard(tmp_path / "shard", [garbled(clip, range(0)) for clip in clips[:first]] + clips[first:])
    numbers = [int(label) for _, label, _ in whole_videos([path], size=SIZE, first=first).as_numpy_iterator()]
    assert numbers == list(range(first, 8))
    assert [int(label) for _, label, _ in views_of(path, views=(2, 1), first=first)] == sorted(numbers * 2)


def test_views_of_records_of_several_labels_bear_all_of_them(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "shard", [record(0, shades(4), label=2, further_labels=((0, "0"),))])
    selection = Selection((path,), 1, multi_label=True)
    views = video_views(selection, views=(1, 1), frames=4, size=SIZE, classes=4)
    ((_, label, _),) = views.as_numpy_iterator()
    assert label.tolist() == [1, 0, 1, 0]
