from collections.abc import Iterator

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_i3d import finished_model
from keras_i3d.clips import pipeline
from keras_i3d.datasets.folder import read_folder
from keras_i3d.evaluation import whole_video
from keras_i3d.models.c3d import C3D
from keras_i3d.models.convnet_lstm import ConvNetLSTM
from keras_i3d.models.two_stream import TwoStream
from keras_i3d.records.selection import select
from keras_i3d.video import decode

SIZE = 16


@pytest.mark.parametrize("modality", ["rgb", "flow"])
def test_the_answer_is_the_mean_over_time_of_the_whole_videos_logits(
    run_folder, flow_run_folder, records, motion_folder, modality
) -> None:
    finished = finished_model.load({"rgb": run_folder, "flow": flow_run_folder}[modality] / "best.keras")
    videos = pipeline.whole_videos(select(records, "test"), size=32, modalities=(modality,))
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


def videos_of(*lengths: int, flow: int | None = None) -> tf.data.Dataset:
    """Return videos of noise, of as many frames as named, with `flow` fields for each frame where wanted."""
    generator = np.random.default_rng(0)

    def videos() -> Iterator[tuple]:
        for number, length in enumerate(lengths):
            inputs = {"rgb": generator.uniform(-1, 1, (length, SIZE, SIZE, 3)).astype(np.float32)}
            if flow:
                inputs["flow"] = generator.uniform(-1, 1, (flow * length, SIZE, SIZE, 2)).astype(np.float32)
            yield inputs, number, f"video {number}"

    streams = {"rgb": 3} | ({"flow": 2} if flow else {})
    specs = {name: tf.TensorSpec((None, SIZE, SIZE, channels)) for name, channels in streams.items()}
    signature = (specs, tf.TensorSpec((), tf.int64), tf.TensorSpec((), tf.string))
    return tf.data.Dataset.from_generator(videos, output_signature=signature).cache()


def enlivened(model: keras.Model) -> keras.Model:
    """Return a network whose last layer says something of its input, which a fresh one hardly does."""
    generator = np.random.default_rng(1)
    for variable in model.trainable_variables:
        if variable.path.endswith("/kernel"):
            limit = np.sqrt(6 / np.prod(variable.shape[:-1]))
            variable.assign(generator.uniform(-limit, limit, variable.shape))
        elif variable.path.endswith("_gamma"):
            variable.assign(np.ones(variable.shape))
    return model


def test_a_network_of_fixed_clips_gives_the_mean_of_its_windows() -> None:
    network = enlivened(C3D(input_shape=(4, SIZE, SIZE, 3), classes=3, classifier_activation=None))
    videos = videos_of(4, 12, 8)
    answers = whole_video.answer(network, videos, windows={"rgb": 4})
    assert (answers.ids, answers.truth.tolist()) == (("video 0", "video 1", "video 2"), [0, 1, 2])
    for (inputs, _, _), logits in zip(videos, answers.logits, strict=True):
        windows = [network(inputs["rgb"][None, start : start + 4])[0] for start in range(0, len(inputs["rgb"]), 4)]
        assert np.std(windows) > 1e-3
        np.testing.assert_allclose(logits, np.mean(windows, axis=0), atol=1e-5)


def test_windows_of_both_streams_belong_together() -> None:
    network = enlivened(TwoStream(input_shape=(None, SIZE, SIZE), classes=3, classifier_activation=None))
    videos = videos_of(3, 1, flow=10)
    whole = whole_video.answer(network, videos)
    in_windows = whole_video.answer(network, videos, windows={"rgb": 1, "flow": 10})
    assert whole.logits.std() > 1e-3
    # this network averages its snapshots, so one at a time gives the same
    np.testing.assert_allclose(in_windows.logits, whole.logits, atol=1e-5)


def test_a_recurrent_network_sees_every_frame_of_videos_of_any_length() -> None:
    network = enlivened(ConvNetLSTM(input_shape=(None, SIZE, SIZE, 3), classes=3, classifier_activation=None))
    videos = videos_of(5, 1, 30)
    answers = whole_video.answer(network, videos)
    for (inputs, _, _), logits in zip(videos, answers.logits, strict=True):
        literal = network(inputs["rgb"][None])[0]
        np.testing.assert_allclose(logits, literal, atol=1e-5)  # traced against eager
        if len(inputs["rgb"]) > 1:
            assert np.abs(network(inputs["rgb"][None, :-1])[0] - literal).max() > 1e-3


def test_whole_videos_are_the_decoded_frames(records, motion_folder) -> None:
    videos = pipeline.whole_videos(select(records, "test"), size=32)
    inputs, _, video_id = next(iter(videos))
    frames = decode.read_frames(motion_folder / video_id.numpy().decode(), short_side=37)
    expected = frames[:, 3:35, 3:35] / 127.5 - 1  # round(5 x .5) is 3
    # JPEG of quality 95
    assert np.abs(inputs["rgb"].numpy() - expected).mean() < 0.05
