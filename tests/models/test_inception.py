import keras
import numpy as np
import pytest

from keras_i3d.models import architecture, inception
from keras_i3d.models.architecture import I3D_PLAN, PER_FRAME_PLAN, Mixed
from keras_i3d.models.inception import BatchNorm


def test_a_unit_is_convolution_batch_norm_and_relu_under_the_checkpoints_names() -> None:
    inputs = keras.Input((4, 8, 8, 3))
    model = keras.Model(inputs, inception.conv_unit(inputs, "Conv3d_x", 5, (3, 1, 1), batch_norm=BatchNorm()))
    assert [layer.name for layer in model.layers[1:]] == ["Conv3d_x__conv_3d", "Conv3d_x__batch_norm", "Conv3d_x"]
    assert not model.get_layer("Conv3d_x__conv_3d").use_bias
    norm = model.get_layer("Conv3d_x__batch_norm")
    assert (norm.scale, norm.epsilon, norm.momentum, norm.synchronized) == (False, 1e-3, 0.999, False)
    assert model(np.random.default_rng(0).normal(size=(1, 4, 8, 8, 3))).numpy().min() == 0


def test_fresh_kernels_have_sonnets_spread() -> None:
    kernel = np.asarray(inception.kernel_initializer(64, (3, 3, 3))((3, 3, 3, 64, 128)))
    # a normal of deviation 1 / sqrt(fan in), cut at two deviations, keeps .8796 of its deviation
    assert kernel.std() == pytest.approx(0.8796 / np.sqrt(27 * 64), rel=0.01)
    assert np.abs(kernel).max() <= 2 / np.sqrt(27 * 64)


@pytest.mark.parametrize(("plan", "extent"), [(I3D_PLAN, 3), (PER_FRAME_PLAN, 1)])
def test_a_block_has_four_branches_in_the_originals_order(plan, extent: int) -> None:
    row = next(row for row in architecture.ROWS if isinstance(row, Mixed) and row.tag == "5b")
    inputs = keras.Input((4, 8, 8, 16))
    model = keras.Model(inputs, inception.mixed_block(inputs, row, plan, BatchNorm()))
    assert model.output.shape == (None, 4, 8, 8, 256 + 320 + 128 + 128)
    assert [tensor._keras_history.operation.name for tensor in model.get_layer("Mixed_5b").input] == [
        "Mixed_5b__Branch_0__Conv3d_0a_1x1",
        "Mixed_5b__Branch_1__Conv3d_0b_3x3",
        "Mixed_5b__Branch_2__Conv3d_0a_3x3",
        "Mixed_5b__Branch_3__Conv3d_0b_1x1",
    ]
    assert model.get_layer("Mixed_5b__Branch_1__Conv3d_0b_3x3__conv_3d").kernel_size == (extent, 3, 3)
    assert model.get_layer("Mixed_5b__Branch_3__MaxPool3d_0a_3x3").pool_size == (extent, 3, 3)


@pytest.mark.parametrize(
    ("frames", "size", "expected"), [(64, 224, (8, 7, 7)), (9, 193, (2, 7, 7)), (8, 192, (1, 6, 6))]
)
def test_the_trunk_halves_time_three_times_and_space_five_times(frames: int, size: int, expected: tuple) -> None:
    outputs = inception.trunk(keras.Input((frames, size, size, 3)), I3D_PLAN, BatchNorm())
    assert outputs.shape == (None, *expected, 1024)


def test_the_per_frame_plan_keeps_every_frame() -> None:
    assert inception.trunk(keras.Input((7, 64, 64, 3)), PER_FRAME_PLAN, BatchNorm()).shape == (None, 7, 2, 2, 1024)
