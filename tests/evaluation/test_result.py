import json

import numpy as np
import pytest

from keras_i3d.evaluation.answers import Answers
from keras_i3d.evaluation.predictions import Predictions, Stream, combined
from keras_i3d.evaluation.result import Evaluation, table

NAMES = ("walk", "run", "jump")
RIGHT = np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 2, 2]] * 4
TRUTH = np.array([0, 0, 1, 1, 2, 2])


def wrong_about(*places: int) -> np.ndarray:
    """Return logits that take each of these videos for the class before its own."""
    logits = RIGHT.copy()
    logits[list(places)] = np.roll(RIGHT[list(places)], -1, axis=1)
    return logits


def predictions(split: str = "test", truth=TRUTH, names=NAMES, **logits: np.ndarray) -> Predictions:
    streams = [
        Stream(name, f"{name}/best.keras", 1.0, Answers(tuple("abcdef"), values, truth))
        for name, values in logits.items()
    ]
    return combined(split, names, streams)


def test_one_model_on_one_split_gives_its_own_numbers() -> None:
    evaluation = Evaluation((predictions(rgb=wrong_about(0)),))
    assert evaluation.metrics.top1 == 5 / 6
    assert evaluation.answers.ids == tuple("abcdef")
    assert [row.name for row in evaluation.rows] == ["rgb"]


def test_json_holds_the_numbers_of_streams_splits_and_classes() -> None:
    two = (predictions(s, rgb=wrong_about(0), flow=wrong_about(n, 5)) for n, s in ((1, "test1"), (2, "test2")))
    values = json.loads(json.dumps(Evaluation(tuple(two)).to_json()))
    assert (values["split"], values["videos"]) == (["test1", "test2"], 12)
    assert [(each["name"], each["model"], each["weight"]) for each in values["streams"]] == [
        (name, [f"{name}/best.keras"] * 2, 1.0) for name in ("rgb", "flow")
    ]
    assert values["streams"][0]["top1"] == 5 / 6
    assert values["top1"] == np.mean([split["top1"] for split in values["splits"]])
    assert sum(map(sum, values["confusion"])) == 12
    assert values["class_names"] == list(NAMES)
    assert {each["class"] for each in values["classes"]} == set(NAMES)


def test_json_tells_of_each_class_what_it_is_taken_for() -> None:
    values = Evaluation((predictions(rgb=wrong_about(2, 3, 4)),)).to_json()
    assert (values["split"], values["streams"][0]["model"]) == ("test", "rgb/best.keras")
    assert values["classes"] == [
        {"class": "run", "videos": 2, "top1": 0.0, "taken_for": "walk", "taken": 2},
        {"class": "jump", "videos": 2, "top1": 0.5, "taken_for": "run", "taken": 1},
        {"class": "walk", "videos": 2, "top1": 1.0, "taken_for": None, "taken": 0},
    ]


def test_the_table_of_one_model_is_short() -> None:
    lines = table(Evaluation((predictions(rgb=wrong_about(2, 3, 4)),)), 2)
    assert lines == [
        "videos               6",
        "top-1                50.0%",
        "top-5                100.0%",
        "mean class accuracy  50.0%",
        "",
        "the 2 hardest classes  videos  top-1  most taken for",
        "run                         2   0.0%  walk (2)",
        "jump                        2  50.0%  run (1)",
        "",
        "most confused",
        "  run taken for walk: 2 of 2",
        "  jump taken for run: 1 of 2",
    ]


def test_the_table_sets_streams_beside_their_sum() -> None:
    lines = table(Evaluation((predictions(rgb=wrong_about(0), flow=RIGHT),)), None)
    assert lines[0].split() == ["rgb", "flow", "sum"]
    assert lines[2].split() == ["top-1", "83.3%", "100.0%", "100.0%"]
    assert lines[6].startswith("classes, the hardest first  videos")
    assert len(lines) == 10 and lines[-1].split() == ["jump", "2", "100.0%"]


def test_the_table_of_several_splits_ends_in_the_mean() -> None:
    splits = (predictions("test1", rgb=RIGHT), predictions("test2", rgb=wrong_about(*range(6))))
    lines = table(Evaluation(splits))
    assert lines[0].split() == ["test1", "test2", "mean"]
    assert lines[2].split() == ["top-1", "100.0%", "0.0%", "50.0%"]
    both = (predictions("test1", rgb=RIGHT, flow=RIGHT), predictions("test2", rgb=RIGHT, flow=-RIGHT))
    assert table(Evaluation(both))[0].split() == [*["test1", "test2", "mean", "rgb", "mean", "flow", "mean", "sum"]]


def test_videos_with_several_classes_have_precisions_and_no_confusion() -> None:
    truth = np.eye(3, dtype=np.float32)[TRUTH]
    truth[:, 2] = 0
    evaluation = Evaluation((predictions(truth=truth, rgb=RIGHT),))
    values = json.loads(json.dumps(evaluation.to_json()))
    assert values["mean_average_precision"] == 1.0
    assert "confusion" not in values and "top1" not in values
    assert values["classes"][2] == {"class": "jump", "videos": 0, "average_precision": None}
    assert table(evaluation) == [
        "videos                  6",
        "mean average precision  100.0%",
        "",
        "classes, the hardest first  videos  average precision",
        "walk                             2             100.0%",
        "run                              2             100.0%",
    ]


def test_a_name_cannot_disturb_the_terminal() -> None:
    names = ("a" * 40, "\x1b[2J", "jump")
    lines = "\n".join(table(Evaluation((predictions(names=names, rgb=wrong_about(2)),))))
    assert "\x1b" not in lines and "?[2J taken for " + "a" * 31 + "…" in lines


def test_splits_have_the_same_streams_and_classes() -> None:
    one = predictions("test1", rgb=RIGHT)
    for other, message in (
        (predictions("test2", rgb=RIGHT, flow=RIGHT), "as many models as the others; test1 has 1, test2 2"),
        (predictions("test2", names="abc", rgb=RIGHT), "the splits test1 and test2 have not the same classes"),
        (predictions("test2", np.eye(6, 3), rgb=RIGHT), "of the splits test1 and test2 one has videos of any number"),
    ):
        with pytest.raises(ValueError, match=message):
            Evaluation((one, other))


def test_answers_of_several_splits_are_the_splits_own() -> None:
    evaluation = Evaluation((predictions("test1", rgb=RIGHT), predictions("test2", rgb=RIGHT)))
    with pytest.raises(ValueError, match=r"there are 2 splits, each with its answers: \.splits\[0\]\.answers"):
        _ = evaluation.answers
