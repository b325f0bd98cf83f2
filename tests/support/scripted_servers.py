"""Servers on loopback that answer as they are told, for what a real one seldom does."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc

from keras_i3d.serving import messages


@dataclass
class Script:
    """What a server answers, one after the other, the last for ever; and what it was asked.

    Attributes:
        answers: Bytes, or (status, text) of a failure; a status is gRPC's name or HTTP's number.
        asked: What came: the method or the path, and the content.
    """

    answers: list
    asked: list[tuple[str, bytes]] = field(default_factory=list)
    address: str = ""

    def next(self) -> bytes | tuple:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def grpc_server(*answers: bytes | tuple[str, str]) -> Iterator[Script]:
    """Serve gRPC by script, whatever the method."""
    script = Script(list(answers))

    class Handlers(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
            def behave(content: bytes, context: grpc.ServicerContext) -> bytes:
                script.asked.append((details.method, content))
                answer = script.next()
                if isinstance(answer, tuple):
                    context.abort(grpc.StatusCode[answer[0]], answer[1])
                return answer

            return grpc.unary_unary_rpc_method_handler(behave)

    server = grpc.server(ThreadPoolExecutor(4), handlers=[Handlers()])
    script.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield script
    server.stop(None).wait()


@contextmanager
def http_server(*answers: bytes | tuple[int, str]) -> Iterator[Script]:
    """Serve HTTP by script, whatever the path."""
    script = Script(list(answers))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(b"")

        def do_POST(self) -> None:
            self.answer(self.rfile.read(int(self.headers["Content-Length"])))

        def answer(self, content: bytes) -> None:
            script.asked.append((self.path, content))
            answer = script.next()
            status, body = (answer[0], answer[1].encode()) if isinstance(answer, tuple) else (200, answer)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        script.address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield script
        server.shutdown()


@contextmanager
def silent_server() -> Iterator[int]:
    """Take connections and never answer; gives the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def status_of(*versions: tuple[int, int]) -> bytes:
    """Return the answer of a ModelService with these versions and states."""
    answer = messages.GetModelStatusResponse()
    for version, state in versions:
        answer.model_version_status.add(version=version, state=state)
    return answer.SerializeToString()
