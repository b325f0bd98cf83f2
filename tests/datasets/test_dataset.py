import pickle
from collections.abc import Sequence
from dataclasses import replace

import pytest

from keras_i3d.datasets.dataset import (
    LabelledClip,
    VideoDataset,
    checked_class_names,
    parse_split,
    split_by_name,
    split_names,
)
from keras_i3d.errors import DatasetError

CLIP = LabelledClip("/data/run/a.mp4", "run/a.mp4", "run", ("train",))
THREE = ("train1", "val1", "test1", "train2", "val2", "test2", "train3", "val3", "test3")


def with_splits(*splits: tuple[str, ...]) -> VideoDataset:
    clips = (replace(CLIP, name=f"{number}.mp4", splits=one) for number, one in enumerate(splits))
    return VideoDataset("some", tuple(clips), ("run",))


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


def test_a_clip_can_be_sent_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(CLIP)) == CLIP


def test_counts_name_the_splits_that_have_clips_in_their_order() -> None:
    dataset = with_splits(("test",), ("train",), ("train",))
    assert list(dataset.counts().items()) == [("train", 2), ("test", 1)]
    assert dataset.divisions == 1
    assert dataset.unused() == (0,)


def test_counts_of_several_divisions_bear_their_numbers() -> None:
    dataset = with_splits(("test", "train", "unused"), ("train", "train", "unused"), ("unused", "val", "train"))
    assert list(dataset.counts().items()) == [("train1", 1), ("test1", 1), ("train2", 2), ("val2", 1), ("train3", 1)]
    assert dataset.divisions == 3
    assert dataset.unused() == (1, 0, 2)


def test_a_clip_names_the_splits_that_it_is_in() -> None:
    dataset = with_splits(("test", "train", "unused"), ("unused", "unused", "unused"))
    assert [dataset.split_names(clip) for clip in dataset.clips] == [("test1", "train2"), ()]
    alone = with_splits(("val",))
    assert alone.split_names(alone.clips[0]) == ("val",)


def test_splits_of_several_divisions_bear_their_numbers() -> None:
    assert split_names(1) == ("train", "val", "test")
    assert split_names(3) == THREE


@pytest.mark.parametrize(
    ("text", "available", "meant"),
    [
        ("train", ("train", "test"), ("train", 1)),
        ("train1", ("train", "test"), ("train", 1)),
        ("train", ("train1", "train2"), ("train", 1)),
        ("train2", ("train1", "train2"), ("train", 2)),
        ("test3", THREE, ("test", 3)),
        ("val", THREE, ("val", 1)),
        ("val", None, ("val", 1)),
        ("test12", None, ("test", 12)),
    ],
)
def test_a_split_is_understood(text: str, available: Sequence[str] | None, meant: tuple[str, int]) -> None:
    assert parse_split(text, available) == meant


@pytest.mark.parametrize(
    "text", ["val", "test2", "training", "Train", "train0", "train01", "train-1", "unused", "", "1"]
)
def test_an_unknown_split_is_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(ValueError, match=rf"^unknown split '{text}'; there are train, test$"):
        parse_split(text, ["train", "test"])


def test_a_split_that_only_another_division_has_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^unknown split 'val'; there are train1, val2$"):
        parse_split("val", {"train1": 5, "val2": 3})


def test_where_there_are_no_splits_none_is_found() -> None:
    with pytest.raises(ValueError, match=r"^unknown split 'train'; there is none$"):
        parse_split("train", ())


@pytest.mark.parametrize("text", ["training", "train0", "unused", ""])
def test_what_is_no_split_anywhere_is_refused(text: str) -> None:
    with pytest.raises(
        ValueError, match=rf"^unknown split '{text}'; splits are train, val, test, or train1, test2 and so on$"
    ):
        parse_split(text)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"splits": ("train", "test")}, r"splits must be 1 of train, val, test, unused, got \('train', 'test'\)"),
        ({"splits": ("all",)}, r"splits must be 1 of train, val, test, unused, got \('all',\)"),
        ({"label": None}, r"only a clip of split test may lack a label, got \('train',\)"),
        ({"label": "walk"}, "its class 'walk' is not among the class names"),
    ],
)
def test_a_clip_that_does_not_fit_is_refused(changed: dict, message: str) -> None:
    with pytest.raises(ValueError, match=rf"^clip 'b\.mp4': {message}$"):
        VideoDataset("some", (CLIP, replace(CLIP, name="b.mp4", **changed)), ("run",))


def test_a_test_clip_may_lack_its_label() -> None:
    clip = replace(CLIP, label=None, splits=("test", "unused"))
    assert VideoDataset("some", (clip,), ()).counts() == {"test1": 1}


def with_labels(*labels: str | None, **changes: object) -> VideoDataset:
    clip = replace(CLIP, label=labels[0], further_labels=labels[1:], **changes)
    return VideoDataset("some", (clip,), ("jump", "run", "walk"), multi_label=True)


def test_a_clip_may_have_several_labels_or_none_in_any_split_where_that_is_said() -> None:
    assert CLIP.labels == ("run",)
    assert with_labels("walk", "run").clips[0].labels == ("walk", "run")
    assert with_labels(None).clips[0].labels == ()
    assert with_labels(None, splits=("val",)).counts() == {"val": 1}


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (("run", "walk", "run"), "its labels must differ from each other, got run, walk, run"),
        (("run", "swim"), "its class 'swim' is not among the class names"),
        ((None, "run"), "further labels want a first label, got run"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=rf"^clip 'run/a\.mp4': {message}$"):
        with_labels(*labels)


def test_several_labels_are_refused_where_one_is_meant() -> None:
    clip = replace(CLIP, further_labels=("walk", "jump"))
    message = r"^clip 'run/a\.mp4': further labels want a data set with multi_label, got walk, jump$"
    with pytest.raises(ValueError, match=message):
        VideoDataset("some", (clip,), ("jump", "run", "walk"))


def test_the_digest_sees_every_label_and_that_there_may_be_several() -> None:
    classes = ("jump", "run", "walk", "train")
    several = [
        VideoDataset("some", (replace(CLIP, label=first, further_labels=more),), classes, multi_label=True)
        for first, *rest in ((None,), ("run",), ("run", "walk"), ("walk", "run"), ("run", "train"), ("run", "jump"))
        for more in [tuple(rest)]
    ]
    digests = [VideoDataset("some", (CLIP,), classes).digest(), *(one.digest() for one in several)]
    assert len(set(digests)) == len(digests)


def test_the_digest_of_earlier_runs_is_found_again() -> None:
    clips = (CLIP, replace(CLIP, name="b.mp4", label=None, splits=("test",), end_s=2.0))
    digest = "3b5f117bd0c1ad84d5728b82afdf169c06d17f74d6de5da86511557a403613ea"
    assert VideoDataset("some", clips, ("run", "walk")).digest() == digest


def test_two_clips_of_one_id_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^two clips have the id 'run/a\.mp4'$"):
        VideoDataset("some", (CLIP, replace(CLIP, path="elsewhere")), ("run",))


def test_the_digest_sees_every_change_but_the_place_of_the_files() -> None:
    other = replace(CLIP, name="walk/b.mp4", label="walk")
    unlabelled = replace(CLIP, name="c.mp4", label=None, splits=("test",))
    clips, classes = (CLIP, other, unlabelled), ("run", "walk")
    dataset = VideoDataset("some", clips, classes)
    moved = VideoDataset("some", (replace(CLIP, path="s3://a/a.mp4"), *clips[1:]), classes, (("x", "y"),), ("z",))
    assert moved.digest() == dataset.digest()
    changed = [
        VideoDataset("other", clips, classes),
        VideoDataset("some", clips[:2], classes),
        VideoDataset("some", (other, CLIP, unlabelled), classes),
        VideoDataset("some", clips, ("walk", "run")),
        VideoDataset("some", clips, ("run", "walk", "swim")),
        *(
            VideoDataset("some", (replace(CLIP, **field), *clips[1:]), classes)
            for field in (
                {"label": "walk"},
                {"splits": ("val",)},
                {"end_s": 2.0},
                {"start_s": 2.0},
                {"name": "c2.mp4"},
            )
        ),
        VideoDataset("some", (*clips[:2], replace(unlabelled, label="run")), classes),
    ]
    assert len({dataset.digest(), *(one.digest() for one in changed)}) == 1 + len(changed)


def test_class_names_are_sorted_unless_given() -> None:
    assert checked_class_names(["b", "a", "b"], None, "there") == ("a", "b")
    assert checked_class_names(["b", "a", "b"], ["c", "b", "a"], "there") == ("c", "b", "a")


def test_a_class_that_is_not_among_the_given_ones_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"^there: unknown class 'b'; the classes are a, c$"):
        checked_class_names(["a", "b", "d"], ["a", "c"], "there")


def test_given_class_names_must_differ() -> None:
    with pytest.raises(ValueError, match=r"^class_names must differ from each other, got 'a' twice$"):
        checked_class_names(["a"], ["a", "b", "a"], "there")
