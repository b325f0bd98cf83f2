import json

import numpy as np
import pytest

from keras_i3d import cli
from keras_i3d.checkpoints.names import weights_of
from keras_i3d.models.i3d import I3D
from keras_i3d.models.inception_v1 import InceptionV1


@pytest.fixture(scope="module")
def flat(golden, tmp_path_factory):
    """Return a weights file of a 2-D Inception-v1 of 1001 classes whose activations are alive."""
    model = InceptionV1(weights=None, input_shape=(32, 32, 3))
    for weight in weights_of(model):
        weight.variable.assign(golden.weight(weight.path, weight.shape, "live"))
    path = tmp_path_factory.mktemp("flat") / "flat.weights.h5"
    model.save_weights(path)
    return path


def test_the_result_is_weights_that_i3d_takes(flat, tmp_path, capsys) -> None:
    output = tmp_path / "i3d.weights.h5"
    assert cli.main(["inflate", str(flat), "--output", str(output)]) == 0
    assert capsys.readouterr().out == f"{output}: rgb, 1001 classes\n"
    assert [path.name for path in tmp_path.iterdir()] == ["i3d.weights.h5"]
    source = InceptionV1(weights=str(flat), input_shape=(32, 32, 3))
    network = I3D(weights=str(output), input_shape=(1, 32, 32, 3))
    assert network.output.shape == (None, 1001)
    own = np.array(source.get_layer("Conv2d_1a_7x7__conv_2d").kernel)
    assert np.array_equal(network.get_layer("Conv3d_1a_7x7__conv_3d").kernel[2], own / np.float32(7))


def test_the_check_on_an_image_file_prints_every_end_point_and_the_classes(flat, tmp_path, capsys) -> None:
    cv2 = pytest.importorskip("cv2")
    pixels = np.kron(np.random.default_rng(0).integers(0, 256, (10, 15, 3)), np.ones((20, 20, 1))).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "photo.png"), pixels)
    arguments = ["inflate", str(flat), "--output", str(tmp_path / "i3d.weights.h5"), "--classes", "1000"]
    assert cli.main([*arguments, "--check", str(tmp_path / "photo.png")]) == 0
    text = capsys.readouterr().out
    assert text.count("Mixed_5c") == text.count("Conv3d_1a_7x7") == text.count("Predictions") == 2
    image, video = (line.split(":")[1].split() for line in text.splitlines() if ":  " in line)
    assert image == video and len(image) == 5
    assert text.splitlines()[-1] == "the fixed point holds (to 1e-05)"


def test_a_flow_stream_of_other_classes_is_checked_up_to_its_new_classifier(flat, tmp_path, capsys) -> None:
    output = tmp_path / "flow.weights.h5"
    arguments = ["inflate", str(flat), "--output", str(output), "--modality", "flow", "--classes", "7", "--json"]
    assert cli.main([*arguments, "--time-plan", "s3d", "--method", "centre", "--check"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["modality"], result["classes"], result["method"]) == ("flow", 7, "centre")
    check = result["check"]
    assert check["holds"] is True and check["top_image"] is None
    assert check["edge"]["everywhere"] <= 1e-5 and check["zeros"]["interior"] <= 1e-5
    assert check["edge"]["layers"][-1]["layer"] == "Mixed_5c"
    network = I3D(weights=str(output), modality="flow", input_shape=(1, 32, 32, 2), time_plan="s3d")
    assert network.output.shape == (None, 7)


def test_a_fixed_point_that_does_not_hold_is_said_and_fails(flat, tmp_path, capsys) -> None:
    # gates are new, and halve everything
    arguments = ["inflate", str(flat), "--output", str(tmp_path / "i3d.weights.h5"), "--time-plan", "s3d_g", "--check"]
    assert cli.main(arguments) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "the fixed point DOES NOT hold (to 1e-05)"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["SOURCE", "--output", "o.h5"], 2, "--output must end in .weights.h5, got o.h5"),
        (["SOURCE", "--output", "no/where/o.weights.h5"], 1, "no/where: no such folder to write o.weights.h5 into"),
        (["absent.ckpt", "--output", "o.weights.h5"], 1, "weights='absent.ckpt' is neither a known name ("),
        (["text.keras", "--output", "o.weights.h5"], 1, "text.keras: cannot be read as a Keras model, a .keras file ("),
        (["text.ckpt", "--output", "o.weights.h5"], 1, "text.ckpt"),
        (["SOURCE", "--output", "o.weights.h5", "--time-plan", "4d"], 2, "unknown time plan '4d'"),
        (
            ["SOURCE", "--output", "o.weights.h5", "--classes", "0"],
            2,
            "classes must be an integer of at least 1, got 0",
        ),
        (["SOURCE", "--output", "o.weights.h5", "--check", "text.ckpt"], 2, "none that OpenCV reads as an image"),
        (
            ["SOURCE", "--output", "o.weights.h5", "--modality", "flow", "--check", "a.jpg"],
            2,
            "an image file shows no flow; with --modality flow give --check without a file",
        ),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    flat, tmp_path, monkeypatch, capsys, arguments, code, message
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("text.keras", "text.ckpt"):
        (tmp_path / name).write_text("no network")
    assert cli.main(["inflate", *(str(flat) if word == "SOURCE" else word for word in arguments)]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err and captured.err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["text.ckpt", "text.keras"]
