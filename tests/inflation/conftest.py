"""One 2-D network whose activations are alive, for all that is inflated from it."""

import keras
import pytest

from keras_i3d.checkpoints.names import weights_of
from keras_i3d.models.inception_v1 import InceptionV1


@pytest.fixture(scope="session")
def source(golden) -> keras.Model:
    """Return Inception-v1 of 1001 classes, for images of any size."""
    model = InceptionV1(weights=None, input_shape=(None, None, 3))
    for weight in weights_of(model):
        weight.variable.assign(golden.weight(weight.path, weight.shape, "live"))
    return model
