import json
import shutil

import pytest

from keras_i3d import cli
from keras_i3d.clips.preparation import Preparation
from keras_i3d.models import networks


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


@pytest.mark.parametrize(
    ("network", "frames"),
    [
        *(("c3d", 9), ("convnet_lstm", 10)),
        pytest.param("two_stream", 10, marks=pytest.mark.slow),
        pytest.param("two_stream_i3d", 9, marks=pytest.mark.slow),
    ],
)
def test_every_network_goes_from_records_to_numbers(network: str, frames: int, records, tmp_path, capsys) -> None:
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
    assert cli.main(["predict", "a.mp4", "--model", str(model)]) == 1
    assert f"the network {network} (modality {preparation.modality}) can be eval" in capsys.readouterr().err


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


def test_damaged_records_are_named(records, tmp_path, capsys) -> None:
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
    assert "records: a record is damaged, or is none of this package (" in capsys.readouterr().err


def test_an_output_folder_of_another_run_is_left_alone(run_folder, records, capsys) -> None:
    before = sorted(path.name for path in run_folder.iterdir())
    assert cli.main(["train", "--records", str(records), "--output", str(run_folder)]) == 1
    assert "holds a run of `train` with other settings (recipe." in capsys.readouterr().err
    assert cli.main(["train", "--records", str(records), "--output", str(records)]) == 1
    assert "holds a run of `make-tfrecords`, not of `train`" in capsys.readouterr().err
    assert sorted(path.name for path in run_folder.iterdir()) == before
