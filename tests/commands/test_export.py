import json

import pytest

from keras_i3d import cli
from keras_i3d.commands import export


def arguments(run_folder, folder) -> list[str]:
    return ["export", "--model", str(run_folder / "best.keras"), "--output", str(folder)]


def test_the_folder_of_the_new_version_is_printed(run_folder, tmp_path, capsys) -> None:
    for version in ("1", "2"):
        assert cli.main(arguments(run_folder, tmp_path / "served")) == 0
        assert capsys.readouterr().out == f"{tmp_path / 'served' / version}\n"
        assert (tmp_path / "served" / version / "saved_model.pb").is_file()
    assert 'name: "i3d"' in (tmp_path / "served/models.config").read_text()


def test_a_check_tells_on_standard_error_how_far_the_model_is_off(run_folder, tmp_path, capsys) -> None:
    options = ["--precision", "bfloat16", "--shape", "?,16,?,?", "--max-frames", "99", "--name", "actions", "--check"]
    assert cli.main([*arguments(run_folder, tmp_path), *options]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{tmp_path / '1'}\n"
    assert "\nchecked: largest difference from the Keras model, in deviations of its logits or" in captured.err
    assert captured.err.endswith("5 warm-up requests answered\n")
    found = json.loads((tmp_path / "1/assets.extra/check.json").read_text())["differences"]
    assert 1e-5 < found["clip"] < 0.1
    readme = (tmp_path / "README.md").read_text()
    assert readme.startswith("# actions: action recognition, 8 classes")
    assert "at most 99 frames" in readme and "[batch, 16, height, width, 3]" in readme


def test_a_model_that_is_none_is_one_line_and_leaves_nothing(tmp_path, capsys) -> None:
    (tmp_path / "x.keras").write_bytes(b"")
    assert cli.main(["export", "--model", str(tmp_path / "x.keras"), "--output", str(tmp_path / "served")]) == 1
    error = capsys.readouterr().err
    assert "x.keras: cannot be read as a Keras model" in error and error.count("\n") == 1
    assert not (tmp_path / "served").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--shape", "1,2,3"], "a shape is batch,time,height,width, each a number above 0 or ?"),
        (["--shape", "1,64,256,?", "--max-frames", "32"], "a shape of 64 frames is more than max_frames, 32"),
        (["--precision", "float16"], "invalid choice: 'float16'"),
        (["--flow-inside"], "flow is computed inside of a network that sees flow, and i3d takes rgb alone"),
    ],
)
def test_options_that_are_none_are_wrong_usage(run_folder, tmp_path, capsys, options: list[str], message: str) -> None:
    try:
        code = cli.main([*arguments(run_folder, tmp_path / "served"), *options])
    except SystemExit as stopped:  # argparse
        code = stopped.code
    assert code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "served").exists()


def test_another_format_says_what_it_does_not_take(run_folder, tmp_path, capsys) -> None:
    for options, message in (
        (["--precision", "bfloat16"], "--precision goes with --format saved-model alone; onnx takes prepared clips"),
        (["--flow-inside"], "--flow-inside goes with --format saved-model alone"),
        (["--shape", "1,16,37,?"], "height and width in --shape goes with --format saved-model alone"),
    ):
        assert cli.main([*arguments(run_folder, tmp_path / "onnx"), "--format", "onnx", *options]) == 2
        assert message in capsys.readouterr().err
        assert not (tmp_path / "onnx").exists()


def test_litert_needs_no_other_package_and_is_checked(run_folder, tmp_path, capsys) -> None:
    command = [*arguments(run_folder, tmp_path / "litert"), "--format", "litert", "--shape", "1,9,?,?"]
    assert cli.main(command) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{tmp_path / 'litert/model.tflite'}\n"
    assert captured.err.startswith("checked: largest difference from the Keras model, in deviations of its logits:")
    assert (tmp_path / "litert/labels.txt").is_file()


def test_the_formats_are_those_of_the_runtimes() -> None:
    from keras_i3d.serving import runtimes

    assert tuple(runtimes.RUNTIMES) == export.RUNTIMES
