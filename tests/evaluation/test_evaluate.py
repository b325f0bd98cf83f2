import shutil

import numpy as np
import pytest
import tensorflow as tf

from keras_i3d import finished_model
from keras_i3d.clips import pipeline
from keras_i3d.errors import RecordError
from keras_i3d.evaluation import job as jobs
from keras_i3d.evaluation import whole_video
from keras_i3d.evaluation.evaluate import evaluate, fuse
from keras_i3d.evaluation.task import Seeing
from keras_i3d.evaluation.views import Views
from keras_i3d.models.two_stream import TwoStream
from keras_i3d.records.selection import select


def test_a_label_outside_the_classes_ends_it_at_that_video(run_folder, records, monkeypatch) -> None:
    def answers(*arguments, **options):
        yield "a", np.zeros(8, np.float32), np.array(7)
        yield "b", np.zeros(8, np.float32), np.array(8)
        raise AssertionError("asked for more")

    monkeypatch.setattr(whole_video, "iterate", answers)
    with pytest.raises(RecordError, match=r"the label of b is 8, none of 8 classes"):
        evaluate(run_folder / "best.keras", records)


@pytest.mark.slow
def test_a_network_of_snapshots_gets_the_middle_ones_and_their_flow(records, tmp_path) -> None:
    TwoStream(input_shape=(None, 32, 32), classes=8).save(tmp_path / "model.keras")
    shutil.copy(records / "labels.txt", tmp_path)
    evaluation = evaluate(tmp_path / "model.keras", records)
    network = finished_model.load(tmp_path / "model.keras").logits_network()
    videos = pipeline.whole_videos(select(records, "test"), size=32, modalities=("rgb", "flow"))
    for (inputs, _, _), logits in zip(videos, evaluation.answers.logits, strict=True):
        # of twelve frames the ten in the middle: the sixth of them, and the fields of all
        clips = {"rgb": inputs["rgb"][tf.newaxis, 6:7], "flow": inputs["flow"][tf.newaxis, 1:11]}
        np.testing.assert_allclose(logits, network(clips)[0], atol=1e-5)


def test_an_interrupted_evaluation_goes_on_where_it_stopped(models, records, tmp_path, monkeypatch) -> None:
    iterate, whole = whole_video.iterate, evaluate(list(models.values()), records)
    seen: list[str] = []

    def stopping(*arguments, **options):
        for answer in iterate(*arguments, **options):
            if len(seen) == 11:  # of the second model's videos the fourth
                raise KeyboardInterrupt
            seen.append(answer[0])
            yield answer

    monkeypatch.setattr(whole_video, "iterate", stopping)
    with pytest.raises(KeyboardInterrupt):
        evaluate(list(models.values()), records, output=tmp_path / "out")
    kept = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert kept == ["run.json", "unfinished-0-0.npz", "unfinished-0-1.npz"]
    seen.clear()
    again = evaluate(list(models.values()), records, output=tmp_path / "out")
    assert seen == list(whole.answers.ids[3:])
    assert again.answers.ids == whole.answers.ids
    np.testing.assert_array_equal(again.answers.logits, whole.answers.logits)
    assert not list((tmp_path / "out").glob("unfinished*"))


def test_predictions_may_be_one_path_but_not_none(models, records, tmp_path) -> None:
    whole = evaluate(models["rgb"], records, output=tmp_path / "out")
    assert fuse(tmp_path / "out").metrics.top1 == whole.metrics.top1
    with pytest.raises(ValueError, match="predictions must be at least one folder or file, got none"):
        fuse([])


def test_views_are_averaged_and_more_frames_may_be_seen(models, records) -> None:
    model = finished_model.load(models["rgb"]).logits_network()
    evaluation = evaluate(models["rgb"], records, views=Views(2, 3, frames=4))
    videos = pipeline.video_views(select(records, "test"), views=(2, 3), frames=4, size=32)
    literal = np.stack([np.mean(model(inputs["rgb"]), axis=0) for inputs, _, _ in videos]).reshape(8, 2, 8).mean(1)
    np.testing.assert_allclose(evaluation.answers.logits, literal, atol=1e-4)
    middle = evaluate(models["rgb"], records, frames=5).answers.logits
    videos = pipeline.whole_videos(select(records, "test"), size=32)
    literal = np.stack([model(inputs["rgb"][tf.newaxis, 3:8])[0] for inputs, _, _ in videos])
    np.testing.assert_allclose(middle, literal, atol=1e-4)
    everything = evaluate(models["rgb"], records, frames="all").answers.logits
    np.testing.assert_array_equal(everything, evaluate(models["rgb"], records).answers.logits)
    assert np.abs(everything - middle).max() > 1e-3


def test_published_weights_are_named_with_their_stream(records) -> None:
    def asked(model: str) -> list[str]:
        job = jobs.Job.of(model, records, "test", None, seeing=Seeing())
        return [each.spelling for each in job.models[0]]

    assert asked("kinetics") == ["kinetics:rgb"]
    assert asked("kinetics:flow") == ["kinetics:flow"]
    assert asked("kinetics_scratch:both") == ["kinetics_scratch:rgb", "kinetics_scratch:flow"]
    with pytest.raises(ValueError, match="unknown modality 'depth'; known: rgb, flow, both"):
        asked("kinetics:depth")
