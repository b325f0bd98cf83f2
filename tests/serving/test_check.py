import shutil

import numpy as np
import pytest
import tensorflow as tf
from finished_models import CLASSES, tiny_model

from keras_i3d.errors import ModelFileError
from keras_i3d.finished_model import FinishedModel
from keras_i3d.serving.check import Check, check
from keras_i3d.serving.export import export
from keras_i3d.serving.options import ServingOptions


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    return export(tiny_model(), tmp_path_factory.mktemp("checked"))


def test_every_signature_is_compared_and_every_warm_up_request_answered(version, caplog) -> None:
    found = check(version, tiny_model(), ServingOptions())
    assert set(found.differences) == {"serving_default", "frames", "clip", "features"}
    assert max(found.differences.values()) <= 1e-5
    assert found.replayed == 5
    assert "deprecated" not in caplog.text


def test_what_was_found_is_kept_with_the_model(tmp_path) -> None:
    assert Check.read(tmp_path) is None
    Check({"clip": 1e-6}, 5).write(tmp_path)
    assert Check.read(tmp_path) == Check({"clip": 1e-6}, 5)


def test_a_model_that_answers_otherwise_is_refused(version) -> None:
    finished = tiny_model()
    kernel = finished.network.get_layer("Logits").kernel
    kernel.assign(np.asarray(kernel) * 1.01)
    message = (
        r"signature serving_default differs from the Keras model by .*e-0\d of the deviation; 0.0001 is allowed in"
    )
    with pytest.raises(ModelFileError, match=message):
        check(version, finished, ServingOptions())


def test_other_class_names_are_refused(version) -> None:
    finished = tiny_model()
    renamed = FinishedModel(finished.network, ("walk", *CLASSES[1:]), finished.preparation)
    with pytest.raises(ModelFileError, match=r"its class_names are .*run.*, the model's .*walk"):
        check(version, renamed, ServingOptions())


def test_what_cannot_be_loaded_is_refused(version, tmp_path) -> None:
    shutil.copytree(version, tmp_path / "1")
    (tmp_path / "1/variables/variables.index").unlink()
    with pytest.raises(ModelFileError, match="cannot be loaded and run as a server does"):
        check(tmp_path / "1", tiny_model(), ServingOptions())


def test_a_warm_up_request_that_fails_is_told(version, tmp_path) -> None:
    shutil.copytree(version, tmp_path / "1")
    file = tmp_path / "1/assets.extra/tf_serving_warmup_requests"
    (record, *_) = (record.numpy() for record in tf.data.TFRecordDataset(str(file)))
    with tf.io.TFRecordWriter(str(file)) as writer:
        writer.write(record.replace(b"serving_default", b"absent_default_"[:15]))
    with pytest.raises(ModelFileError, match="cannot be loaded and run as a server does"):
        check(tmp_path / "1", tiny_model(), ServingOptions())
