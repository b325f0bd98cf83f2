import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from keras_i3d import cli, finished_model
from keras_i3d.clips import pipeline
from keras_i3d.commands.evaluate import evaluate
from keras_i3d.models.c3d import C3D
from keras_i3d.models.two_stream import TwoStream
from keras_i3d.records.selection import select


def run(model, records, *more: str) -> int:
    return cli.main(["evaluate", "--model", str(model), "--records", str(records), *more])


def test_the_numbers_come_as_a_table_or_as_json(run_folder, records, capsys) -> None:
    assert run(run_folder / "best.keras", records, "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["videos"], values["split"], len(values["class_names"])) == (8, "test", 8)
    assert sum(map(sum, values["confusion"])) == 8
    assert values["top1"] == sum(values["confusion"][i][i] for i in range(8)) / 8
    assert run(run_folder / "best.keras", records) == 0
    assert f"top-1                {values['top1']:.1%}" in capsys.readouterr().out


def test_another_split_may_be_asked_for(run_folder, records, capsys) -> None:
    assert run(run_folder / "best.keras", records, "--split", "train", "--json") == 0
    assert json.loads(capsys.readouterr().out)["videos"] == 16
    assert run(run_folder / "best.keras", records, "--split", "dev") == 1
    assert "unknown split 'dev'; there are train, val, test" in capsys.readouterr().err


def test_records_of_other_classes_are_refused(run_folder, records, tmp_path, capsys) -> None:
    shutil.copytree(records, tmp_path / "records")
    labels = tmp_path / "records/labels.txt"
    labels.write_text(labels.read_text().replace("grows", "glows"))
    assert run(run_folder / "best.keras", tmp_path / "records") == 1
    assert "class 'glows' is unknown to the model; make the records with --labels" in capsys.readouterr().err
    names = (records / "labels.txt").read_text().splitlines()
    labels.write_text("\n".join(reversed(names)) + "\n")
    assert run(run_folder / "best.keras", tmp_path / "records") == 1
    assert "its classes have another order" in capsys.readouterr().err


def test_a_flow_network_wants_flow(flow_run_folder, records, tmp_path, capsys) -> None:
    assert run(flow_run_folder / "best.keras", records) == 0
    shutil.copytree(records, tmp_path / "records")
    manifest = json.loads((records / "manifest.json").read_text())
    manifest["settings"]["flow"] = "none"
    (tmp_path / "records/manifest.json").write_text(json.dumps(manifest))
    capsys.readouterr()
    assert run(flow_run_folder / "best.keras", tmp_path / "records") == 1
    assert "holds no flow" in capsys.readouterr().err


def test_records_of_another_rate_are_refused(run_folder, records, tmp_path, capsys) -> None:
    shutil.copytree(records, tmp_path / "records")
    manifest = json.loads((records / "manifest.json").read_text())
    manifest["settings"]["fps"] = 10.0
    (tmp_path / "records/manifest.json").write_text(json.dumps(manifest))
    assert run(run_folder / "best.keras", tmp_path / "records") == 1
    assert "has 10 frames per second, 25 are wanted" in capsys.readouterr().err


@pytest.mark.parametrize("model", ["absent.keras", "records.txt", "kinetix"])
def test_a_model_that_is_none_is_one_line(records, tmp_path, capsys, model) -> None:
    assert run(tmp_path / model, records) == 1
    error = capsys.readouterr().err
    assert model in error and error.count("\n") == 1


def test_a_network_of_fixed_clips_is_tested_window_by_window(records, tmp_path) -> None:
    C3D(input_shape=(4, 32, 32, 3), classes=8).save(tmp_path / "model.keras")
    shutil.copy(records / "labels.txt", tmp_path)
    evaluation = evaluate(tmp_path / "model.keras", records)
    network = finished_model.load(tmp_path / "model.keras").logits_network()
    videos = pipeline.whole_videos(select(records, "test"), size=32)  # twelve frames each
    for (inputs, _, _), logits in zip(videos, evaluation.answers.logits, strict=True):
        windows = tf.reshape(inputs["rgb"], (3, 4, 32, 32, 3))
        np.testing.assert_allclose(logits, np.mean(network(windows), axis=0), atol=1e-5)


def test_a_network_of_snapshots_gets_the_middle_ones_and_their_flow(records, tmp_path) -> None:
    TwoStream(input_shape=(None, 32, 32), classes=8).save(tmp_path / "model.keras")
    shutil.copy(records / "labels.txt", tmp_path)
    evaluation = evaluate(tmp_path / "model.keras", records)
    network = finished_model.load(tmp_path / "model.keras").logits_network()
    videos = pipeline.whole_videos(select(records, "test"), size=32, modalities=("rgb", "flow"))
    for (inputs, _, _), logits in zip(videos, evaluation.answers.logits, strict=True):
        # of twelve frames the ten in the middle: the sixth of them, and the fields of all
        clips = {"rgb": inputs["rgb"][tf.newaxis, 6:7], "flow": inputs["flow"][tf.newaxis, 1:11]}
        np.testing.assert_allclose(logits, network(clips)[0], atol=1e-5)


def test_records_without_flow_do_for_no_network_of_two_streams(records, tmp_path, capsys) -> None:
    TwoStream(input_shape=(None, 32, 32), classes=8).save(tmp_path / "model.keras")
    shutil.copy(records / "labels.txt", tmp_path)
    shutil.copytree(records, tmp_path / "records")
    manifest = json.loads((records / "manifest.json").read_text())
    manifest["settings"]["flow"] = "none"
    (tmp_path / "records/manifest.json").write_text(json.dumps(manifest))
    assert run(tmp_path / "model.keras", tmp_path / "records") == 1
    assert "holds no flow" in capsys.readouterr().err
