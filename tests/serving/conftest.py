"""Models of this package, exported, behind the double of TensorFlow Serving's protocol."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import serving_double
import tensorflow as tf
from finished_models import tiny_model
from serving_double import Served

from keras_i3d.serving.client import Client, connect
from keras_i3d.serving.export import export


@pytest.fixture(scope="session")
def served(tmp_path_factory) -> dict[str, Path]:
    """Return folders of versions: networks that answer in no time, and a model of others."""
    folder = tmp_path_factory.mktemp("served")
    export(tiny_model(), folder / "i3d")
    export(tiny_model(modality="flow"), folder / "flow")
    export(tiny_model(multi_label=True), folder / "labels")
    foreign = tf.Module()
    signature = tf.TensorSpec((None, 4), tf.float32, name="images")
    function = tf.function(lambda images: {"scores": images * 2}, input_signature=[signature])
    tf.saved_model.save(foreign, str(folder / "foreign/7"), signatures={"serving_default": function})
    return {name: folder / name for name in ("i3d", "flow", "labels", "foreign")}


@pytest.fixture(scope="session")
def double(served) -> Iterator[Served]:
    """Return the addresses of a running double of these models."""
    with serving_double.serve(served) as running:
        yield running


@pytest.fixture(params=["grpc", "rest"])
def address(request, double) -> str:
    """Return one of the double's addresses; a test runs with each."""
    return getattr(double, request.param)


@pytest.fixture
def client(address) -> Iterator[Client]:
    """Return a client of the RGB network, over each transport."""
    with connect(address) as connected:
        yield connected


@pytest.fixture(scope="session")
def video(motion_folder) -> Path:
    """Return a video of 12 frames of 48x48."""
    return motion_folder / "test" / "grows" / "000.mp4"
