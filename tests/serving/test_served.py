import pytest

from keras_i3d.errors import ServerError
from keras_i3d.serving import served
from keras_i3d.serving.served import Signature, TensorFacts


class Server:
    """Something to ask that fails with these codes, one after the other, and then answers."""

    def __init__(self, *codes: str) -> None:
        self.codes, self.asked, self.pauses = list(codes), 0, []

    def ask(self) -> str:
        self.asked += 1
        if self.codes:
            raise ServerError("no", self.codes.pop(0))
        return "yes"


@pytest.mark.parametrize("codes", [[], ["UNAVAILABLE"], ["RESOURCE_EXHAUSTED", "UNAVAILABLE", "UNAVAILABLE"]])
def test_what_may_pass_is_asked_again(codes: list[str]) -> None:
    server = Server(*codes)
    assert served.repeated(server.ask, 4, server.pauses.append) == "yes"
    assert server.asked == len(codes) + 1
    for number, pause in enumerate(server.pauses):
        assert 0.125 * 2**number <= pause <= 0.25 * 2**number


def test_it_is_asked_no_more_often_than_allowed() -> None:
    server = Server(*["UNAVAILABLE"] * 9)
    with pytest.raises(ServerError) as caught:
        served.repeated(server.ask, 3, server.pauses.append)
    assert (caught.value.code, server.asked, len(server.pauses)) == ("UNAVAILABLE", 3, 2)


def test_pauses_end_growing_and_differ() -> None:
    server = Server(*["UNAVAILABLE"] * 40)
    served.repeated(server.ask, 41, server.pauses.append)
    assert max(server.pauses) <= 8
    assert min(server.pauses[5:]) >= 4
    assert len(set(server.pauses[5:])) == 35


@pytest.mark.parametrize(
    "code", ["INVALID_ARGUMENT", "NOT_FOUND", "DEADLINE_EXCEEDED", "FAILED_PRECONDITION", "UNKNOWN"]
)
def test_what_does_not_pass_is_not_asked_again(code: str) -> None:
    server = Server(code)
    with pytest.raises(ServerError):
        served.repeated(server.ask, 4, server.pauses.append)
    assert (server.asked, server.pauses) == (1, [])


def test_the_places_in_a_graph_are_left_out_of_a_servers_words() -> None:
    text = "assertion failed: [no frames] [1 0]\n\t [[{{function_node __inference_1}}{{node Assert/Assert}}]]\nand more"
    assert (
        str(served.refused("host:1", text, "INVALID_ARGUMENT"))
        == "host:1: assertion failed: [no frames] [1 0] and more"
    )


def test_signatures_tell_what_they_take() -> None:
    facts = {"rgb": TensorFacts(4, (-1, 64, 3)), "any": TensorFacts(7, None)}
    assert str(Signature(facts, {})) == "(any: string [?], rgb: uint8 [?, 64, 3])"
