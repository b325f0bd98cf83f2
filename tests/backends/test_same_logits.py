import importlib.util
from pathlib import Path

import numpy as np
import pytest

NETWORKS = ("i3d", "inception_v1")


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("same_logits", Path(__file__).with_name("same_logits.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(script, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    assert script.main(["write", str(folder), "--networks", *NETWORKS]) == 0
    return folder


def test_the_check_passes_on_the_backend_that_wrote(script, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(["check", str(folder), "--networks", *NETWORKS]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "check on tensorflow"
    assert [line.split(":")[0] for line in lines[1:]] == [
        *("i3d.weights.h5", "i3d.keras", "inception_v1.weights.h5", "i3d"),
    ]
    assert lines[-1].startswith("i3d: refused inception_v1.weights.h5 and a cut file (damaged")


def test_the_check_fails_where_logits_differ(script, folder: Path, tmp_path: Path) -> None:
    with np.load(folder / "inception_v1.npz") as stored:
        values = dict(stored)
    values["logits"] = values["logits"] + np.float32(1e-3 * values["logits"].std())
    np.savez(tmp_path / "inception_v1.npz", **values)
    (tmp_path / "inception_v1.weights.h5").symlink_to(folder / "inception_v1.weights.h5")
    with pytest.raises(AssertionError, match=r"inception_v1\.weights\.h5: differs by 0\.00.*, allowed is 0\.0001"):
        script.main(["check", str(tmp_path), "--networks", "inception_v1"])
