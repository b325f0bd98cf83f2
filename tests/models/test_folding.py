from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from keras_i3d.models import networks
from keras_i3d.models.folding import fold_batch_norm
from keras_i3d.models.i3d import I3D
from keras_i3d.models.inception_v1 import InceptionV1


def norms(network) -> list:
    return [layer for layer in network._flatten_layers() if isinstance(layer, layers.BatchNormalization)]


def largest_share(ours, theirs) -> float:
    return float(np.abs(np.asarray(ours) - np.asarray(theirs)).max() / np.asarray(theirs).std())


def logits_of(network, clips) -> Any:
    return keras.Model(networks.inputs_of(network), network.get_layer("Logits").output)(clips, training=False)


def test_every_network_of_the_paper_gives_the_same_without_its_batch_norms(built, enliven, noise) -> None:
    name, network = built
    enliven(network)
    chosen = networks.NETWORKS[name]
    frames = max(chosen.least[0], 10 if name == "two_stream" else 16)
    if name != "c3d":  # on clips as small as it takes, since the weights do not depend on them
        size = max(chosen.least[1], 32)
        small = networks.build(name, modality=chosen.modality, frames=frames, size=size, classes=400)
        small.set_weights(network.get_weights())
        network = small
    shapes = networks.input_shapes(name, chosen.modality, frames=frames, size=network.inputs[0].shape[2])
    folded = fold_batch_norm(network, shapes)
    assert len(norms(network)) > 0
    assert norms(folded) == []
    assert [layer.name for layer in folded._flatten_layers()] == [layer.name for layer in network._flatten_layers()]
    clips = {stream: noise(2, *shape) for stream, shape in shapes.items()}
    clips = clips if len(clips) > 1 else next(iter(clips.values()))
    assert largest_share(logits_of(folded, clips), logits_of(network, clips)) <= 1e-5


def test_the_two_dimensional_network_folds_too(enliven, noise) -> None:
    network = enliven(InceptionV1(weights=None, input_shape=(64, 64, 3), classes=7))
    images = noise(2, 64, 64, 3)
    folded = fold_batch_norm(network)
    assert norms(folded) == []
    assert largest_share(folded(images), network(images)) <= 1e-5


def test_a_batch_norm_with_scale_behind_a_bias_folds(enliven, noise) -> None:
    inputs = keras.Input((6, 6, 3), name="rgb")
    x = layers.BatchNormalization(name="norm")(layers.Conv2D(4, 3, name="conv")(inputs))
    network = enliven(keras.Model(inputs, layers.Dense(5)(layers.Flatten()(x))))
    network.get_layer("norm").moving_variance.assign([1e-4, 0.1, 1.0, 10.0])
    folded = fold_batch_norm(network)
    assert isinstance(folded.get_layer("norm"), layers.Identity)
    assert largest_share(folded(noise(3, 6, 6, 3)), network(noise(3, 6, 6, 3))) <= 1e-5


def test_what_cannot_be_folded_stays(enliven, noise) -> None:
    inputs = keras.Input((6, 6, 3), name="rgb")
    curved = layers.BatchNormalization(name="behind_relu")(layers.Conv2D(4, 3, activation="relu")(inputs))
    shared = layers.Conv2D(4, 3, name="seen_twice")(inputs)
    other = layers.BatchNormalization(name="of_shared")(shared)
    shown = layers.Conv2D(4, 3, name="shown")(inputs)
    behind = layers.BatchNormalization(name="of_shown")(shown)
    first = layers.BatchNormalization(name="first")(inputs)
    network = enliven(keras.Model(inputs, [layers.Add()([curved, shared, other, behind]), shown, first]))
    folded = fold_batch_norm(network)
    assert sorted(norm.name for norm in norms(folded)) == ["behind_relu", "first", "of_shared", "of_shown"]
    images = noise(2, 6, 6, 3)
    for ours, theirs in zip(folded(images), network(images), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_an_open_axis_wants_a_shape() -> None:
    with pytest.raises(ValueError, match="needs a shape that fits it"):
        fold_batch_norm(I3D(weights=None, input_shape=(None, 32, 32, 3), classes=3))
