import json

import pytest

from keras_i3d import cli
from keras_i3d.models import costs
from keras_i3d.models.i3d import I3D
from keras_i3d.models.networks import NETWORKS


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    """Return the exit code and what was printed to standard output and standard error."""
    code = cli.main(["models", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_table_has_every_network_beside_the_paper_and_fits_a_terminal(capsys) -> None:
    code, out, _ = run(capsys)
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    for network in NETWORKS.values():
        assert f"\n{network.name} " in out
        assert f"\n {network.title}" in out
    lines = {" ".join(line.split()) for line in out.splitlines()}
    # the clips, spans and parameters of the paper's table 1
    for start in (
        "i3d rgb 64x224x224 2.56 12.69 222.3",
        "i3d flow 64x224x224 2.56 12.67",
        "two_stream_i3d rgb 64x224x224 2.56 25.36 (25)",
        "convnet_lstm rgb 25x224x224 5.00 8.95 (9)",
        "c3d rgb 16x112x112 0.64 79.63 (79)",
        "two_stream rgb 1x224x224 0.40 12.06 (12)",
        "fused_two_stream rgb 5x224x224 2.00 39.76 (39)",
        "inception_v1 rgb 224x224 - 6.62",
    ):
        assert any(line.startswith(start) for line in lines), start
    assert "3D-Fused Two-Stream flow 50x224x224 50x507" in lines


def test_networks_that_cannot_be_built_so_are_left_out_and_named(capsys) -> None:
    code, out, err = run(capsys, "--frames", "9", "--size", "32", "--json")
    assert code == 3
    assert [facts["network"] for facts in json.loads(out)] == [*("i3d", "i3d", "two_stream_i3d", "c3d", "inception_v1")]
    err = " ".join(err.split())
    assert "two_stream: left out; frames must be a multiple of 10 for network 'two_stream', got 9" in err
    assert "fused_two_stream: left out; frames must be at least 50 for network 'fused_two_stream', got 9" in err
    assert "convnet_lstm: left out; frames must be a multiple of 5 for network 'convnet_lstm', got 9" in err


def test_json_has_everything_of_one_network(capsys) -> None:
    options = ["--frames", "16", "--size", "64", "--time-plan", "s3d", "--classes", "8", "--optimiser", "sgd"]
    code, out, _ = run(capsys, "i3d", "--json", *options)
    rgb, flow = json.loads(out)
    model = I3D(weights=None, input_shape=(16, 64, 64, 3), time_plan="s3d", classes=8)
    assert code == 0
    assert (rgb["modality"], flow["modality"]) == ("rgb", "flow")
    assert (rgb["frames"], rgb["span_s"]) == (16, 0.64)
    assert rgb["inputs"] == {"rgb": {"shape": [16, 64, 64, 3], "step": 1, "offset": 0}}
    assert rgb["flops"] == costs.flops(model)
    memory = costs.training_memory(model, optimiser="sgd")
    assert rgb["training_memory"] == {"fixed_bytes": memory.fixed, "bytes_per_clip": memory.per_clip}
    points = {point["layer"]: point for point in rgb["end_points"]}
    assert points["MaxPool3d_5a_2x2"]["shape"] == [2, 2, 2, 832]
    assert points["MaxPool3d_5a_2x2"]["receptive_field"] == {"rgb": {"reach": [67, 251, 251], "stride": [8, 32, 32]}}
    assert points["Logits"]["receptive_field"]["rgb"]["reach"] == [None, None, None]
    assert not any("__" in name for name in points)


def test_end_points_count_frames_of_the_video(capsys) -> None:
    _, out, _ = run(capsys, "fused_two_stream", "--size", "129", "--json")
    (fused,) = json.loads(out)
    fields = {point["layer"]: point["receptive_field"] for point in fused["end_points"]}
    # every tenth frame: five of them reach over 41 frames, their flow over all 50
    assert fields["FusionPool"]["rgb"]["reach"][0] == 41
    assert fields["FusionPool"]["flow"]["reach"][0] == 50
    assert fields["rgb_stream/Mixed_5c"]["rgb"] == {"reach": [1, 379, 379], "stride": [10, 32, 32]}
    _, out, _ = run(capsys, "convnet_lstm", "--frames", "10", "--size", "32", "--json")
    (lstm,) = json.loads(out)
    assert lstm["inputs"]["rgb"] == {"shape": [2, 32, 32, 3], "step": 5, "offset": 0}
    points = {point["layer"]: point["receptive_field"]["rgb"] for point in lstm["end_points"]}
    assert points["Mixed_5c"]["stride"][0] == 5
    assert points["Features"]["reach"] == [1, None, None]


def test_one_network_shows_its_end_points_and_alike_streams_once(capsys) -> None:
    code, out, _ = run(capsys, "i3d", "--frames", "16", "--size", "64")
    assert code == 0
    assert out.count("what one position sees of") == 1
    assert "\ni3d, what one position sees of rgb or flow (frames x px x px)\n" in out
    lines = [line.split() for line in out.splitlines()]
    assert ["Mixed_3b", "8x8x8x256", "15x43x43", "2x8x8"] in lines
    assert ["Logits", "400", "all", "all"] in lines
    _, out, _ = run(capsys, "inception_v1", "--size", "64", "--end-points")
    assert "\ninception_v1, what one position sees of rgb (px x px)\n" in out
    assert ["Mixed_4f", "4x4x832", "235x235", "16x16"] in [line.split() for line in out.splitlines()]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["i4d"], "unknown network 'i4d'; known: i3d, two_stream_i3d, convnet_lstm, c3d,"),
        (["c3d", "--time-plan", "i2d"], "'c3d' has no time plan to choose; those that have: i3d, two_stream_i3d"),
        (["inception_v1", "--frames", "3"], "'inception_v1' takes images, so there is no number of frames to choose"),
        (["--frames", "0"], "frames must be at least 1, got 0"),
        (["--size", "-1"], "size must be at least 1, got -1"),
        (["--classes", "0"], "classes must be at least 1, got 0"),
        (["--batch-size", "0"], "batch_size must be at least 1, got 0"),
        (["--time-plan", "i5d"], "unknown time plan 'i5d'; known: i3d, i2d,"),
        (["two_stream", "--frames", "5"], "frames must be a multiple of 10 for network 'two_stream', got 5"),
        (["fused_two_stream", "--size", "64"], "size must be at least 129 for network 'fused_two_stream', got 64"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(capsys, arguments: list[str], message: str) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert message in err and err.count("\n") == 1


def test_clips_that_training_refuses_are_refused_here_too(capsys) -> None:
    assert cli.main(["models", "two_stream", "--frames", "15"]) == 2
    assert "frames must be a multiple of 10 for network 'two_stream', got 15" in capsys.readouterr().err
