import subprocess
import sys

import pytest

import keras_i3d
from keras_i3d import cli


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in cli.COMMANDS), ["--version"]])
def test_help_teaches_and_imports_no_framework(arguments: list[str]) -> None:
    script = (
        "import sys\nfrom keras_i3d import cli\n"
        f"try:\n    cli.main({arguments!r})\n"
        "except SystemExit as done:\n    assert done.code == 0\n"
        "heavy = {'tensorflow', 'keras', 'cv2', 'av'} & set(sys.modules)\nassert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert "keras-i3d" in done.stdout


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_shows_how_it_is_called(name: str) -> None:
    text = cli.parser().format_help()
    assert f"\n    {name}" in text
    module = sys.modules[f"keras_i3d.commands.{name.replace('-', '_')}"]
    assert f"\n  keras-i3d {name}" in module.__doc__


def test_python_m_is_the_same_program() -> None:
    done = subprocess.run([sys.executable, "-m", "keras_i3d", "--version"], check=True, capture_output=True, text=True)
    assert done.stdout == f"keras-i3d {keras_i3d.__version__}\n"


def test_who_reads_no_further_is_not_complained_of() -> None:
    command = [sys.executable, "-m", "keras_i3d", "weights", "list"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    run.stdout.close()
    assert run.stderr.read() == b""
    run.stderr.close()
    assert run.wait() == 1


@pytest.mark.parametrize("arguments", [[], ["dance"], ["predict"], ["predict", "a.mp4", "--model"]])
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2


def test_an_interrupted_command_says_so(monkeypatch, capsys) -> None:
    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("keras_i3d.commands.predict.prediction.check_top", interrupt)
    assert cli.main(["predict", "a.mp4", "--model", "m"]) == 1
    assert capsys.readouterr().err == "keras-i3d predict: interrupted\n"
