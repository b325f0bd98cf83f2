from collections.abc import Callable

import keras
import numpy as np
import pytest

from keras_i3d.models import architecture
from keras_i3d.models.i3d import I3D
from keras_i3d.models.inception_v1 import InceptionV1


def test_the_default_is_slims_network_of_1001_classes() -> None:
    model = InceptionV1(weights=None)
    assert (model.input.name, model.input.shape) == ("rgb", (None, 224, 224, 3))
    assert (model.name, model.layers[-1].name, model.output.shape) == ("inception_v1", "Predictions", (None, 1001))
    assert sum(np.prod(variable.shape) for variable in model.trainable_variables) == 6_618_649
    assert model.get_layer("Dropout_0b").rate == 0.2
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert {(norm.momentum, norm.epsilon, norm.scale) for norm in norms} == {(0.9997, 1e-3, False)}


def test_its_layers_are_two_dimensional_and_bear_slims_names() -> None:
    model = InceptionV1(weights=None, input_shape=(32, 32, 3), classes=2)
    names = {layer.name for layer in model.layers}
    assert {architecture.layer_name(end, 2) for end in architecture.END_POINTS} <= names
    assert {"Conv2d_1a_7x7__conv_2d", "MaxPool_2a_3x3", "Mixed_5b__Branch_2__Conv2d_0a_3x3__batch_norm"} <= names
    assert not [name for name in names if "3d" in name]
    kernels = {variable.shape[:2] for variable in model.weights if len(variable.shape) == 4}
    assert kernels == {(1, 1), (3, 3), (7, 7)}
    assert not [variable.path for variable in model.weights if len(variable.shape) == 5]


@pytest.mark.parametrize("size", [(32, 32), (33, 40)])
def test_it_is_i3d_per_frame_on_one_frame_to_the_last_bit(size: tuple, enliven: Callable, noise: Callable) -> None:
    flat = enliven(InceptionV1(weights=None, input_shape=(*size, 3), classes=7, classifier_activation=None))
    deep = I3D(weights=None, input_shape=(1, *size, 3), classes=7, classifier_activation=None, time_plan="per_frame")
    for theirs, ours in zip(deep.weights, flat.weights, strict=True):
        assert theirs.path == ours.path.replace("Conv2d", "Conv3d").replace("conv_2d", "conv_3d")
        theirs.assign(np.reshape(ours, theirs.shape))
    image = noise(2, *size, 3)
    expected = np.asarray(flat(image))
    assert expected.std() > 0.01
    assert np.array_equal(deep(image[:, np.newaxis]), expected)


@pytest.mark.parametrize(
    ("options", "shape"),
    [({}, (None, 2, 2, 1024)), ({"pooling": "avg"}, (None, 1024)), ({"pooling": "max"}, (None, 1024))],
)
def test_without_the_top_comes_the_map_or_its_pool(options: dict, shape: tuple) -> None:
    assert InceptionV1(False, None, input_shape=(64, 64, 3), **options).output.shape == shape


def test_an_input_tensor_is_built_upon() -> None:
    inputs = keras.Input((32, 32, 3), name="picture")
    model = InceptionV1(weights=None, input_tensor=keras.layers.Rescaling(2.0)(inputs), classes=4)
    assert (model.input.name, model.output.shape) == ("picture", (None, 4))


def test_it_is_saved_and_loaded_with_unknown_axes(tmp_path, enliven: Callable, noise: Callable) -> None:
    model = enliven(InceptionV1(weights=None, input_shape=(None, None, 3), classes=4))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    for size in ((33, 40), (64, 230)):
        image = noise(1, *size, 3)
        fixed = InceptionV1(weights=None, input_shape=(*size, 3), classes=4)
        fixed.set_weights(model.get_weights())
        np.testing.assert_allclose(again.predict(image, verbose=0), fixed(image), atol=1e-5)


def test_the_logits_are_float32_under_mixed_precision() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = InceptionV1(weights=None, input_shape=(32, 32, 3), classes=4)
    finally:
        keras.config.set_dtype_policy("float32")
    dtypes = [model.get_layer(name).output.dtype for name in ("Mixed_5c", "Logits", "Predictions")]
    assert dtypes == ["bfloat16", "float32", "float32"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pooling": "mean"}, "pooling must be None, 'avg' or 'max', got 'mean'"),
        ({"classes": "many"}, "classes must be an integer of at least 1, got 'many'"),
        ({"input_shape": (9, 32, 32, 3)}, r"input_shape must be \(height, width, channels\), got \(9, 32, 32, 3\)"),
        ({"input_shape": (32, 32, 1)}, r"modality 'rgb' has 3 channels, got input_shape=\(32, 32, 1\)"),
        ({"dropout_rate": -1}, r"dropout_rate must be in \[0, 1\), got -1"),
        ({"batch_norm_momentum": 1}, r"batch_norm_momentum must be in \[0, 1\), got 1"),
        ({"weights": "imagenet", "classifier_activation": "relu"}, "must be 'softmax' or None, got 'relu'"),
        ({"weights": "kinetics"}, "weights='kinetics' are those of I3D; InceptionV1 takes 'imagenet', the path of"),
    ],
)
def test_a_wrong_argument_is_named_with_what_is_allowed(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        InceptionV1(**{"weights": None, **options})
