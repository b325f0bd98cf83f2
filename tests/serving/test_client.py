"""The client against the double of TensorFlow Serving's protocol, on top of exported models, over real sockets."""

import json
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest
import serving_double
from finished_models import tiny_model
from scripted_servers import grpc_server, status_of

import keras_i3d
from keras_i3d.errors import ServerError
from keras_i3d.serving import names, pictures
from keras_i3d.serving.classifier import open_classifier
from keras_i3d.serving.client import connect
from keras_i3d.serving.export import export
from keras_i3d.serving.options import ServingOptions
from keras_i3d.serving.prediction import Failure
from keras_i3d.serving.served import VersionStatus


def clip(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("name", ["i3d", "flow", "labels"])
def test_the_answer_is_that_of_the_same_model_here(address, served, video, name: str) -> None:
    here = keras_i3d.predict(video, model=served[name], top=8)
    there = keras_i3d.predict(video, server=address, name=name, top=8)
    assert (there.video, there.frames, there.model) == (here.video, 12, f"{name} at {address}")
    assert [label for label, _ in there.top] == [label for label, _ in here.top]
    np.testing.assert_allclose([value for _, value in there.top], [value for _, value in here.top], atol=1e-6)


def test_both_transports_give_the_same_to_the_last_bit(double) -> None:
    frames = clip(2, 9, 37, 50, 3)
    with connect(double.grpc) as over_grpc, connect(double.rest) as over_rest:
        for signature, inputs in {
            names.DEFAULT: {"rgb": frames},
            names.FRAMES: {names.RGB_BYTES: pictures.to_png(frames)},
            names.CLIP: {"rgb": (frames[:, :, :32, :32] / 127.5 - 1).astype(np.float32)},
            names.FEATURES: {"rgb": frames},
        }.items():
            answers = [client.predict(inputs, signature) for client in (over_grpc, over_rest)]
            assert set(answers[0]) == set(answers[1]), signature
            for name, array in answers[0].items():
                assert (array.dtype, array.shape) == (answers[1][name].dtype, answers[1][name].shape)
                np.testing.assert_array_equal(array, answers[1][name], err_msg=f"{signature} {name}")


def test_the_model_describes_itself(client, served) -> None:
    here = open_classifier(served["i3d"])
    description = client.description()
    assert description.class_names == here.class_names == client.class_names
    assert description.preparation == here.preparation == client.preparation
    assert client.activation == "softmax" != connect(client.address, name="labels").activation
    assert client.frames is None
    assert client.status() == [VersionStatus(1, "AVAILABLE")]
    assert str(client.signatures()[names.DEFAULT]) == "(rgb: uint8 [?, ?, ?, ?, 3])"


def test_a_model_of_one_length_is_asked_with_windows_of_it(tmp_path, video) -> None:
    export(tiny_model(), tmp_path / "fixed", ServingOptions(shape=(None, 9, None, None)))
    here = keras_i3d.predict(video, model=tmp_path / "fixed")
    with serving_double.serve({"i3d": tmp_path / "fixed"}) as double:
        for address in (double.grpc, double.rest):
            with connect(address) as client:
                there = client.predict_video(video)
                assert (client.frames, there.frames) == (9, 12)
            np.testing.assert_allclose([value for _, value in there.top], [value for _, value in here.top], atol=1e-6)


def test_several_videos_are_answered_in_order_and_bad_ones_told(client, motion_folder, tmp_path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"x" * 999)
    videos = [*sorted(motion_folder.rglob("*.mp4"))[:6], bad, sorted(motion_folder.rglob("*.mp4"))[6]]
    outcomes = list(client.predict_videos(videos, in_flight=3))
    assert [outcome.video for outcome in outcomes] == [str(video) for video in videos]
    assert [isinstance(outcome, Failure) for outcome in outcomes] == [video == bad for video in videos]
    assert outcomes[2] == client.predict_video(videos[2])


def test_a_version_is_asked_for_by_its_number_and_a_new_one_is_taken_up(served, tmp_path, address) -> None:
    shutil.copytree(served["i3d"] / "1", tmp_path / "i3d/1")
    with serving_double.serve({"i3d": tmp_path / "i3d"}) as own:
        over = own.grpc if "http" not in address else own.rest
        with connect(over, version=1) as first, connect(over) as newest:
            assert first.description() == newest.description()
            shutil.copytree(served["i3d"] / "1", tmp_path / "aside")
            (tmp_path / "aside").rename(tmp_path / "i3d/2")
            assert newest.status() == [VersionStatus(2, "AVAILABLE")]
            assert newest.logits({"rgb": clip(9, 37, 37, 3)}).shape == (7,)
            message = r"has no version 1 that answers of the model 'i3d': version 2 is AVAILABLE$"
            with pytest.raises(ServerError, match=message) as caught:
                first.status()
            assert caught.value.code == "NOT_FOUND"
            assert first.asked_as == f"i3d (version 1) at {over}"


# --- what is wrong with a request is told, and the next one is answered


BAD = {
    "wrong rank": (names.DEFAULT, {"rgb": clip(9, 37, 50, 3)}, r"must be of shape|rank"),
    "two channels": (names.DEFAULT, {"rgb": clip(1, 9, 37, 50, 2)}, r"must be of shape|channels"),
    "wrong dtype": (names.DEFAULT, {"rgb": clip(1, 2, 8, 8, 3).astype(np.float32) + 0.5}, "uint8"),
    "no frames": (names.DEFAULT, {"rgb": clip(1, 0, 37, 50, 3)}, r"no frames|must be of shape"),
    "10,000 frames": (names.DEFAULT, {"rgb": clip(1, 10_000, 1, 1, 3)}, r"1,?000 frames"),
    "no JPEG": (names.FRAMES, {names.RGB_BYTES: np.array([[b"\xff\xd8 no"]], object)}, r"JPEG|image"),
    "frames of different sizes": (
        names.FRAMES,
        {names.RGB_BYTES: np.array([[pictures.to_png(clip(8, 8, 3)).item(), pictures.to_png(clip(8, 9, 3)).item()]])},
        "frames of different sizes",
    ),
    "another input": (names.DEFAULT, {"clip": clip(1, 1, 8, 8, 3)}, "Sent extra: {clip}. Missing but required: {rgb}"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_request_is_told_what_is_wrong_and_the_next_is_answered(client, kind: str) -> None:
    signature, inputs, message = BAD[kind]
    good = {"rgb": clip(9, 37, 37, 3)}
    before = client.logits(good)
    with pytest.raises(ServerError, match=message) as caught:
        client.predict(inputs, signature)
    assert caught.value.code == "INVALID_ARGUMENT"
    assert "\n" not in str(caught.value)
    np.testing.assert_array_equal(client.logits(good), before)


def test_a_signature_that_is_not_there_is_told(client) -> None:
    with pytest.raises(ServerError, match='Serving signature key "dance" not found') as caught:
        client.predict({"rgb": clip(1, 1, 8, 8, 3)}, "dance")
    assert caught.value.code == "FAILED_PRECONDITION"


# --- what is wrong with the server


@pytest.mark.parametrize("scheme", ["", "http://"])
def test_no_server_is_told_with_what_to_start(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"{scheme}127.0.0.1:{free.getsockname()[1]}"
    message = (
        rf"^{address}: no server answers there \(.*[Cc]onnection refused\)\. .* tensorflow_model_server --port=8500"
    )
    with connect(address, attempts=2) as client, pytest.raises(ServerError, match=message) as caught:
        client.predict_video("not looked at.mp4")
    assert caught.value.code == "UNAVAILABLE"


def test_a_name_that_the_server_does_not_have_is_told(address, video) -> None:
    message = (
        rf"^{address}: has no model named 'dance'; .* give it by name \(--name\)\. "
        r"The server says: Servable not found for request: Latest\(dance\)$"
    )
    with pytest.raises(ServerError, match=message):
        keras_i3d.predict(video, server=address, name="dance")


def test_a_model_that_is_still_loading_is_told() -> None:
    with (
        grpc_server(("NOT_FOUND", "Servable not found"), status_of((4, 20))) as server,
        connect(server.address) as client,
        pytest.raises(ServerError, match=r"has no version that answers yet of the model 'i3d': version 4 is LOADING$"),
    ):
        client.check()


def test_a_model_of_others_is_told_with_its_signatures(address) -> None:
    message = (
        rf"^{address}: the model 'foreign' there was not exported by keras-i3d, .* "
        r"it has serving_default\(images: float32 \[\?, 4\]\)$"
    )
    with connect(address, name="foreign") as client, pytest.raises(ServerError, match=message):
        client.check()
    with connect(address, name="foreign") as client:  # but can be asked
        np.testing.assert_array_equal(client.predict({"images": np.ones((1, 4), np.float32)})["scores"], [[2.0] * 4])


def test_a_model_that_changed_its_classes_is_told(double, monkeypatch) -> None:
    with connect(double.grpc) as client:
        client.check()
        monkeypatch.setattr(type(client), "class_names", ("a", "b"))
        with pytest.raises(ServerError, match=r"logits of shape \(1, 7\), but told of 2 classes"):
            client.logits({"rgb": clip(9, 37, 37, 3)})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"address": "host:port"}, "a server is host:port for gRPC, or http://host:port for REST; got 'host:port'"),
        ({"address": "grpc://host:1"}, "got 'grpc://host:1'"),
        ({"address": "http://"}, "got 'http://'"),
        ({"timeout_s": 0}, "timeout_s must be a number of seconds above 0, got 0"),
        ({"timeout_s": float("inf")}, "timeout_s must be a number of seconds above 0, got inf"),
        ({"attempts": 0}, "attempts must be at least 1, got 0"),
    ],
)
def test_options_out_of_range_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        connect(**({"address": "host:1"} | options))


@pytest.mark.parametrize("address", ["host", "host:8500", "[::1]:8500", "http://host", "https://host:1/a/b"])
def test_addresses_of_both_kinds_are_taken(address: str) -> None:
    connect(address).close()


# --- a machine without TensorFlow

WITHOUT = """
import json, sys
import keras_i3d
for absent in ("tensorflow", "keras", "h5py", "cv2", "google_crc32c", "torch", sys.argv[1]):
    sys.modules[absent] = None
from keras_i3d.serving.client import connect
from keras_i3d import cli
with connect(sys.argv[2]) as client:
    print(json.dumps(client.predict_video(sys.argv[3]).to_json()))
sys.exit(cli.main(["predict", sys.argv[3], "--server", sys.argv[2], "--json"]))
"""


def test_a_client_needs_neither_tensorflow_nor_keras_nor_opencv(address, video) -> None:
    other = "grpc" if "http" in address else "requests"
    command = [sys.executable, "-c", WITHOUT, other, address, str(video)]
    answers = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert answers[0] == answers[1]
    assert json.loads(answers[0])["frames"] == 12
