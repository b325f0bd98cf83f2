import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from small_models import save_small_model

from keras_i3d.datasets.dataset import LabelledClip, VideoDataset
from keras_i3d.errors import ModelFileError, RecordError
from keras_i3d.evaluation import task
from keras_i3d.evaluation.evaluate import evaluate
from keras_i3d.evaluation.views import Views
from keras_i3d.records.making import make_tfrecords
from keras_i3d.records.settings import RecordSettings


@pytest.fixture(scope="module")
def model(records: Path, tmp_path_factory) -> str:
    return save_small_model(tmp_path_factory.mktemp("model") / "run", records)


def test_a_model_that_gives_no_numbers_is_named_with_the_video(records: Path, tmp_path: Path) -> None:
    model = save_small_model(tmp_path / "run", records, scale=float("nan"))
    with pytest.raises(ModelFileError, match=r"run/best\.keras: its logits of test/.*mp4 are nan, no finite numbers"):
        evaluate(model, records)


def test_a_view_has_the_frames_of_the_training(model: str, records: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(Path(model).parent, tmp_path / "run")) / "best.keras"
    (copy.parent / "recipe.json").write_text(json.dumps({"frames": 5}))
    default = evaluate(copy, records, views="2x1").answers.logits
    np.testing.assert_array_equal(default, evaluate(copy, records, views=Views(2, 1, frames=5)).answers.logits)
    assert np.abs(default - evaluate(copy, records, views=Views(2, 1, frames=7)).answers.logits).max() > 1e-3


@pytest.mark.parametrize("recipe", [None, "[]", '{"frames": "many"}', "no json"])
def test_without_a_recipe_a_view_has_the_papers_frames(model: str, records: Path, tmp_path: Path, recipe) -> None:
    copy = Path(shutil.copytree(Path(model).parent, tmp_path / "run")) / "best.keras"
    if recipe:
        (copy.parent / "recipe.json").write_text(recipe)
    asked = task.Asked(str(copy))
    views = task.Seeing(views=Views(2, 1))
    assert task._view_frames(asked, asked.load(), views) == 64


def test_a_network_of_fixed_clips_takes_views_of_these_alone(records: Path, tmp_path: Path) -> None:
    model = save_small_model(tmp_path / "run", records, frames=4)
    assert evaluate(model, records, views="2x1").metrics.videos == 8
    with pytest.raises(ValueError, match=r"view_frames must be 4, all that .*best\.keras takes; got 8"):
        evaluate(model, records, views=Views(2, 1, frames=8))


def test_answers_are_kept_while_the_work_goes_on(model: str, records: Path, tmp_path: Path, monkeypatch) -> None:
    for name in ("SECONDS_BETWEEN_SAVES", "_LEAST_WORK"):
        monkeypatch.setattr(task, name, 0)
    written = []
    write = task.predictions.Predictions.write
    monkeypatch.setattr(
        task.predictions.Predictions,
        "write",
        lambda self, path: (written.append((path.name, len(self.answers.ids))), write(self, path)),
    )
    evaluate(model, records, output=tmp_path / "out")
    assert written == [*(("unfinished-0-0.npz", n) for n in range(1, 9)), ("predictions.npz", 8)]


def test_records_of_which_some_are_missing_are_told(model: str, records: Path, tmp_path: Path) -> None:
    shutil.copytree(records, tmp_path / "records")
    (shard,) = (tmp_path / "records").glob("test-*")
    whole = shard.read_bytes()
    length = int.from_bytes(whole[:8], "little") + 16
    shard.write_bytes(whole[length:])
    manifest = json.loads((tmp_path / "records/manifest.json").read_text())
    manifest["shards"][shard.name]["size"] = len(whole) - length
    (tmp_path / "records/manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RecordError, match="split 'test' has 7 records where 8 are expected by its manifest"):
        evaluate(model, tmp_path / "records")


def test_a_damaged_record_is_told_with_its_shard_and_place(model: str, records: Path, tmp_path: Path) -> None:
    shutil.copytree(records, tmp_path / "records")
    (shard,) = (tmp_path / "records").glob("test-*")
    content = bytearray(shard.read_bytes())
    content[int.from_bytes(content[:8], "little") + 16 + 500] ^= 1  # in the second record
    shard.write_bytes(content)
    with pytest.raises(RecordError, match=f"{shard.name}.*record 1"):
        evaluate(model, tmp_path / "records", output=tmp_path / "out")
    # what was answered before it is kept
    assert (tmp_path / "out/unfinished-0-0.npz").is_file()


def test_videos_with_several_labels_have_a_mean_average_precision(motion_folder: Path, tmp_path: Path) -> None:
    videos = sorted((motion_folder / "test").rglob("*.mp4"))[:4]
    names = ("a", "b", "c")
    clips = tuple(
        LabelledClip(str(path), path.parent.name, names[n % 3], splits=("test",), further_labels=more)
        for n, (path, more) in enumerate(zip(videos, (("b",), (), ("a", "b"), ()), strict=True))
    )
    make_tfrecords(
        VideoDataset("made", clips, names, multi_label=True),
        tmp_path / "records",
        RecordSettings(short_side=37),
        workers=0,
    )
    evaluation = evaluate(save_small_model(tmp_path / "run", tmp_path / "records"), tmp_path / "records",
                          output=tmp_path / "out")  # fmt: skip
    assert evaluation.answers.multi_label
    by_id = dict(zip(evaluation.answers.ids, evaluation.answers.truth.tolist(), strict=True))
    assert by_id == dict(zip((clip.id for clip in clips), [[1, 1, 0], [0, 1, 0], [1, 1, 1], [1, 0, 0]], strict=True))
    assert 0 < evaluation.metrics.mean_average_precision <= 1
    assert "Mean average precision" in (tmp_path / "out/report.html").read_text()
