import pytest

from keras_i3d.models.networks import NETWORKS


@pytest.fixture(scope="module", params=NETWORKS)
def built(request):
    """Return the name of each network of the paper, and the network for its training clip and 400 classes."""
    return request.param, NETWORKS[request.param].function()(weights=None)
