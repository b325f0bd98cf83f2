"""A server of files on loopback whose manners a test can spoil, and a cache of the test's own."""

import http.server
import io
import re
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from keras_i3d.checkpoints import cache as cache_module
from keras_i3d.checkpoints import catalogue, transfer
from keras_i3d.checkpoints.catalogue import RemoteFile, Row


@dataclass
class FileServer:
    """What is served, how badly, and what was asked for.

    Attributes:
        folder: What is served.
        address: Its address, ending in a slash.
        has_ranges: Whether it answers Range requests with a part.
        drops: For each coming request, after how many bytes the connection is dropped.
        answers: For each coming request, an error code to answer with.
        stall: After how many bytes an answer waits for `go`, or None.
        go: Lets stalled answers go on.
        asked: Path and Range header of every request.
        sent: Bytes of every answer, errors apart.
        content: A megabyte to serve, no two chunks of it alike.
    """

    folder: Path
    address: str = ""
    has_ranges: bool = True
    drops: list[int] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    stall: int | None = None
    go: threading.Event = field(default_factory=threading.Event)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    content: bytes = bytes(range(251)) * 4000


def _handler(server: FileServer) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            server.asked.append((self.path, wanted))
            path = server.folder / self.path.lstrip("/")
            if server.answers or not path.is_file():
                self.send_error(server.answers.pop(0) if server.answers else 404)
                return
            content = path.read_bytes()
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and server.has_ranges else 0
            if start and start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.send_body(content[start:])

        def send_body(self, body: bytes) -> None:
            if server.drops:
                body = body[: server.drops.pop(0)]
            server.sent.append(len(body))
            try:
                if server.stall is not None:
                    self.wfile.write(body[: server.stall])
                    server.go.wait()
                    body = body[server.stall :]
                self.wfile.write(body)
            except ConnectionError:  # the client was killed, as some tests want
                pass

        def log_message(self, *arguments: object) -> None:
            pass

    return Handler


@pytest.fixture
def file_server(tmp_path: Path) -> Iterator[FileServer]:
    """Serve the folder ``served`` of the test."""
    server = FileServer(tmp_path / "served")
    server.folder.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(server)) as running:
        server.address = f"http://127.0.0.1:{running.server_port}/"
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.go.set()
        running.shutdown()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of an empty cache, on a machine without proxy and mirror."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("KERAS_I3D_MIRROR", raising=False)
    return tmp_path / "home" / "keras_i3d"


@pytest.fixture
def served(file_server: FileServer, monkeypatch: pytest.MonkeyPatch) -> FileServer:
    """Serve ``data/hello``, and ``data/big`` of a megabyte."""
    monkeypatch.setattr(transfer, "PAUSES_S", (0.0, 0.0, 0.0))
    (file_server.folder / "data").mkdir()
    (file_server.folder / "data/hello").write_bytes(b"hello\n")
    (file_server.folder / "data/big").write_bytes(file_server.content)
    return file_server


@pytest.fixture
def small_row(served: FileServer) -> Row:
    """Return a row whose checkpoint is two small files."""
    (served.folder / "m.index").write_bytes(b"the index")
    (served.folder / "m.data").write_bytes(b"the data")
    files = (RemoteFile(p.name, cache_module.git_blob_id(p)) for p in sorted(served.folder.glob("m.*"), reverse=True))
    labels = RemoteFile("data/hello", "ce013625030ba8dba906f756967f9e9ca394464a")
    return replace(
        catalogue.row("kinetics", "rgb"), source=served.address, files=tuple(files), label_map=labels, classes=1
    )


@pytest.fixture(scope="session")
def archive_of() -> Callable[[bytes], bytes]:
    """Return a function that packs a content as TF-Slim's archive does."""

    def pack(content: bytes) -> bytes:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w:gz") as file:
            entry = tarfile.TarInfo("inception_v1.ckpt")
            entry.size = len(content)
            file.addfile(entry, io.BytesIO(content))
        return stream.getvalue()

    return pack


@pytest.fixture
def imagenet(served: FileServer, archive_of: Callable[[bytes], bytes]) -> Row:
    """Return the row of imagenet, with an archive of our own."""
    row = replace(catalogue.row("imagenet", "rgb"), source=served.address)
    (served.folder / row.files[0].path).write_bytes(archive_of(served.content))
    return row


@pytest.fixture(scope="session")
def wait_until() -> Callable[[Callable[[], bool]], None]:
    """Return a function that waits for a condition, and fails where it does not come true."""

    def wait(condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < end, "it did not happen"
            time.sleep(0.02)

    return wait
