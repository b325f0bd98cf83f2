import subprocess
import sys

import pytest

import keras_i3d


@pytest.mark.parametrize("name", keras_i3d.__all__)
def test_every_public_name_resolves(name: str) -> None:
    assert getattr(keras_i3d, name) is not None
    assert name in dir(keras_i3d)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'I4D'; it has __version__, I3D"):
        keras_i3d.I4D  # noqa: B018


@pytest.mark.parametrize("line", ["import keras_i3d", "import keras_i3d.video.decode, keras_i3d.datasets.folder"])
def test_importing_is_light(line: str) -> None:
    heavy = "{'tensorflow', 'keras', 'cv2', 'av'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", f"import sys; {line}; assert not {heavy}, {heavy}"], check=True)


def test_a_saved_model_opens_in_keras_wherever_keras_i3d_is_imported_after_it(tmp_path) -> None:
    keras_i3d.I3D(weights=None, input_shape=(None, 32, 32, 3), classes=2).save(tmp_path / "model.keras")
    script = f"import keras, keras_i3d; keras.saving.load_model({str(tmp_path / 'model.keras')!r})"
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
