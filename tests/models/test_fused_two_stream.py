from collections.abc import Callable

import keras
import numpy as np
import pytest

from keras_i3d.models.fused_two_stream import PROTOCOL, FusedTwoStream


@pytest.fixture(scope="module")
def papers() -> keras.Model:
    return FusedTwoStream(dropout_rate=0.25, batch_norm_momentum=0.7)


def test_the_default_input_is_five_snapshots_of_two_seconds(papers: keras.Model) -> None:
    assert {tensor.name: tensor.shape for tensor in papers.inputs} == {
        "rgb": (None, 5, 224, 224, 3),
        "flow": (None, 50, 224, 224, 2),
    }
    assert (papers.name, papers.layers[-1].name) == ("fused_two_stream", "Predictions")
    assert papers.output.shape == (None, 400)
    assert list(range(50))[PROTOCOL.streams["rgb"].offset :: PROTOCOL.streams["rgb"].step] == [5, 15, 25, 35, 45]


def test_both_maps_are_joined_convolved_pooled_and_classified(papers: keras.Model) -> None:
    names = ("Joined", "Fusion", "FusionPool", "Logits")
    assert [papers.get_layer(name).output.shape[1:] for name in names] == [
        *((5, 7, 7, 2048), (3, 5, 5, 512), (1, 1, 1, 512), (400,)),
    ]
    assert [tensor._keras_history.operation.name for tensor in papers.get_layer("Joined").input] == [
        *("rgb_stream", "flow_stream"),
    ]
    convolution = papers.get_layer("Fusion__conv_3d")
    assert (convolution.kernel_size, convolution.padding, convolution.use_bias) == ((3, 3, 3), "valid", False)
    pool = papers.get_layer("FusionPool")
    assert (pool.pool_size, pool.padding) == ((3, 3, 3), "valid")


def test_new_layers_start_gaussian(papers: keras.Model) -> None:
    for name in ("Fusion__conv_3d", "Logits__dense"):
        kernel = papers.get_layer(name).kernel.numpy()
        assert kernel.std() == pytest.approx(0.01, rel=0.01)
        assert np.abs(kernel).max() > 0.035  # not cut at two deviations


def test_momentum_and_dropout_reach_the_streams_and_the_fusion(papers: keras.Model) -> None:
    layers = [*papers.layers, *papers.get_layer("rgb_stream").layers, *papers.get_layer("flow_stream").layers]
    norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert ({norm.momentum for norm in norms}, len(norms)) == ({0.7}, 2 * 57 + 1)
    assert papers.get_layer("Dropout").rate == 0.25


def test_the_smallest_clip_leaves_one_place_and_unknown_axes_give_the_same(
    tmp_path, enliven: Callable, noise: Callable
) -> None:
    model = enliven(FusedTwoStream(input_shape=(5, 129, 129), classes=3, classifier_activation=None))
    assert model.get_layer("FusionPool").output.shape == (None, 1, 1, 1, 512)
    inputs = {"rgb": noise(1, 5, 129, 129, 3), "flow": noise(1, 50, 129, 129, 2, seed=1)}
    expected = np.asarray(model(inputs))
    assert expected.std() > 1e-3
    free = FusedTwoStream(input_shape=(None, None, None), classes=3, classifier_activation=None)
    for mine, its in zip(free.weights, model.weights, strict=True):
        mine.assign(its)
    free.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_allclose(again.predict(inputs, verbose=0), expected, atol=1e-4 * np.abs(expected).max())


def test_more_snapshots_give_more_places_whose_logits_are_averaged(enliven: Callable, noise: Callable) -> None:
    model = enliven(FusedTwoStream(input_shape=(8, 129, 225), classes=3, classifier_activation=None))
    assert model.get_layer("Logits__dense").output.shape == (None, 2, 1, 2, 3)
    network = keras.Model(model.inputs, [model.get_layer("Logits__dense").output, model.output])
    network = keras.Model({tensor.name: tensor for tensor in model.inputs}, network.outputs)
    inputs = {"rgb": noise(1, 8, 129, 225, 3), "flow": noise(1, 80, 129, 225, 2, seed=1)}
    places, logits = network(inputs)
    np.testing.assert_allclose(logits, np.mean(places, axis=(1, 2, 3)), atol=1e-4)


@pytest.mark.parametrize("shape", [(4, 224, 224), (5, 128, 224), (None, None, 128)])
def test_a_clip_that_leaves_no_place_is_refused(shape: tuple) -> None:
    with pytest.raises(ValueError, match=r"FusedTwoStream needs an input_shape of at least \(5, 129, 129\), got \("):
        FusedTwoStream(input_shape=shape)
