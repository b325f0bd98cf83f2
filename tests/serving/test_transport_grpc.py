import numpy as np
import pytest
from scripted_servers import grpc_server, silent_server, status_of

from keras_i3d.errors import ServerError
from keras_i3d.serving import messages
from keras_i3d.serving.client import connect
from keras_i3d.serving.served import Asked, VersionStatus
from keras_i3d.serving.transport_grpc import GrpcTransport


def test_what_is_sent_names_the_model_the_version_and_the_signature() -> None:
    with grpc_server(messages.PredictResponse().SerializeToString()) as server:
        transport = GrpcTransport(server.address, 10)
        assert transport.predict(Asked("i3d", 0), "frames", {"rgb_bytes": np.array([[b"a\0"]], object)}) == {}
        transport.close()
    ((method, content),) = server.asked
    assert method == "/tensorflow.serving.PredictionService/Predict"
    request = messages.PredictRequest.FromString(content)
    assert (request.model_spec.name, request.model_spec.signature_name) == ("i3d", "frames")
    assert request.model_spec.HasField("version")
    assert list(request.inputs["rgb_bytes"].string_val) == [b"a\0"]


def test_messages_above_four_megabytes_pass_both_ways() -> None:
    answer = messages.PredictResponse()
    answer.outputs["big"].dtype = 7
    answer.outputs["big"].string_val.append(b"x" * 9_000_000)
    with grpc_server(answer.SerializeToString()) as server, connect(server.address) as client:
        assert len(client.predict({})["big"].item()) == 9_000_000


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED"])
def test_a_server_with_too_much_to_do_is_asked_again(code: str) -> None:
    with grpc_server((code, "busy"), (code, "busy"), status_of((3, 30))) as server:
        with connect(server.address) as client:
            assert client.status() == [VersionStatus(3, "AVAILABLE")]
        assert len(server.asked) == 3


def test_an_error_that_stays_is_told_once_in_the_servers_words() -> None:
    with grpc_server(("INVALID_ARGUMENT", "no frames\n\t [[{{node Assert}}]]")) as server:
        with connect(server.address) as client, pytest.raises(ServerError) as caught:
            client.predict({"rgb": np.zeros((1, 0), np.uint8)})
        assert (str(caught.value), caught.value.code) == (f"{server.address}: no frames", "INVALID_ARGUMENT")
        assert len(server.asked) == 1


def test_attempts_come_to_an_end() -> None:
    with grpc_server(("UNAVAILABLE", "going down")) as server:
        with (
            connect(server.address, attempts=2) as client,
            pytest.raises(ServerError, match=r": going down$"),
        ):
            client.status()
        assert len(server.asked) == 2


def test_a_server_that_never_answers_is_given_up_in_time() -> None:
    with silent_server() as port, connect(f"127.0.0.1:{port}", timeout_s=0.3) as client:
        message = rf"^127.0.0.1:{port}: no answer within 0.3 s; give it more time by timeout_s \(--timeout-s\)"
        with pytest.raises(ServerError, match=message) as caught:
            client.status()
    assert caught.value.code == "DEADLINE_EXCEEDED"


def test_an_answer_of_something_else_is_named() -> None:
    broken = messages.PredictResponse()
    broken.outputs["logits"].dtype = 99
    with (
        grpc_server(broken.SerializeToString()) as server,
        connect(server.address) as client,
        pytest.raises(ServerError, match=r"answers, but not as TensorFlow Serving does .*type 99"),
    ):
        client.predict({})
