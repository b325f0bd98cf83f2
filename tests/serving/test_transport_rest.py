import base64
import json

import numpy as np
import pytest
from scripted_servers import http_server, silent_server

from keras_i3d.errors import ServerError
from keras_i3d.serving import pictures
from keras_i3d.serving.client import connect
from keras_i3d.serving.served import Signature, TensorFacts, VersionStatus

STATUS = json.dumps({"model_version_status": [{"version": "3", "state": "AVAILABLE", "status": {}}]}).encode()


def metadata(**signatures: tuple[dict[str, str], dict[str, str]]) -> bytes:
    """Return the answer about signatures, each of (inputs, outputs), their types by name."""

    def infos(tensors: dict[str, str]) -> dict[str, object]:
        shape = {"dim": [{"size": "-1", "name": ""}, {"size": "3", "name": ""}], "unknown_rank": False}
        return {name: {"dtype": dtype, "tensor_shape": shape, "name": "x:0"} for name, dtype in tensors.items()}

    definitions = {
        name: {"inputs": infos(inputs), "outputs": infos(outputs)} for name, (inputs, outputs) in signatures.items()
    }
    return json.dumps({"metadata": {"signature_def": {"signature_def": definitions}}}).encode()


SERVING = metadata(
    serving_default=({"rgb": "DT_UINT8"}, {"logits": "DT_FLOAT"}),
    frames=({"rgb_bytes": "DT_STRING"}, {"logits": "DT_FLOAT"}),
    names=({"query": "DT_STRING"}, {"names": "DT_STRING", "codes_bytes": "DT_STRING"}),
)


def test_raw_frames_are_sent_as_pictures() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (1, 2, 4, 5, 3), np.uint8)
    with http_server(SERVING, b'{"outputs": [[0.5, NaN, Infinity]]}') as server, connect(server.address) as client:
        logits = client.predict({"rgb": frames})["logits"]
    np.testing.assert_array_equal(logits, np.array([[0.5, np.nan, np.inf]], np.float32))
    assert logits.dtype == np.float32
    assert [path for path, _ in server.asked] == ["/v1/models/i3d/metadata", "/v1/models/i3d:predict"]
    coded = [base64.b64encode(one).decode() for one in pictures.to_png(frames)[0]]
    assert json.loads(server.asked[1][1]) == {
        "signature_name": "frames",
        "inputs": {"rgb_bytes": [[{"b64": one} for one in coded]]},
    }


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((2, 4, 5, 3), np.uint8), np.zeros((1, 1, 1, 1, 3), np.float32), np.zeros((1, 0, 4, 5, 3), np.uint8)],
)
def test_what_cannot_be_pictures_is_left_to_the_server(wrong: np.ndarray) -> None:
    with http_server(SERVING, (400, '{"error": "wrong"}')) as server, connect(server.address) as client:
        with pytest.raises(ServerError, match=r"wrong$") as caught:
            client.predict({"rgb": wrong})
        assert caught.value.code == "INVALID_ARGUMENT"
    assert json.loads(server.asked[1][1]) == {"signature_name": "serving_default", "inputs": {"rgb": wrong.tolist()}}


def test_strings_come_back_as_bytes_and_the_version_and_name_are_in_the_path() -> None:
    answer = json.dumps({"outputs": {"names": ["é"], "codes_bytes": [{"b64": "/w=="}]}}).encode()
    with http_server(SERVING, answer) as server, connect(server.address, name="a b/c", version=2) as client:
        found = client.predict({"query": np.array(["x"], object)}, "names")
    assert {name: array.tolist() for name, array in found.items()} == {
        "names": ["é".encode()],
        "codes_bytes": [b"\xff"],
    }
    assert [path for path, _ in server.asked] == [
        "/v1/models/a%20b%2Fc/versions/2/metadata",
        "/v1/models/a%20b%2Fc/versions/2:predict",
    ]


def test_signatures_and_status_are_read() -> None:
    with http_server(SERVING, STATUS) as server, connect(f"{server.address}/") as client:
        found = client.signatures()["serving_default"]
        assert client.status() == [VersionStatus(3, "AVAILABLE")]
    assert found == Signature({"rgb": TensorFacts(4, (-1, 3))}, {"logits": TensorFacts(1, (-1, 3))})


@pytest.mark.parametrize(
    "busy", [(429, '{"error": "full"}'), (502, "<html>"), (503, '{"error": "x"}'), (504, "<html>")]
)
def test_a_server_with_too_much_to_do_is_asked_again(busy: tuple[int, str]) -> None:
    with http_server(busy, busy, STATUS) as server:
        with connect(server.address) as client:
            assert client.status() == [VersionStatus(3, "AVAILABLE")]
        assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        ((400, '{"error": "no frames"}'), "INVALID_ARGUMENT", "no frames"),
        ((412, '{"error": "key"}'), "FAILED_PRECONDITION", "key"),
        ((504, '{"error": "late"}'), "DEADLINE_EXCEEDED", "late; it is the server that gave up, after its --rest_api"),
        ((500, "<html>"), "INTERNAL", "HTTP status 500 Internal Server Error, not from TensorFlow Serving itself"),
        ((302, ""), "UNKNOWN", "HTTP status 302 Found, not from TensorFlow Serving itself"),
        (b"<html>", "INTERNAL", "answers, but not as TensorFlow Serving does"),
        (b"[]", "INTERNAL", "answers, but not as TensorFlow Serving does"),
        (b'{"model_version_status": [{"version": "x"}]}', "INTERNAL", "answers, but not as TensorFlow Serving does"),
    ],
)
def test_an_error_that_stays_is_told_once(answer: bytes | tuple, code: str, message: str) -> None:
    with http_server(answer) as server:
        with connect(server.address) as client, pytest.raises(ServerError, match=message) as caught:
            client.status()
        assert caught.value.code == code
        assert len(server.asked) == 1


def test_a_server_that_never_answers_is_given_up_in_time() -> None:
    with silent_server() as port, connect(f"http://127.0.0.1:{port}", timeout_s=0.3) as client:
        with pytest.raises(ServerError, match=r"no answer within 0.3 s; give it more time by timeout_s") as caught:
            client.status()
        assert caught.value.code == "DEADLINE_EXCEEDED"


def test_a_certificate_that_is_none_is_no_reason_to_ask_again() -> None:
    with http_server(STATUS) as server:
        address = server.address.replace("http", "https")
        with connect(address) as client, pytest.raises(ServerError, match=f"{address}: .*SSL") as caught:
            client.status()
    assert caught.value.code == "UNAUTHENTICATED"
