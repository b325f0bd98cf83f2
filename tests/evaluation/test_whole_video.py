from collections.abc import Iterator

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_i3d import finished_model
from keras_i3d.clips import pipeline
from keras_i3d.datasets.folder import read_folder
from keras_i3d.errors import KerasI3DError
from keras_i3d.evaluation import whole_video
from keras_i3d.evaluation.answers import Answers
from keras_i3d.models.c3d import C3D
from keras_i3d.models.convnet_lstm import ConvNetLSTM
from keras_i3d.models.i3d import I3D
from keras_i3d.models.two_stream import TwoStream
from keras_i3d.records import contents, schema
from keras_i3d.records.selection import select
from keras_i3d.video import decode

SIZE = 16


def answer(logits_network: keras.Model, videos: tf.data.Dataset, **options) -> Answers:
    ids, logits, truth = zip(*whole_video.iterate(logits_network, videos, **options), strict=True)
    return Answers(ids, np.array(logits), np.array(truth))


@pytest.mark.parametrize("modality", ["rgb", pytest.param("flow", marks=[pytest.mark.slow, pytest.mark.by_hand])])
def test_the_answer_is_the_mean_over_time_of_the_whole_videos_logits(
    run_folder, flow_run_folder, records, motion_folder, modality
) -> None:
    finished = finished_model.load({"rgb": run_folder, "flow": flow_run_folder}[modality] / "best.keras")
    videos = pipeline.whole_videos(select(records, "test"), size=32, modalities=(modality,))
    answers = answer(finished.logits_network(), videos)
    assert len(answers.ids) == 8
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
    answers = answer(network, videos, windows={"rgb": 4})
    assert (answers.ids, answers.truth.tolist()) == (("video 0", "video 1", "video 2"), [0, 1, 2])
    for (inputs, _, _), logits in zip(videos, answers.logits, strict=True):
        windows = [network(inputs["rgb"][None, start : start + 4])[0] for start in range(0, len(inputs["rgb"]), 4)]
        assert np.std(windows) > 1e-3
        np.testing.assert_allclose(logits, np.mean(windows, axis=0), atol=1e-5)


def small_network(size: int) -> keras.Model:
    """Return a network of three classes whose answer depends on the order of the frames."""
    source = keras.Input((None, size, size, 3), name="rgb")
    x = keras.layers.Conv3D(8, (3, 5, 5), strides=(1, 4, 4), padding="same", activation="relu")(source)
    x = keras.layers.GlobalAveragePooling3D()(keras.layers.Conv3D(3, 1)(x))
    network = keras.Model(source, x)
    generator = np.random.default_rng(2)
    network.set_weights([generator.normal(size=value.shape) for value in network.get_weights()])
    return network


def weights_of(model: keras.Model, layer: str) -> list[np.ndarray]:
    return [np.asarray(variable, np.float64) for variable in model.get_layer(layer).weights]


def test_i3d_gives_the_mean_over_time_of_a_head_applied_step_by_step() -> None:
    network = enlivened(I3D(weights=None, input_shape=(None, 64, 64, 3), classes=3, classifier_activation=None))
    trunk = keras.Model(network.inputs[0], network.get_layer("Mixed_5c").output)
    kernel, bias = weights_of(network, "Logits__Conv3d_0c_1x1__conv_3d")
    bias += np.arange(3)
    network.get_layer("Logits__Conv3d_0c_1x1__conv_3d").weights[1].assign(bias)
    generator = np.random.default_rng(0)
    frames = generator.uniform(-1, 1, (41, 64, 64, 3)).astype(np.float32)
    specs = ({"rgb": tf.TensorSpec((None, 64, 64, 3))}, tf.TensorSpec((), tf.int64), tf.TensorSpec((), tf.string))
    videos = tf.data.Dataset.from_generator(lambda: iter([({"rgb": frames}, 0, "video")]), output_signature=specs)
    ((_, logits, _),) = whole_video.iterate(network, videos)
    features = np.asarray(trunk(frames[np.newaxis]), np.float64)[0]
    assert features.shape == (6, 2, 2, 1024)
    steps = []
    for start in range(len(features) - 1):  # the pool of two steps, one apart, over all of space
        mean = features[start : start + 2].mean(axis=(0, 1, 2))
        steps.append(mean @ kernel[0, 0, 0] + bias)
    assert np.std(steps, axis=0).max() > 1e-4
    np.testing.assert_allclose(logits, np.mean(steps, axis=0), atol=1e-4)


@pytest.mark.parametrize("crops", [1, 3])
def test_views_give_the_mean_of_every_window_and_crop(records, crops: int) -> None:
    network = small_network(32)
    chosen = select(records, "test")
    views = pipeline.video_views(chosen, views=(2, crops), frames=4, size=32)
    answers = answer(network, views, parts=2)
    assert answers.ids == tuple(str(name, "utf-8") for *_, name in list(views.as_numpy_iterator())[::2])
    for number, record in enumerate(contents.read(chosen.paths[0])):
        jpegs = contents.pictures_of(record.example, schema.RGB_FRAMES)
        frames = np.stack([tf.io.decode_jpeg(jpeg, dct_method="INTEGER_ACCURATE") for jpeg in jpegs]) / 127.5 - 1
        assert frames.shape == (12, 37, 37, 3)
        literal = []
        for start in (0, 8):
            for left in (3,) if crops == 1 else (0, 3, 5):  # of five columns that are left over
                clip = frames[start : start + 4, 3:35, left : left + 32]
                literal.append(network(clip[np.newaxis].astype(np.float32))[0])
        assert np.std(literal, axis=0).max() > 1e-4
        np.testing.assert_allclose(answers.logits[number], np.mean(literal, axis=0), atol=1e-5)
        if number == 2:
            break


def test_labels_of_any_number_stay_as_they_are() -> None:
    network = small_network(SIZE)
    videos = videos_of(2, 3).map(lambda inputs, label, name: (inputs, tf.one_hot(label, 3), name))
    answers = answer(network, videos)
    assert answers.multi_label
    assert answers.truth.tolist() == [[1, 0, 0], [0, 1, 0]]


def test_a_video_that_does_not_fit_into_memory_is_named() -> None:
    source = keras.Input((None, SIZE, SIZE, 3), name="rgb")
    network = keras.Model(source, keras.layers.GlobalAveragePooling3D()(Exhausting()(source)))
    with pytest.raises(KerasI3DError, match="video 0: its 1 clips of 7 frames do not fit into memory at once; fewer"):
        answer(network, videos_of(7))


class Exhausting(keras.layers.Layer):
    """Run out of memory, as TensorFlow says it (its own allocator waits ten seconds before it does)."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(tf.numpy_function(self.fail, [x], tf.float32), x.shape)

    def fail(self, x: np.ndarray) -> np.ndarray:
        raise MemoryError


def test_windows_of_both_streams_belong_together() -> None:
    network = enlivened(TwoStream(input_shape=(None, SIZE, SIZE), classes=3, classifier_activation=None))
    videos = videos_of(3, 1, flow=10)
    whole = answer(network, videos)
    in_windows = answer(network, videos, windows={"rgb": 1, "flow": 10})
    assert whole.logits.std() > 1e-3
    # this network averages its snapshots, so one at a time gives the same
    np.testing.assert_allclose(in_windows.logits, whole.logits, atol=1e-5)


def test_a_recurrent_network_sees_every_frame_of_videos_of_any_length() -> None:
    network = enlivened(ConvNetLSTM(input_shape=(None, SIZE, SIZE, 3), classes=3, classifier_activation=None))
    videos = videos_of(5, 1, 30)
    answers = answer(network, videos)
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
