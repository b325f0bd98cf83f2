import dataclasses
import sys

import numpy as np
import pytest
from finished_models import CLASSES, small_model

from keras_i3d import labels
from keras_i3d.clips.preparation import Preparation
from keras_i3d.errors import MissingDependency, ModelFileError, OutputFolderError
from keras_i3d.serving.runtimes import export as exporting
from keras_i3d.serving.runtimes import export_runtime
from keras_i3d.serving.runtimes.export import difference_of

# LiteRT needs no further package, so what holds of all runtimes is tried on it


@pytest.fixture
def changed_litert(monkeypatch):
    """Return a function that changes how LiteRT is dealt with."""

    def change(**changes) -> None:
        changed = dataclasses.replace(exporting.RUNTIMES["litert"], **changes)
        monkeypatch.setitem(exporting.RUNTIMES, "litert", changed)

    return change


def test_class_names_and_preparation_lie_beside_the_model(tmp_path) -> None:
    finished = small_model()
    done = export_runtime(finished, tmp_path / "there" / "model", runtime="litert")
    assert done.folder == tmp_path / "there" / "model"
    assert sorted(path.name for path in done.folder.iterdir()) == ["labels.txt", "model.tflite", "preparation.json"]
    assert done.file == done.folder / "model.tflite"
    assert labels.read(done.folder / labels.FILE_NAME) == list(CLASSES)
    assert Preparation.read(done.folder) == finished.preparation
    assert done.shapes == {"rgb": (1, 64, 16, 16, 3)}
    assert 0 <= done.difference < 1e-5
    assert [path.name for path in done.folder.parent.iterdir()] == ["model"]


def test_an_empty_folder_is_taken_and_a_full_one_left_alone(tmp_path) -> None:
    (tmp_path / "model").mkdir()
    export_runtime(small_model(), tmp_path / "model", runtime="litert", frames=8)
    before = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    with pytest.raises(OutputFolderError, match=r"holds 'labels.txt'; the output folder must be new or empty"):
        export_runtime(small_model(), tmp_path / "model", runtime="litert", frames=8)
    assert {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_an_output_that_is_a_file_is_named(tmp_path) -> None:
    (tmp_path / "model").write_text("x")
    with pytest.raises(OutputFolderError, match=r"model: cannot be used as output folder \(Not a directory\)"):
        export_runtime(small_model(), tmp_path / "model", runtime="litert")


def test_an_unwritable_place_is_named(tmp_path, open_folder, as_nobody) -> None:
    finished = small_model()
    with as_nobody(), pytest.raises(OutputFolderError, match=r"cannot be used as output folder \(Permission denied\)"):
        export_runtime(finished, open_folder / "model", runtime="litert")


def test_an_unknown_runtime_is_named() -> None:
    with pytest.raises(ValueError, match="unknown runtime 'tensorrt'; known: onnx, openvino, litert"):
        export_runtime(small_model(), "nowhere", runtime="tensorrt")


@pytest.mark.parametrize(
    ("runtime", "package", "extra"),
    [
        ("onnx", "tf2onnx", "onnx"),
        ("onnx", "onnx", "onnx"),
        ("onnx", "onnxruntime", "onnx"),
        ("openvino", "openvino", "openvino"),
    ],
)
def test_a_missing_package_is_named_before_anything_is_done(
    tmp_path, monkeypatch, runtime: str, package: str, extra: str
) -> None:
    for module in ("tf2onnx", "onnx", "onnxruntime", "openvino"):
        monkeypatch.setitem(sys.modules, module, None if module == package else pytest)
    message = rf"needs the package {package}, which is not installed.*'keras-i3d\[{extra}\]'"
    with pytest.raises(MissingDependency, match=message):
        export_runtime(small_model(), tmp_path / "model", runtime=runtime)
    assert list(tmp_path.iterdir()) == []


def test_answers_that_differ_leave_nothing(tmp_path, changed_litert) -> None:
    load = exporting.RUNTIMES["litert"].load

    def slightly_wrong(path, threads):
        answer = load(path, threads)
        return lambda clips: {name: values * 1.001 for name, values in answer(clips).items()}

    changed_litert(load=slightly_wrong)
    message = (
        r"the network i3d, converted to LiteRT, answers otherwise than in Keras: \d\.\de-0\d of the logits' standard "
        r"deviation, where at most 1e-04 are allowed; nothing was written"
    )
    with pytest.raises(ModelFileError, match=message):
        export_runtime(small_model(), tmp_path / "model", runtime="litert")
    assert list(tmp_path.iterdir()) == []


def test_a_number_that_is_none_differs(tmp_path, changed_litert) -> None:
    load = exporting.RUNTIMES["litert"].load

    def overflowing(path, threads):
        answer = load(path, threads)
        return lambda clips: {name: values * np.nan for name, values in answer(clips).items()}

    changed_litert(load=overflowing)
    with pytest.raises(ModelFileError, match="answers otherwise than in Keras: nan"):
        export_runtime(small_model(), tmp_path / "model", runtime="litert")


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("write", r"the network i3d cannot be converted to LiteRT \(no such operation\)"),
        ("load", r"the network i3d, converted to LiteRT, does not run there \(no such operation\)"),
    ],
)
def test_what_a_converter_says_is_passed_on(tmp_path, changed_litert, step: str, message: str) -> None:
    def fail(*arguments):
        raise RuntimeError("no such operation\nat a place\nin its code")

    changed_litert(**{step: fail})
    with pytest.raises(ModelFileError, match=message):
        export_runtime(small_model(), tmp_path / "model", runtime="litert")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_the_folders_fault(tmp_path, changed_litert) -> None:
    def fail(*arguments):
        raise OSError(28, "No space left on device")

    changed_litert(write=fail)
    with pytest.raises(OutputFolderError, match=r"model: cannot be written \(No space left on device\)"):
        export_runtime(small_model(), tmp_path / "model", runtime="litert")


def test_the_difference_is_a_share_of_the_logits_spread() -> None:
    expected = {"logits": np.array([[-20.0, 20.0]]), "probabilities": np.array([[0.0, 1.0]])}
    assert difference_of(expected, expected) == 0
    assert difference_of(expected | {"logits": np.array([[-20.0, 20.2]])}, expected) == pytest.approx(0.01)
    assert difference_of(expected | {"probabilities": np.array([[0.3, 1.0]])}, expected) == pytest.approx(0.3)
    assert np.isnan(difference_of(expected | {"logits": np.array([[np.nan, 20.0]])}, expected))
    constant = {"logits": np.ones((1, 2)), "probabilities": np.full((1, 2), 0.5)}
    assert difference_of(constant | {"logits": np.full((1, 2), 1.25)}, constant) == 0.25
    with pytest.raises(ModelFileError, match=r"logits have the shape \(2,\), \(1, 2\) is expected"):
        difference_of(constant | {"logits": np.ones(2)}, constant)
