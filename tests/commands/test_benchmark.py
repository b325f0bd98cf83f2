import json
import re
import subprocess
import sys

import pytest

from keras_i3d import cli

TINY = ["frames=9", "size=32", "epochs=1", "batch_size=4", "flips=false"]


def arguments(records, output, dataset: str = "own", *more: str) -> list[str]:
    settings = [part for setting in TINY for part in ("--set", setting)]
    return ["benchmark", dataset, "--records", str(records), "--output", str(output), *settings, *more]


@pytest.mark.slow
def test_a_network_is_trained_tested_and_stands_beside_the_paper(records, tmp_path, capsys) -> None:
    call = arguments(records, tmp_path / "out", "hmdb51", "--transfers", "original", "--streams", "rgb")
    assert cli.main([*call, "--start", "none"]) == 0
    first, second, line = capsys.readouterr().out.splitlines()[-3:]
    assert first == "hmdb51: top-1 on the whole videos of test"
    assert second.split() == ["transfer", "stream", "top-1", "paper"]
    (result,) = json.loads((tmp_path / "out/result.json").read_text())
    assert line.split() == ["original", "rgb", f"{result['top1']:.1%}"]  # the paper has this stream from ImageNet only
    tested = json.loads((tmp_path / "out/original-rgb-1-test/result.json").read_text())
    assert (tested["top1"], tested["videos"]) == (result["top1"], 8)

    assert cli.main([*call, "--start", "none", "--json"]) == 0  # nothing is done twice
    assert json.loads(capsys.readouterr().out) == [result]


def test_weights_that_cannot_be_used_are_told_before_anything_is_trained(
    records, flow_run_folder, tmp_path, capsys
) -> None:
    more = ["--streams", "rgb", "--transfers", "original", "full", "--weights", str(flow_run_folder / "last.keras")]
    assert cli.main(arguments(records, tmp_path / "out", "own", *more, "--set", "accumulation=1")) == 1
    assert "is of network 'i3d' and modality 'flow', not of 'i3d' and 'rgb'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_it_repeats_itself_in_a_process_of_its_own(records, run_folder, tmp_path) -> None:
    more = ["--streams", "rgb", "--transfers", "fixed", "--weights", str(run_folder / "last.keras")]
    call = [sys.executable, "-m", "keras_i3d", *arguments(records, tmp_path / "out", "own", *more)]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1].split() == ["transfer", "stream", "top-1"]


@pytest.mark.slow
@pytest.mark.by_hand
def test_transfers_and_streams_make_a_table(records, run_folder, flow_run_folder, tmp_path, capsys) -> None:
    weights = ["--weights", str(run_folder / "last.keras"), str(flow_run_folder / "last.keras")]
    assert cli.main([*arguments(records, tmp_path / "out", "own", *weights), "--json"]) == 0
    lines = json.loads(capsys.readouterr().out)
    assert [(line["transfer"], line["modality"]) for line in lines] == [
        (transfer, modality) for transfer in ("original", "fixed", "full") for modality in ("rgb", "flow", "both")
    ]
    assert all(0 <= line["top1"] <= 1 and line["paper"] is None for line in lines)
    recipe = json.loads((tmp_path / "out/fixed-flow-1/recipe.json").read_text())
    assert (recipe["transfer"], recipe["modality"], recipe["weights"]) == ("fixed", "flow", weights[2])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--set", "epoch=3"], r"set must be FIELD=VALUE with a field of a recipe \(network, weights, .*got 'epoch=3'"),
        (["--set", "epochs"], "set must be FIELD=VALUE"),
        (["--set", "epochs=many"], "epochs must be a number, true or false; got 'many'"),
        (
            ["--weights", "a", "b", "c"],
            r"weights must be one name, or one for each of rgb, flow; got \['a', 'b', 'c'\]",
        ),
        (["--set", "dropout_rate=2"], r"dropout_rate must be in \[0, 1\), got 2"),
    ],
)
def test_wrong_arguments_are_told_before_anything_is_done(records, tmp_path, capsys, more, message) -> None:
    assert cli.main(arguments(records, tmp_path / "out", "own", *more)) == 2

    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def test_kinetics_is_tested_not_transferred_to(records, tmp_path, capsys) -> None:
    call = ["benchmark", "kinetics", "--records", str(records), "--output", str(tmp_path / "out")]
    assert cli.main([*call, "--transfers", "full"]) == 2
    assert "on kinetics there is nothing to transfer from: transfers must be original" in capsys.readouterr().err


def test_what_the_records_lack_is_told_before_anything_is_trained(motion_folder, records, tmp_path, capsys) -> None:
    assert cli.main(arguments(records, tmp_path / "out", "own", "--splits", "2")) == 1
    assert "test2" in capsys.readouterr().err
    make = ["make-tfrecords", "--folder", motion_folder, "--output", tmp_path / "rgb", "--short-side", "32"]
    assert cli.main([*map(str, make), "--workers", "0"]) == 0
    assert cli.main(arguments(tmp_path / "rgb", tmp_path / "out")) == 1
    assert "holds no flow; make it again with `make-tfrecords --flow tvl1`" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
