"""Weights that keep the signal alive through a whole network, which freshly drawn ones do not."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from keras_i3d.models.networks import NETWORKS

RANGES = {"beta": (-0.2, 0.2), "bias": (-0.1, 0.1), "mean": (-0.2, 0.2), "variance": (0.5, 1.5), "gamma": (0.5, 1.0)}


@pytest.fixture(scope="session")
def enliven() -> Callable[[Any], Any]:
    """Return a function that draws all weights of a network (or layer) anew, repeatably, and returns it."""

    def draw(model: Any, seed: int = 0) -> Any:
        generator = np.random.default_rng(seed)
        for variable in model.weights:
            kind = variable.path.split("/")[-1].split("_")[-1]
            limit = np.sqrt(6 / max(1, np.prod(variable.shape[:-1])))
            low, high = RANGES.get(kind, (-limit, limit))
            variable.assign(generator.uniform(low, high, variable.shape).astype(np.float32))
        return model

    return draw


@pytest.fixture(scope="session")
def noise() -> Callable[..., np.ndarray]:
    """Return a function that draws float32 values in [-1, 1) of a shape."""

    def draw(*shape: int, seed: int = 0) -> np.ndarray:
        return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)

    return draw


@pytest.fixture(scope="module", params=NETWORKS)
def built(request):
    """Return the name of each network of the paper, and the network for its training clip and 400 classes."""
    return request.param, NETWORKS[request.param].function()(weights=None)
