import keras
import numpy as np
import pytest
from keras import layers

from keras_i3d.inflation.boring_video import boring_video_error
from keras_i3d.inflation.inflate import inflate

# rounding of a few dozen layers of float32
TOLERANCE = 1e-5


def enliven(model: keras.Model, seed: int = 0) -> keras.Model:
    """Give a network's batch norms statistics and scales that are not the fresh ones."""
    draw = np.random.default_rng(seed)
    ranges = {"gamma": (0.5, 1.5), "beta": (-0.2, 0.2), "moving_mean": (-0.2, 0.2), "moving_variance": (0.5, 1.5)}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            enliven(layer, seed + 1)
        elif isinstance(layer, layers.BatchNormalization):
            for variable in layer.weights:
                variable.assign(draw.uniform(*ranges[variable.name], variable.shape))
    return model


def image_of(model: keras.Model) -> np.ndarray:
    return np.random.default_rng(2).uniform(-1, 1, model.inputs[0].shape[1:]).astype(np.float32)


@pytest.fixture(scope="module")
def resnet():
    return enliven(keras.applications.ResNet50(weights=None, input_shape=(64, 64, 3), classes=30))


@pytest.mark.parametrize("options", [{}, {"extent": 4}, {"method": "centre"}])
def test_resnet50_keeps_its_fixed_point_everywhere_with_edges(resnet, options) -> None:
    video_network = inflate(resnet, padding="edge", **options)
    assert video_network.input.shape == (None, None, 64, 64, 3)
    assert video_network.output.shape == (None, 30)
    error = boring_video_error(resnet, video_network, image_of(resnet), frames=5)
    assert len(error.layers) > 170
    assert min(row.largest for row in error.layers) > 1e-3
    assert error.everywhere <= TOLERANCE


def test_resnet50_keeps_its_fixed_point_inside_with_zeros(resnet) -> None:
    video_network = inflate(resnet)
    kernel = video_network.get_layer("conv2_block1_2_conv").kernel
    assert kernel.shape == (3, 3, 3, 64, 64)
    assert video_network.get_layer("conv2_block1_1_conv").kernel.shape == (1, 1, 1, 64, 64)
    assert not any(type(layer).__module__.startswith("keras_i3d") for layer in video_network.layers)
    error = boring_video_error(resnet, video_network, image_of(resnet))
    assert error.of("conv5_block3_out").interior_steps >= 1
    assert error.interior <= TOLERANCE
    assert error.of("conv5_block3_out").everywhere > 0.01  # the zeros do reach the ends


def small_network() -> keras.Model:
    """Return a network with every kind of layer that is supported, in two nested parts."""
    inner = keras.Sequential(
        [
            layers.Input((None, None, 8)),
            layers.DepthwiseConv2D(3, depth_multiplier=2, name="inner_depthwise"),
            layers.LayerNormalization(axis=3, name="inner_norm"),
            layers.SpatialDropout2D(0.5, name="inner_dropout"),
        ],
        name="inner",
    )
    inputs = keras.Input((20, 24, 3), name="rgb")
    x = layers.Rescaling(2.0, name="rescaling")(inputs)
    normalise = layers.Normalization(axis=3, name="normalization")
    normalise.adapt(np.random.default_rng(1).normal(0.1, 2, (2, 20, 24, 3)))
    x = layers.ZeroPadding2D(((1, 2), (0, 1)), name="pad")(normalise(x))
    x = layers.Conv2D(8, (3, 5), strides=2, name="valid")(x)
    x = layers.BatchNormalization(axis=3, name="norm")(x)
    dilated = layers.Conv2D(8, 3, dilation_rate=2, padding="same", groups=2, activation="relu", name="dilated")(x)
    pools = [
        layers.MaxPooling2D(3, strides=1, padding="same", name="max")(x),
        layers.AveragePooling2D(3, strides=1, padding="same", name="average")(dilated),
    ]
    x = layers.Add(name="add")(pools)
    branches = [layers.LeakyReLU(name="leaky")(x), layers.Activation("tanh", name="tanh")(x)]
    x = layers.Conv2D(8, 1, name="pointwise")(layers.Concatenate(axis=3, name="concatenate")(branches))
    x = inner(x)
    gates = layers.GlobalAveragePooling2D(name="squeeze")(x)
    gates = layers.Reshape((1, 1, 16), name="reshape")(gates)
    x = layers.Multiply(name="excite")([x, layers.Conv2D(16, 1, activation="sigmoid", name="gate")(gates)])
    x = layers.UpSampling2D(2, name="up")(layers.Cropping2D(1, name="crop")(x))
    x = layers.GlobalMaxPooling2D(keepdims=True, name="head_pool")(x)
    x = layers.Reshape((16,), name="vector")(x)
    x = layers.Dropout(0.5, name="dropout")(x)
    return keras.Model(inputs, layers.Dense(5, activation="softmax", name="answers")(x), name="small")


@pytest.fixture(scope="module")
def small():
    return enliven(small_network())


@pytest.mark.parametrize("extent", [1, 2, 3, lambda layer: 2])
def test_every_supported_layer_keeps_the_fixed_point_with_edges(small, extent) -> None:
    video_network = inflate(small, extent=extent, padding="edge", frames=4)
    assert video_network.input.shape == (None, 4, 20, 24, 3)
    assert video_network.input.name == "rgb"
    error = boring_video_error(small, video_network, image_of(small))
    assert {"valid", "dilated", "inner", "excite", "vector", "answers"} <= {row.layer for row in error.layers}
    assert error.everywhere <= TOLERANCE
    assert error.of("inner").interior_steps == 4


def test_temporal_strides_and_extents_are_told_by_name(small) -> None:
    video_network = inflate(
        small, extent={"valid": 5, "max": 3, "pointwise": 2}, time_strides={"valid": 2}, padding="edge", frames=7
    )
    assert video_network.get_layer("valid").kernel.shape == (5, 3, 5, 3, 8)
    assert video_network.get_layer("valid").output.shape[1] == 4
    assert video_network.get_layer("dilated").kernel.shape[0] == 1
    assert video_network.get_layer("pointwise").kernel.shape[0] == 2
    assert video_network.get_layer("max").pool_size == (3, 3, 3)
    assert boring_video_error(small, video_network, image_of(small)).everywhere <= TOLERANCE


def test_a_valid_pool_and_a_stride_in_time_keep_the_fixed_point_inside_with_zeros() -> None:
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, strides=2, name="conv")(inputs)
    flat = keras.Model(inputs, layers.AveragePooling2D(3, strides=2, name="pool")(x))
    deep = inflate(flat, extent={"conv": 3, "pool": 3}, time_strides={"conv": 2, "pool": 2}, frames=12)
    assert deep.output.shape[1] == 3
    error = boring_video_error(flat, deep, image_of(flat))
    assert 0 < error.of("conv").interior_steps < error.of("conv").steps == 6
    assert error.interior <= TOLERANCE < error.everywhere


def test_a_depthwise_stack_of_mobilenet_inflates() -> None:
    flat = enliven(keras.applications.MobileNet(weights=None, input_shape=(32, 32, 3), alpha=0.25, classes=7))
    error = boring_video_error(flat, inflate(flat, padding="edge"), image_of(flat), frames=2)
    assert error.everywhere <= TOLERANCE


def test_an_inflated_network_is_saved_and_loaded(small, tmp_path) -> None:
    for padding in ("zeros", "edge"):
        network = inflate(small, padding=padding)
        network.save(tmp_path / "deep.keras")
        again = keras.saving.load_model(tmp_path / "deep.keras", safe_mode=True)
        video = np.random.default_rng(0).uniform(-1, 1, (1, 6, 20, 24, 3)).astype(np.float32)
        np.testing.assert_allclose(again(video), network(video), atol=1e-6)


def test_the_source_is_left_as_it_was(small) -> None:
    before = small(image_of(small)[np.newaxis])
    nodes = [len(layer._inbound_nodes) for layer in small.layers]
    inflate(small)
    assert [len(layer._inbound_nodes) for layer in small.layers] == nodes
    assert np.array_equal(small(image_of(small)[np.newaxis]), before)


def network_ending_in(layer: layers.Layer, *, data_format: str | None = None) -> keras.Model:
    inputs = keras.Input((8, 8, 4))
    x = layers.Conv2D(4, 1, name="conv", data_format=data_format)(inputs)
    return keras.Model(inputs, layer(x), name="flat")


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (
            lambda: network_ending_in(layers.Flatten(name="flat")),
            {},
            r"layer flat: Flatten cannot be inflated; supported are the layers Activation, Add, .*DepthwiseConv2D",
        ),
        (
            lambda: network_ending_in(layers.Conv2DTranspose(4, 3, name="up")),
            {},
            "layer up: Conv2DTranspose cannot be inflated",
        ),
        (
            lambda: network_ending_in(lambda x: x + 1.0),
            {},
            r"layer add.*: the operation keras\.ops Add cannot be inflated",
        ),
        (
            lambda: network_ending_in(layers.Reshape((64, 4), name="tokens")),
            {},
            r"layer tokens: only a vector and a map of one place can be reshaped into each other, got \(8, 8, 4\) to",
        ),
        (
            lambda: network_ending_in(layers.UpSampling2D(interpolation="bilinear", name="up")),
            {},
            "layer up: only the nearest interpolation is there in 3-D",
        ),
        (
            lambda: network_ending_in(layers.Identity(), data_format="channels_first"),
            {},
            "layer conv: channels must be last, got data_format='channels_first'",
        ),
        (small_network, {"padding": "reflect"}, "padding must be 'zeros' or 'edge', got 'reflect'"),
        (small_network, {"frames": 0}, "frames must be an integer of at least 1, got 0"),
        (small_network, {"extent": 0}, "extent must be an integer of at least 1, got 0"),
        (small_network, {"extent": {"valid": 0}}, r"extent\['valid'\] must be an integer of at least 1, got 0"),
        (small_network, {"extent": {"vald": 3}}, "extent: small has no convolution or pool 'vald'; it has average, d"),
        (small_network, {"time_strides": {"norm": 2}}, "time_strides: small has no convolution or pool 'norm'; it has"),
        (
            small_network,
            {"extent": lambda layer: 0},
            "extent of valid must be an integer of at least 1, got 0",
        ),
        (
            lambda: keras.Model(x := keras.Input((4, 8, 8, 3)), layers.Conv3D(2, 1)(x), name="deep"),
            {},
            r"deep: a network to inflate has one input \(batch, height, width, channels\), got \(None, 4, 8, 8, 3\)",
        ),
        (
            lambda: keras.Sequential([layers.Conv2D(2, 1)], name="unbuilt"),
            {},
            "unbuilt: a network to inflate is functional or sequential and built, got Sequential",
        ),
    ],
)
def test_what_cannot_be_inflated_is_named_with_what_can(model, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        inflate(model(), **options)
