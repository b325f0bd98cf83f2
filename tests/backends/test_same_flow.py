import importlib.util
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("same_flow", Path(__file__).with_name("same_flow.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(script, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    assert script.main(["write", str(folder)]) == 0
    return folder


def test_the_check_passes_on_the_backend_that_wrote(script, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(["check", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "check on tensorflow"
    assert [line.split(":")[0] for line in lines[1:]] == ["called", "two pairs at once", "in a model, of floats"]


def test_the_check_fails_where_flow_differs(script, folder: Path, tmp_path: Path) -> None:
    with np.load(folder / "flow.npz") as stored:
        frames, flow = stored["frames"], stored["flow"]
    np.savez(tmp_path / "flow.npz", frames=frames, flow=flow + np.float32(0.02))
    with pytest.raises(AssertionError, match=r"called: differs by 0\.0\d* pixels on average, allowed is 0\.001"):
        script.main(["check", str(tmp_path)])
