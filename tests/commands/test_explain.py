import json

import av
import cv2
import numpy as np
import pytest
from finished_models import CLASSES, tiny_model

from keras_i3d import cli
from keras_i3d.video.encode import write_video


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    finished = tiny_model()
    finished.network.save(folder / "best.keras")
    (folder / "labels.txt").write_text("\n".join(CLASSES) + "\n")
    finished.preparation.write(folder)
    return str(folder / "best.keras")


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    write_video(path, np.random.default_rng(0).integers(0, 256, (6, 48, 64, 3), dtype=np.uint8), fps=25)
    return str(path)


def frames_of(path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_a_video_a_strip_and_the_numbers_are_written(model, video, tmp_path, capsys) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"x" * 999)
    arguments = ["explain", video, str(bad), "--model", model, "--layer", "Conv3d_1a_7x7", "--class", CLASSES[2]]
    assert cli.main([*arguments, "--output", str(tmp_path / "out"), "--json"]) == 3
    captured = capsys.readouterr()
    assert f"keras-i3d explain: {bad}: cannot be read as video" in captured.err
    told = json.loads(captured.out)
    assert told["files"] == [
        str(tmp_path / "out" / f"clip.mp4_explained{suffix}") for suffix in (".mp4", ".png", ".json")
    ]
    assert frames_of(told["files"][0]) == 6
    assert cv2.imread(told["files"][1]) is not None
    values = json.loads((tmp_path / "out" / "clip.mp4_explained.json").read_text())
    assert (values["class"], values["frames"], values["model"]) == (CLASSES[2], 6, model)
    assert cli.main(["explain", video, "--model", model, "--layer", "norm", "--output", str(tmp_path / "out")]) == 1
    assert "holds a run of `explain` with other settings" in capsys.readouterr().err


def test_the_filters_are_an_animation_and_a_sheet(model, tmp_path, capsys) -> None:
    assert cli.main(["explain", "--filters", "--model", model, "--output", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "rgb: 6 filters of 3x5x5"
    assert frames_of(tmp_path / "out" / "filters_rgb.png") == 3
    assert cv2.imread(str(tmp_path / "out" / "filters_rgb_sheet.png")) is not None


def test_flow_needs_no_model(video, tmp_path, capsys) -> None:
    output = tmp_path / "out"
    assert cli.main(["explain", "--flow", video, "--frames", "3", "--output", str(output)]) == 0
    assert frames_of(output / "clip.mp4_flow.mp4") == 3
    assert "clip.mp4: flow (0.04 to 0.16 s, 3 frames)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["VIDEO"], 2, "--model is wanted: a .keras file, or a name of published weights"),
        (["--model", "MODEL"], 2, "at least one VIDEO is wanted, or --filters"),
        (["VIDEO", "--filters", "--model", "MODEL"], 2, "--filters shows a model and takes no videos"),
        (["VIDEO", "--flow", "--class", "run"], 2, "--class does not go with --flow"),
        (["--filters", "--model", "MODEL", "--start-s", "1"], 2, "--start-s does not go with --filters"),
        (["VIDEO", "--model", "MODEL"], 2, "network 'i3d' has no layer 'Mixed_5c' with a map over time and space"),
        (["VIDEO", "--model", "MODEL", "--layer", "norm", "--class", "dance"], 2, "unknown class 'dance'; the model"),
        (["VIDEO", "--model", "MODEL", "--layer", "norm", "--frames", "0"], 2, "frames must be 1 to 1000, got 0"),
        (["VIDEO", "--model", "absent.keras"], 1, "absent.keras: no such model file"),
    ],
)
def test_wrong_usage_is_one_line_and_leaves_nothing(model, video, tmp_path, capsys, arguments, code, message) -> None:
    given = [{"VIDEO": video, "MODEL": model}.get(word, word) for word in arguments]
    assert cli.main(["explain", *given, "--output", str(tmp_path / "out")]) == code
    captured = capsys.readouterr()
    assert captured.out == "" and message in captured.err and captured.err.count("\n") == 1
    assert not (tmp_path / "out").exists()
