import json
import shutil

import numpy as np
import pytest

from keras_i3d import cli
from keras_i3d.features.files import read_features


@pytest.fixture
def videos(motion_folder, tmp_path):
    """Return a folder of two videos."""
    (tmp_path / "videos").mkdir()
    for number, path in enumerate(sorted(motion_folder.rglob("*.mp4"))[:2]):
        shutil.copy(path, tmp_path / "videos" / f"{number}.mp4")
    return tmp_path / "videos"


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    from small_models import save_small_model

    folder = tmp_path_factory.mktemp("model")
    (folder / "labels.txt").write_text("run\njump\n")
    return save_small_model(folder / "rgb", folder)


def call(videos, output, model: str, *options: str) -> int:
    return cli.main(
        ["features", str(videos), "--output", str(output), "--model", model, "--window", "8", "--stride", "4", *options]
    )


def test_features_are_written_and_counted(videos, model, tmp_path, capsys) -> None:
    output = tmp_path / "out"
    assert call(videos, output, model) == 0
    assert capsys.readouterr().out == f"{output}: 2 videos written, 4 windows\n"
    found = read_features(output / "0.mp4.npz")
    assert found.arrays["rgb"].shape == (2, 16)
    np.testing.assert_allclose(found.times, [[0, 0.32], [0.16, 0.48]])
    assert call(videos, output, model, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report == {
        "output": str(output),
        "written": 0,
        "present": 2,
        "windows": 0,
        "skipped": {},
        "damaged": {},
    }


def test_what_cannot_be_read_is_listed_and_the_exit_code_says_so(videos, model, tmp_path, capsys) -> None:
    (videos / "bad.mp4").write_bytes(b"no video")
    output = tmp_path / "out"
    assert call(videos, output, model) == 3
    error = capsys.readouterr().err
    assert f"skipped {videos}/bad.mp4: cannot be read as video" in error
    assert "--retry-skipped tries what was skipped again" in error
    shutil.copy(videos / "0.mp4", videos / "bad.mp4")
    assert call(videos, output, model) == 3
    assert call(videos, output, model, "--retry-skipped") == 0


def test_not_one_video_is_a_failure(model, tmp_path) -> None:
    assert call(tmp_path / "none.mp4", tmp_path / "out", model) == 1


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--endpoint", "Mixed_5c"), 2, "network 'i3d' has no end point 'Mixed_5c'; it has features, "),
        (("--pooling", "none"), 2, "unpooled features are written as they come, in file_format 'h5', got 'npz'"),
        (("--stride", "0"), 2, "stride is a number of frames, at least 1; got 0"),
        (("--scheduler", "tcp://127.0.0.1:1"), 1, "keras-i3d features: "),
    ],
)
def test_wrong_options_are_one_line(videos, model, tmp_path, capsys, options, code: int, message: str) -> None:
    assert call(videos, tmp_path / "out", model, *options) == code
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert not (tmp_path / "out").exists()


def test_a_layer_is_written_whole_where_it_is_wanted(videos, model, tmp_path) -> None:
    assert call(videos, tmp_path / "out", model, "--pooling", "none", "--format", "h5", "--fill", "pad") == 0
    assert read_features(tmp_path / "out/0.mp4.h5").arrays["rgb"].shape[1:] == (8, 8, 8, 16)
