import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_i3d.training import batch_norm


def made(**options) -> keras.layers.BatchNormalization:
    layer = keras.layers.BatchNormalization(momentum=0.9, **options)
    layer.build((None, 3, 4, 4, 6))
    random = np.random.default_rng(0)
    for variable in layer.variables:
        variable.assign(random.uniform(0.5, 1.5, variable.shape))
    return layer


def pulled(layer, call, dtype: str) -> tuple[list, list]:
    """Return the outputs and gradients of a call, and the moving statistics after it, which are put back."""
    random = np.random.default_rng(1)
    x = tf.cast(random.normal(2, 3, (2, 3, 4, 4, 6)), dtype)
    outer = tf.cast(random.normal(size=x.shape), dtype)
    before = [variable.numpy() for variable in layer.non_trainable_variables]
    trained = [variable.value for variable in layer.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = call(x)
    gradients = tape.gradient(y, [x, *trained], outer)
    after = [variable.numpy() for variable in layer.non_trainable_variables]
    for variable, value in zip(layer.non_trainable_variables, before, strict=True):
        variable.assign(value)
    return [y, *gradients], after


@pytest.mark.parametrize("options", [{"scale": False}, {}, {"center": False}, {"epsilon": 0.5}])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("mixed_bfloat16", 1e-2)])
def test_values_gradients_and_statistics_are_those_of_keras(options: dict, dtype: str, tolerance: float) -> None:
    layer = made(dtype=dtype, **options)
    of_x = layer.compute_dtype
    expected, moved = pulled(layer, lambda x: layer(x, training=True), of_x)
    found, moved_too = pulled(layer, lambda x: batch_norm.normalised(layer, x), of_x)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == theirs.dtype
        ours, theirs = (tf.cast(value, tf.float32).numpy() for value in (ours, theirs))
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)
    assert len(moved) == 2
    for ours, theirs in zip(moved_too, moved, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_only_plain_batch_norms_in_training_have_a_formula() -> None:
    assert batch_norm.has_a_formula(made(), training=True)
    assert not batch_norm.has_a_formula(made(), training=False)
    assert not batch_norm.has_a_formula(made(trainable=False), training=True)
    assert not batch_norm.has_a_formula(made(synchronized=True), training=True)
    assert not batch_norm.has_a_formula(made(axis=1), training=True)
    assert not batch_norm.has_a_formula(keras.layers.ReLU(), training=True)
