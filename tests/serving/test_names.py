import c_api
import pytest
from finished_models import tiny_model

from keras_i3d.serving import names
from keras_i3d.serving.export import export


@pytest.fixture(scope="module")
def signatures(tmp_path_factory):
    model = c_api.SavedModel(export(tiny_model(), tmp_path_factory.mktemp("names")))
    yield model.signatures
    model.close()


def test_a_served_model_has_these_names(signatures) -> None:
    assert set(signatures) >= {names.DEFAULT, names.FRAMES, names.CLIP, names.FEATURES, names.DESCRIPTION}
    assert set(signatures[names.FRAMES].inputs) == {names.RGB_BYTES}
    assert set(signatures[names.DESCRIPTION].inputs) == {names.QUERY}
    described = {names.PREPARATION, names.ACTIVATION, names.CLASS_NAMES, names.MAX_FRAMES}
    assert set(signatures[names.DESCRIPTION].outputs) == described
    assert names.LOGITS in signatures[names.DEFAULT].outputs
