import logging

import keras
import numpy as np
import pytest
from keras import layers

from keras_i3d.errors import CheckpointMismatch
from keras_i3d.inflation.inflate import inflate
from keras_i3d.inflation.kernels import flow_stem, inflate_kernel
from keras_i3d.inflation.weights import counterpart
from keras_i3d.models.convnet_lstm import ConvNetLSTM
from keras_i3d.models.i3d import I3D
from keras_i3d.models.inception_v1 import InceptionV1
from keras_i3d.models.two_stream_i3d import TwoStreamI3D

CLASSIFIER = "Logits__Conv3d_0c_1x1__conv_3d"
FLAT_CLASSIFIER = "Logits__Conv2d_0c_1x1__conv_2d"
SMALL = (1, 32, 32, 3)


def values(layer: layers.Layer) -> list[np.ndarray]:
    return [np.array(variable) for variable in layer.weights]


def test_names_of_two_and_three_dimensions_meet() -> None:
    names = {"Mixed_3b__Branch_0__Conv2d_0a_1x1__conv_2d", "conv1"}
    assert counterpart("Mixed_3b__Branch_0__Conv3d_0a_1x1__conv_3d", names) in names
    assert counterpart("conv1", names) == "conv1"
    assert counterpart("conv2", names) is None


def test_every_convolution_and_batch_norm_of_i3d_gets_the_sources(source) -> None:
    target = I3D(weights=None, input_shape=SMALL, classes=1001)
    inflate(source, target, method="centre")
    flat = {layer.name: layer for layer in source.layers}
    compared = 0
    for layer in target.layers:
        if isinstance(layer, layers.Conv3D):
            own = np.array(flat[counterpart(layer.name, flat)].kernel)
            assert np.array_equal(layer.kernel, inflate_kernel(own, layer.kernel.shape[0], "centre")), layer.name
        elif isinstance(layer, layers.BatchNormalization):
            its = values(flat[counterpart(layer.name, flat)])
            assert all(np.array_equal(a, b) for a, b in zip(values(layer), its, strict=True)), layer.name
        else:
            continue
        compared += 1
    assert compared == 115


@pytest.mark.parametrize("classes", [1001, 1000])
def test_the_classifier_is_carried_without_the_background_where_the_target_has_none(source, classes, caplog) -> None:
    target = I3D(weights=None, input_shape=SMALL, classes=classes)
    inflate(source, target)
    kernel, bias = values(target.get_layer(CLASSIFIER))
    own_kernel, own_bias = values(source.get_layer(FLAT_CLASSIFIER))
    assert np.array_equal(kernel[0], own_kernel[..., 1001 - classes :])
    assert np.array_equal(bias, own_bias[1001 - classes :])
    assert caplog.records == []


def test_another_number_of_classes_leaves_the_last_layer_new_and_says_so(source, caplog) -> None:
    target = I3D(weights=None, input_shape=SMALL, classes=400)
    before = values(target.get_layer(CLASSIFIER))
    inflate(source, target)
    assert all(np.array_equal(a, b) for a, b in zip(values(target.get_layer(CLASSIFIER)), before, strict=True))
    assert target.get_layer("Mixed_5c__Branch_0__Conv3d_0a_1x1__batch_norm").beta.numpy().any()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        f"i3d: inception_v1 has 1001 classes, the network 400: its last layer ({CLASSIFIER}) stays new"
    )


def test_a_target_without_top_ignores_the_classifier(source, caplog) -> None:
    inflate(source, I3D(False, None, input_shape=SMALL))
    assert caplog.records == []


def test_a_source_without_top_leaves_the_targets_classifier_and_says_so(caplog) -> None:
    inflate(InceptionV1(False, None, input_shape=(32, 32, 3)), I3D(weights=None, input_shape=SMALL))
    assert f"1 layers have no 2-D counterpart and stay as they are: {CLASSIFIER}" in caplog.text


def test_the_flow_stem_is_made_from_the_rgb_stem(source) -> None:
    target = I3D(weights=None, input_shape=(1, 32, 32, 2), modality="flow", classes=1001)
    inflate(source, target)
    own = np.array(source.get_layer("Conv2d_1a_7x7__conv_2d").kernel)
    kernel = target.get_layer("Conv3d_1a_7x7__conv_3d").kernel
    assert np.array_equal(kernel, inflate_kernel(flow_stem(own, 2), 7))


def test_both_streams_of_a_network_are_inflated(source) -> None:
    target = TwoStreamI3D(weights=None, input_shape=SMALL[:-1], classes=1001)
    inflate(source, target)
    for stream, channels in (("rgb_stream", 3), ("flow_stream", 2)):
        network = target.get_layer(stream)
        assert network.get_layer("Conv3d_1a_7x7__conv_3d").kernel.shape[3] == channels
        norm = network.get_layer("Mixed_5c__Branch_3__Conv3d_0b_1x1__batch_norm")
        own = source.get_layer("Mixed_5c__Branch_3__Conv2d_0b_1x1__batch_norm")
        assert all(np.array_equal(a, b) for a, b in zip(values(norm), values(own), strict=True))


def test_a_trunk_under_another_head_is_inflated_and_the_head_named(source, caplog) -> None:
    target = ConvNetLSTM(input_shape=(2, 32, 32, 3), classes=5)
    inflate(source, target)
    frame = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 3)).astype(np.float32)
    flat = keras.Model(source.input, source.get_layer("Mixed_5c").output)(frame)
    deep = keras.Model(target.input, target.get_layer("Mixed_5c").output)(np.stack([frame, frame], axis=1))
    np.testing.assert_allclose(deep[:, 1], flat, atol=1e-5 * np.abs(flat).max())
    assert "2 layers have no 2-D counterpart and stay as they are: LSTM, Logits__dense" in caplog.text


@pytest.mark.parametrize("method", ["repeat", "centre"])
def test_a_split_convolution_begins_as_an_identity_in_time(source, method) -> None:
    target = I3D(weights=None, input_shape=SMALL, classes=1001, time_plan="s3d")
    inflate(source, target, method=method)
    scope = "Mixed_4c__Branch_1__Conv3d_0b_3x3"
    own = np.array(source.get_layer("Mixed_4c__Branch_1__Conv2d_0b_3x3__conv_2d").kernel)
    assert np.array_equal(target.get_layer(f"{scope}__conv_3d").kernel[0], own)
    kernel = np.array(target.get_layer(f"{scope}__temporal__conv_3d").kernel)[:, 0, 0]
    assert np.array_equal(kernel[1], np.eye(224, dtype=np.float32) / np.float32(3 if method == "repeat" else 1))
    assert np.array_equal(kernel[0], kernel[1] if method == "repeat" else np.zeros_like(kernel[1]))
    norm = target.get_layer(f"{scope}__temporal__batch_norm")
    x = np.random.default_rng(0).normal(size=(1, 2, 3, 4, 224)).astype(np.float32)
    np.testing.assert_allclose(norm(x), x, rtol=1e-6)


def test_gates_stay_new_and_are_named(source, caplog) -> None:
    target = I3D(weights=None, input_shape=SMALL, classes=1001, time_plan="s3d_g")
    gate = target.get_layer("Mixed_3b__Branch_0__gating__conv_3d")
    before = values(gate)
    inflate(source, target)
    assert all(np.array_equal(a, b) for a, b in zip(values(gate), before, strict=True))
    assert "i3d: 36 layers are gates and stay new: Mixed_3b__Branch_0__gating__conv_3d, " in caplog.text


def test_a_network_of_images_may_be_the_target_too(source) -> None:
    target = keras.models.clone_model(
        InceptionV1(weights=None, input_shape=(32, 32, 3)), keras.Input((32, 32, 20), name="flow")
    )
    inflate(source, target)
    own = np.array(source.get_layer("Conv2d_1a_7x7__conv_2d").kernel)
    assert np.array_equal(target.get_layer("Conv2d_1a_7x7__conv_2d").kernel, flow_stem(own, 20))


def stack(rank: int, channels: int = 4, size: int = 3, name: str = "second", **options) -> keras.Model:
    """Return two convolutions and a batch norm of images (rank 2) or videos (rank 3)."""
    convolution = {2: layers.Conv2D, 3: layers.Conv3D}[rank]
    inputs = keras.Input((8,) * rank + (3,))
    x = convolution(4, 3, padding="same", name="first")(inputs)
    x = convolution(channels, size, padding="same", name=name)(x)
    return keras.Model(inputs, layers.BatchNormalization(name="norm", **options)(x), name=f"net_{rank}d")


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        (
            {"size": 5},
            r"layer second: kernel received \[3, 3, 4, 4\], wanted \[5, 5, 5, 4, 4\]; nothing was changed",
        ),
        (
            {"channels": 6},
            r"layer second: kernel received \[3, 3, 4, 4\], wanted \[3, 3, 3, 4, 6\]; layer second: bias",
        ),
        (
            {"scale": False},
            "layer norm: received beta, gamma, moving_mean, moving_variance, wanted beta, moving_mean, m",
        ),
        ({"epsilon": 1e-5}, r"layer norm: received epsilon 0\.001, wanted 1e-05"),
        ({"name": "secnod"}, "net_3d cannot be inflated from net_2d: second of net_2d is not in net_3d; nothing was"),
    ],
)
def test_what_does_not_fit_is_refused_whole(target, complaint) -> None:
    flat, deep = stack(2), stack(3, **target)
    before = deep.get_weights()
    with pytest.raises(CheckpointMismatch, match=complaint):
        inflate(flat, deep)
    assert all(np.array_equal(a, b) for a, b in zip(deep.get_weights(), before, strict=True))


def test_a_network_of_other_names_is_refused(source) -> None:
    with pytest.raises(
        CheckpointMismatch, match=r"net_3d .* from inception_v1: no layer of net_3d bears a name of inc"
    ):
        inflate(source, stack(3))


def test_a_temporal_half_that_cannot_be_an_identity_is_refused() -> None:
    inputs = keras.Input((8, 8, 3))
    flat = keras.Model(inputs, layers.Conv2D(4, 3, name="A__conv_2d")(inputs), name="flat")
    inputs = keras.Input((4, 8, 8, 3))
    x = layers.Conv3D(4, (1, 3, 3), name="A__conv_3d")(inputs)
    deep = keras.Model(inputs, layers.Conv3D(5, (3, 1, 1), name="A__temporal__conv_3d")(x), name="deep")
    with pytest.raises(
        CheckpointMismatch, match=r"A__temporal__conv_3d: received an identity in time, \[t, 1, 1, n, n\],"
    ):
        inflate(flat, deep)


def test_a_source_of_two_streams_is_asked_for_stream_by_stream(source) -> None:
    two = keras.Model(
        inputs := [keras.Input((32, 32, 3), name="a"), keras.Input((32, 32, 3), name="b")],
        layers.Add()([keras.Model(source.input, source.output, name=x.name + "_stream")(x) for x in inputs]),
        name="two",
    )
    with pytest.raises(
        ValueError, match=r"two: a network to inflate has one input, got 2; of a network of several streams"
    ):
        inflate(two, I3D(weights=None, input_shape=SMALL))
