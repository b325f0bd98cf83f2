from pathlib import Path

import numpy as np
import pytest
from small_models import save_small_model

from keras_i3d.datasets.dataset import LabelledClip, VideoDataset
from keras_i3d.errors import RecordError
from keras_i3d.evaluation.evaluate import evaluate
from keras_i3d.evaluation.job import Job
from keras_i3d.evaluation.task import Seeing
from keras_i3d.evaluation.views import Views
from keras_i3d.records.making import make_tfrecords
from keras_i3d.records.settings import RecordSettings


@pytest.fixture(scope="module")
def divided(motion_folder: Path, tmp_path_factory) -> Path:
    """Return records of six videos that are tested in two divisions of the data set, three in each."""
    videos = sorted((motion_folder / "test").rglob("*.mp4"))[:6]
    names = tuple(path.parent.name for path in videos)
    clips = [
        LabelledClip(str(path), f"{name}.mp4", name, splits=("test", "train") if n % 2 else ("train", "test"))
        for n, (path, name) in enumerate(zip(videos, names, strict=True))
    ]
    folder = tmp_path_factory.mktemp("divided") / "records"
    make_tfrecords(VideoDataset("made", tuple(clips), names), folder, RecordSettings(short_side=37), workers=0)
    return folder


def job(records: Path, model="run{n}/best.keras", split=("test1", "test2"), weights=None, **seeing) -> Job:
    return Job.of(model, records, split, weights, seeing=Seeing(**seeing))


def test_every_split_has_models_of_its_own(divided: Path) -> None:
    asked = job(divided, ["rgb{n}/best.keras", "flow{n}/best.keras"])
    assert asked.splits == ("test1", "test2")
    assert [[each.model for each in models] for models in asked.models] == [
        [f"rgb{n}/best.keras", f"flow{n}/best.keras"] for n in (1, 2)
    ]
    with pytest.raises(ValueError, match=r"several splits need a model each: write \{n\} where .* got 'a\.keras'"):
        job(divided, ["rgb{n}/best.keras", "a.keras"])
    assert len(job(divided, "kinetics:both").models[1]) == 2


def test_splits_are_called_as_the_records_call_them(divided: Path, records: Path) -> None:
    assert job(divided, "a.keras", "test").splits == ("test1",)
    assert job(records, "a.keras", "test1").splits == ("test",)
    with pytest.raises(RecordError, match="unknown split 'test3'; there are train1, test1, train2, test2"):
        job(divided, "a.keras", "test3")
    with pytest.raises(ValueError, match="splits must be one or more, each named once; got test1, test1"):
        job(divided, split=["test", "test1"])
    with pytest.raises(ValueError, match="model must be one or more, got none"):
        job(divided, [])


def test_several_splits_are_averaged_each_with_its_model(divided: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        save_small_model(tmp_path / f"run{number}", divided, seed=number)
    pattern = str(tmp_path / "run{n}/best.keras")
    evaluation = evaluate(pattern, divided, split=["test1", "test2"], output=tmp_path / "out")
    singles = [evaluate(pattern, divided, split=name) for name in ("test1", "test2")]
    for split, single in zip(evaluation.splits, singles, strict=True):
        assert split.answers.ids == single.answers.ids and len(split.answers.ids) == 3
        np.testing.assert_array_equal(split.answers.logits, single.answers.logits)
    assert evaluation.metrics.top1 == np.mean([single.metrics.top1 for single in singles])
    assert {path.name for path in (tmp_path / "out").glob("*.npz")} == {
        "predictions-test1.npz",
        "predictions-test2.npz",
    }
    again = evaluate(pattern, divided, split=["test1", "test2"], output=tmp_path / "out")
    assert again.to_json() == evaluation.to_json()


def test_settings_are_those_of_the_contents_and_not_of_the_places(divided: Path, tmp_path: Path) -> None:
    for name in ("one", "same"):
        save_small_model(tmp_path / name, divided)
    save_small_model(tmp_path / "other", divided, seed=1)
    one, same, other = (
        job(divided, str(tmp_path / name / "best.keras"), "test").settings() for name in ("one", "same", "other")
    )
    assert one["records"] == same["records"]
    assert one["models"] != other["models"]
    assert job(divided, "kinetics:flow", "test").settings()["models"] == [["kinetics:flow"]]
    assert job(divided, "absent.keras", "test", views=Views(10, 3)).settings() | {"records": ""} == {
        "models": [["absent absent.keras"]],
        "records": "",
        "splits": ["test1"],
        "weights": [1.0],
        "frames": None,
        "views": "10x3",
        "on_damage": "stop",
    }
