import keras
import pytest

from keras_i3d.models import costs
from keras_i3d.models.c3d import C3D
from keras_i3d.models.convnet_lstm import UNITS
from keras_i3d.models.i3d import I3D
from keras_i3d.models.inception_v1 import InceptionV1
from keras_i3d.models.networks import NETWORKS
from keras_i3d.models.two_stream import TwoStream


def test_parameters_are_the_papers(built) -> None:
    name, model = built
    trainable, every = costs.parameters(model)
    paper = NETWORKS[name].million_parameters
    if paper is not None:
        assert -0.5 <= trainable / 1e6 - paper <= 1
    if name == "i3d":
        assert (trainable, every) == (12_689_984, 12_704_544)
    if name == "two_stream_i3d":
        assert trainable == 12_689_984 + 12_668_032
    assert trainable < every


def test_flops_are_those_that_tensorflow_counts(built) -> None:
    import tensorflow as tf
    from tensorflow.python.framework import ops

    name, model = built
    signature = {tensor.name: tf.TensorSpec((1, *tensor.shape[1:])) for tensor in model.inputs}
    inputs = signature if len(signature) > 1 else next(iter(signature.values()))
    traced = tf.function(lambda x: model(x)).get_concrete_function(inputs).graph
    kinds = ("Conv2D", "Conv3D", "MatMul", "BatchMatMul", "BatchMatMulV2")
    counted = sum(
        int(ops.get_stats_for_node_def(traced, operation.node_def, "flops").value or 0)
        for operation in traced.get_operations()
        if operation.type in kinds
    )
    if name == "convnet_lstm":
        steps = model.get_layer("LSTM").output.shape[1]
        counted += steps * 2 * UNITS * 4 * UNITS  # the recurrent matrix, in a loop that TensorFlow does not look into
    assert costs.flops(model) == counted
    if name == "i3d":
        # Xie et al. 2018, table 1, has 107.9 billion multiply-adds
        assert counted == 222_306_287_616 == pytest.approx(2 * 107.9e9, rel=0.035)


@pytest.mark.parametrize(
    ("builder", "multiply_adds"),
    [("ResNet50", 3.8e9), ("MobileNet", 569e6)],  # He et al. 2016, table 1; Howard et al. 2017, table 8
)
def test_other_networks_cost_what_their_papers_say(builder: str, multiply_adds: float) -> None:
    model = getattr(keras.applications, builder)(weights=None)
    assert costs.flops(model) / 2 == pytest.approx(multiply_adds, rel=0.025)


def small(*more: keras.Layer) -> keras.Model:
    x = inputs = keras.Input((8, 8, 3), name="rgb")
    for layer in more:
        x = layer(x)
    return keras.Model(inputs, x)


def test_memory_is_what_the_backward_pass_keeps() -> None:
    model = small(
        keras.layers.Conv2D(4, 3, padding="same", use_bias=False),
        keras.layers.BatchNormalization(scale=False),
        keras.layers.ReLU(),
        keras.layers.MaxPooling2D(2),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(5),
    )
    kept = 8 * 8 * 3 + 8 * 8 * 4 + 8 * 8 * 4 + 4 * 4 * 4 + 4
    weights = 3 * 3 * 3 * 4 + 4 + 4 * 5 + 5
    sgd, adam = (costs.training_memory(model, optimiser=name) for name in ("sgd", "adam"))
    assert sgd.per_clip == adam.per_clip == 4 * (kept + costs.IN_FLIGHT * 8 * 8 * 4)
    assert (sgd.fixed, adam.fixed) == (4 * (3 * weights + 8), 4 * (4 * weights + 8))
    assert adam.total(3) == adam.fixed + 3 * adam.per_clip


@pytest.mark.parametrize(
    ("builder", "options", "measured"),
    [
        # megabytes by which the peak resident memory of a training process rose with each clip (TensorFlow 2.21, CPU)
        (I3D, {"input_shape": (16, 112, 112, 3)}, 107),
        (I3D, {"input_shape": (32, 224, 224, 3)}, 680),
        (C3D, {}, 399),
        (TwoStream, {}, 93),
        (InceptionV1, {}, 56),
    ],
    ids=["i3d-16x112", "i3d-32x224", "c3d", "two_stream", "inception_v1"],
)
def test_the_estimate_is_near_what_was_measured(builder, options, measured: float) -> None:
    estimate = costs.training_memory(builder(weights=None, **options)).per_clip / 1e6
    assert estimate == pytest.approx(measured, rel=0.2)


def test_memory_grows_with_the_clip_alone() -> None:
    short, long = (costs.training_memory(I3D(weights=None, input_shape=(frames, 64, 64, 3))) for frames in (16, 64))
    assert short.fixed == long.fixed
    assert long.per_clip == pytest.approx(4 * short.per_clip, rel=0.01)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda: costs.flops(small(keras.layers.Conv2DTranspose(4, 3, name="up"))),
            r"the FLOPs of layer 'up' \(Conv2DTranspose, with up/kernel\) are not known",
        ),
        (
            lambda: costs.training_memory(small(), optimiser="lion"),
            "unknown optimiser 'lion'; known: sgd, adam",
        ),
    ],
)
def test_what_cannot_be_told_is_refused(ask, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ask()
