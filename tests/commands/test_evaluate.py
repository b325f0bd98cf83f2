import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from small_models import save_small_model

from keras_i3d import cli, finished_model
from keras_i3d.clips import pipeline
from keras_i3d.evaluation.evaluate import evaluate, fuse
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


def test_records_without_flow_do_for_no_network_of_two_streams(records, tmp_path, capsys) -> None:
    TwoStream(input_shape=(None, 32, 32), classes=8).save(tmp_path / "model.keras")
    shutil.copy(records / "labels.txt", tmp_path)
    shutil.copytree(records, tmp_path / "records")
    manifest = json.loads((records / "manifest.json").read_text())
    manifest["settings"]["flow"] = "none"
    (tmp_path / "records/manifest.json").write_text(json.dumps(manifest))
    assert run(tmp_path / "model.keras", tmp_path / "records") == 1
    assert "holds no flow" in capsys.readouterr().err


def test_the_logits_of_several_models_are_summed_and_each_stands_beside_the_sum(models, records, capsys) -> None:
    pair = [models["rgb"], models["flow"]]
    both = evaluate(pair, records)
    alone = [evaluate(model, records).answers.logits for model in pair]
    np.testing.assert_array_equal(both.answers.logits, alone[0] + alone[1])
    assert [row.name for row in both.rows] == ["rgb", "flow", "sum"]
    weighted = evaluate(pair, records, weights=[1, 0.5])
    np.testing.assert_array_equal(weighted.answers.logits, alone[0] + np.float32(0.5) * alone[1])
    assert run(models["rgb"], records, "--model", models["flow"], "--weights", "1", "0.5", "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert values["models"] == pair
    assert [(each["name"], each["model"], each["weight"]) for each in values["streams"]] == [
        ("rgb", pair[0], 1.0),
        ("flow", pair[1], 0.5),
    ]
    assert values["top1"] == weighted.metrics.top1


def test_output_holds_all_and_the_same_command_shows_it_again_without_tensorflow(models, records, tmp_path) -> None:
    command = [sys.executable, "-c", "import sys; from keras_i3d import cli; code = cli.main(); "
               "print('tensorflow' in sys.modules, file=sys.stderr); sys.exit(code)",
               "evaluate", "--model", models["rgb"], "--model", models["flow"], "--records", str(records),
               "--output", str(tmp_path / "out")]  # fmt: skip
    first, second = (subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(2))
    assert first.stderr.endswith("True\n") and second.stderr == "False\n"
    assert first.stdout == second.stdout
    assert f"look at {tmp_path / 'out/report.html'}" in first.stdout
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("predictions.npz", "report.html", "result.json", "run.json")
    ]
    values = json.loads((tmp_path / "out/result.json").read_text())
    assert values["models"] == [models["rgb"], models["flow"]]
    assert (values["videos"], values["records"], len(values["classes"])) == (8, str(records), 8)
    with np.load(tmp_path / "out/predictions.npz") as file:
        assert file["logits"].shape == (8, 8)
        assert np.mean(file["logits"].argmax(1) == file["truth"]) == values["top1"]
    page = (tmp_path / "out/report.html").read_text()
    assert "data:image/png" in page and "Most confused" in page


def test_output_of_other_settings_or_of_another_model_is_refused(models, records, tmp_path, capsys) -> None:
    copy = shutil.copytree(Path(models["rgb"]).parent, tmp_path / "model")
    output = ["--output", str(tmp_path / "out")]
    assert run(copy / "best.keras", records, *output) == 0
    assert run(copy / "best.keras", records, *output, "--views", "2x1", "--view-frames", "4") == 1
    assert (
        "holds a run of `evaluate` with other settings (views None there, '2x1, 4 frames each' asked"
        in capsys.readouterr().err
    )
    shutil.rmtree(copy)
    save_small_model(copy, records, seed=1)
    assert run(copy / "best.keras", records, *output) == 1
    assert "with other settings (models [['sha256" in capsys.readouterr().err
    assert run(tmp_path / "absent.keras", records, "--output", str(tmp_path / "new")) == 1
    assert not (tmp_path / "new").exists()


def test_earlier_predictions_are_summed(models, records, tmp_path, capsys) -> None:
    for name, model in models.items():
        evaluate(model, records, output=tmp_path / name)
    both = evaluate(list(models.values()), records)
    command = ["evaluate", "--predictions", str(tmp_path / "rgb"), "--predictions", str(tmp_path / "flow")]
    output = ["--records", str(records), "--output", str(tmp_path / "both")]
    assert cli.main([*command, *output]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[0].split() == ["rgb", "flow", "sum"]
    with np.load(tmp_path / "both/predictions.npz") as file:
        np.testing.assert_array_equal(file["logits"], both.answers.logits)
    assert "data:image/png" in (tmp_path / "both/report.html").read_text()
    assert json.loads((tmp_path / "both/result.json").read_text())["top1"] == both.metrics.top1
    assert cli.main([*command, *output]) == 0
    assert capsys.readouterr().out == text
    assert cli.main([*command, *output, "--weights", "1", "2"]) == 1
    assert "with other settings (weights [1.0, 1.0] there, [1.0, 2.0] asked)" in capsys.readouterr().err
    assert cli.main([*command, "--json", "--weights", "1", "2"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert [each["weight"] for each in values["streams"]] == [1.0, 2.0]
    assert fuse([tmp_path / "rgb"]).metrics.top1 == evaluate(models["rgb"], records).metrics.top1


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--classes", "-1"], "classes must be at least 0, got -1"),
        (["--views", "ten"], "views must be windows x crops, each 1 to 100, such as 10x3; got 'ten'"),
        (["--frames", "few"], "frames must be all or a number of at least 1, got 'few'"),
        (["--frames", "0"], "frames must be all or a number of at least 1, got 0"),
        (["--view-frames", "4"], "view_frames are those of views; name these too, such as --views 10x3"),
        (["--views", "1x1", "--view-frames", "0"], "view_frames must be at least 1, got 0"),
        (["--weights", "1", "2"], "weights must be 1 finite numbers, not all 0, one for each of the models; got"),
        (["--split", "test", "--split", "test"], "splits must be one or more, each named once; got test, test"),
    ],
)
def test_arguments_out_of_range_are_wrong_usage(records, capsys, more: list[str], message: str) -> None:
    assert run("absent.keras", records, *more) == 2
    assert message in capsys.readouterr().err


def test_what_belongs_to_models_cannot_go_with_predictions(tmp_path, capsys) -> None:
    for option, value in (
        ("split", "test"),
        ("frames", "9"),
        ("views", "1x1"),
        ("view-frames", "4"),
        ("on-damage", "skip"),
    ):
        assert cli.main(["evaluate", "--predictions", str(tmp_path), f"--{option}", value]) == 2
        assert f"--{option} cannot go with --predictions" in capsys.readouterr().err
    assert cli.main(["evaluate", "--model", "kinetics"]) == 2
    assert "records must be named: --records DIR" in capsys.readouterr().err


def test_damaged_records_are_left_out_where_that_is_wanted(models, records, tmp_path, capsys) -> None:
    shutil.copytree(records, tmp_path / "records")
    (shard,) = (tmp_path / "records").glob("test-*")
    content = bytearray(shard.read_bytes())
    content[int.from_bytes(content[:8], "little") + 16 + 500] ^= 1  # in the second record
    shard.write_bytes(content)
    more = ["--model", models["flow"], "--output", str(tmp_path / "out"), "--on-damage"]
    assert run(models["rgb"], tmp_path / "records", *more, "skip") == 3
    shown = capsys.readouterr()
    assert "1 damaged records were left out (--json lists them)" in shown.err
    whole = evaluate([models["rgb"], models["flow"]], records).answers
    with np.load(tmp_path / "out/predictions.npz") as file:
        assert file["ids"].tolist() == [whole.ids[0], *whole.ids[2:]]
        np.testing.assert_allclose(file["logits"], np.delete(whole.logits, 1, axis=0), atol=1e-5)
    assert run(models["rgb"], tmp_path / "records", *more, "skip", "--json") == 3
    (told,) = json.loads(capsys.readouterr().out)["skipped"]
    assert f"{shard.name}: record 1, counted from 0" in told
    assert run(models["rgb"], tmp_path / "records", *more, "stop") == 1
    assert "on_damage 'skip' there, 'stop' asked" in capsys.readouterr().err
    with pytest.raises(ValueError, match="on_damage must be one of stop, skip; got 'ignore'"):
        evaluate(models["rgb"], records, on_damage="ignore")
