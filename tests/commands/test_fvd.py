import json
from pathlib import Path

import numpy as np
import pytest
from video_networks import moving_clips, video_network

import keras_i3d
from keras_i3d import cli
from keras_i3d.clips.preparation import Preparation
from keras_i3d.video.decode import read_frames
from keras_i3d.video.encode import write_video

SMALL = "videos; below 256 the distance comes out far too large, compare it only with distances of as many videos"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the .keras file of a finished model."""
    folder = tmp_path_factory.mktemp("run")
    video_network().save(folder / "best.keras")
    (folder / "labels.txt").write_text("a\nb\nc\nd\ne\n")
    Preparation("rgb", 25.0, 37, 32).write(folder)
    return str(folder / "best.keras")


@pytest.fixture
def sets(tmp_path: Path) -> tuple[Path, Path]:
    """Return two folders of five videos of 12 frames."""
    for seed, name in enumerate(("real", "generated")):
        (tmp_path / name).mkdir()
        for index, clip in enumerate(moving_clips(5, frames=12, seed=seed)):
            write_video(tmp_path / name / f"{index}.mp4", clip, fps=8)
    return tmp_path / "real", tmp_path / "generated"


def frames_of(folder: Path, count: int = 12) -> np.ndarray:
    paths = sorted(folder.iterdir())
    return np.stack([read_frames(path, fps=None, short_side=None)[:count] for path in paths])


def fvd(*arguments: object) -> int:
    return cli.main(["fvd", *map(str, arguments)])


@pytest.mark.filterwarnings("ignore::keras_i3d.fvd.videos.VideoSetWarning")
def test_the_command_prints_the_functions_distance(model, sets, capsys) -> None:
    assert fvd(*sets, "--model", model, "--frames", 10, "--json", "--resamples", 20) == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    expected = keras_i3d.frechet_video_distance(*sets, model=model, frames=10, resamples=20)
    assert (result["distance"], tuple(result["interval"])) == (expected.distance, expected.interval)
    assert result["real"] == {"source": str(sets[0]), "videos": 5, "sizes": {"40x24": 5}, "skipped": []}
    assert (result["model"], result["endpoint"], result["frames"], result["size"]) == (model, "logits", 10, 32)
    lines = [line for line in captured.err.splitlines() if "warning" in line]
    assert lines == [f"keras-i3d fvd: warning: {name}: 5 {SMALL}" for name in ("real", "generated")]


def test_the_table_is_short(model, sets, capsys) -> None:
    assert fvd(*sets, "--model", model, "--endpoint", "features", "--resamples", 20) == 0
    rows = [line.split("  ", 1) for line in capsys.readouterr().out.splitlines()]
    assert [label for label, _ in rows] == ["FVD", "95% interval", "real", "generated", "seen", "by"]
    values = [value.strip() for _, value in rows]
    assert values[1].endswith("(20 halves)")
    assert values[2:4] == ["5 videos of 40x24"] * 2
    assert values[4:] == ["12 frames, resized to 32x32", f"{model}, its features"]


def test_saved_statistics_take_the_place_of_either_set(model, sets, tmp_path, capsys) -> None:
    saved = tmp_path / "a.npz", tmp_path / "b.npz"
    assert fvd(*sets, "--model", model, "--json", "--save-real", saved[0], "--save-generated", saved[1]) == 0
    distance = json.loads(capsys.readouterr().out)["distance"]
    for pair in ((saved[0], sets[1]), (sets[0], saved[1])):
        assert fvd(*pair, "--model", model, "--json") == 0
        assert json.loads(capsys.readouterr().out)["distance"] == distance
    assert fvd(*saved, "--json") == 0  # the weights of kinetics are not asked for
    assert json.loads(capsys.readouterr().out)["distance"] == distance
    assert fvd(*saved, "--endpoint", "features") == 2
    assert "the saved statistics are of logits" in capsys.readouterr().err


def test_arrays_on_the_disk_are_sets_and_floats_need_their_range(model, sets, tmp_path, capsys) -> None:
    for name, folder in zip("ab", sets, strict=True):
        np.save(tmp_path / f"{name}.npy", frames_of(folder))
        np.save(tmp_path / f"{name}f.npy", frames_of(folder).astype(np.float32) / 255)
    found = []
    for real, generated in (sets, (tmp_path / "a.npy", tmp_path / "b.npy")):
        assert fvd(real, generated, "--model", model, "--json") == 0
        found.append(json.loads(capsys.readouterr().out)["distance"])
    assert found[0] == found[1]
    assert fvd(tmp_path / "af.npy", tmp_path / "bf.npy", "--model", model, "--range", 0, 1, "--json") == 0
    assert json.loads(capsys.readouterr().out)["distance"] == pytest.approx(found[0], rel=1e-5)
    assert fvd(tmp_path / "af.npy", tmp_path / "b.npy", "--model", model) == 2
    assert "af.npy[0]: float32 frames may mean any range" in capsys.readouterr().err.splitlines()[-1]


def test_a_damaged_video_is_an_error_and_left_out_by_choice(model, sets, capsys) -> None:
    bad = sets[1] / "3.mp4"
    bad.write_bytes(bad.read_bytes()[:700])
    assert fvd(*sets, "--model", model) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.splitlines()[-1].startswith(f"keras-i3d fvd: {bad}: ")
    assert fvd(*sets, "--model", model, "--on-damage", "skip", "--json") == 3
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert result["generated"]["videos"] == 4
    assert result["generated"]["skipped"][0][0] == str(bad)
    assert captured.err.splitlines()[-1].startswith(f"keras-i3d fvd: left out of generated: {bad}: ")


def test_a_short_video_is_an_error_and_left_out_by_choice(model, sets, capsys) -> None:
    write_video(sets[0] / "9.mp4", moving_clips(1, frames=11)[0], fps=8)
    assert fvd(*sets, "--model", model) == 2
    assert "9.mp4: has 11 frames, those before it 12" in capsys.readouterr().err
    assert fvd(*sets, "--model", model, "--frames", 12) == 2
    assert "9.mp4: has 11 frames, 12 are wanted" in capsys.readouterr().err
    assert fvd(*sets, "--model", model, "--frames", 12, "--on-short", "skip") == 3
    captured = capsys.readouterr()
    assert "5 videos of 40x24, 1 left out" in captured.out
    assert "left out of real: " in captured.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("a", "b", "--resamples", 3), 2, "resamples must be 0, for no interval, or at least 20; got 3"),
        (("a", "b", "--batch-size", 0), 2, "batch_size must be at least 1, got 0"),
        (("a", "b", "--save-real", "x.txt"), 2, "statistics are saved in an .npz file, got x.txt"),
        (("a.npz", "b.npz"), 1, "a.npz: no such file of statistics"),
    ],
)
def test_wrong_usage_is_one_line_before_anything_is_loaded(arguments, code: int, message: str, capsys) -> None:
    assert fvd(*arguments) == code
    assert capsys.readouterr().err == f"keras-i3d fvd: {message}\n"


def test_what_saved_statistics_have_behind_them_is_not_asked_for_again(model, sets, tmp_path, capsys) -> None:
    saved = tmp_path / "a.npz"
    assert fvd(*sets, "--model", model, "--save-real", saved, "--json") == 0
    capsys.readouterr()
    assert fvd(saved, saved, "--model", model) == 2
    assert "--model is of videos, and both sets are saved statistics" in capsys.readouterr().err


def test_statistics_are_kept_as_soon_as_they_are_there(model, sets, tmp_path, capsys) -> None:
    assert fvd(*sets, "--model", model, "--save-real", tmp_path / "absent/a.npz") == 2
    assert "there is no folder" in capsys.readouterr().err
    next(sets[1].iterdir()).write_bytes(b"no video")
    assert fvd(*sets, "--model", model, "--save-real", tmp_path / "a.npz") == 1
    assert (tmp_path / "a.npz").is_file()


def test_a_folder_without_videos_is_one_line_before_a_network_is_loaded(sets, tmp_path, capsys) -> None:
    (tmp_path / "empty").mkdir()
    assert fvd(sets[0], tmp_path / "empty", "--model", "absent.keras") == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and error.startswith(f"keras-i3d fvd: {tmp_path / 'empty'}: no video in it")


def test_a_network_of_flow_is_one_line(flow_model, sets, capsys) -> None:
    assert fvd(*sets, "--model", flow_model) == 2
    assert "takes flow; this distance is of a network that takes rgb alone" in capsys.readouterr().err


@pytest.fixture
def flow_model(tmp_path: Path) -> str:
    from finished_models import tiny_model

    finished = tiny_model(modality="flow")
    (tmp_path / "flow").mkdir()
    finished.network.save(tmp_path / "flow" / "best.keras")
    (tmp_path / "flow" / "labels.txt").write_text("\n".join(finished.class_names) + "\n")
    finished.preparation.write(tmp_path / "flow")
    return str(tmp_path / "flow" / "best.keras")
