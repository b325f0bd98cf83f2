import json
import shutil

import pytest

from keras_i3d import cli


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
    assert "no records of split 'dev'; its splits are test, train, val" in capsys.readouterr().err


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
