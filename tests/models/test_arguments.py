import keras
import numpy as np
import pytest

from keras_i3d.models import arguments


@pytest.mark.parametrize("pooling", [None, "avg", "max"])
def test_the_three_poolings_pass(pooling: str | None) -> None:
    arguments.check_pooling(pooling)


@pytest.mark.parametrize("pooling", ["mean", "", False])
def test_another_pooling_is_refused(pooling: object) -> None:
    with pytest.raises(ValueError, match=rf"^pooling must be None, 'avg' or 'max', got {pooling!r}$"):
        arguments.check_pooling(pooling)


@pytest.mark.parametrize("classes", [None, 1, 400, np.int64(7)])
def test_a_number_of_classes_passes(classes: int | None) -> None:
    arguments.check_classes(classes)


@pytest.mark.parametrize("classes", [0, -1, 2.0, True, "400"])
def test_what_is_no_number_of_classes_is_refused(classes: object) -> None:
    with pytest.raises(ValueError, match=rf"^classes must be an integer of at least 1, got {classes!r}$"):
        arguments.check_classes(classes)


def test_loaded_weights_want_the_activation_they_were_trained_with() -> None:
    for activation in (None, "softmax"):
        arguments.check_activation(activation, "kinetics")
    arguments.check_activation("sigmoid", None)
    with pytest.raises(ValueError, match="with loaded weights classifier_activation must be 'softmax' or None, got 's"):
        arguments.check_activation("sigmoid", "kinetics")


@pytest.mark.parametrize("rate", [-0.1, 1, float("nan"), "half"])
def test_a_dropout_rate_is_a_share(rate: object) -> None:
    arguments.check_dropout_rate(0)
    with pytest.raises(ValueError, match=rf"^dropout_rate must be in \[0, 1\), got {rate!r}$"):
        arguments.check_dropout_rate(rate)


DEFAULT = (64, 224, 224, 3)


def test_a_shape_is_the_default_the_argument_or_the_tensors() -> None:
    assert arguments.checked_shape(None, DEFAULT, modality="rgb") == DEFAULT
    assert arguments.checked_shape([None, 32, 32, 3], DEFAULT, modality="rgb") == (None, 32, 32, 3)
    tensor = keras.Input((9, None, 32, 3))
    assert arguments.checked_shape(None, DEFAULT, input_tensor=tensor, modality="rgb") == (9, None, 32, 3)
    assert arguments.checked_shape((5, 224, 224), (1, 2, 3), axes="snapshots, height, width") == (5, 224, 224)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((32, 32, 3), r"^input_shape must be \(time, height, width, channels\), got \(32, 32, 3\)$"),
        (32, r"^input_shape must be \(time, height, width, channels\), got 32$"),
        ("abcd", r"^input_shape must be \(time, height, width, channels\), got 'abcd'$"),
        ((9, 32, 32, 2), r"^modality 'rgb' has 3 channels, got input_shape=\(9, 32, 32, 2\)$"),
        ((9, 32, 32, None), r"^modality 'rgb' has 3 channels, got input_shape=\(9, 32, 32, None\)$"),
        ((0, 32, 32, 3), r"^every axis .* must be an integer of at least 1, or None; got \(0, 32, 32, 3\)$"),
        ((9, -1, 32, 3), r"^every axis .* must be an integer of at least 1, or None; got \(9, -1, 32, 3\)$"),
        ((9, 32.5, 32, 3), r"^every axis .* must be an integer of at least 1, or None; got \(9, 32.5, 32, 3\)$"),
        (("9", 32, 32, 3), r"^every axis .* must be an integer of at least 1, or None; got \('9', 32, 32, 3\)$"),
    ],
)
def test_a_wrong_shape_is_refused(shape: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        arguments.checked_shape(shape, DEFAULT, modality="rgb")


def test_only_a_keras_tensor_is_built_upon() -> None:
    with pytest.raises(
        ValueError, match=r"input_tensor must be a Keras tensor, such as keras.Input\(...\), got <class"
    ):
        arguments.checked_shape(None, DEFAULT, input_tensor=np.zeros((1, 9, 32, 32, 3)))


def test_the_sources_of_a_tensor_are_the_inputs_it_was_made_of() -> None:
    one, other = keras.Input((4,), name="one"), keras.Input((4,), name="other")
    assert arguments.sources(one, None) is one
    assert arguments.sources(None, keras.layers.Dense(2)(one)) is one
    assert [tensor.name for tensor in arguments.sources(None, keras.layers.Add()([one, other]))] == ["one", "other"]
