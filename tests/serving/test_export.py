import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from keras_i3d import finished_model, labels
from keras_i3d.clips.preparation import Preparation
from keras_i3d.errors import ModelFileError, OutputFolderError
from keras_i3d.serving import export as exporting
from keras_i3d.serving import signature
from keras_i3d.serving.export import export


@pytest.fixture(scope="module")
def served(run_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "i3d"
    assert export(run_folder / "best.keras", folder) == folder / "1"
    return folder


def test_the_signature_has_the_names_and_types_that_clients_rely_on(served) -> None:
    function = tf.saved_model.load(str(served / "1")).signatures["serving_default"]
    ((name, spec),) = function.structured_input_signature[1].items()
    assert (name, spec.dtype, spec.shape.as_list()) == ("rgb", tf.uint8, [None, None, None, None, 3])
    outputs = {name: (spec.dtype, spec.shape[-1]) for name, spec in function.structured_outputs.items()}
    assert outputs == {
        "logits": (tf.float32, 8),
        "probabilities": (tf.float32, 8),
        "top_classes": (tf.string, 5),
        "top_probabilities": (tf.float32, 5),
    }


def test_the_saved_model_answers_as_the_network_does(served, run_folder) -> None:
    function = tf.saved_model.load(str(served / "1")).signatures["serving_default"]
    own = signature.serving_function(finished_model.load(run_folder / "best.keras"))
    for shape in [(1, 9, 37, 50, 3), (2, 20, 64, 48, 3)]:
        frames = tf.constant(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
        theirs, ours = function(rgb=frames)["logits"].numpy(), own(frames)["logits"].numpy()
        assert np.abs(theirs - ours).max() <= 1e-5 * max(ours.std(), 0.1)


def test_the_saved_model_works_without_the_package(served) -> None:
    script = (
        "import sys; sys.modules['keras_i3d'] = None\n"
        "import tensorflow as tf\n"
        f"f = tf.saved_model.load({str(served / '1')!r}).signatures['serving_default']\n"
        "assert f(rgb=tf.zeros((1, 9, 40, 40, 3), tf.uint8))['top_classes'].shape == (1, 5)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_class_names_and_preparation_ride_along(served, run_folder) -> None:
    extra = served / "1" / exporting.EXTRA
    assert labels.read(extra / "labels.txt") == labels.read(run_folder / "labels.txt")
    assert Preparation.read(extra) == Preparation.read(run_folder)


def test_the_next_export_is_the_next_version_and_nothing_is_left_beside_it(served, run_folder) -> None:
    (served / "9").mkdir()
    assert export(run_folder / "best.keras", served) == served / "10"
    (served / "9").rmdir()
    assert sorted(path.name for path in served.iterdir()) == ["1", "10"]
    assert [path.name for path in exporting.versions(served)] == ["1", "10"]


def test_a_folder_of_something_else_is_left_alone(run_folder, tmp_path) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(OutputFolderError, match=r"holds 'thesis.txt', which is no version of a served model"):
        export(run_folder / "best.keras", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_model_that_is_none_leaves_nothing(tmp_path) -> None:
    (tmp_path / "x.keras").write_bytes(b"nothing")
    with pytest.raises(ModelFileError, match=r"x.keras: cannot be read as a Keras model"):
        export(tmp_path / "x.keras", tmp_path / "served")
    assert not (tmp_path / "served").exists()


def test_an_output_that_is_a_file_is_named(run_folder, tmp_path) -> None:
    (tmp_path / "served").write_text("x")
    with pytest.raises(OutputFolderError, match="served: cannot be used as output folder"):
        export(run_folder / "best.keras", tmp_path / "served")


def test_a_flow_network_is_served_flow(flow_run_folder, tmp_path) -> None:
    version = export(flow_run_folder / "best.keras", tmp_path)
    function = tf.saved_model.load(str(version)).signatures["serving_default"]
    assert function(flow=tf.zeros((1, 9, 40, 40, 2)))["logits"].shape == (1, 8)
