import json
import shutil

import numpy as np
import pytest
import serving_double

import keras_i3d
from keras_i3d import cli, finished_model
from keras_i3d.clips import transforms
from keras_i3d.serving import prediction
from keras_i3d.serving.export import export
from keras_i3d.video import decode


@pytest.fixture
def video(motion_folder):
    return motion_folder / "test" / "grows" / "000.mp4"


def test_the_answer_is_the_networks_on_the_whole_video(run_folder, video) -> None:
    answer = keras_i3d.predict(video, model=run_folder / "best.keras", top=8)
    finished = finished_model.load(run_folder / "best.keras")
    clip = transforms.testing_view(decode.read_frames(video, short_side=37), 32, "rgb")
    expected = finished.network.predict(clip[None], verbose=0)[0]
    assert answer.frames == 12
    assert [name for name, _ in answer.top] == [finished.class_names[i] for i in np.argsort(-expected, kind="stable")]
    np.testing.assert_allclose([value for _, value in answer.top], np.sort(expected)[::-1], atol=1e-6)


def test_the_command_prints_a_table_or_json_and_nothing_else_on_standard_output(run_folder, video, capsys) -> None:
    arguments = ["predict", str(video), "--model", str(run_folder / "best.keras"), "--top", "3"]
    assert cli.main([*arguments, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["video"], result["frames"], len(result["top"])) == (str(video), 12, 3)
    assert cli.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].split() == [result["top"][0]["class"], f"{result['top'][0]['probability']:.2%}"]


def test_a_long_video_is_seen_in_windows_whose_logits_are_averaged(run_folder, video, monkeypatch) -> None:
    monkeypatch.setattr(prediction, "WHOLE_VIDEO_FRAMES", 9)
    answer = keras_i3d.predict(video, model=run_folder / "best.keras", top=8)
    network = finished_model.load(run_folder / "best.keras").logits_network()
    clip = transforms.testing_view(decode.read_frames(video, short_side=37), 32, "rgb")
    logits = (network(clip[None, :9])[0] * 9 + network(clip[None, 9:])[0] * 3) / 12
    probabilities = np.exp(logits) / np.exp(logits).sum()
    assert answer.frames == 12
    np.testing.assert_allclose([value for _, value in answer.top], np.sort(probabilities)[::-1], atol=1e-6)


def test_a_flow_network_sees_flow(flow_run_folder, video) -> None:
    answer = keras_i3d.predict(video, model=flow_run_folder / "best.keras")
    assert answer.frames == 12
    assert sum(value for _, value in answer.top) <= 1 + 1e-6


@pytest.mark.parametrize("kind", ["absent", "empty", "text", "folder"])
def test_a_video_that_is_none_is_one_line(run_folder, tmp_path, capsys, kind) -> None:
    bad = tmp_path / "bad.mp4"
    if kind == "folder":
        bad.mkdir()
    elif kind != "absent":
        bad.write_bytes({"empty": b"", "text": b"x" * 999}[kind])
    assert cli.main(["predict", str(bad), "--model", str(run_folder / "best.keras")]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert str(bad) in captured.err.splitlines()[-1]
    assert captured.err.splitlines()[-1].startswith("keras-i3d predict: ")


@pytest.mark.parametrize("model", ["absent.keras", "nothing"])
def test_a_model_that_is_none_is_one_line(video, tmp_path, capsys, model) -> None:
    assert cli.main(["predict", str(video), "--model", str(tmp_path / model)]) == 1
    error = capsys.readouterr().err
    assert model in error and error.count("\n") == 1


def test_published_weights_without_a_network_say_what_to_do(video, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", refuse)
    assert cli.main(["predict", str(video), "--model", "kinetics"]) == 1
    error = capsys.readouterr().err
    assert "model.ckpt.index is absent, and https://" in error
    assert "Put the file there by hand; or set KERAS_I3D_MIRROR" in error
    assert "or give the path of a checkpoint of your own" in error


def refuse(*arguments: object, **options: object) -> None:
    raise OSError("no network in tests")


def test_several_videos_are_answered_one_after_the_other(run_folder, video, tmp_path, capsys) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"x" * 999)
    other = shutil.copy(video, tmp_path)
    videos = [str(video), str(bad), str(other)]
    arguments = ["predict", *videos, "--model", str(run_folder / "best.keras"), "--top", "2"]
    assert cli.main([*arguments, "--json"]) == 3
    captured = capsys.readouterr()
    results = [json.loads(line) for line in captured.out.splitlines()]
    assert [result["video"] for result in results] == [str(video), str(other)]
    assert f"keras-i3d predict: {bad}: cannot be read as video" in captured.err
    assert cli.main(arguments) == 3
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith("  ")] == [f"{video}:", "", f"{other}:", ""]
    assert cli.main(["predict", str(bad), str(tmp_path / "absent.mp4"), "--model", str(run_folder / "best.keras")]) == 1
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "exactly one of --model and --server is wanted"),
        (["--model", "a", "--server", "b"], "exactly one of --model and --server is wanted"),
        (["--model", "a", "--in-flight", "2"], "--in-flight is an option of --server"),
        (["--model", "a", "--timeout-s", "2"], "--timeout-s is an option of --server"),
        (["--server", "a", "--modality", "flow"], "--modality is an option of --model"),
        (["--server", "a:b"], "a server is host:port for gRPC, or http://host:port for REST; got 'a:b'"),
        (["--server", "a:1", "--timeout-s", "-1"], "timeout_s must be a number of seconds above 0, got -1.0"),
    ],
)
def test_options_that_do_not_fit_are_wrong_usage(arguments: list[str], message: str, capsys) -> None:
    assert cli.main(["predict", "a.mp4", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_server_answers_in_place_of_a_model(models, motion_folder, tmp_path, capsys) -> None:
    export(models["rgb"], tmp_path / "served")
    videos = [str(path) for path in sorted(motion_folder.rglob("*.mp4"))[:3]]
    with serving_double.serve({"actions": tmp_path / "served"}) as double:
        for address in (double.grpc, double.rest):
            asked = ["--server", address, "--name", "actions", "--in-flight", "2"]
            assert cli.main(["predict", *videos, *asked, "--json"]) == 0
            there = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
            assert cli.main(["predict", *videos, "--model", str(tmp_path / "served"), "--json"]) == 0
            here = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
            assert [one["video"] for one in there] == videos
            assert {one["model"] for one in there} == {f"actions at {address}"}
            for ours, theirs in zip(here, there, strict=True):
                assert [one["class"] for one in ours["top"]] == [one["class"] for one in theirs["top"]]
            assert cli.main(["predict", *videos, str(tmp_path / "absent.mp4"), *asked]) == 3
            captured = capsys.readouterr()
            assert f"keras-i3d predict: {tmp_path / 'absent.mp4'}: cannot be read as video" in captured.err
            assert captured.out.count("%") == 15
        assert cli.main(["predict", videos[0], "--server", double.grpc]) == 1
        assert "has no model named 'i3d'" in capsys.readouterr().err
        assert cli.main(["predict", videos[0], "--server", double.grpc, "--name", "actions", "--in-flight", "0"]) == 2
        assert "in_flight must be at least 1, got 0" in capsys.readouterr().err


def test_at_least_one_class_is_asked_for(run_folder, video, capsys) -> None:
    assert cli.main(["predict", str(video), "--model", str(run_folder / "best.keras"), "--top", "0"]) == 2
    assert "top must be at least 1, got 0" in capsys.readouterr().err
