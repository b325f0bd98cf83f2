import zipfile
from collections.abc import Callable

import keras
import numpy as np
import pytest

from keras_i3d.layers import SamePadding3D, ShrinkingAveragePooling, StackFrames

LAYERS = (
    ShrinkingAveragePooling((2, 7, 7), name="x"),
    SamePadding3D((3, 1, 1), (2, 1, 1), "edge", name="x"),
    StackFrames(2, name="x"),
)


def model_of(layer: keras.layers.Layer) -> keras.Model:
    inputs = keras.Input((None, None, None, 3))
    return keras.Model(inputs, layer(inputs))


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_every_layer_is_saved_and_loaded_in_safe_mode(tmp_path, layer: keras.layers.Layer, noise: Callable) -> None:
    model = model_of(layer)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    x = noise(1, 4, 5, 6, 3)
    assert np.array_equal(again(x), model(x))
    assert type(again.get_layer("x")) is type(layer)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_a_file_saved_where_the_layers_lived_elsewhere_opens_still(tmp_path, layer: keras.layers.Layer) -> None:
    model_of(layer).save(tmp_path / "new.keras")
    with zipfile.ZipFile(tmp_path / "new.keras") as new, zipfile.ZipFile(tmp_path / "old.keras", "w") as old:
        for name in new.namelist():
            data = new.read(name)
            if name == "config.json":
                module = type(layer).__module__.encode()
                assert module in data
                data = data.replace(module, b"keras_i3d.models.layers")
            old.writestr(name, data)
    again = keras.saving.load_model(tmp_path / "old.keras", safe_mode=True)
    assert type(again.get_layer("x")) is type(layer)
