import dataclasses
import json
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from small_networks import small_network

from keras_i3d import cli
from keras_i3d.clips.preparation import Preparation
from keras_i3d.models import networks
from keras_i3d.records import manifest
from keras_i3d.training import start
from keras_i3d.training.execution import Execution
from keras_i3d.training.named_recipes import NAMED
from keras_i3d.training.recipe import Recipe


def test_options_change_a_recipe_file_and_the_summary_names_the_best_epoch(
    run_folder, records, tiny_recipe, tmp_path, capsys
) -> None:
    (tmp_path / "recipe.json").write_text(json.dumps(tiny_recipe.to_json() | {"epochs": 9}))
    arguments = ["--recipe", tmp_path / "recipe.json", "--epochs", "2", "--records", records, "--output", run_folder]
    assert cli.main(["train", *map(str, arguments)]) == 0  # finished already by the same recipe
    history = json.loads((run_folder / "history.json").read_text())
    best = max(history, key=lambda entry: (entry["val_top1"], -entry["val_loss"]))
    expected = f"best.keras: epoch {best['epoch']} of 2, val top-1 {best['val_top1']:.1%}"
    assert expected in capsys.readouterr().out
    assert cli.main(["train", *map(str, arguments), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"model": str(run_folder / "best.keras"), "best": best, "history": history}


@pytest.mark.parametrize(
    ("network", "frames"),
    [
        pytest.param("convnet_lstm", 10, marks=pytest.mark.slow),
        pytest.param("c3d", 9, marks=[pytest.mark.slow, pytest.mark.by_hand]),
        pytest.param("two_stream", 10, marks=[pytest.mark.slow, pytest.mark.by_hand]),
        pytest.param("two_stream_i3d", 9, marks=[pytest.mark.slow, pytest.mark.by_hand]),
    ],
)
def test_every_network_goes_from_records_to_answers(
    network: str, frames: int, records, motion_folder, tmp_path, capsys
) -> None:
    small = ["--frames", frames, "--size", 32, "--epochs", 1, "--batch-size", 4, "--no-flips"]
    train = ["train", "--records", records, "--output", tmp_path / "run", "--network", network, *small]
    assert cli.main([*map(str, train)]) == 0
    assert "best.keras: epoch 1 of 1, val top-1 " in capsys.readouterr().out
    (epoch,) = json.loads((tmp_path / "run/history.json").read_text())
    assert epoch.keys() == {"epoch", "loss", "top1", "learning_rate", "val_loss", "val_top1"}
    assert 0 < epoch["loss"] < 20
    preparation = Preparation.read(tmp_path / "run")
    assert (preparation.network, preparation.modality) == (network, networks.network(network).modality)

    model = tmp_path / "run/best.keras"
    assert cli.main(["evaluate", "--model", str(model), "--records", str(records), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["videos"], sum(map(sum, values["confusion"]))) == (8, 8)
    video = motion_folder / "test/grows/000.mp4"
    assert cli.main(["export", "--model", str(model), "--output", str(tmp_path / "served"), "--check"]) == 0
    answers = []
    for answering in (model, tmp_path / "served"):
        capsys.readouterr()
        assert cli.main(["predict", str(video), "--model", str(answering), "--json"]) == 0
        answers.append(json.loads(capsys.readouterr().out))
    assert answers[0]["frames"] == answers[1]["frames"] == 12
    here, there = ([one["probability"] for one in answer["top"]] for answer in answers)
    np.testing.assert_allclose(there, here, atol=1e-5)


def test_records_without_flow_are_refused_for_the_flow_stream(motion_folder, tmp_path, capsys) -> None:
    make = ["make-tfrecords", "--folder", motion_folder, "--output", tmp_path / "records", "--short-side", "32"]
    assert cli.main([*map(str, make), "--workers", "1"]) == 0
    train = ["train", "--records", tmp_path / "records", "--output", tmp_path / "run", "--modality", "flow"]
    assert cli.main([*map(str, train)]) == 1
    assert "holds no flow; make it again with `make-tfrecords --flow tvl1`" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_wrong_recipe_is_one_line(records, tmp_path, capsys) -> None:
    (tmp_path / "recipe.json").write_text('{"frame": 3}')
    common = ["--records", str(records), "--output", str(tmp_path / "run")]
    assert cli.main(["train", "--recipe", str(tmp_path / "recipe.json"), *common]) == 1
    assert "a recipe has no field 'frame'" in capsys.readouterr().err
    assert cli.main(["train", "--time-plan", "2d", *common]) == 2
    assert "unknown time plan '2d'; known: i3d, i2d, per_frame" in capsys.readouterr().err
    assert cli.main(["train", "--network", "r3d", *common]) == 2
    assert "unknown network 'r3d'; known: i3d, two_stream_i3d, convnet_lstm, c3d, " in capsys.readouterr().err
    assert cli.main(["train", "--network", "two_stream", "--frames", "16", *common]) == 2
    assert "frames must be a multiple of 10 for network 'two_stream', got 16" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_damaged_records_are_named_and_may_be_left_out(records, tmp_path, capsys, caplog, monkeypatch) -> None:
    shutil.copytree(records, tmp_path / "records")
    shard = next((tmp_path / "records").glob("train-*"))
    content = shard.read_bytes()
    small = ["--frames", "9", "--size", "32", "--batch-size", "4", "--epochs", "1"]
    train = ["train", "--records", str(tmp_path / "records"), "--output", str(tmp_path / "run"), *small]
    shard.write_bytes(content[: len(content) // 2])
    assert cli.main(train) == 1
    error = capsys.readouterr().err
    assert f"{shard}: has {len(content) // 2} bytes where the manifest says {len(content)}; the same" in error
    assert not (tmp_path / "run").exists()
    shard.write_bytes(content[:99] + bytes([content[99] ^ 255]) + content[100:])
    assert cli.main(train) == 1
    damage = f"{shard}: record 0, counted from 0 (at byte 0): its content is damaged (wrong"
    assert damage in capsys.readouterr().err
    monkeypatch.setattr(start, "network", small_network)
    assert cli.main([*train, "--on-damage", "skip"]) == 3
    error = capsys.readouterr().err
    assert f"left out {damage.partition('records/')[2]}" in error.splitlines()[-1]
    assert "1 of 16 records cannot be used" in caplog.text


def test_an_output_folder_of_another_run_is_left_alone(run_folder, records, capsys) -> None:
    before = sorted(path.name for path in run_folder.iterdir())
    assert cli.main(["train", "--records", str(records), "--output", str(run_folder)]) == 1
    assert "holds a run of `train` with other settings (recipe." in capsys.readouterr().err
    assert cli.main(["train", "--records", str(records), "--output", str(records)]) == 1
    assert "holds a run of `make-tfrecords`, not of `train`" in capsys.readouterr().err
    assert sorted(path.name for path in run_folder.iterdir()) == before


SMALL = ("--frames", "9", "--size", "32", "--epochs", "1", "--batch-size", "4", "--no-flips")


def train(*arguments: object) -> int:
    return cli.main(["train", *map(str, arguments)])


def test_every_field_is_an_option_with_its_meaning(capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["train", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0
    for field in (*dataclasses.fields(Recipe), *dataclasses.fields(Execution)):
        assert f"--{field.name.replace('_', '-')}" in shown
    assert all(name in shown for name in NAMED)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--recipe", "kinetics"], "recipe must be a file or one of kinetics-paper, kinetics-release-rgb, .*; got 'ki"),
        (["--recipe", "small", "--frames", "0"], "frames must be at least 1 for network 'i3d', got 0"),
        (["--weights", "imagenet21k"], "weights='imagenet21k' is neither a known name (kinetics"),
        (["--network", "c3d", "--weights", "kinetics"], "weights='kinetics' are those of I3D; C3D takes the path of"),
        (["--transfer", "full"], "transfer 'full' needs weights to start from; got weights 'none'"),
        (["--precision", "double"], "precision must be one of auto, float32, bfloat16, float16; got 'double'"),
        (["--checkpoint-steps", "0"], "checkpoint_steps must be at least 1, got 0"),
        (["--schedule", "10:1,5:0.1"], "the steps of a schedule must rise, got '10:1,5:0.1'"),
        (["--batch-size", "17"], "split 'train' has 16 clips, fewer than the 17 of one update (--batch"),
        (["--split", "train2"], "train2"),
    ],
)
def test_what_cannot_be_trained_is_one_line(records, tmp_path, capsys, options: list, message: str) -> None:
    assert train("--records", records, "--output", tmp_path / "run", *SMALL, *options) in (1, 2)
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("keras-i3d train: ")
    head, _, tail = message.partition(".*")
    assert head in error and tail in error
    assert not (tmp_path / "run").exists()


def test_weights_of_another_network_are_one_line(records, run_folder, tmp_path, capsys) -> None:
    common = ("--records", records, "--output", tmp_path / "run", *SMALL, "--weights", run_folder / "last.keras")
    assert train(*common, "--modality", "flow") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert (
        error.startswith("keras-i3d train: ") and "last.keras: is of network 'i3d' and modality 'rgb', not of" in error
    )
    assert error.endswith(": give --network i3d --modality rgb")
    assert not (tmp_path / "run").exists()


def test_several_machines_that_are_told_wrongly_are_one_line(records, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {}}')
    assert train("--records", records, "--output", tmp_path / "run", *SMALL) == 1
    assert "keras-i3d train: TF_CONFIG must be of the form" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_label_outside_the_classes_is_one_line(records, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(start, "network", small_network)
    shutil.copytree(records, tmp_path / "records")
    names = (records / "labels.txt").read_text().splitlines()
    (tmp_path / "records/labels.txt").write_text("\n".join(names[:5]) + "\n")
    assert train("--records", tmp_path / "records", "--output", tmp_path / "run", *SMALL) == 1
    assert "labels.txt has 5 classes, the manifest 8; the same `make-tf" in capsys.readouterr().err.splitlines()[-1]
    manifest = json.loads((records / "manifest.json").read_text())
    manifest["dataset"]["classes"] = 5
    (tmp_path / "records/manifest.json").write_text(json.dumps(manifest))
    assert train("--records", tmp_path / "records", "--output", tmp_path / "run", *SMALL) == 1
    error = capsys.readouterr().err
    assert "a record has a label that is none of 5 classes; labels.txt is not" in error.splitlines()[-1]
    assert "looking for its place" not in error  # for nothing: it may take an hour


def test_a_named_recipe_trains_a_new_layer_on_a_trained_network(records, run_folder, tmp_path, capsys) -> None:
    weights = run_folder / "last.keras"
    options = ("--recipe", "ucf101-fixed", "--weights", weights, *SMALL, "--epochs", "3", "--feature-clips", "1")
    options += ("--precision", "bfloat16")
    assert train("--records", records, "--output", tmp_path / "run", *options) == 0
    captured = capsys.readouterr()
    assert "of 3, val top-1 " in captured.out
    assert "computing features" in captured.err
    assert "fixed features are computed in float32: --precision, " in captured.err
    recipe = Recipe.read(tmp_path / "run/recipe.json")
    assert (recipe.transfer, recipe.epochs, recipe.batch_norm_momentum) == ("fixed", 3, 0.999)
    assert len((tmp_path / "run/steps.csv").read_text().splitlines()) == 1 + 3 * 4
    model, began = (keras.saving.load_model(path) for path in (tmp_path / "run/last.keras", weights))
    for layer in began.layers:
        if layer.weights:
            pairs = zip(model.get_layer(layer.name).get_weights(), layer.get_weights(), strict=True)
            is_kept = all(np.array_equal(*pair) for pair in pairs)
            assert is_kept == (not layer.name.startswith("Logits") and "Dropout" not in layer.name), layer.name


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--freeze-until", "Mixed_4f", "--no-frozen-batch-norm"]])
def test_a_trained_network_is_fine_tuned_on_other_classes(motion_folder, run_folder, tmp_path, options: list) -> None:
    for split, name in ((split, name) for split in ("train", "val") for name in ("grows", "shrinks")):
        shutil.copytree(motion_folder / split / name, tmp_path / "videos" / split / name)
    weights = run_folder / "last.keras"
    arguments = ("--videos", tmp_path / "videos", "--output", tmp_path / "run", *SMALL, "--weights", weights)
    assert train(*arguments, *options) == 0
    model, began = (keras.saving.load_model(path) for path in (tmp_path / "run/last.keras", weights))
    assert model.output.shape == (None, 2)
    assert all(layer.trainable for layer in model.layers)
    for layer in began.layers:
        if not layer.weights or layer.name.startswith(("Logits", "Dropout")):
            continue
        pairs = zip(model.get_layer(layer.name).get_weights(), layer.get_weights(), strict=True)
        is_behind = layer.name.startswith("Mixed_5")
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        is_kept = not is_behind if options else is_norm
        assert all(np.array_equal(*pair) for pair in pairs) == is_kept, layer.name


@pytest.mark.parametrize("source", ["folder", "table"])
def test_videos_are_trained_on_straight(motion_folder, tmp_path, capsys, monkeypatch, source: str) -> None:
    given, videos = motion_folder, []
    if source == "table":
        given = tmp_path / "videos.csv"
        for split in ("train", "val"):
            for name in ("grows", "shrinks"):
                videos += [f"{path},{name},{split}" for path in sorted((motion_folder / split / name).iterdir())]
        given.write_text("\n".join(["path,label,split", *videos]) + "\n")
    monkeypatch.setattr(start, "network", small_network)
    assert train("--videos", given, "--output", tmp_path / "run", *SMALL) == 0
    made = manifest.read(tmp_path / "run-records")
    assert made.records["train"] == (16 if source == "folder" else 4)
    assert (made.settings["short_side"], made.settings["flow"]) == (37, "none")
    assert "run/best.keras: epoch 1 of 1, val top-1 " in capsys.readouterr().out
    assert train("--videos", given, "--output", tmp_path / "run", *SMALL) == 0  # finished: nothing is made again


def test_videos_and_records_exclude_each_other(records, tmp_path, capsys) -> None:
    with pytest.raises(SystemExit):
        train("--videos", tmp_path, "--records", records, "--output", tmp_path / "run")
    assert "not allowed with argument" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        train("--output", tmp_path / "run")
    assert "one of the arguments --records --videos is required" in capsys.readouterr().err


def test_records_of_videos_are_made_without_tensorflow(tmp_path) -> None:
    (tmp_path / "videos").mkdir()
    script = (
        "import sys\n"
        "from keras_i3d import cli\n"
        "assert cli.main(sys.argv[1:]) == 1\n"
        "assert 'keras_i3d.records.making' in sys.modules and 'tensorflow' not in sys.modules\n"
    )
    command = ["train", "--videos", tmp_path / "videos", "--output", tmp_path / "run"]
    done = subprocess.run([sys.executable, "-c", script, *command], check=True, capture_output=True, text=True)
    assert done.stderr.startswith("keras-i3d train: ") and len(done.stderr.splitlines()) == 1


def test_videos_that_are_not_there_are_one_line(tmp_path, capsys) -> None:
    assert train("--videos", tmp_path / "absent.csv", "--output", tmp_path / "run", *SMALL) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("absent.csv: is not there; --videos takes a folder with one folder per class, or a CSV table")
    assert not (tmp_path / "run").exists()


def test_a_table_of_several_labels_is_trained_on_and_what_was_skipped_is_told(
    motion_folder, tmp_path, capsys, monkeypatch
) -> None:
    rows = []
    for split in ("train", "val"):
        for name, labels in (("grows", "grows;moves"), ("shrinks", "moves")):
            rows += [f"{path},{labels},{split}" for path in sorted((motion_folder / split / name).iterdir())]
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    table = tmp_path / "videos.csv"
    table.write_text("\n".join(["path,label,split", *rows, "broken.mp4,moves,train"]) + "\n")
    monkeypatch.setattr(start, "network", small_network)
    assert train("--videos", table, "--multi-label", "--output", tmp_path / "run", *SMALL) == 3
    told = capsys.readouterr()
    assert "run/best.keras: epoch 1 of 1, val mAP " in told.out
    assert "skipped broken.mp4" in told.err


def test_several_labels_are_asked_for_of_a_table_of_videos_alone(motion_folder, records, tmp_path, capsys) -> None:
    assert train("--records", records, "--multi-label", "--output", tmp_path / "run") == 2
    assert "multi-label is for --videos" in capsys.readouterr().err
    assert train("--videos", motion_folder, "--multi-label", "--output", tmp_path / "run") == 2
    assert "multi-label needs a CSV" in capsys.readouterr().err
