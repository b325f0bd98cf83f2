import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import c_api
import keras
import numpy as np
import pytest
import tensorflow as tf
from finished_models import CLASSES, paper_model, small_model, tiny_model

from keras_i3d import finished_model, labels
from keras_i3d.clips import transforms
from keras_i3d.clips.preparation import Preparation
from keras_i3d.errors import ModelFileError, OutputFolderError
from keras_i3d.finished_model import FinishedModel
from keras_i3d.serving import export as exporting
from keras_i3d.serving import messages, tensors
from keras_i3d.serving.export import export
from keras_i3d.serving.options import ServingOptions

SIGNATURES = {"serving_default", "frames", "clip", "features", "description"}
NOISE = np.random.default_rng(0)


@pytest.fixture(scope="module")
def served(run_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "i3d"
    assert export(run_folder / "best.keras", folder) == folder / "1"
    return folder


@pytest.fixture(scope="module")
def loaded(served):
    """Return the model, loaded by TensorFlow's C API as a server does."""
    model = c_api.SavedModel(served / "1")
    yield model
    model.close()


def test_the_signatures_have_the_names_and_types_that_clients_rely_on(served) -> None:
    signatures = tf.saved_model.load(str(served / "1")).signatures
    assert set(signatures) == SIGNATURES
    function = signatures["serving_default"]
    ((name, spec),) = function.structured_input_signature[1].items()
    assert (name, spec.dtype, spec.shape.as_list()) == ("rgb", tf.uint8, [None, None, None, None, 3])
    outputs = {name: (spec.dtype, spec.shape[-1]) for name, spec in function.structured_outputs.items()}
    assert outputs == {
        "logits": (tf.float32, 8),
        "probabilities": (tf.float32, 8),
        "top_classes": (tf.string, 5),
        "top_probabilities": (tf.float32, 5),
    }


def test_loaded_as_a_server_does_it_answers_as_the_keras_model(loaded, run_folder) -> None:
    finished = finished_model.load(run_folder / "best.keras")
    for shape in [(1, 9, 37, 50, 3), (2, 20, 64, 48, 3)]:
        frames = NOISE.integers(0, 256, shape, np.uint8)
        clips = np.stack([transforms.testing_view(tf.constant(clip), 32, "rgb") for clip in frames])
        wanted = finished.logits_network()(clips, training=False).numpy()
        found = loaded.run("serving_default", {"rgb": frames})
        assert np.abs(found["logits"] - wanted).max() <= 1e-5 * wanted.std()
        assert found["top_classes"][0, 0].decode() == finished.class_names[wanted[0].argmax()]
        prepared = loaded.run("clip", {"rgb": clips})
        assert np.abs(prepared["logits"] - wanted).max() <= 1e-5 * wanted.std()


def test_the_warm_up_requests_replay_through_the_loaded_model(served, loaded) -> None:
    file = served / "1/assets.extra/tf_serving_warmup_requests"
    replayed = []
    for record in tf.data.TFRecordDataset(str(file)):
        request = messages.PredictionLog.FromString(record.numpy()).predict_log.request
        inputs = {name: tensors.from_proto(tensor) for name, tensor in request.inputs.items()}
        answer = loaded.run(request.model_spec.signature_name, inputs)
        assert all(len(value) == 1 for value in answer.values())
        replayed.append(request.model_spec.signature_name)
    assert set(replayed) == SIGNATURES


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        (ServingOptions(fold_batch_norm=True), 1e-5),
        (ServingOptions(xla=True), 1e-5),
        (ServingOptions(shape=(2, 9, 40, 50)), 1e-5),
        (ServingOptions(precision="bfloat16"), 0.05),
    ],
)
def test_every_option_is_served_alike(options: ServingOptions, limit: float, tmp_path) -> None:
    finished = tiny_model()
    frames = NOISE.integers(0, 256, (2, 9, 40, 50, 3), np.uint8)
    clips = np.stack([transforms.testing_view(tf.constant(clip), 32, "rgb") for clip in frames])
    wanted = finished.logits_network()(clips, training=False).numpy()
    model = c_api.SavedModel(export(finished, tmp_path, options))
    found = model.run("serving_default", {"rgb": frames})["logits"]
    model.close()
    assert np.abs(found - wanted).max() <= limit * wanted.std()


def test_the_saved_model_works_without_the_package(served) -> None:
    script = (
        "import sys; sys.modules['keras_i3d'] = None\n"
        "import tensorflow as tf\n"
        f"f = tf.saved_model.load({str(served / '1')!r}).signatures['serving_default']\n"
        "assert f(rgb=tf.zeros((1, 9, 40, 40, 3), tf.uint8))['top_classes'].shape == (1, 5)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_class_names_and_preparation_ride_along(served, run_folder) -> None:
    version = served / "1"
    assert labels.read(version / exporting.ASSETS / "labels.txt") == labels.read(run_folder / "labels.txt")
    assert Preparation.read(version / exporting.EXTRA) == Preparation.read(run_folder)


def test_the_next_export_is_the_next_version_and_nothing_is_left_beside_it(tmp_path) -> None:
    (tmp_path / "9").mkdir()
    with pytest.raises(OutputFolderError, match=r"/9: holds no model that `keras-i3d export` wrote; choose another"):
        export(tiny_model(), tmp_path)
    (tmp_path / "9").rmdir()
    assert export(tiny_model(), tmp_path, name="actions") == tmp_path / "1"
    (tmp_path / "1").rename(tmp_path / "9")
    assert export(tiny_model(), tmp_path, name="actions") == tmp_path / "10"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("10", "9", "README.md", "batching.config", "models.config")
    ]
    assert 'name: "actions"' in (tmp_path / "models.config").read_text()
    assert (tmp_path / "README.md").read_text().startswith("# actions:")
    assert [path.name for path in exporting.versions(tmp_path)] == ["9", "10"]


def test_a_number_that_another_export_took_meanwhile_is_passed_over(tmp_path, monkeypatch) -> None:
    rename = Path.rename

    def taken(self: Path, target: Path) -> Path:
        if target == tmp_path / "1" and not target.exists():
            shutil.copytree(self, target)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", taken)
    assert export(tiny_model(), tmp_path) == tmp_path / "2"


def test_a_folder_of_something_else_is_left_alone(tmp_path) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(OutputFolderError, match=r"holds 'thesis.txt', which is no version of a served model"):
        export(tiny_model(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_readme_of_somebody_else_is_left_alone(tmp_path) -> None:
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(OutputFolderError, match=r"holds 'README.md', which is no version of a served model"):
        export(tiny_model(), tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"


def test_a_model_keeps_its_name(tmp_path) -> None:
    export(tiny_model(), tmp_path, name="actions")
    export(tiny_model(), tmp_path)
    assert (tmp_path / "README.md").read_text().startswith("# actions:")
    with pytest.raises(OutputFolderError, match=r"its models.config names the model 'actions', not 'other'"):
        export(tiny_model(), tmp_path, name="other")
    (tmp_path / "models.config").write_text("# mine: name: 'x'\n")
    export(tiny_model(), tmp_path, name="other")
    for name in ('a"b', "../x", "", "-x"):
        with pytest.raises(ValueError, match="a name on the server is of letters, digits, _, - and"):
            export(tiny_model(), tmp_path, name=name)


def test_what_a_killed_export_left_is_cleared_after_a_day(tmp_path) -> None:
    for name in (".exporting-old", ".exporting-new"):
        (tmp_path / name).mkdir()
    os.utime(tmp_path / ".exporting-old", (0, 0))
    export(tiny_model(), tmp_path)
    assert not (tmp_path / ".exporting-old").exists() and (tmp_path / ".exporting-new").exists()


def test_a_folder_of_another_model_is_left_alone(tmp_path) -> None:
    export(tiny_model(), tmp_path)
    other = FinishedModel(tiny_model().network, ("walk", *CLASSES[1:]), tiny_model().preparation)
    message = (
        r"holds versions of another model \(i3d, rgb, 7 classes: run, jump, swim, \.\.\.\), and this is i3d, rgb, "
        r"7 classes: walk, jump, swim, \.\.\.; .* choose another folder"
    )
    with pytest.raises(OutputFolderError, match=message):
        export(other, tmp_path)
    assert [path.name for path in exporting.versions(tmp_path)] == ["1"]


def test_a_version_that_computes_its_flow_is_checked_too(tmp_path) -> None:
    export(small_model("both"), tmp_path, ServingOptions(flow_inside=True, shape=(1, 4, 18, 24)), check=True)
    differences = json.loads((tmp_path / "1" / exporting.EXTRA / "check.json").read_text())["differences"]
    assert set(differences) == {"serving_default", "frames", "clip"}
    assert max(differences.values()) < 1e-4


def test_versions_that_want_flow_and_that_compute_it_do_not_mix(tmp_path) -> None:
    export(small_model("flow"), tmp_path)
    with pytest.raises(
        OutputFolderError, match=r"another model \(i3d, flow, .* this is i3d, flow, flow computed inside, "
    ):
        export(small_model("flow"), tmp_path, ServingOptions(flow_inside=True))


def test_a_model_that_is_none_leaves_nothing(tmp_path) -> None:
    (tmp_path / "x.keras").write_bytes(b"nothing")
    with pytest.raises(ModelFileError, match=r"x.keras: cannot be read as a Keras model"):
        export(tmp_path / "x.keras", tmp_path / "served")
    assert not (tmp_path / "served").exists()


def test_a_model_without_classes_is_named(run_folder, tmp_path) -> None:
    finished = finished_model.load(run_folder / "best.keras")
    finished.network.save(tmp_path / "x.keras")
    with pytest.raises(ModelFileError, match=r"x.keras: has no class names; labels.txt is expected beside it"):
        export(tmp_path / "x.keras", tmp_path / "served")
    keras.Model(finished.network.inputs, finished.network.get_layer("Mixed_5c").output).save(tmp_path / "x.keras")
    with pytest.raises(ModelFileError, match="it needs inputs named rgb or flow and a layer named Logits"):
        export(tmp_path / "x.keras", tmp_path / "served")
    assert not (tmp_path / "served").exists()


def test_an_output_that_is_none_is_named(tmp_path, as_nobody, open_folder) -> None:
    (tmp_path / "served").write_text("x")
    with pytest.raises(OutputFolderError, match="served: cannot be used as output folder"):
        export(tiny_model(), tmp_path / "served")
    with pytest.raises(OutputFolderError, match="s3://bucket/served: a model is exported to a folder of this machine"):
        export(tiny_model(), "s3://bucket/served")
    (open_folder / "served").mkdir(mode=0o555)
    with as_nobody(), pytest.raises(OutputFolderError, match="served: cannot be used as output folder"):
        export(tiny_model(), open_folder / "served")


@pytest.mark.parametrize("room", [20_000, 150])
def test_a_file_that_cannot_be_written_whole_leaves_no_version(tmp_path, room: int) -> None:
    """Of the model's own files the first limit stops one, of those beside it the second."""
    script = (
        "import resource, signal, sys\n"
        f"sys.path.insert(0, {str(Path(c_api.__file__).parent)!r})\n"
        "from finished_models import tiny_model\n"
        "from keras_i3d.errors import OutputFolderError\n"
        "from keras_i3d.serving.export import export\n"
        "model = tiny_model()\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))\n"
        "try:\n"
        f"    export(model, {str(tmp_path)!r})\n"
        "except OutputFolderError as error:\n"
        "    sys.exit(0 if 'the model could not be written (' in str(error) else str(error))\n"
        "sys.exit('it was written')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert [path.name for path in tmp_path.iterdir()] == []


def test_a_version_that_fails_its_check_does_not_appear(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(exporting.compare.__globals__["LIMITS"], "bfloat16", 0.0)
    options = ServingOptions(precision="bfloat16")
    with pytest.raises(ModelFileError, match=r"differs from the Keras model by .* 0 is allowed in bfloat16"):
        export(tiny_model(), tmp_path, options, check=True)
    assert list(tmp_path.iterdir()) == []


def test_a_fixed_number_of_frames_must_suit_the_network(tmp_path) -> None:
    message = (
        "the network c3d takes 16 frames at once, so the frames of a fixed shape must be a multiple of that, got 24"
    )
    with pytest.raises(ValueError, match=message):
        export(paper_model("c3d"), tmp_path, ServingOptions(shape=(None, 24, None, None)))
    with pytest.raises(ValueError, match="c3d takes 16 frames at once, so max_frames must be at least that, got 8"):
        export(paper_model("c3d"), tmp_path, ServingOptions(max_frames=8))


def test_a_checked_version_tells_how_far_it_is_off(tmp_path) -> None:
    version = export(tiny_model(modality="flow"), tmp_path, ServingOptions(fold_batch_norm=True), check=True)
    found = json.loads((version / exporting.EXTRA / "check.json").read_text())
    assert set(found["differences"]) == {"serving_default", "clip", "features"}
    assert max(found["differences"].values()) <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["convnet_lstm", "c3d", "two_stream", "fused_two_stream", "two_stream_i3d"])
def test_every_network_is_exported_and_checked(name: str, tmp_path) -> None:
    version = export(paper_model(name), tmp_path, ServingOptions(precision="bfloat16"), check=True)
    found = json.loads((version / exporting.EXTRA / "check.json").read_text())
    assert found["replayed"] == 5
    assert 0 < max(found["differences"].values()) <= 0.1
