import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_i3d.explanation.grad_cam import GradCam


def network(seed: int = 0) -> keras.Model:
    """Return a network whose classifier is not linear in the map, so that gradients differ from place to place."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((None, 12, 12, 3), name="rgb")
    x = layers.Conv3D(5, 3, strides=2, padding="same", activation="relu", name="map")(inputs)
    x = layers.Conv3D(4, 3, padding="same", activation="tanh")(x)
    x = layers.Dense(3, name="Logits")(layers.GlobalAveragePooling3D()(x))
    return keras.Model(inputs, layers.Softmax(name="Predictions")(x))


def corner_network() -> keras.Model:
    """Return a network of two classes that look at the mean brightness, of the upper left and of the lower right."""
    inputs = keras.Input((8, 8, 8, 3), name="rgb")
    x = layers.Conv3D(2, 1, activation="relu", name="map")(inputs)
    flat = layers.Flatten()(x)
    model = keras.Model(inputs, layers.Dense(2, name="Logits")(flat))
    model.get_layer("map").set_weights([np.eye(3, 2).reshape(1, 1, 1, 3, 2) * 0 + 1 / 3, np.zeros(2)])
    kernel = np.zeros((8, 8, 8, 2, 2), np.float32)
    kernel[:, :4, :4, 0, 0] = kernel[:, 4:, 4:, 1, 1] = 1
    model.get_layer("Logits").set_weights([kernel.reshape(-1, 2), np.zeros(2, np.float32)])
    return model


def test_the_map_is_the_formula_taken_literally(noise) -> None:
    model, clips = network(), noise(2, 6, 12, 12, 3)
    grad_cam = GradCam(model, "map")
    found = grad_cam.activations({"rgb": clips})
    np.testing.assert_allclose(
        found.logits, keras.Model(model.input, model.get_layer("Logits").output)(clips), atol=1e-6
    )
    two = keras.Model(model.input, [model.get_layer("map").output, model.get_layer("Logits").output])
    for class_index in range(3):
        by_hand = np.zeros((2, 3, 6, 6), np.float32)
        for clip in range(2):
            with tf.GradientTape() as tape:
                activations, logits = two(clips[clip : clip + 1])
                logit = logits[0, class_index]
            gradient = tape.gradient(logit, activations)[0].numpy()
            for channel in range(5):
                by_hand[clip] += gradient[..., channel].mean() * activations[0, ..., channel].numpy()
        by_hand = np.maximum(by_hand, 0)
        got = grad_cam.evidence(found, class_index)["rgb"]
        np.testing.assert_allclose(got, by_hand, atol=1e-6 * max(by_hand.max(), 1))
        assert by_hand.max() > 0 or class_index


def test_the_map_is_hot_where_the_stimulus_is() -> None:
    clip = np.zeros((1, 8, 8, 8, 3), np.float32)
    clip[0, 2:4, 1:3, 1:3] = 1  # which both classes' maps see, and the first class's logit alone
    grad_cam = GradCam(corner_network(), "map")
    found = grad_cam.activations({"rgb": clip})
    assert found.logits[0, 0] > 0 and found.logits[0, 1] == 0
    hot = grad_cam.evidence(found, 0)["rgb"][0]
    assert (hot[2:4, 1:3, 1:3] > 0).all()
    assert np.count_nonzero(hot) == 8


def test_a_class_that_nothing_speaks_for_has_zeros_alone() -> None:
    model = corner_network()
    kernel, bias = model.get_layer("Logits").get_weights()
    model.get_layer("Logits").set_weights([-kernel, bias])
    grad_cam = GradCam(model, "map")
    evidence = grad_cam.evidence(grad_cam.activations({"rgb": np.ones((1, 8, 8, 8, 3), np.float32)}), 0)["rgb"]
    assert (evidence == 0).all()


def test_an_absent_layer_is_told() -> None:
    with pytest.raises(ValueError, match=r"has no layer 'Mixed_5c'.*it has map"):
        GradCam(network(), "Mixed_5c")
