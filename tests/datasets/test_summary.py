import json

from keras_i3d.datasets import summary
from keras_i3d.datasets.dataset import LabelledClip, VideoDataset

CLIPS = (
    LabelledClip("/data/a.mp4", "a.mp4", "run", ("train", "test")),
    LabelledClip("/data/b.mp4", "b.mp4", "run", ("test", "unused"), 0.0, 2.0),
    LabelledClip("/data/b.mp4", "b.mp4", None, ("test", "unused"), 2.0, 4.0),
)


def test_a_plain_data_set_takes_three_lines() -> None:
    clips = tuple(LabelledClip(f"/{i}.mp4", f"{i}.mp4", "run", ("train",)) for i in range(3))
    assert summary.to_text(VideoDataset("folder", clips, ("run",))).splitlines() == [
        "folder: 3 clips of 3 videos, 1 class",
        "  classes: 0 run",
        "  clips by split: 3 train",
    ]


def test_everything_that_was_found_is_said() -> None:
    missing = tuple((f"{i}.mp4", "no such file") for i in range(7))
    dataset = VideoDataset("some", CLIPS, ("run", "walk"), missing, ("x.mp4", "caf\udce9.mp4"))
    assert summary.to_text(dataset).splitlines() == [
        "some: 3 clips of 2 videos, 2 classes",
        "  classes: 0 run, 1 walk",
        "  clips by split: 1 train1, 2 test1, 1 test2",
        "  unused in a split: 0 of split 1, 2 of split 2",
        "  without label: 1 clip",
        "  classes without a clip: 1",
        "    walk",
        "  missing videos: 7",
        *(f"    {i}.mp4 (no such file)" for i in range(5)),
        "    and 2 more",
        "  videos left out: 2",
        "    x.mp4",
        "    caf\\udce9.mp4",
    ]


def test_of_many_classes_the_first_and_the_last_are_named() -> None:
    names = tuple(f"c{i:02d}" for i in range(11))
    clips = tuple(LabelledClip(f"/{name}", name, name, ("train",)) for name in names)
    line = summary.to_text(VideoDataset("some", clips, names)).splitlines()[1]
    assert line == "  classes: 0 c00, 1 c01, 2 c02, 3 c03, 4 c04, ..., 10 c10"


def test_of_clips_of_several_labels_their_number_is_said() -> None:
    clips = (
        LabelledClip("/a.mp4", "a.mp4", "run", ("train",), further_labels=("walk", "jump")),
        LabelledClip("/b.mp4", "b.mp4", "walk", ("train",)),
        LabelledClip("/c.mp4", "c.mp4", None, ("train",)),
    )
    dataset = VideoDataset("table", clips, ("jump", "run", "swim", "walk"), multi_label=True)
    assert summary.to_text(dataset).splitlines() == [
        "table: 3 clips of 3 videos, 4 classes",
        "  classes: 0 jump, 1 run, 2 swim, 3 walk",
        "  clips by split: 3 train",
        "  labels of a clip: 1.3 in the mean, at most 3",
        "  without label: 1 clip",
        "  classes without a clip: 1",
        "    swim",
    ]
    found = summary.to_dict(dataset)
    assert [found[key] for key in ("multi_label", "labels", "most_labels", "without_label")] == [True, 4, 3, 1]
    assert found["empty_classes"] == ["swim"]


def test_a_program_gets_all_of_it() -> None:
    missing = tuple((f"{i}.mp4", "no such file") for i in range(7))
    found = summary.to_dict(VideoDataset("some", CLIPS, ("run", "walk"), missing, ("x.mp4",)))
    assert json.loads(json.dumps(found)) == found
    assert found == {
        "name": "some",
        "class_names": ["run", "walk"],
        "videos": 2,
        "clips": 3,
        "splits": {"train1": 1, "test1": 2, "test2": 1},
        "unused": [0, 2],
        "multi_label": False,
        "labels": 2,
        "most_labels": 1,
        "without_label": 1,
        "empty_classes": ["walk"],
        "missing": [[f"{i}.mp4", "no such file"] for i in range(7)],
        "unlisted": ["x.mp4"],
    }
