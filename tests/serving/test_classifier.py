import shutil

import numpy as np
import pytest
from finished_models import tiny_model

from keras_i3d.errors import ModelFileError, PredictionError
from keras_i3d.serving.classifier import open_classifier
from keras_i3d.serving.export import export
from keras_i3d.serving.options import ServingOptions


@pytest.fixture(scope="module")
def served(run_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("classifier") / "served"
    export(run_folder / "best.keras", folder)
    return folder


def test_a_keras_file_and_its_export_answer_alike(run_folder, served) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (12, 37, 37, 3), np.uint8)
    answers = []
    for model in (run_folder / "best.keras", served, served / "1"):
        classifier = open_classifier(model)
        assert len(classifier.class_names) == 8
        assert classifier.preparation.short_side == 37
        answers.append(classifier.logits({"rgb": frames}))
    np.testing.assert_allclose(answers[1], answers[0], atol=1e-6)
    np.testing.assert_array_equal(answers[2], answers[1])


def test_the_newest_version_answers(served, tmp_path) -> None:
    shutil.copytree(served / "1", tmp_path / "2")
    shutil.copytree(served / "1", tmp_path / "10")
    (tmp_path / "10/saved_model.pb").write_bytes(b"")
    with pytest.raises(ModelFileError, match="/10: damaged SavedModel"):
        open_classifier(tmp_path)


def test_a_folder_without_a_saved_model_is_named(tmp_path) -> None:
    with pytest.raises(ModelFileError, match="a folder without a SavedModel; `keras-i3d export` writes one"):
        open_classifier(tmp_path)


def test_a_saved_model_of_others_is_named(tmp_path, served) -> None:
    shutil.copytree(served / "1", tmp_path / "1")
    shutil.rmtree(tmp_path / "1/assets.extra")
    with pytest.raises(ModelFileError, match="a SavedModel, but not one that `keras-i3d export` wrote"):
        open_classifier(tmp_path)


def test_class_names_or_a_preparation_of_another_model_are_named(tmp_path, served) -> None:
    shutil.copytree(served / "1", tmp_path / "1")
    names = (tmp_path / "1/assets/labels.txt").read_text()
    (tmp_path / "1/assets/labels.txt").write_text("a\nb\n")
    message = r"in it are another model's: the graph has 8 classes \(grows, \.\.\.\) and \{\"modality\": \"rgb\""
    with pytest.raises(ModelFileError, match=message):
        open_classifier(tmp_path)
    (tmp_path / "1/assets/labels.txt").write_text(names)
    file = tmp_path / "1/assets.extra/preparation.json"
    preparation = file.read_text()
    file.write_text(preparation.replace('"rgb"', '"flow"'))
    with pytest.raises(ModelFileError, match=message):
        open_classifier(tmp_path)
    file.write_text(preparation.replace("25.0", '"fast"'))
    with pytest.raises(ModelFileError, match=r"preparation.json: cannot be read \(fps must be a number above 0"):
        open_classifier(tmp_path)


def test_a_clip_that_is_refused_is_told_without_the_place_in_the_graph(tmp_path) -> None:
    export(tiny_model(), tmp_path, ServingOptions(shape=(2, None, 37, 50)))
    classifier = open_classifier(tmp_path)
    assert classifier.batch == 2
    assert classifier.logits({"rgb": np.zeros((9, 37, 50, 3), np.uint8)}).shape == (7,)
    with pytest.raises(
        PredictionError, match=r"^the model gives no answer to rgb of shape \(2, 9, 37, 40, 3\): "
    ) as caught:
        classifier.logits({"rgb": np.zeros((9, 37, 40, 3), np.uint8)})
    assert "[[{{" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("file", ["saved_model.pb", "variables/variables.data-00000-of-00001"])
def test_a_damaged_saved_model_is_named(tmp_path, served, file: str) -> None:
    shutil.copytree(served / "1", tmp_path / "1")
    content = (tmp_path / "1" / file).read_bytes()
    (tmp_path / "1" / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelFileError, match=r"/1: damaged SavedModel \("):
        open_classifier(tmp_path)
