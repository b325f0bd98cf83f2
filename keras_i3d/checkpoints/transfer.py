"""Bring the bytes of one published file into a partial file, going on where an earlier attempt stopped."""

from __future__ import annotations

import http.client
import logging
import os
import re
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, BinaryIO

from keras_i3d import __version__, progress
from keras_i3d.checkpoints.cache import unwritable

ADDRESS_TIMEOUT_S = 3  # for each address of a host
CONNECT_TIMEOUT_S = 15  # resolving the name and trying its addresses, all together
READ_TIMEOUT_S = 30  # between two pieces of an answer
PAUSES_S = (0.5, 1.0, 2.0)  # before each repetition of a request that was dropped
MIRROR = "KERAS_I3D_MIRROR"

_BUSY = {408, 425, 429, 500, 502, 503, 504}
_CHUNK = 1 << 18
_log = logging.getLogger(__name__)


class TransferError(Exception):
    """The file could not be brought; the message says why. What came is kept."""


class _Dropped(Exception):
    """The connection broke off, or the server asks to come later."""


def location(path: str, source: str) -> str | Path:
    """Return where a published file is to be had: an http(s) address, or a local path of a mirror.

    Args:
        path: Path under the source.
        source: Address of the source, which the mirror named by ``KERAS_I3D_MIRROR`` replaces.

    Raises:
        ValueError: The mirror is none.
    """
    base = os.environ.get(MIRROR) or source
    scheme = urllib.parse.urlsplit(base).scheme if "://" in base else ""
    if scheme in ("http", "https"):
        return f"{base.rstrip('/')}/{urllib.parse.quote(path)}"
    if scheme == "file":
        return Path(urllib.request.url2pathname(urllib.parse.urlsplit(base).path)) / path
    if not scheme:
        return Path(base).expanduser() / path
    raise ValueError(f"{MIRROR} must be a folder or start with file://, http:// or https://, got {base!r}")


def bring(where: str | Path, part: Path) -> bool:
    """Bring a file into `part`; an http server is asked for what is missing of it only.

    Returns:
        Whether a piece from before was gone on from, so that the two might not fit each other.

    Raises:
        TransferError: It cannot be had.
        WeightsUnavailable: `part` cannot be written; what was written stays.
    """
    if isinstance(where, Path):
        _copy(where, part)
        return False
    pauses = iter(PAUSES_S)
    while True:
        try:
            return _request(where, part)
        except _Dropped as error:
            pause = next(pauses, None)
            if pause is None:
                raise TransferError(f"{error}, {len(PAUSES_S) + 1} times") from error
            _log.info("%s: %s; asking again in %s s", where, error, pause)
            time.sleep(pause)


def _copy(where: Path, part: Path) -> None:
    try:
        size = where.stat().st_size
        with where.open("rb") as file:
            _write(file, size, part, "wb", f"copying {where.name}")
    except OSError as error:
        raise TransferError(error.strerror or str(error)) from error


def _request(address: str, part: Path) -> bool:
    """Ask once, and write what comes; returns whether that went on from what there was.

    Raises:
        _Dropped: It is worth asking again.
        TransferError: It is not.
    """
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": f"keras-i3d/{__version__}", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        with _opener().open(urllib.request.Request(address, headers=headers), timeout=READ_TIMEOUT_S) as answer:
            return _receive(answer, have, part)
    except urllib.error.HTTPError as error:
        with error:  # it is the answer too, and holds the connection
            raise _refusal(error, part) from error
    except urllib.error.URLError as error:
        kind = _Dropped if isinstance(error.reason, ConnectionResetError | BrokenPipeError) else TransferError
        raise kind(_reason(error.reason)) from error
    except (ConnectionError, TimeoutError, http.client.HTTPException) as error:
        raise _Dropped(f"the connection broke off ({_reason(error)})") from error
    except OSError as error:
        raise TransferError(_reason(error)) from error


def _refusal(error: urllib.error.HTTPError, part: Path) -> Exception:
    if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and part.exists():
        part.unlink()
        return _Dropped("the partial file was longer than the server's")
    kind = _Dropped if error.code in _BUSY else TransferError
    return kind(f"the server answered {error.code} {error.reason}")


def _receive(answer: Any, have: int, part: Path) -> bool:
    length = answer.headers.get("Content-Length")
    goes_on = answer.status == http.client.PARTIAL_CONTENT
    if goes_on and not re.match(rf"bytes {have}-", answer.headers.get("Content-Range", "")):
        part.unlink(missing_ok=True)
        raise _Dropped("the server sent another range than was asked for")
    name = urllib.parse.unquote(answer.url.rsplit("/", 1)[-1])
    start = have if goes_on else 0
    text = f"fetching {name}" + (f" (from {start / 1e6:.1f} MB on)" if start else "")
    _write(answer, int(length or 0), part, "ab" if goes_on else "wb", text)
    came = part.stat().st_size - start
    if length is not None and came != int(length):
        raise _Dropped(f"the connection broke off ({came} of {length} bytes came)")
    return goes_on


def _write(body: BinaryIO, size: int, part: Path, mode: str, text: str) -> None:
    """Write what is read; an error of reading passes, one of writing becomes WeightsUnavailable."""
    try:
        file = part.open(mode)
    except OSError as error:
        raise unwritable(part, error) from error
    with progress.reading(body, size, text) as reader:
        try:
            while chunk := reader.read(_CHUNK):
                try:
                    file.write(chunk)
                except OSError as error:
                    raise unwritable(part, error) from error
        finally:
            try:
                file.close()
            except OSError as error:
                raise unwritable(part, error) from error


def _reason(error: object) -> str:
    return (getattr(error, "strerror", None) or str(error)) if isinstance(error, BaseException) else str(error)


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_Http, _Https)


def _connect(address: tuple[str, int], timeout: Any = None, source_address: Any = None) -> socket.socket:
    """Connect like `socket.create_connection`, with a bound on the whole: a host may have many dead addresses."""
    result: list[Any] = []
    lock, given_up = threading.Lock(), False

    def attempt() -> None:
        try:
            found: Any = socket.create_connection(address, ADDRESS_TIMEOUT_S, source_address)
        except OSError as error:
            found = error
        with lock:
            result.append(found)
            if given_up and isinstance(found, socket.socket):
                found.close()

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(CONNECT_TIMEOUT_S)
    with lock:
        given_up = not result
    if given_up:
        raise TimeoutError(f"no connection to {address[0]} within {CONNECT_TIMEOUT_S} s")
    if isinstance(result[0], OSError):
        raise result[0]
    result[0].settimeout(READ_TIMEOUT_S)
    return result[0]


class _HttpConnection(http.client.HTTPConnection):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._create_connection = _connect


class _HttpsConnection(http.client.HTTPSConnection):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._create_connection = _connect


class _Http(urllib.request.HTTPHandler):
    def http_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(_HttpConnection, request)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(_HttpsConnection, request, context=self._context)
