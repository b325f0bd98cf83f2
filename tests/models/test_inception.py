from collections.abc import Callable

import keras
import numpy as np
import pytest

from keras_i3d.layers import SamePadding3D
from keras_i3d.models import architecture, inception
from keras_i3d.models.architecture import CONV_TAGS, MIXED_TAGS, Conv, Mixed
from keras_i3d.models.inception import BatchNorm, Trunk
from keras_i3d.models.time_plan import I3D_PLAN, PER_FRAME_PLAN, TimePlan, time_plan

PLANS = ["i3d", "i2d", "per_frame", "s3d", "s3d_g", "top_heavy:4b", "bottom_heavy:3c"]


def test_a_unit_is_convolution_batch_norm_and_relu_under_the_checkpoints_names(noise: Callable) -> None:
    inputs = keras.Input((4, 8, 8, 3))
    model = keras.Model(inputs, inception.conv_unit(inputs, "Conv3d_x", 5, (3, 1, 1), batch_norm=BatchNorm()))
    assert [layer.name for layer in model.layers[1:]] == ["Conv3d_x__conv_3d", "Conv3d_x__batch_norm", "Conv3d_x"]
    assert not model.get_layer("Conv3d_x__conv_3d").use_bias
    norm = model.get_layer("Conv3d_x__batch_norm")
    assert (norm.scale, norm.epsilon, norm.momentum, norm.synchronized) == (False, 1e-3, 0.999, False)
    assert model(noise(1, 4, 8, 8, 3)).numpy().min() == 0


def test_a_unit_of_an_image_bears_slims_names_and_takes_the_kernel_of_space() -> None:
    inputs = keras.Input((8, 8, 3))
    unit = inception.conv_unit(inputs, "Conv3d_x", 5, (7, 3, 1), strides=(4, 2, 1), batch_norm=BatchNorm())
    model = keras.Model(inputs, unit)
    assert [layer.name for layer in model.layers[1:]] == ["Conv2d_x__conv_2d", "Conv2d_x__batch_norm", "Conv2d_x"]
    assert model.get_layer("Conv2d_x__conv_2d").kernel.shape == (3, 1, 3, 5)
    assert model.output.shape == (None, 4, 8, 5)


def test_edges_are_repeated_only_where_a_kernel_reaches_in_time() -> None:
    inputs = keras.Input((4, 8, 8, 3))
    for size, edge in (((3, 1, 1), True), ((1, 3, 3), False)):
        unit = inception.conv_unit(inputs, "x", 5, size, strides=(2, 2, 2), batch_norm=BatchNorm(), padding="edge")
        model = keras.Model(inputs, unit)
        assert any(isinstance(layer, SamePadding3D) for layer in model.layers) is edge
        assert model.output.shape == (None, 2, 4, 4, 5)


@pytest.mark.parametrize("momentum", [1, -0.1, float("nan"), "much"])
def test_a_momentum_is_a_share(momentum: object) -> None:
    with pytest.raises(ValueError, match=rf"^batch_norm_momentum must be in \[0, 1\), got {momentum!r}$"):
        BatchNorm(momentum)


def test_fresh_kernels_have_sonnets_spread() -> None:
    kernel = np.asarray(inception.kernel_initializer(64, (3, 3, 3))((3, 3, 3, 64, 128)))
    # a normal of deviation 1 / sqrt(fan in), cut at two deviations, keeps .8796 of its deviation
    assert kernel.std() == pytest.approx(0.8796 / np.sqrt(27 * 64), rel=0.01)
    assert np.abs(kernel).max() <= 2 / np.sqrt(27 * 64)


@pytest.mark.parametrize(("plan", "extent"), [(I3D_PLAN, 3), (PER_FRAME_PLAN, 1)])
def test_a_block_has_four_branches_in_the_originals_order(plan: TimePlan, extent: int) -> None:
    inputs = keras.Input((8, 32, 32, 3))
    model = keras.Model(inputs, Trunk(plan)(inputs))
    assert [tensor._keras_history.operation.name for tensor in model.get_layer("Mixed_5b").input] == [
        "Mixed_5b__Branch_0__Conv3d_0a_1x1",
        "Mixed_5b__Branch_1__Conv3d_0b_3x3",
        "Mixed_5b__Branch_2__Conv3d_0a_3x3",
        "Mixed_5b__Branch_3__Conv3d_0b_1x1",
    ]
    assert model.get_layer("Mixed_5b").output.shape[-1] == 256 + 320 + 128 + 128
    assert model.get_layer("Mixed_5b__Branch_0__Conv3d_0a_1x1__conv_3d").kernel_size == (1, 1, 1)
    assert model.get_layer("Mixed_5b__Branch_1__Conv3d_0b_3x3__conv_3d").kernel_size == (extent, 3, 3)
    assert model.get_layer("Mixed_5b__Branch_3__MaxPool3d_0a_3x3").pool_size == (extent, 3, 3)


@pytest.mark.parametrize(
    ("frames", "size", "expected"), [(64, 224, (8, 7, 7)), (9, 193, (2, 7, 7)), (8, 192, (1, 6, 6))]
)
def test_the_trunk_halves_time_three_times_and_space_five_times(frames: int, size: int, expected: tuple) -> None:
    assert Trunk(I3D_PLAN)(keras.Input((frames, size, size, 3))).shape == (None, *expected, 1024)


def test_the_per_frame_plan_keeps_every_frame_and_an_image_has_none() -> None:
    assert Trunk(PER_FRAME_PLAN)(keras.Input((7, 64, 64, 3))).shape == (None, 7, 2, 2, 1024)
    assert Trunk(I3D_PLAN)(keras.Input((64, 64, 3))).shape == (None, 2, 2, 1024)


@pytest.fixture(scope="module")
def trunk() -> Callable[[str], keras.Model]:
    built: dict[str, keras.Model] = {}

    def build(name: str) -> keras.Model:
        if name not in built:
            inputs = keras.Input((16, 64, 64, 3))
            built[name] = keras.Model(inputs, Trunk(time_plan(name))(inputs))
        return built[name]

    return build


def time_of(model: keras.Model, layer: str) -> tuple[int, int]:
    """Return how far a layer reaches and steps in time."""
    found = model.get_layer(layer)
    size = found.kernel_size if hasattr(found, "kernel_size") else found.pool_size
    return size[0], found.strides[0]


@pytest.mark.parametrize("name", PLANS)
def test_every_end_point_is_there_in_every_plan(trunk: Callable, name: str) -> None:
    model = trunk(name)
    plan = time_plan(name)
    frames, size = 16, 64
    for row in architecture.ROWS:
        if not isinstance(row, Mixed):
            frames, size = -(-frames // plan.stride.get(row.tag, 1)), -(-size // row.stride)
        assert model.get_layer(row.scope).output.shape[1:4] == (frames, size, size), row.scope


@pytest.mark.parametrize("name", ["i3d", "i2d", "per_frame", "top_heavy:4b", "bottom_heavy:3c"])
def test_every_kernel_and_stride_in_time_is_the_plans(trunk: Callable, name: str) -> None:
    model, plan = trunk(name), time_plan(name)
    seen = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv3D):
            tag = layer.name.split("_")[1]
            one_by_one = "Mixed" in layer.name and "1x1" in layer.name
            expected = 1 if one_by_one else plan.conv.get(tag, 1)
            stride = plan.stride.get(tag, 1)
        elif isinstance(layer, keras.layers.MaxPooling3D):
            tag = layer.name.split("_")[1]
            expected = plan.pool.get(tag, 1)
            stride = 1 if "Mixed" in layer.name else plan.stride.get(tag, 1)
        else:
            continue
        assert time_of(model, layer.name) == (expected, stride), layer.name
        seen += 1
    assert seen == 57 + 13


def test_a_separable_unit_is_space_then_time_and_ends_in_the_bare_scope(trunk: Callable) -> None:
    model = trunk("s3d")
    names = [layer.name for layer in model.layers]
    for tag in CONV_TAGS:
        row = next(row for row in architecture.ROWS if row.tag == tag)
        scopes = [row.scope]
        if isinstance(row, Mixed):
            scopes = [f"{row.scope}__Branch_1__Conv3d_0b_3x3"]
            scopes += [f"{row.scope}__Branch_2__Conv3d_{row.branch_2_spelling}_3x3"]
        for scope in scopes:
            spatial, pair = model.get_layer(f"{scope}__conv_3d"), f"{scope}__temporal__conv_3d"
            extent = I3D_PLAN.conv.get(tag, 1)
            if extent == 1:
                assert pair not in names
                continue
            temporal = model.get_layer(pair)
            assert spatial.kernel_size[0] == spatial.strides[0] == 1
            assert temporal.kernel_size == (extent, 1, 1)
            assert temporal.strides == (I3D_PLAN.stride.get(tag, 1), 1, 1)
            place = names.index(pair)
            assert names.index(f"{scope}__conv_3d") < place < names.index(scope)
            assert {f"{scope}__batch_norm", f"{scope}__temporal__batch_norm", f"{scope}__spatial"} <= set(names)
            assert model.get_layer(scope).output.shape == temporal.output.shape
    assert isinstance(architecture.ROWS[0], Conv)
    assert model.get_layer("Conv3d_1a_7x7__conv_3d").strides == (1, 2, 2)


def test_gates_weigh_every_branch_by_the_mean_of_all_its_channels(trunk: Callable, noise: Callable) -> None:
    gated = {layer.name for layer in trunk("s3d_g").layers[1:]} - {layer.name for layer in trunk("s3d").layers}
    scopes = {f"{tag}__Branch_{place}__gating" for tag in (f"Mixed_{tag}" for tag in MIXED_TAGS) for place in range(4)}
    assert gated == {f"{scope}{part}" for scope in scopes for part in ("", "__avg_pool", "__conv_3d")}
    inputs = keras.Input((None, None, None, 4))
    model = keras.Model(inputs, inception.gate(inputs, "x"))
    x = noise(2, 3, 4, 5, 4)
    kernel, bias = (variable.numpy() for variable in model.get_layer("x__conv_3d").weights)
    weights = 1 / (1 + np.exp(-(x.mean((1, 2, 3)) @ kernel[0, 0, 0] + bias)))
    np.testing.assert_allclose(model(x), x * weights[:, None, None, None], atol=1e-6)


def test_gated_branches_are_what_the_block_joins(trunk: Callable) -> None:
    joined = [tensor._keras_history.operation.name for tensor in trunk("s3d_g").get_layer("Mixed_4c").input]
    assert joined == [f"Mixed_4c__Branch_{place}__gating" for place in range(4)]


@pytest.mark.parametrize("name", ["i3d", "s3d_g", "top_heavy:4b"])
def test_with_edges_repeated_a_still_clip_gives_the_same_at_every_step_of_every_end_point(
    name: str, enliven: Callable, noise: Callable
) -> None:
    plan = TimePlan(**{**vars(time_plan(name)), "padding": "edge"})
    inputs = keras.Input((None, 33, 32, 3))
    x = Trunk(plan)(inputs)
    names = [row.scope for row in architecture.ROWS]
    model = keras.Model(inputs, x)
    model = enliven(keras.Model(inputs, [model.get_layer(end).output for end in names]))
    still = np.repeat(noise(1, 1, 33, 32, 3), 17, axis=1)
    for end, output in zip(names, model(still), strict=True):
        output = np.asarray(output)
        assert output.std() > 1e-3, end
        # the same sums, whose order may differ from step to step
        assert np.abs(output - output[:, :1]).max() <= 1e-5 * np.abs(output).max(), end


def test_with_zeros_the_ends_of_a_still_clip_differ(enliven: Callable, noise: Callable) -> None:
    inputs = keras.Input((9, 32, 32, 3))
    trunk = keras.Model(inputs, Trunk(I3D_PLAN)(inputs))
    model = enliven(keras.Model(inputs, trunk.get_layer("Conv3d_1a_7x7").output))
    output = np.asarray(model(np.repeat(noise(1, 1, 32, 32, 3), 9, axis=1)))
    assert np.abs(output[:, 0] - output[:, 2]).max() > 0.1 * np.abs(output).max()
