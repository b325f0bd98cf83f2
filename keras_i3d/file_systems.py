"""The file system behind a URL (fsspec's), called with bounded waits, retries, and errors of one line."""

from __future__ import annotations

import contextlib
import http.client
import io
import logging
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from keras_i3d.errors import MissingDependency, StorageError, first_line
from keras_i3d.extras import import_extra
from keras_i3d.whole_file import WRITING

PAUSES_S = (0.5, 1.0, 2.0)  # before each repetition of a call that a moment's trouble ended
CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 60  # between two pieces of an answer

HTTP = frozenset({"http", "https"})
BUCKETS = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az"})  # objects appear whole; no folders to make
_NEEDED = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "http": "aiohttp", "https": "aiohttp"}
_REMEDIES = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; FSSPEC_S3_ANON=true for a public bucket",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth application-default login`",
}
_BUSY = {408, 425, 429, 500, 502, 503, 504}
# The names of others' errors, whose packages may be absent; what the same name means is the same in all of them.
_UNREACHABLE = {
    *("EndpointConnectionError", "ConnectTimeoutError", "ClientConnectorError", "ConnectionTimeoutError"),
    *("ConnectionRefusedError", "gaierror", "TransportError", "ProxyError", "ProxyConnectionError"),
}
_PASSING = {
    *("ConnectionResetError", "BrokenPipeError", "ServerDisconnectedError", "ClientPayloadError", "ClientOSError"),
    *("ConnectionClosedError", "ResponseStreamingError", "IncompleteRead", "IncompleteReadError"),
    *("ReadTimeoutError", "TimeoutError", "FSTimeoutError", "ServerTimeoutError"),
}
_NO_CREDENTIALS = {
    *("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound"),
    *("TokenRetrievalError", "SSOError", "GoogleAuthError"),
}
_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """What a URL points at.

    Attributes:
        url: The URL as the user gave it, for messages.
        protocol: Such as ``"s3"``; of a chain of them the first.
        system: fsspec's file system.
        path: The system's own spelling of the URL.
    """

    url: str
    protocol: str
    system: Any
    path: str

    def call(self, do: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """Call a function of the file system, again where a moment's trouble ends it.

        Raises:
            StorageError: It failed.
        """
        # gcsfs waits and repeats by itself, for half a minute
        pauses = iter(() if self.protocol in ("gs", "gcs") else PAUSES_S)
        while True:
            try:
                return do(*arguments, **options)
            except Exception as error:  # each file system has errors of its own
                pause = next(pauses, None)
                if pause is None or not _passes(error):
                    raise StorageError(explain(self.url, error)) from error
                _log.info("%s: %s; trying again in %s s", self.url, first_line(error), pause)
                time.sleep(pause)

    def info(self) -> dict[str, Any] | None:
        """Return what the file system knows of it, such as ``size``; None where it is absent."""

        def ask() -> dict[str, Any] | None:
            try:
                return self.system.info(self.path)
            except FileNotFoundError as error:
                if _status(error) in (None, http.client.NOT_FOUND, http.client.GONE) and not _names(error) & _TROUBLE:
                    return None
                raise

        return self.call(ask)

    def file_info(self) -> dict[str, Any]:
        """Return what `info` does, of a file that must be there."""
        found = self.info()
        if found is None:
            raise StorageError(f"{self.url}: no such file or folder")
        if found.get("type") == "directory":
            raise StorageError(f"{self.url}: is a folder")
        return found

    def below(self, lister: Callable[..., list[str]], *arguments: Any) -> list[str]:
        """Return the names, relative to this place, of what a function of its file system lists."""

        def paths() -> list[str]:
            try:
                return lister(self.path, *arguments)
            except FileNotFoundError as error:
                if self.protocol in BUCKETS and not is_bucket_missing(error):
                    return []
                raise

        root = self.path.rstrip("/") + "/"
        names = [path.removeprefix(root).strip("/") for path in self.call(paths) if path.startswith(root)]
        return [urllib.parse.unquote(name) if self.protocol in HTTP else name for name in names if name]

    def has_ranges(self) -> bool:
        """Tell whether a web server sends parts of this file."""
        size = self.file_info()["size"]
        if not size:
            return False
        try:
            return len(self.call(self.system.cat_file, self.path, start=size - 1, end=size)) == 1
        except StorageError as error:
            if isinstance(error.__cause__, ValueError):  # fsspec's word for it
                return False
            raise

    def open(self) -> io.BufferedReader:
        """Open it for reading, seekable; a moment's trouble on the way is not noticed."""
        file = self.call(self.system.open, self.path, "rb", block_size=1 << 22)
        return io.BufferedReader(_Reader(self, file), 1 << 16)

    def fetch(self, target: Path, size: int | None) -> None:
        """Copy it to this machine, and check its size where that is known."""
        self.call(self.system.get_file, self.path, str(target))
        came = target.stat().st_size
        if size is not None and came != size:
            raise StorageError(f"{self.url}: {came} of {size} bytes came")

    def send(self, file: Path) -> None:
        """Copy a file of this machine to this place, where it appears whole."""
        if self.protocol in {*BUCKETS, "memory"}:
            self.call(self.system.put_file, str(file), self.path)
            return
        parent, _, name = self.path.rpartition("/")  # others, such as sftp, would show it while it grows
        aside = f"{parent}/{WRITING}{uuid.uuid4().hex}-{name}"
        try:
            self.call(self.system.put_file, str(file), aside)
            self.call(self.system.mv, aside, self.path)
        except BaseException:
            with contextlib.suppress(Exception):
                self.system.rm_file(aside)
            raise

    def check_writable(self) -> None:
        """Refuse web servers.

        Raises:
            StorageError: It is on one.
        """
        if self.protocol in HTTP:
            raise StorageError(
                f"{self.url}: {self.protocol}:// can only be read; write to a local folder, s3:// or gs://"
            )


def place(url: str) -> Place:
    """Find the file system of a URL; nothing is asked of it yet.

    Raises:
        MissingDependency: A package that it needs is not installed.
        StorageError: There is no such kind of URL, or its settings are wrong.
    """
    fsspec = import_extra("fsspec")
    protocol = url.partition("://")[0].partition("::")[0].lower()
    if protocol in _NEEDED:
        import_extra(_NEEDED[protocol])
    try:
        system, path = fsspec.url_to_fs(url, **({} if "::" in url else _options(protocol, fsspec)))
    except ImportError as error:  # of a kind that the extra does not bring; fsspec says which package does
        raise MissingDependency(f"{url}: {first_line(error)}") from error
    except Exception as error:
        if "Protocol not known" in str(error):
            raise StorageError(
                f"{url}: no storage of the kind {protocol!r} is known; allowed are local paths, s3://, gs://, "
                "http://, https:// and what fsspec knows"
            ) from error
        raise StorageError(explain(url, error)) from error
    if protocol in BUCKETS and not path.strip("/"):
        raise StorageError(f"{url}: names no bucket; write {protocol}://BUCKET/PATH")
    if protocol in ("gs", "gcs") and not logging.getLogger("gcsfs").handlers:
        logging.getLogger("gcsfs").addHandler(logging.NullHandler())  # it logs the tracebacks of what it raises
    return Place(url, protocol, system, path)


def explain(url: str, error: BaseException) -> str:
    """Say in one line what went wrong at a URL, and what helps."""
    kind = {"s3a": "s3", "gcs": "gs"}.get(url.partition("://")[0], url.partition("://")[0])
    remedy = f"; {_REMEDIES[kind]}" if kind in _REMEDIES else ""
    names, status, said = _names(error), _status(error), _said(error)
    if names & _NO_CREDENTIALS or status == http.client.UNAUTHORIZED:
        return f"{url}: no valid credentials ({said}){remedy}"
    if "PermissionError" in names or status == http.client.FORBIDDEN or str(error).startswith("Forbidden"):
        return f"{url}: access denied ({said}){remedy}"
    if names & _UNREACHABLE:
        return f"{url}: cannot be reached ({said}); check the network and the address of the endpoint"
    if status in (http.client.NOT_FOUND, http.client.GONE) or ("FileNotFoundError" in names and status is None):
        return f"{url}: no such {'bucket' if is_bucket_missing(error) else 'file or folder'}"
    return f"{url}: failed ({said})"


def is_bucket_missing(error: BaseException) -> bool:
    """Tell whether it is the bucket itself that an error finds absent, where its storage makes a difference."""
    return "NoSuchBucket" in _names(error) or "bucket does not exist" in _said(error).lower()


def _options(protocol: str, fsspec: Any) -> dict[str, Any]:
    """Return settings that bound the waiting; those of the user's fsspec configuration come before."""
    options: dict[str, Any] = {}
    if protocol in ("s3", "s3a"):
        waits = {"connect_timeout": CONNECT_TIMEOUT_S, "read_timeout": READ_TIMEOUT_S, "retries": {"max_attempts": 1}}
        options = {"use_listings_cache": False, "config_kwargs": waits}
    elif protocol in ("gs", "gcs"):
        options = {"use_listings_cache": False}
    elif protocol in HTTP:
        timeout = import_extra("aiohttp").ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=READ_TIMEOUT_S
        )
        options = {"client_kwargs": {"timeout": timeout, "trust_env": True}}  # the proxies that the environment names
    return {key: value for key, value in options.items() if key not in fsspec.config.conf.get(protocol, {})}


class _Reader(io.RawIOBase):
    """A file of fsspec whose reads are repeated where a moment's trouble ends them."""

    def __init__(self, where: Place, file: Any) -> None:
        self._place, self._file = where, file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        start = self._file.tell()

        def read() -> bytes:
            self._file.seek(start)
            return self._file.read(len(buffer))

        data = self._place.call(read)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


_TROUBLE = _UNREACHABLE | _PASSING | _NO_CREDENTIALS


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _names(error: BaseException) -> set[str]:
    return {kind.__name__ for link in _chain(error) for kind in type(link).__mro__}


def _status(error: BaseException) -> int | None:
    """Return the status of the HTTP answer that an error, or what caused it, tells of."""
    for link in _chain(error):
        answer = getattr(link, "response", None)
        if isinstance(answer, dict):  # botocore's
            return answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
        for attribute in ("status", "code"):  # aiohttp's and gcsfs's
            if isinstance(getattr(link, attribute, None), int):
                return getattr(link, attribute)
    return None


def _said(error: BaseException) -> str:
    """Return what the innermost error that says something says."""
    said = [first_line(link) for link in _chain(error) if str(link).strip()]
    return said[-1] if said else first_line(error)


def _passes(error: BaseException) -> bool:
    names = _names(error)
    return _status(error) in _BUSY or bool(names & _PASSING and not names & _UNREACHABLE)
