"""The layers that are kept in float32 on CPUs are checked against float32 itself, one by one and together."""

from collections.abc import Iterator

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_i3d.models import networks
from keras_i3d.models.graph import graph
from keras_i3d.models.i3d import I3D
from keras_i3d.models.inception import BatchNorm, conv_unit
from keras_i3d.training import precision
from keras_i3d.training.precision import Choice, Gpu

AMPERE, VOLTA, PASCAL, OTHER = (
    Gpu("A100", (8, 0)),
    Gpu("V100", (7, 0)),
    Gpu("P100", (6, 0)),
    Gpu("MI250", None),
)


@pytest.mark.parametrize(
    ("wanted", "gpus", "expected"),
    [
        ("auto", [AMPERE, AMPERE], Choice("mixed_bfloat16", "computing in bfloat16: it is native on A100", False)),
        (
            "auto",
            [AMPERE, VOLTA],
            Choice(
                "mixed_float16",
                "computing in float16: it is native (bfloat16 is not), the loss is scaled on A100 and V100",
                False,
            ),
        ),
        ("auto", [PASCAL], Choice("float32", "computing in float32: no shorter dtype is fast on P100", False)),
        ("auto", [OTHER], Choice("float32", "computing in float32: no shorter dtype is fast on MI250", False)),
        ("auto", [], Choice("float32", "", True)),
        ("float32", [AMPERE], Choice("float32", "", False)),
        ("float16", [AMPERE], Choice("mixed_float16", "", False)),
        ("bfloat16", [], Choice("mixed_bfloat16", "", True)),
        ("float32", [], Choice("float32", "", True)),
    ],
)
def test_the_precision_suits_the_devices(wanted, gpus, expected) -> None:
    assert precision.choose(wanted, gpus) == expected


@pytest.mark.parametrize(
    ("wanted", "gpus", "policy", "reason"),
    [
        (
            "float16",
            [],
            "float32",
            "computing in float32, not in float16: TensorFlow has no float16 kernel for 3-D pooling on CPUs",
        ),
        (
            "bfloat16",
            [VOLTA],
            "mixed_float16",
            "computing in float16, not in bfloat16, for which V100 has no fast arithmetic",
        ),
        (
            "float16",
            [PASCAL],
            "float32",
            "computing in float32, not in float16, for which P100 has no fast arithmetic",
        ),
    ],
)
def test_a_wish_that_cannot_be_computed_is_told(wanted, gpus, policy, reason) -> None:
    choice = precision.choose(wanted, gpus)
    assert (choice.policy, choice.reason) == (policy, reason)


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown precision 'half'; known: auto, float32, bfloat16, float16"):
        precision.choose("half")


def test_the_choice_is_made_for_what_tensorflow_sees() -> None:
    gpus = precision.visible_gpus()
    assert len(gpus) == len(tf.config.get_visible_devices("GPU"))
    assert precision.choose("auto") == precision.choose("auto", gpus)


def build(name: str, frames: int, size: int, **options) -> keras.Model:
    modality = networks.network(name).modality
    return networks.build(name, modality=modality, frames=frames, size=size, classes=5, **options)


def layers_of(network: keras.Model) -> list[tuple[str, str]]:
    return sorted(
        (layer.name, layer.dtype_policy.name)
        for layer in network._flatten_layers(include_self=False)
        if not isinstance(layer, keras.Model | keras.layers.InputLayer)
    )


NETWORKS = [
    ("i3d", 9, 32),
    ("convnet_lstm", 10, 32),
    *(
        pytest.param(*one, marks=[pytest.mark.slow, pytest.mark.by_hand])
        for one in (("two_stream_i3d", 9, 32), ("two_stream", 10, 32), ("c3d", 16, 32), ("fused_two_stream", 50, 129))
    ),
]


@pytest.mark.parametrize(("name", "frames", "size"), NETWORKS)
def test_a_prepared_network_is_what_keras_builds_under_the_policy(name: str, frames: int, size: int) -> None:
    network = build(name, frames, size)
    shapes = networks.input_shapes(name, networks.network(name).modality, frames=frames, size=size)
    copy = precision.prepared(network, "mixed_bfloat16", shapes, on_cpu=False)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        expected = build(name, frames, size)
    finally:
        keras.config.set_dtype_policy("float32")
    assert layers_of(copy) == layers_of(expected)
    assert {output.dtype for output in copy.outputs} == {"float32"}
    assert [variable.path for variable in copy.trainable_variables] == [
        variable.path for variable in network.trainable_variables
    ]
    for ours, theirs in zip(copy.variables, network.variables, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


@pytest.fixture(scope="module")
def small() -> keras.Model:
    """Return I3D for clips of any length and size."""
    return I3D(weights=None, input_shape=(None, None, None, 3), classes=5)


def test_a_network_that_needs_no_change_is_left_alone(small) -> None:
    assert precision.prepared(small, "float32", on_cpu=True) is small


def test_batch_norms_of_a_copy_can_be_synchronised(small) -> None:
    small.get_layer("Mixed_3b__Branch_0__Conv3d_0a_1x1__conv_3d").trainable = False
    try:
        copy = precision.prepared(small, "float32", on_cpu=True, synchronized=True)
    finally:
        small.get_layer("Mixed_3b__Branch_0__Conv3d_0a_1x1__conv_3d").trainable = True
    norms = [layer for layer in copy.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(norms) == 57 and all(norm.synchronized for norm in norms)
    assert not any(layer.synchronized for layer in small.layers if isinstance(layer, keras.layers.BatchNormalization))
    assert [layer.name for layer in copy.layers if not layer.trainable] == [
        "Mixed_3b__Branch_0__Conv3d_0a_1x1__conv_3d"
    ]
    clip = np.random.default_rng(0).uniform(-1, 1, (1, 9, 32, 32, 3)).astype("float32")
    np.testing.assert_array_equal(copy(clip), small(clip))
    assert precision.prepared(copy, "float32", on_cpu=True, synchronized=True) is copy


LAST = {f"{block}__Branch_{branch}" for block in ("Mixed_5b", "Mixed_5c") for branch in (1, 2)}


@pytest.mark.parametrize(
    ("frames", "size", "expected"),
    [
        (9, 32, LAST),  # 3x3x3 convolutions that see two steps
        (16, 224, LAST),
        (64, 224, set()),
        (7, 64, {"Conv3d_1a_7x7", "Mixed_4b", "Mixed_4c", "Mixed_4d", "Mixed_4e", "Mixed_4f", "Mixed_5b", "Mixed_5c"}),
        (64, 7, {"Conv3d_1a_7x7"}),
    ],
)
def test_only_what_cpus_get_wrong_stays_in_float32(small, frames: int, size: int, expected: set[str]) -> None:
    whole = graph(small, {"rgb": (frames, size, size, 3)})
    wrong = {step.name for step in whole.steps if precision.wrong_on_cpus(step)}
    assert {next((one for one in expected if name.startswith(f"{one}__")), name) for name in wrong} == expected


def convolutions(network: keras.Model, shapes: dict[str, tuple[int, ...]]) -> Iterator[tuple[str, tuple, tuple]]:
    """Yield the name and the shapes of input and output of one convolution of each kind that computes in bfloat16."""
    seen = set()
    for step in graph(network, shapes).steps:
        if isinstance(step.layer, keras.layers.Conv3D) and step.layer.compute_dtype == "bfloat16":
            kind = (step.layer.kernel_size, step.layer.strides, step.inputs[0].shape, step.layer.filters)
            if kind not in seen:
                seen.add(kind)
                yield step.name, step.inputs[0].shape, step.outputs[0].shape


def gradients_of_layer(layer: keras.Layer, given: np.ndarray, outer: np.ndarray) -> list[np.ndarray]:
    x = tf.cast(given, layer.compute_dtype)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    gradients = tape.gradient(y, [x, layer.kernel.value], tf.cast(outer, y.dtype))
    return [tf.cast(value, tf.float32).numpy() for value in (y, *gradients)]


@pytest.mark.parametrize(
    ("name", "frames", "size"),
    [
        ("i3d", 9, 32),
        ("i3d", 16, 32),
        *(
            pytest.param(*one, marks=[pytest.mark.slow, pytest.mark.by_hand])
            for one in (("i3d", 16, 64), ("i3d", 64, 64), ("i3d", 12, 112), ("c3d", 16, 64), ("two_stream_i3d", 20, 96))
        ),
    ],
)
def test_the_gradients_of_every_convolution_in_bfloat16_are_those_of_float32(name: str, frames: int, size: int) -> None:
    network = build(name, frames, size)
    shapes = networks.input_shapes(name, networks.network(name).modality, frames=frames, size=size)
    copy = precision.prepared(network, "mixed_bfloat16", shapes, on_cpu=True)
    random = np.random.default_rng(0)
    checked = 0
    for path, given_shape, output_shape in convolutions(copy, shapes):
        pair = [model.get_layer(part) for model, part in _inside((copy, network), path)]
        given, outer = (random.normal(size=(2, *shape)).astype("float32") for shape in (given_shape, output_shape))
        found, expected = (gradients_of_layer(layer, given, outer) for layer in pair)
        for ours, theirs in zip(found, expected, strict=True):
            # three roundings to eight bits; wrong gradients are off by their own size, or not numbers at all
            assert np.linalg.norm(ours - theirs) < 1e-2 * np.linalg.norm(theirs), path
        checked += 1
    assert checked >= 4


def _inside(models: tuple[keras.Model, ...], path: str) -> Iterator[tuple[keras.Model, str]]:
    *outer, last = path.split("/")
    for model in models:
        for name in outer:
            model = model.get_layer(name)
        yield model, last


def gradients(network: keras.Model, clips: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    variables = [variable.value for variable in network.trainable_variables]

    @tf.function
    def compute() -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(labels, network(clips, training=False)))
        return tape.gradient(loss, variables)

    return [gradient.numpy() for gradient in compute()]


def errors(found: list[np.ndarray], expected: list[np.ndarray]) -> np.ndarray:
    return np.array([np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(found, expected, strict=True)])


def check_against_rounding(network: keras.Model, frames: int) -> None:
    """Compare the gradients in bfloat16 with those in float32 of a network whose weights are rounded to eight bits.

    Where ReLUs and max pools switch, rounding shows in gradients thirtyfold, in float32 as well. So the measure is what
    the weights' rounding does; bfloat16, which rounds activations and gradients too, is to be off by about as much.
    """
    copy = precision.prepared(network, "mixed_bfloat16", on_cpu=True)
    clips = np.random.default_rng(0).uniform(-1, 1, (4, frames, 32, 32, 3)).astype("float32")
    labels = np.arange(4)
    expected, found = gradients(network, clips, labels), gradients(copy, clips, labels)
    for variable in network.trainable_variables:
        variable.assign(tf.cast(tf.cast(variable.value, tf.bfloat16), tf.float32))
    rounded = errors(gradients(network, clips, labels), expected)
    assert 0 < np.median(errors(found, expected)) < 2 * np.median(rounded)
    assert np.max(errors(found, expected)) < 3 * np.max(rounded)


@pytest.mark.slow
@pytest.mark.by_hand
@pytest.mark.parametrize("frames", [9, 16, 64])
def test_the_gradients_of_i3d_are_as_near_as_rounding_lets_them_be(frames: int) -> None:
    keras.utils.set_random_seed(0)
    check_against_rounding(I3D(weights=None, input_shape=(frames, 32, 32, 3), classes=5), frames)


def test_the_gradients_of_a_small_network_are_as_near_as_rounding_lets_them_be() -> None:
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((8, 32, 32, 3), name="rgb")
    batch_norm = BatchNorm()
    for name, filters, extent, stride in (("a", 16, 7, 2), ("b", 32, 3, 1), ("c", 32, 3, 1)):
        x = conv_unit(x, name, filters, (extent,) * 3, strides=(stride,) * 3, batch_norm=batch_norm)
        x = keras.layers.MaxPooling3D(3, strides=(2, 2, 2) if name == "a" else 1, padding="same")(x)
    x = keras.layers.GlobalAveragePooling3D()(x)
    network = keras.Model(inputs, keras.layers.Dense(5, activation="softmax")(x))
    wrong = [step.name for step in graph(network).steps if precision.wrong_on_cpus(step)]
    assert wrong == ["b__conv_3d", "c__conv_3d"]
    check_against_rounding(network, 8)


@pytest.mark.parametrize(
    ("policy", "on_cpu", "message"),
    [
        ("bfloat16", False, "unknown policy 'bfloat16'; known: float32, mixed_bfloat16, mixed_float16"),
        ("mixed_float16", True, "mixed_float16 cannot be trained on a CPU: TensorFlow has no such kernel"),
        ("mixed_bfloat16", True, r"input 'rgb' of shape \(None, None, None, 3\) needs a shape that fits it"),
    ],
)
def test_what_cannot_be_prepared_is_refused(small, policy: str, on_cpu: bool, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        precision.prepared(small, policy, on_cpu=on_cpu)
