import keras
import numpy as np
import pytest

from keras_i3d.checkpoints.names import SLIM, weights_of
from keras_i3d.errors import ModelFileError
from keras_i3d.inflation.boring_video import boring_video_error
from keras_i3d.inflation.inflate import inflate, open_source
from keras_i3d.models.i3d import I3D


def slim_values(model) -> dict[str, np.ndarray]:
    values = {f"InceptionV1/{SLIM.spell(weight)}": weight.variable.numpy() for weight in weights_of(model)}
    return values | {"global_step": np.array(7, np.int64)}


def write_v2(path, values: dict[str, np.ndarray]) -> None:
    import tensorflow as tf

    tf.raw_ops.SaveV2(
        prefix=str(path),
        tensor_names=list(values),
        shape_and_slices=[""] * len(values),
        tensors=list(values.values()),
    )


def write_v1(path, values: dict[str, np.ndarray]) -> None:
    import tensorflow as tf

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, value in values.items():
            tf.compat.v1.get_variable(name, initializer=value, use_resource=False)
        session.run(tf.compat.v1.global_variables_initializer())
        saver = tf.compat.v1.train.Saver(write_version=tf.compat.v1.train.SaverDef.V1)
        saver.save(session, str(path), write_meta_graph=False, write_state=False)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("inception_v1.ckpt", lambda path, model: write_v1(path, slim_values(model))),
        ("model.ckpt-115000", lambda path, model: write_v2(path, slim_values(model))),
        ("flat.weights.h5", lambda path, model: model.save_weights(path)),
        ("flat.keras", lambda path, model: model.save(path)),
    ],
)
def test_every_kind_of_file_inflates_to_the_networks_own_values(source, golden, tmp_path, name, write) -> None:
    write(tmp_path / name, source)
    target = I3D(weights=None, input_shape=(9, 32, 32, 3), classes=1001, temporal_padding="edge")
    assert inflate(tmp_path / name, target) is target
    kernel = source.get_layer("Conv2d_1a_7x7__conv_2d").kernel.numpy()
    assert np.array_equal(target.get_layer("Conv3d_1a_7x7__conv_3d").kernel[4], kernel / np.float32(7))
    image = golden.clip((1, 1, 32, 32, 3), "image")[0, 0]
    # rounding of some sixty layers; a wrong epsilon or padding gives 1e-2
    assert boring_video_error(source, target, image).everywhere <= 1e-5


def test_a_file_of_any_2d_network_inflates(tmp_path) -> None:
    inputs = keras.Input((8, 8, 3))
    flat = keras.Model(inputs, keras.layers.Conv2D(4, 3, padding="same", name="only")(inputs))
    flat.save(tmp_path / "flat.keras")
    assert inflate(str(tmp_path / "flat.keras"), extent=2).get_layer("only").kernel.shape == (2, 3, 3, 3, 4)


def test_a_network_is_its_own_source(source) -> None:
    assert open_source(source) is source


def test_files_that_are_none_are_named(tmp_path) -> None:
    with pytest.raises(ModelFileError, match=r"absent\.keras: no such model file"):
        inflate(tmp_path / "absent.keras")
    (tmp_path / "text.keras").write_text("no network")
    with pytest.raises(
        ModelFileError, match=r"text\.keras: cannot be read as a Keras model, a \.keras file \(it is no zip"
    ):
        inflate(tmp_path / "text.keras")
    with pytest.raises(FileNotFoundError, match=r"'nowhere\.ckpt' is neither a known name \(.*imagenet.*\) nor"):
        inflate("nowhere.ckpt")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: inflate(7), "source must be a Keras model, a path or 'imagenet', got <class 'int'>"),
        (lambda: inflate("imagenet", method="middle"), "method must be 'repeat' or 'centre', got 'middle'"),
    ],
)
def test_a_wrong_argument_is_named_with_what_is_allowed(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_a_target_tells_its_own_extents(source) -> None:
    with pytest.raises(ValueError, match="its own layers tell their extent in time; leave out extent, padding"):
        inflate(source, source, extent=3, padding="edge")


def test_a_source_in_three_dimensions_is_refused(source) -> None:
    video = I3D(weights=None, input_shape=(1, 32, 32, 3), classes=3)
    for target in (None, video):
        with pytest.raises(
            ValueError, match=r"i3d: a network to inflate has one input \(batch, height, width, channels\), got"
        ):
            inflate(video, target)
