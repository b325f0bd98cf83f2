"""What is computed again gives the same numbers, and changes nothing twice."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_i3d.models import networks
from keras_i3d.models.graph import graph
from keras_i3d.models.i3d import I3D
from keras_i3d.models.inception import BatchNorm, conv_unit
from keras_i3d.training import precision, rematerialisation

CLASSES = 5


def tower(x, name: str, *, dropout_rate: float = 0.5):
    """Apply two units, a block of two branches, dropout and a third unit."""
    norm = BatchNorm(momentum=0.9)
    x = conv_unit(x, f"{name}1", 8, (3, 3, 3), strides=(1, 2, 2), batch_norm=norm)
    x = keras.layers.MaxPooling3D((1, 2, 2), padding="same", name=f"{name}_pool")(x)
    x = conv_unit(x, f"{name}2", 8, (1, 1, 1), batch_norm=norm)
    branches = [conv_unit(x, f"{name}{place}", 8, (extent,) * 3, batch_norm=norm) for place, extent in ((3, 1), (4, 3))]
    x = keras.layers.Concatenate(name=f"{name}_mixed")(branches)
    x = keras.layers.Dropout(dropout_rate, name=f"{name}_dropout")(x)
    return conv_unit(x, f"{name}5", 8, (3, 1, 1), batch_norm=norm)


def classified(inputs, x) -> keras.Model:
    x = keras.layers.GlobalAveragePooling3D()(x)
    return keras.Model(inputs, keras.layers.Dense(CLASSES, activation="softmax", name="answer")(x))


def one_stream(**options) -> keras.Model:
    inputs = keras.Input((4, 16, 16, 3), name="rgb")
    return classified(inputs, tower(inputs, "unit", **options))


def two_streams() -> keras.Model:
    inputs = {"rgb": keras.Input((4, 16, 16, 3), name="rgb"), "flow": keras.Input((4, 16, 16, 2), name="flow")}
    maps = []
    for name, given in inputs.items():
        frames = keras.Input(given.shape[1:], name="frames")
        maps.append(keras.Model(frames, tower(frames, "unit"), name=f"{name}_stream")(given))
    return classified(inputs, conv_unit(keras.layers.Add()(maps), "fusion", 8, (1, 1, 1), batch_norm=BatchNorm()))


def frozen_in_parts() -> keras.Model:
    network = one_stream()
    for name in ("unit1__conv_3d", "unit3__batch_norm", "unit5__conv_3d"):
        network.get_layer(name).trainable = False
    return network


def in_bfloat16() -> keras.Model:
    return precision.prepared(one_stream(), "mixed_bfloat16", on_cpu=True)


BLOCKS = ["unit1", "unit2", "unit_mixed", "unit5"]


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (one_stream, BLOCKS),
        (
            two_streams,
            ["fusion", *(f"{stream}_stream/{name}" for stream in ("rgb", "flow") for name in BLOCKS)],
        ),
    ],
)
def test_blocks_are_what_lies_between_single_values(build: Callable[[], keras.Model], expected: list[str]) -> None:
    network = build()
    blocks = rematerialisation.blocks(network)
    assert len(blocks) == len(expected)
    assert all(any(name in block for block in blocks) for name in expected)
    names = [step.name for step in graph(network).steps]
    inside = [name for block in blocks for name in block]
    assert len(inside) == len(set(inside)) and set(inside) <= set(names)
    assert not any("dropout" in name or "answer" in name for name in inside)


def test_the_blocks_of_i3d_are_the_stem_and_the_mixed_blocks() -> None:
    blocks = rematerialisation.blocks(I3D(weights=None, input_shape=(None, None, None, 3), classes=CLASSES))
    stem, mixed = blocks[:3], blocks[3:]
    assert [sorted(name for name in block if "__" not in name) for block in stem] == [
        ["Conv3d_1a_7x7", "MaxPool3d_2a_3x3"],
        ["Conv3d_2b_1x1"],
        ["Conv3d_2c_3x3", "MaxPool3d_3a_3x3"],
    ]
    assert [next(name for name in block if name.startswith("Mixed") and "__" not in name) for block in mixed] == [
        f"Mixed_{tag}" for tag in ("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c")
    ]


def train_once(network: keras.Model, forward: Callable, *, compiled: bool = True, batch: int = 3) -> dict[str, list]:
    """Return loss, gradients and all variables after a forward and a backward pass from the same state."""
    random = np.random.default_rng(0)
    clips = {
        tensor.name: tf.constant(random.uniform(-1, 1, (batch, *tensor.shape[1:])), tf.float32)
        for tensor in network.inputs
    }
    given = clips if len(clips) > 1 else next(iter(clips.values()))
    labels = np.arange(batch) % CLASSES
    before = [variable.numpy() for variable in network.variables]
    trained = [variable.value for variable in network.trainable_variables]

    def step() -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            outputs = forward(given, training=True)
            loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(labels, outputs))
        return loss, tape.gradient(loss, trained)

    loss, gradients = tf.function(step)() if compiled else step()
    after = [variable.numpy() for variable in network.variables]
    for variable, value in zip(network.variables, before, strict=True):
        variable.assign(value)
    return {"loss": [loss.numpy()], "gradients": [one.numpy() for one in gradients], "before": before, "after": after}


def assert_equal(found: dict[str, list], expected: dict[str, list], tolerance: float = 1e-4) -> None:
    for kind in ("loss", "gradients", "after"):
        for ours, theirs in zip(found[kind], expected[kind], strict=True):
            # the gradients of batch norms come by another formula: float32's rounding, which deep networks enlarge
            assert np.linalg.norm(ours - theirs) <= tolerance * np.linalg.norm(theirs) + 1e-6


@pytest.mark.parametrize("build", [one_stream, two_streams, frozen_in_parts, in_bfloat16])
def test_loss_gradients_and_statistics_are_those_without(build: Callable[[], keras.Model]) -> None:
    keras.utils.set_random_seed(0)
    network = build()
    expected = train_once(network, network)
    assert_equal(train_once(network, rematerialisation.rematerialised(network)), expected)
    moved = [
        variable.path
        for variable, old, new in zip(network.variables, expected["before"], expected["after"], strict=True)
        if not np.array_equal(old, new)
    ]
    norms = [layer for layer in network._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    assert sum("moving" in path for path in moved) == 2 * sum(norm.trainable for norm in norms)


def test_it_also_runs_eagerly() -> None:
    keras.utils.set_random_seed(0)
    network = one_stream()
    expected = train_once(network, network, compiled=False)
    assert_equal(train_once(network, rematerialisation.rematerialised(network), compiled=False), expected)


@pytest.mark.slow
@pytest.mark.by_hand
@pytest.mark.parametrize(
    ("name", "frames", "size"),
    [
        ("i3d", 9, 32),
        ("two_stream_i3d", 9, 32),
        ("convnet_lstm", 10, 32),
        ("c3d", 16, 32),
        ("two_stream", 10, 32),
        ("fused_two_stream", 50, 129),
    ],
)
def test_every_network_trains_as_without(name: str, frames: int, size: int) -> None:
    keras.utils.set_random_seed(0)
    modality = networks.network(name).modality
    network = networks.build(name, modality=modality, frames=frames, size=size, classes=CLASSES, any_length=False)
    expected = train_once(network, network)
    assert_equal(train_once(network, rematerialisation.rematerialised(network)), expected, tolerance=1e-2)


def test_without_training_it_is_the_network() -> None:
    network = one_stream()
    clips = np.random.default_rng(0).uniform(-1, 1, (2, 4, 16, 16, 3)).astype("float32")
    before = [variable.numpy() for variable in network.variables]
    found = rematerialisation.rematerialised(network)(clips, training=False)
    np.testing.assert_allclose(found, network(clips, training=False), rtol=1e-6)
    for variable, value in zip(network.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_every_convolution_of_a_block_is_computed_again() -> None:
    network = one_stream()
    variables = [variable.value for variable in network.trainable_variables]

    def convolutions(forward: Callable) -> int:
        def gradients(clips: tf.Tensor) -> list[tf.Tensor]:
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(forward(clips, training=True) ** 2)
            return tape.gradient(loss, variables)

        traced = tf.function(gradients).get_concrete_function(tf.TensorSpec((2, 4, 16, 16, 3))).graph
        return sum(operation.type == "Conv3D" for operation in traced.get_operations())

    assert convolutions(network) == 5
    assert convolutions(rematerialisation.rematerialised(network)) == 10


TWO_REPLICAS = """
import sys
sys.path.insert(0, sys.argv[1])
from keras_i3d import quiet
quiet.import_tensorflow()
import keras, numpy as np, tensorflow as tf
from keras_i3d.models import copies
from keras_i3d.training import precision, rematerialisation
import test_rematerialisation as shared

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
keras.utils.set_random_seed(0)
alone = shared.one_stream(dropout_rate=0.0)
expected = shared.train_once(alone, alone, batch=4)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    pair = precision.prepared(shared.one_stream(dropout_rate=0.0), "float32", on_cpu=True, synchronized=True)
    copies.copy_values(alone, pair)
forward = rematerialisation.rematerialised(pair)
clips = np.random.default_rng(0).uniform(-1, 1, (4, 4, 16, 16, 3)).astype("float32")
trained = [variable.value for variable in pair.trainable_variables]

def replica():
    place = tf.distribute.get_replica_context().replica_id_in_sync_group
    with tf.GradientTape() as tape:
        outputs = forward(tf.constant(clips)[2 * place : 2 * place + 2], training=True)
        labels = tf.range(4)[2 * place : 2 * place + 2]
        loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(labels, outputs)) / 2
    return [loss, *tape.gradient(loss, trained)]

@tf.function
def step():
    return [strategy.reduce("SUM", one, axis=None) for one in strategy.run(replica)]

loss, *gradients = [one.numpy() for one in step()]
pairs = [*zip(gradients, expected["gradients"]), *zip([v.numpy() for v in pair.variables], expected["after"])]
for ours, theirs in [(loss, expected["loss"][0]), *pairs]:
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)  # sums of two halves
print("equal", len(pairs))
"""


def test_two_replicas_with_synchronised_batch_norms_train_as_one_of_the_whole_batch() -> None:
    done = subprocess.run(
        [sys.executable, "-c", TWO_REPLICAS, str(Path(__file__).parent)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "equal 34\n"


def test_a_network_without_blocks_is_refused() -> None:
    inputs = keras.Input((4, 16, 16, 3), name="rgb")
    network = keras.Model(inputs, keras.layers.Conv3D(2, 3)(inputs), name="bare")
    with pytest.raises(ValueError, match="'bare' has no block with a batch norm that could be computed again"):
        rematerialisation.rematerialised(network)


def test_a_network_that_is_not_functional_is_refused() -> None:
    class Own(keras.Model):
        pass

    with pytest.raises(ValueError, match="only a functional Keras model can be rematerialised, got Own"):
        rematerialisation.blocks(Own())


def test_a_loss_inside_of_a_layer_is_refused() -> None:
    inputs = keras.Input((4, 16, 16, 3), name="rgb")
    x = keras.layers.Conv3D(2, 3, kernel_regularizer="l2", name="decayed")(inputs)
    network = keras.Model(inputs, keras.layers.BatchNormalization()(x))
    with pytest.raises(ValueError, match="layer 'decayed' adds a loss, which rematerialisation would lose"):
        rematerialisation.rematerialised(network)
