import json
import shutil

from keras_i3d import cli


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
    assert "unknown time plan '2d'; known: i3d, per_frame" in capsys.readouterr().err


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
