import keras
import numpy as np
import pytest

from keras_i3d.models import copies
from keras_i3d.models.i3d import I3D


@pytest.fixture(scope="module")
def small():
    """Return I3D of five classes for clips of any length and size."""
    return I3D(weights=None, input_shape=(None, None, None, 3), classes=5)


def test_a_copy_under_a_policy_computes_in_it_but_for_the_classifier(small) -> None:
    copy = copies.under_policy(small, "mixed_bfloat16", {"rgb": (9, 32, 32, 3)})
    assert copy.get_layer("Conv3d_2c_3x3__conv_3d").compute_dtype == "bfloat16"
    assert {weight.dtype for weight in copy.weights} == {"float32"}
    for name in ("Logits__Conv3d_0c_1x1__conv_3d", "Logits", "Predictions"):
        assert copy.get_layer(name).compute_dtype == "float32"
    assert small.get_layer("Conv3d_2c_3x3__conv_3d").compute_dtype == "float32"
    clips = np.random.default_rng(0).uniform(-1, 1, (1, 9, 32, 32, 3)).astype(np.float32)
    np.testing.assert_allclose(copy(clips), small(clips), atol=1e-2)


def test_a_copy_with_other_settings_has_the_same_values(small) -> None:
    layer = small.get_layer("Dropout_0b")
    copy = copies.with_settings(small, {id(layer): {"rate": 0.25}})
    assert (copy.get_layer("Dropout_0b").rate, layer.rate) == (0.25, 0.5)
    for theirs, ours in zip(small.weights, copy.weights, strict=True):
        np.testing.assert_array_equal(theirs, ours)


def test_values_go_back_to_the_network_in_float32(small) -> None:
    copy = copies.under_policy(small, "mixed_bfloat16", {"rgb": (9, 32, 32, 3)})
    for variable in copy.variables:
        variable.assign(keras.ops.zeros_like(variable.value))
    before = [variable.numpy() for variable in small.variables]
    try:
        copies.copy_values(copy, small)
        assert not any(variable.numpy().any() for variable in small.variables)
    finally:
        for variable, value in zip(small.variables, before, strict=True):
            variable.assign(value)


def test_values_of_another_network_are_refused(small) -> None:
    kernel = small.get_layer("Logits__Conv3d_0c_1x1__conv_3d").kernel.numpy()
    other = I3D(weights=None, input_shape=(None, None, None, 3), classes=4)
    message = (
        r"variable Logits__Conv3d_0c_1x1__conv_3d/kernel of shape \(1, 1, 1, 1024, 5\) cannot take the value of "
        r"Logits__Conv3d_0c_1x1__conv_3d/kernel of shape \(1, 1, 1, 1024, 4\)"
    )
    with pytest.raises(ValueError, match=message):
        copies.copy_values(other, small)
    np.testing.assert_array_equal(small.get_layer("Logits__Conv3d_0c_1x1__conv_3d").kernel, kernel)
    headless = I3D(weights=None, input_shape=(None, None, None, 3), include_top=False)
    with pytest.raises(ValueError, match="'i3d' has 231 variables, 'i3d' has 228; only copies of one network"):
        copies.copy_values(headless, small)
