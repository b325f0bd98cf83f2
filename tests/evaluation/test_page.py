import json
import logging
from pathlib import Path

import numpy as np
import pytest

from keras_i3d.errors import MissingDependency
from keras_i3d.evaluation import page as of_page
from keras_i3d.evaluation.answers import Answers
from keras_i3d.evaluation.predictions import Stream, combined
from keras_i3d.evaluation.result import Evaluation
from keras_i3d.figures import evaluation_report
from keras_i3d.records.selection import select


def evaluation(records: Path, *splits: str, models=("run/best.keras",)) -> Evaluation:
    """Return made-up logits about the videos of splits: those of the last two classes are taken for the first."""
    from keras_i3d.clips.pipeline import whole_videos

    names = (records / "labels.txt").read_text().splitlines()
    parts = []
    for split in splits or ("test",):
        found = [(str(name, "utf-8"), int(label)) for _, label, name in
                 whole_videos(select(records, split), size=8).as_numpy_iterator()]  # fmt: skip
        truth = np.array([label for _, label in found])
        logits = 3 * np.eye(8, dtype=np.float32)[np.where(truth >= 6, 0, truth)]
        logits[truth == 7, 0] += 1
        answers = Answers(tuple(name for name, _ in found), logits, truth)
        streams = [Stream(f"s{n}", str(model), 1.0, answers) for n, model in enumerate(models)]
        parts.append(combined(split, names, streams))
    return Evaluation(tuple(parts))


def page(tmp_path: Path, *arguments) -> str:
    of_page.write(tmp_path / "report.html", *arguments)
    return (tmp_path / "report.html").read_text("utf-8")


def test_the_wrongest_videos_are_shown_with_frames_from_the_records(records: Path, tmp_path: Path) -> None:
    said = evaluation(records)
    written = page(tmp_path, said, {"models": [["a.keras", "b.keras"], ["c.keras"]], "frames": None}, records)
    names = said.class_names
    for wrong in names[6:]:
        assert f'{wrong} <span class="faint">taken for</span> {names[0]}' in written
    assert written.count("data:image/png") == 2
    assert "Evaluation: run/best.keras" in written
    assert "8 videos of 8 classes, split test." in written
    assert "<dt>Models</dt><dd>a.keras, b.keras, c.keras</dd>" in written
    assert "<dt>Records</dt>" in written and "<dt>Frames</dt>" not in written
    assert "data:image/png" not in page(tmp_path, said, {}, None)


def test_the_frames_are_those_of_the_video(records: Path) -> None:
    said = evaluation(records)
    wanted = {name for name, truth in zip(said.answers.ids, said.answers.truth, strict=True) if truth >= 6}
    pictures = of_page._pictures(records, "test", wanted)
    assert set(pictures) == wanted
    assert {frames.shape for frames in pictures.values()} == {(8, 37, 37, 3)}
    one, other = pictures.values()
    assert (one != other).any()


def test_only_the_shards_that_hold_the_videos_are_read(records: Path, monkeypatch) -> None:
    read = []
    contents_read = of_page.contents.read
    monkeypatch.setattr(of_page.contents, "read", lambda path: read.append(path) or contents_read(path))
    (name, *_) = evaluation(records, "train").answers.ids
    assert set(of_page._pictures(records, "train", {name})) == {name}
    assert len(read) == 1 and len(select(records, "train").paths) == 2
    assert of_page._pictures(records, "train", {"unheard of"}) == {}
    assert of_page._pictures(records, "train", set()) == {}
    assert len(read) == 1


def test_what_cannot_be_shown_is_left_out_and_logged(records: Path, tmp_path: Path, monkeypatch, caplog) -> None:
    caplog.set_level(logging.WARNING)
    page(tmp_path, evaluation(records), {}, tmp_path / "moved away")
    assert "the report lacks pictures of 2 videos" in caplog.text

    def missing(frames):
        raise MissingDependency("OpenCV is not installed")

    monkeypatch.setattr(evaluation_report, "film_strip", missing)
    written = page(tmp_path, evaluation(records), {}, records)
    assert "the report has no pictures of videos: OpenCV is not installed" in caplog.text
    assert "data:image/png" not in written and "Most confused" in written


def test_learning_curves_are_those_beside_the_models(records: Path, tmp_path: Path) -> None:
    for number, content in enumerate(
        ('[{"epoch": 1, "loss": 2.0, "note": "x"}, {"epoch": 2, "loss": 1.0}]', "damaged")
    ):
        (tmp_path / f"run{number}").mkdir()
        (tmp_path / f"run{number}/history.json").write_text(content)
        (tmp_path / f"run{number}/best.keras").touch()
    models = [tmp_path / f"run{number}/best.keras" for number in range(3)]
    written = page(tmp_path, evaluation(records, models=models), {}, None)
    assert "Learning curves" in written and "s0 1" in written.replace("at the end: ", "")
    assert "s1 " not in written.partition("Learning curves")[2]
    assert "Learning curves" not in page(tmp_path, evaluation(records), {}, None)


def test_of_several_splits_each_stands_in_the_table(records: Path, tmp_path: Path) -> None:
    said = evaluation(records, "test", "val", models=("a/best.keras", "b/best.keras"))
    written = page(tmp_path, said, {}, records)
    assert "16 videos of 8 classes, the mean of the splits test, val." in written
    assert "Evaluation: s0 + s1" in written
    assert "sum, test" in written and "sum, val" in written and "logits summed" in written
    assert written.count("data:image/png") == 4


def test_what_was_left_out_is_said(records: Path, tmp_path: Path) -> None:
    said = Evaluation(evaluation(records).splits, skipped=("a shard: record 1",))
    assert "<dt>Left out</dt><dd>a shard: record 1</dd>" in page(tmp_path, said, {}, None)


def test_probabilities_are_those_of_the_sum(records: Path, tmp_path: Path) -> None:
    said = evaluation(records)
    video = of_page._video(said.answers, int(np.argmax(said.answers.truth == 7)), said.class_names, {})
    odds = np.exp(4.0)
    assert video.answers[0] == (said.class_names[0], pytest.approx(odds / (odds + 7)))
    assert json.dumps(video.answers)
