"""Servers of files on loopback for the tests of remote storage."""

from __future__ import annotations

import http.server
import re
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

REGION = "us-east-1"
S3_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}


@dataclass
class Web:
    """A web server of one folder, and how badly it behaves.

    Attributes:
        folder: What is served.
        address: Its address, without a slash at the end.
        has_ranges: Whether Range requests are honoured.
        has_lengths: Whether answers tell their length.
        answers: For each coming request, an error code to answer with.
        drops: For each coming answer with a body, after how many bytes the connection is cut.
        asked: Method, path and Range header of every request.
    """

    folder: Path
    address: str = ""
    has_ranges: bool = True
    has_lengths: bool = True
    answers: list[int] = field(default_factory=list)
    drops: list[int] = field(default_factory=list)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)


def _handler(web: Web) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(has_body=False)

        def do_GET(self) -> None:
            self.answer(has_body=True)

        def answer(self, *, has_body: bool) -> None:
            wanted = self.headers.get("Range") if web.has_ranges else None
            web.asked.append((self.command, self.path, self.headers.get("Range")))
            path = web.folder / urllib.parse.unquote(self.path).strip("/")
            if web.answers:
                self.send_error(web.answers.pop(0))
            elif path.is_dir():
                links = (f'<a href="{urllib.parse.quote(child.name)}">x</a>' for child in sorted(path.iterdir()))
                self.send("".join(links).encode(), None, has_body)
            elif path.is_file():
                self.send(path.read_bytes(), wanted, has_body)
            else:
                self.send_error(404)

        def send(self, content: bytes, wanted: str | None, has_body: bool) -> None:
            start, end = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted).groups() if wanted else (0, "")
            part = content[int(start) : int(end) + 1 if end else None]
            self.send_response(206 if wanted else 200)
            if wanted:
                self.send_header("Content-Range", f"bytes {start}-{int(start) + len(part) - 1}/{len(content)}")
            if web.has_ranges:
                self.send_header("Accept-Ranges", "bytes")
            if web.has_lengths:
                self.send_header("Content-Length", str(len(part)))
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            if has_body:
                self.wfile.write(part[: web.drops.pop(0)] if web.drops else part)

        def log_message(self, *arguments: object) -> None:
            pass

    return Handler


@contextmanager
def web_server(folder: Path) -> Iterator[Web]:
    """Serve a folder."""
    web = Web(folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(web)) as server:
        web.address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield web
        server.shutdown()


@contextmanager
def s3_server() -> Iterator[str]:
    """Serve S3 by moto, with the empty bucket ``clips``; gives its address."""
    import logging

    import botocore.session
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)  # its default is every address
    server.start()
    try:
        address = "http://{}:{}".format(*server.get_host_and_port())
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": REGION}
        botocore.session.Session().create_client("s3", endpoint_url=address, **keys).create_bucket(Bucket="clips")
        yield address
    finally:
        server.stop()
