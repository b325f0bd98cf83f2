import subprocess
import sys

import pytest


def run(script: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)


def test_tensorflow_starts_without_a_word() -> None:
    done = run("from keras_i3d import quiet; quiet.import_tensorflow(); import tensorflow as tf; tf.constant(1)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_a_failing_import_says_is_shown() -> None:
    spoilt = "import sys, os; os.write(2, b'only hint\\n'); raise ImportError('broken')"
    script = (
        "import sys, tempfile, pathlib\n"
        "folder = tempfile.mkdtemp(); pathlib.Path(folder, 'tensorflow.py').write_text(" + repr(spoilt) + ")\n"
        "sys.path.insert(0, folder)\n"
        "from keras_i3d import quiet; quiet.import_tensorflow()"
    )
    done = run(script)
    assert done.returncode == 1
    assert "only hint" in done.stderr and "ImportError: broken" in done.stderr


def test_another_backend_is_refused_in_one_line() -> None:
    script = "import os; os.environ['KERAS_BACKEND'] = 'jax'; from keras_i3d import cli; import sys\n"
    done = run(script + "sys.exit(cli.main(['predict', 'a.mp4', '--model', 'b']))")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "keras-i3d predict: KERAS_BACKEND is 'jax'; this command runs on tensorflow alone, so unset it\n"
    )


def test_dask_keeps_its_tracebacks_to_itself() -> None:
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    script = (
        "import logging; from keras_i3d import quiet; quiet.silence_dask()\n"
        "logging.getLogger('distributed.client').critical('a page of it')"
    )
    done = run(script)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_tensorflow_a_command_says_what_is_missing() -> None:
    script = (
        "import sys\n"
        "import importlib.util\n"
        "found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name: None if name == 'tensorflow' else found(name)\n"
        "from keras_i3d import cli\n"
        "sys.exit(cli.main(['export', '--model', 'x.keras', '--output', 'y']))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("keras-i3d export: this needs the package tensorflow, which is not installed.")
    assert done.stderr.count("\n") == 1
