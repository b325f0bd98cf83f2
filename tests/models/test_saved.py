import zipfile

import numpy as np
import pytest

from keras_i3d.errors import ModelFileError
from keras_i3d.models.i3d import I3D
from keras_i3d.models.saved import load_model


def test_a_file_opens_with_the_layers_of_this_package(tmp_path) -> None:
    model = I3D(weights=None, input_shape=(None, 32, 32, 3), classes=2, temporal_padding="edge")
    model.compile("sgd", "mse")
    model.save(tmp_path / "model.keras")
    again = load_model(tmp_path / "model.keras")
    assert not again.compiled
    clip = np.random.default_rng(0).uniform(-1, 1, (1, 9, 32, 32, 3)).astype(np.float32)
    np.testing.assert_allclose(again(clip), model(clip), atol=1e-6)


def test_what_is_no_model_file_is_named(tmp_path) -> None:
    with pytest.raises(ModelFileError, match=r"absent\.keras: no such model file"):
        load_model(tmp_path / "absent.keras")
    (tmp_path / "text.keras").write_text("no model")
    with pytest.raises(ModelFileError, match=r"text\.keras: cannot .*, a \.keras file \(it is no zip archive\)"):
        load_model(tmp_path / "text.keras")
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as archive:
        archive.writestr("notes.txt", "nothing")
    with pytest.raises(ModelFileError, match=r"other\.keras: cannot be read as a Keras model, a \.keras file \("):
        load_model(tmp_path / "other.keras")
