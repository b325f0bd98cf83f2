import dataclasses

import keras
import numpy as np
import pytest

from keras_i3d.clips.preparation import Preparation
from keras_i3d.errors import CheckpointMismatch
from keras_i3d.models import networks
from keras_i3d.training import start
from keras_i3d.training.recipe import Recipe


def small(**fields) -> Recipe:
    return Recipe(**{"frames": 9, "size": 32} | fields)


def every_layer(model: keras.Model, prefix: str = "") -> dict[str, keras.layers.Layer]:
    """Return all layers but models, those of nested models behind their name."""
    found = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found |= every_layer(layer, f"{layer.name}/")
        else:
            found[prefix + layer.name] = layer
    return found


def frozen(model: keras.Model) -> set[str]:
    """Return the layers with weights that keep them."""
    return {path for path, layer in every_layer(model).items() if layer.weights and not layer.trainable_weights}


def test_one_seed_gives_one_network() -> None:
    one, same, other = (start.network(small(seed=seed), 3) for seed in (0, 0, 1))
    pairs = [
        (np.array(a), np.array(b), np.array(c))
        for a, b, c in zip(one.weights, same.weights, other.weights, strict=True)
    ]
    assert all(np.array_equal(a, b) for a, b, _ in pairs)
    assert not all(np.array_equal(a, c) for a, _, c in pairs)


def test_the_recipe_decides_dropout_and_batch_norm() -> None:
    model = start.network(small(dropout_rate=0.25, batch_norm_momentum=0.5), 3)
    assert [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)] == [0.25]
    assert {layer.momentum for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)} == {0.5}
    assert (model.input.shape, model.output.shape) == ((None, None, 32, 32, 3), (None, 3))


def test_weights_tell_the_frame_rate_they_were_trained_on(tmp_path) -> None:
    assert start.frame_rate("none") is start.frame_rate("imagenet") is None
    assert start.frame_rate("kinetics") == 25
    assert start.frame_rate("mine/model.ckpt") is None
    (tmp_path / "best.keras").touch()
    assert start.frame_rate(str(tmp_path / "best.keras")) is None
    Preparation("rgb", 12.5, 37, 32).write(tmp_path)
    assert start.frame_rate(str(tmp_path / "best.keras")) == 12.5


def test_many_labels_end_in_a_sigmoid_each() -> None:
    model = start.network(small(), 3, multi_label=True)
    last = model.get_layer("Predictions")
    assert model.layers[-1] is last and last.activation is keras.activations.sigmoid
    assert model.get_layer("Logits") is not None
    assert start.network(small(), 3).get_layer("Predictions").activation is keras.activations.softmax


def test_many_labels_of_two_streams_keep_the_inputs_names() -> None:
    model = start.network(small(network="two_stream_i3d"), 3, multi_label=True)
    assert {tensor.name for tensor in model.inputs} == {"rgb", "flow"}


def test_of_weights_with_other_classes_all_but_the_last_layer_are_taken(run_folder) -> None:
    weights = str(run_folder / "last.keras")
    source = keras.saving.load_model(weights)
    model = start.network(small(weights=weights), 3)
    assert model.output.shape == (None, 3)
    for layer in model.layers:
        if layer.weights and "Logits" not in layer.name:
            for mine, its in zip(layer.weights, source.get_layer(layer.name).weights, strict=True):
                assert np.array_equal(mine, its), layer.name
    same = start.network(small(weights=weights), 8)
    assert all(np.array_equal(a, b) for a, b in zip(same.weights, source.weights, strict=True))


def test_weights_of_another_network_are_refused(run_folder, tmp_path) -> None:
    weights = str(run_folder / "last.keras")
    with pytest.raises(CheckpointMismatch):
        start.network(small(weights=weights, network="convnet_lstm", frames=10), 8)
    with pytest.raises(CheckpointMismatch):
        start.network(small(weights=weights, modality="flow"), 8)
    with pytest.raises(ValueError, match="weights='kinetics' are those of I3D; C3D takes"):
        start.network(Recipe(network="c3d", weights="kinetics"), 8)
    with pytest.raises(FileNotFoundError, match="is neither a known name"):
        start.network(small(weights=str(tmp_path / "absent.keras")), 8)


def test_frozen_batch_norms_are_all_and_nothing_else() -> None:
    model = start.network(small(), 3)
    start.freeze(model, small(frozen_batch_norm=True))
    assert frozen(model) == {
        path for path, layer in every_layer(model).items() if isinstance(layer, keras.layers.BatchNormalization)
    }
    assert len(frozen(model)) == 57


def test_by_default_nothing_is_frozen() -> None:
    model = start.network(small(), 3)
    start.freeze(model, small())
    assert frozen(model) == set()


@pytest.mark.parametrize(("network", "frames"), [("i3d", 9), ("convnet_lstm", 10), ("two_stream_i3d", 9)])
def test_layers_are_frozen_up_to_an_end_point_and_with_it(network: str, frames: int) -> None:
    recipe = small(network=network, frames=frames, freeze_until="Mixed_3b")
    model = start.network(recipe, 3)
    start.freeze(model, recipe)
    names = {path.split("/")[-1] for path in frozen(model)}
    before = ("Conv3d_1a", "Conv3d_2b", "Conv3d_2c", "Mixed_3b", "Conv2d_1a", "Conv2d_2b", "Conv2d_2c")
    with_weights = {path for path, layer in every_layer(model).items() if layer.weights}
    assert {path for path in with_weights if path.split("/")[-1].startswith(before)} == frozen(model)
    assert any(name.startswith("Mixed_3b__Branch_3") for name in names)
    assert len(frozen(model)) == 2 * 9 * len(model.inputs)  # nine convolutions and their batch norms a stream


def test_new_batch_norms_train_where_the_weights_are_inception_v1s() -> None:
    recipe = Recipe(network="fused_two_stream", frames=50, size=129)
    model = networks.build("fused_two_stream", modality="both", frames=50, size=129, classes=3)
    start.freeze(model, dataclasses.replace(recipe, weights="imagenet", transfer="full", frozen_batch_norm=True))
    assert model.get_layer("Fusion__batch_norm").trainable
    norms = [layer for layer in every_layer(model).values() if isinstance(layer, keras.layers.BatchNormalization)]
    assert sum(layer.trainable for layer in norms) == 1


@pytest.mark.parametrize("network", ["i3d", "two_stream_i3d"])
def test_a_file_is_saved_with_every_layer_trainable_and_the_run_stays_frozen(network: str) -> None:
    recipe = small(network=network, frozen_batch_norm=True, freeze_until="Mixed_3b")
    model = start.network(recipe, 3)
    start.freeze(model, recipe)
    before, variables = frozen(model), len(model.trainable_variables)
    with start.unfrozen(model):
        assert frozen(model) == set()
    assert frozen(model) == before
    assert len(model.trainable_variables) == variables
    with pytest.raises(RuntimeError, match="disk full"), start.unfrozen(model):
        raise RuntimeError("disk full")
    assert frozen(model) == before


def test_a_new_last_layer_is_new_also_where_the_file_has_as_many_classes() -> None:
    head = keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(3, name="Logits__dense")])
    head.layers[-1].set_weights([np.ones((4, 3)), np.ones(3)])
    start.renew(head)
    kernel, bias = head.layers[-1].get_weights()
    assert not np.any(kernel == 1) and np.all(bias == 0)


def test_two_files_of_weights_of_one_name_are_told_apart(tmp_path) -> None:
    (tmp_path / "a.weights.h5").write_bytes(b"one")
    one = start.digest(str(tmp_path / "a.weights.h5"))
    (tmp_path / "a.weights.h5").write_bytes(b"two")
    assert one != start.digest(str(tmp_path / "a.weights.h5"))
    assert start.digest("kinetics") is None
