from dataclasses import replace
from pathlib import Path

import pytest

from keras_i3d.datasets.dataset import LabelledClip, VideoDataset, checked_class_names, split_by_name
from keras_i3d.errors import DatasetError

CLIP = LabelledClip(Path("/data/run/a.mp4"), "run/a.mp4", "run", "train")


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("run/a.mp4", "train"),
        ("ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi", "train"),
        ("ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c02.avi", "test"),
        ("abseiling/0wR5jVB-WPk_000417_000427.mp4", "test"),
        ("läuft/ä.mp4", "train"),
        ("", "train"),
    ],
)
def test_a_name_falls_on_the_same_side_for_ever(name: str, split: str) -> None:
    assert split_by_name(name) == split


def test_four_names_of_five_are_for_training() -> None:
    names = [f"class/{number}.mp4" for number in range(10_000)]
    share = sum(split_by_name(name) == "test" for name in names) / len(names)
    assert share == pytest.approx(0.2, abs=0.016)  # four standard deviations of 10,000 draws


def test_a_whole_video_is_named_by_its_path_and_a_stretch_by_its_bounds_too() -> None:
    assert CLIP.id == "run/a.mp4"
    ids = [
        replace(CLIP, **bounds).id
        for bounds in ({"start_s": 1.5}, {"end_s": 3.0}, {"start_s": 1.5, "end_s": 3.0}, {"start_s": 1.5, "end_s": 4.0})
    ]
    assert len({CLIP.id, *ids}) == 5
    assert all(identity.startswith("run/a.mp4@") for identity in ids)


def test_stretches_that_start_close_to_each_other_have_two_ids() -> None:
    one, other = (replace(CLIP, start_s=start_s, end_s=1300.0) for start_s in (1234.561, 1234.564))
    assert one.id != other.id


def test_counts_name_the_splits_that_have_clips_in_their_order() -> None:
    splits = ("test", "train", "train")
    dataset = VideoDataset(tuple(replace(CLIP, split=split) for split in splits), ("run",))
    assert list(dataset.counts().items()) == [("train", 2), ("test", 1)]


def test_the_digest_sees_every_change_but_the_place_of_the_files() -> None:
    other = replace(CLIP, name="walk/b.mp4", label="walk")
    dataset = VideoDataset((CLIP, other), ("run", "walk"))
    moved = VideoDataset((replace(CLIP, path=Path("/elsewhere/a.mp4")), other), ("run", "walk"))
    assert moved.digest() == dataset.digest()
    changed = [
        VideoDataset((CLIP,), ("run", "walk")),
        VideoDataset((CLIP, other), ("walk", "run")),
        VideoDataset((CLIP, other), ("run", "walk", "swim")),
        VideoDataset((replace(CLIP, label="walk"), other), ("run", "walk")),
        VideoDataset((replace(CLIP, split="val"), other), ("run", "walk")),
        VideoDataset((replace(CLIP, end_s=2.0), other), ("run", "walk")),
        VideoDataset((replace(CLIP, start_s=2.0), other), ("run", "walk")),
        VideoDataset((replace(CLIP, name="c.mp4"), other), ("run", "walk")),
    ]
    assert len({dataset.digest(), *(one.digest() for one in changed)}) == 1 + len(changed)


def test_class_names_are_sorted_unless_given() -> None:
    assert checked_class_names(["b", "a", "b"], None, "there") == ("a", "b")
    assert checked_class_names(["b", "a", "b"], ["c", "b", "a"], "there") == ("c", "b", "a")


def test_a_class_that_is_not_among_the_given_ones_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"^there: unknown class 'b'; the classes are a, c$"):
        checked_class_names(["a", "b", "d"], ["a", "c"], "there")
