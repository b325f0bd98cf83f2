from collections.abc import Callable

import keras
import numpy as np
import pytest

from keras_i3d.models.c3d import C3D, PROTOCOL

SHAPE = (4, 32, 32, 3)


@pytest.fixture(scope="module")
def papers() -> keras.Model:
    return C3D()


def of_kind(model: keras.Model, kind: type) -> list[keras.layers.Layer]:
    return [layer for layer in model.layers if isinstance(layer, kind)]


def test_the_default_input_is_the_papers(papers: keras.Model) -> None:
    assert (papers.input.name, papers.input.shape) == ("rgb", (None, 16, 112, 112, 3))
    assert (papers.name, papers.layers[-1].name, papers.output.shape) == ("c3d", "Predictions", (None, 400))
    assert (PROTOCOL.train_frames, PROTOCOL.window, PROTOCOL.test_frames, PROTOCOL.size) == (16, 16, 240, 112)


def test_there_are_eight_convolutions_five_pools_and_two_dense_layers_with_batch_norm(papers: keras.Model) -> None:
    convolutions, pools = of_kind(papers, keras.layers.Conv3D), of_kind(papers, keras.layers.MaxPooling3D)
    dense = of_kind(papers, keras.layers.Dense)
    assert [layer.filters for layer in convolutions] == [64, 128, 256, 256, 512, 512, 512, 512]
    assert {(layer.kernel_size, layer.strides, layer.use_bias) for layer in convolutions} == {
        ((3, 3, 3), (1, 1, 1), False)
    }
    assert [layer.units for layer in dense] == [4096, 4096, 400]
    assert [layer.use_bias for layer in dense] == [False, False, True]
    norms = of_kind(papers, keras.layers.BatchNormalization)
    assert len(norms) == 10
    behind = {norm.input._keras_history.operation.name for norm in norms}
    assert behind == {layer.name for layer in [*convolutions, *dense[:2]]}
    # the first pool halves time too, unlike C3D's
    assert [pool.output.shape[1:] for pool in pools] == [
        *((8, 56, 56, 64), (4, 28, 28, 128), (2, 14, 14, 256), (1, 7, 7, 512), (1, 4, 4, 512)),
    ]


def test_the_order_of_frames_matters(enliven: Callable, noise: Callable) -> None:
    model = enliven(C3D(input_shape=SHAPE, classes=3, classifier_activation=None))
    clip = noise(1, *SHAPE)
    assert model.layers[-1].name == "Logits"
    assert np.abs(np.subtract(model(clip), model(clip[:, ::-1]))).max() > 1e-3 * np.std(model(clip))


def test_it_is_saved_and_loaded_and_its_probabilities_add_up(tmp_path, noise: Callable) -> None:
    model = C3D(input_shape=(1, 16, 16, 3), classes=3)
    model.save(tmp_path / "model.keras")
    clip = noise(2, 1, 16, 16, 3)
    output = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True).predict(clip, verbose=0)
    np.testing.assert_allclose(output, model(clip), atol=1e-6)
    np.testing.assert_allclose(output.sum(1), 1, atol=1e-6)


def test_momentum_and_dropout_are_what_training_asks_for() -> None:
    model = C3D(input_shape=(1, 16, 16, 3), classes=3, dropout_rate=0.25, batch_norm_momentum=0.7)
    assert {layer.momentum for layer in of_kind(model, keras.layers.BatchNormalization)} == {0.7}
    assert [layer.rate for layer in of_kind(model, keras.layers.Dropout)] == [0.25, 0.25]


@pytest.mark.parametrize("shape", [(None, 112, 112, 3), (16, None, 112, 3)])
def test_every_axis_must_be_known(shape: tuple) -> None:
    with pytest.raises(
        ValueError, match=r"C3D's first dense layer needs every axis of input_shape to be known, got \("
    ):
        C3D(input_shape=shape)
