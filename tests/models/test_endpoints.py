import keras
import numpy as np
import pytest
from finished_models import paper_model

from keras_i3d.layers import TVL1Flow
from keras_i3d.models import endpoints
from keras_i3d.models.features import split
from keras_i3d.models.i3d import I3D


@pytest.fixture(scope="module")
def two_streams():
    return paper_model("two_stream_i3d").network


@pytest.fixture(scope="module")
def one():
    return I3D(weights=None, input_shape=(8, 32, 32, 3), classes=3)


def clips(network: keras.Model, noise) -> dict:
    return {x.name: noise(2, *(size or 8 for size in x.shape[1:])) for x in network.inputs}


def test_features_are_what_the_classifier_sees(one, noise) -> None:
    clip = noise(2, 8, 32, 32, 3)
    found = endpoints.until(one)(clip)
    assert list(found) == ["rgb"]
    np.testing.assert_array_equal(found["rgb"], split(one)[0](clip))


@pytest.mark.parametrize("name", ["Conv3d_1a_7x7", "Mixed_5c", "Logits"])
def test_any_layer_is_an_end_point(one, noise, name: str) -> None:
    clip = noise(1, 8, 32, 32, 3)
    expected = keras.Model(one.input, one.get_layer(name).output)(clip)
    np.testing.assert_array_equal(endpoints.until(one, name)(clip)["rgb"], expected)


@pytest.mark.parametrize("name", ["features", "Mixed_5c", "Logits"])
def test_each_stream_has_its_own(two_streams, noise, name: str) -> None:
    given = clips(two_streams, noise)
    found = endpoints.until(two_streams, name)(given)
    assert sorted(found) == ["flow", "rgb"]
    for stream, array in found.items():
        alone = two_streams.get_layer(f"{stream}_stream")
        expected = endpoints.until(alone, name)(given[stream])
        np.testing.assert_allclose(array, next(iter(expected.values())), rtol=1e-6, atol=1e-6)


def test_what_only_the_whole_has_is_of_both(two_streams, noise) -> None:
    given = clips(two_streams, noise)
    found = endpoints.until(two_streams, "Predictions")(given)
    assert list(found) == ["both"]
    np.testing.assert_allclose(found["both"], two_streams(given), rtol=1e-6)


def test_an_unknown_end_point_lists_those_that_there_are(one, two_streams) -> None:
    message = (
        r"network 'i3d' has no end point 'Mixed_5d' \(did you mean 'Mixed_5.'\?\); it has features, "
        r".*Conv3d_1a_7x7, .*Logits.* and the names of \d+ more layers$"
    )
    with pytest.raises(ValueError, match=message):
        endpoints.until(one, "Mixed_5d")
    with pytest.raises(ValueError, match=r"network 'two_stream_i3d' has no end point 'rgb'; it has features, "):
        endpoints.until(two_streams, "rgb")


def test_a_network_without_dropout_has_no_features_but_its_layers() -> None:
    inputs = keras.Input((4, 8, 8, 3), name="rgb")
    network = keras.Model(inputs, keras.layers.Conv3D(2, 1, name="only")(inputs), name="plain")
    assert endpoints.names(network) == ("only",)
    assert endpoints.until(network, "only").output["rgb"].shape == (None, 4, 8, 8, 2)
    with pytest.raises(ValueError, match="network 'plain' has no dropout, which its features would lie in front of"):
        endpoints.until(network)


def test_a_layer_of_several_arrays_is_none() -> None:
    class Two(keras.layers.Layer):
        def call(self, x):
            return x, x

    inputs = keras.Input((4,), name="rgb")
    first, second = Two(name="two")(inputs)
    network = keras.Model(inputs, keras.layers.Add()([first, second]))
    with pytest.raises(ValueError, match="layer 'two' gives several arrays; an end point gives one"):
        endpoints.until(network, "two")


@pytest.mark.slow
def test_a_network_that_computes_its_flow_gives_that_streams_features_too() -> None:
    from keras_i3d.models.two_stream_i3d import TwoStreamI3D

    network = TwoStreamI3D(weights=None, input_shape=(8, 32, 32), classes=2, flow_from_rgb=True)
    assert isinstance(network.get_layer("tvl1"), TVL1Flow)
    assert sorted(endpoints.until(network).output) == ["flow", "rgb"]
