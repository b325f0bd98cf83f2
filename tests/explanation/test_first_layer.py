import keras
import numpy as np
import pytest
from finished_models import paper_model, small_model
from keras import layers

from keras_i3d.explanation.first_layer import first_kernels


def test_every_stream_has_its_own() -> None:
    network = paper_model("two_stream").network
    kernels = first_kernels(network)
    assert {name: kernel.shape for name, kernel in kernels.items()} == {
        "rgb": (1, 7, 7, 3, 64),
        "flow": (1, 7, 7, 20, 64),
    }
    own = network.get_layer("flow_stream").get_layer("Conv3d_1a_7x7__conv_3d").kernel
    np.testing.assert_array_equal(kernels["flow"], own)


@pytest.mark.parametrize("modality", ["rgb", "flow", "both"])
def test_networks_of_the_users_own_have_theirs(modality: str) -> None:
    channels = {name: kernel.shape[-2] for name, kernel in first_kernels(small_model(modality).network).items()}
    assert channels == {name: {"rgb": 3, "flow": 2}[name] for name in channels}
    assert set(channels) == ({"rgb", "flow"} if modality == "both" else {modality})


def test_a_network_without_a_convolution_is_refused() -> None:
    inputs = keras.Input((4, 4, 4, 3), name="rgb")
    with pytest.raises(ValueError, match="'flat' has no 2-D or 3-D convolution whose filters could be shown"):
        first_kernels(keras.Model(inputs, layers.Flatten()(inputs), name="flat"))
