import numpy as np
import pytest

from keras_i3d import finished_model
from keras_i3d.clips import pipeline
from keras_i3d.datasets.folder import read_folder
from keras_i3d.evaluation import whole_video
from keras_i3d.records import shards
from keras_i3d.video import decode


@pytest.mark.parametrize("modality", ["rgb", "flow"])
def test_the_answer_is_the_mean_over_time_of_the_whole_videos_logits(
    run_folder, flow_run_folder, records, motion_folder, modality
) -> None:
    finished = finished_model.load({"rgb": run_folder, "flow": flow_run_folder}[modality] / "best.keras")
    videos = pipeline.whole_videos(shards.find(records, "test"), size=32, modalities=(modality,))
    done = []
    answers = whole_video.answer(finished.logits_network(), videos, on_video=lambda: done.append(1))
    assert len(done) == len(answers.ids) == 8
    for (inputs, label, video_id), logits, truth, name in zip(
        videos, answers.logits, answers.truth, answers.ids, strict=True
    ):
        assert (int(label), video_id.numpy().decode()) == (truth, name)
        assert inputs[modality].shape[0] == 12
        literal = finished.logits_network().predict(inputs[modality][None], verbose=0)[0]
        np.testing.assert_allclose(logits, literal, atol=1e-5)  # batch norm folded in another order
    classes = read_folder(motion_folder).class_names
    assert [name.split("/")[1] for name in answers.ids] == [classes[index] for index in answers.truth]


def test_whole_videos_are_the_decoded_frames(records, motion_folder) -> None:
    videos = pipeline.whole_videos(shards.find(records, "test"), size=32)
    inputs, _, video_id = next(iter(videos))
    frames = decode.read_frames(motion_folder / video_id.numpy().decode(), short_side=37)
    expected = frames[:, 3:35, 3:35] / 127.5 - 1  # round(5 x .5) is 3
    # JPEG of quality 95
    assert np.abs(inputs["rgb"].numpy() - expected).mean() < 0.05
