"""What needs no server; the rest of file_systems.py is tested in tests/remote."""

import io

import pytest

from keras_i3d import file_systems
from keras_i3d.errors import StorageError


@pytest.fixture(autouse=True)
def no_pause(monkeypatch) -> None:
    monkeypatch.setattr(file_systems, "PAUSES_S", (0.0, 0.0, 0.0))


class NoCredentialsError(Exception):
    """As botocore's."""


class EndpointConnectionError(Exception):
    """As botocore's."""


class HttpError(Exception):
    """As gcsfs's."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


class ClientError(Exception):
    """As botocore's."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.response = {"ResponseMetadata": {"HTTPStatusCode": status}}


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("url", "error", "message"),
    [
        (
            "s3://b/a",
            NoCredentialsError("Unable to locate credentials"),
            "s3://b/a: no valid credentials (Unable to locate credentials); set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; FSSPEC_S3_ANON=true for a public bucket",
        ),
        (
            "gs://b/a",
            HttpError("Anonymous caller does not have access, 401\nmore", 401),
            "gs://b/a: no valid credentials (Anonymous caller does not have access, 401); set "
            "GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth application-default login`",
        ),
        (
            "s3://b/a",
            caused(PermissionError("Access Denied"), ClientError("An error occurred (AccessDenied)", 403)),
            "s3://b/a: access denied (An error occurred (AccessDenied)); set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; FSSPEC_S3_ANON=true for a public bucket",
        ),
        ("sftp://h/a", PermissionError(13, "denied"), "sftp://h/a: access denied ([Errno 13] denied)"),
        (
            "s3://b/a",
            EndpointConnectionError('Could not connect to the endpoint URL: "x"'),
            's3://b/a: cannot be reached (Could not connect to the endpoint URL: "x"); check the network and the '
            "address of the endpoint",
        ),
        ("s3://b/a", FileNotFoundError("The specified bucket does not exist"), "s3://b/a: no such bucket"),
        ("s3://b/a", FileNotFoundError("b/a"), "s3://b/a: no such file or folder"),
        ("http://h/a", caused(FileNotFoundError("a"), HttpError("gone", 410)), "http://h/a: no such file or folder"),
        ("http://h/a", caused(FileNotFoundError("a"), HttpError("oops", 500)), "http://h/a: failed (oops)"),
        ("s3://b/a", KeyError(), "s3://b/a: failed (KeyError)"),
    ],
)
def test_errors_of_all_packages_become_one_line(url: str, error: Exception, message: str) -> None:
    assert file_systems.explain(url, error) == message


def place(url: str = "s3://b/a") -> file_systems.Place:
    return file_systems.Place(url, url.partition("://")[0], None, "b/a")


@pytest.mark.parametrize(
    "error", [ConnectionResetError(), TimeoutError(), caused(OSError(16, "busy"), ClientError("SlowDown", 503))]
)
def test_a_moments_trouble_is_tried_again(error: Exception) -> None:
    answers = [error, error, "content"]

    def ask() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert place().call(ask) == "content"


@pytest.mark.parametrize(
    ("url", "error", "tries"),
    [
        ("s3://b/a", ConnectionResetError(104, "reset"), 4),
        ("gs://b/a", ConnectionResetError(104, "reset"), 1),  # gcsfs has tried again already
        ("s3://b/a", EndpointConnectionError(), 1),
        ("http://h/a", caused(FileNotFoundError(), ConnectionRefusedError()), 1),
        ("s3://b/a", FileNotFoundError(), 1),
    ],
)
def test_trouble_is_tried_again_where_that_may_help_and_not_for_ever(url: str, error: Exception, tries: int) -> None:
    asked = []

    def ask() -> None:
        asked.append(1)
        raise error

    with pytest.raises(StorageError, match=rf"^{url}: ") as caught:
        place(url).call(ask)
    assert caught.value.__cause__ is error
    assert len(asked) == tries


def test_web_servers_are_not_written_to() -> None:
    place("s3://b/a").check_writable()
    with pytest.raises(StorageError, match=r"^https://h/a: https:// can only be read; write to a local folder, s3://"):
        place("https://h/a").check_writable()


def test_a_moments_trouble_in_the_middle_of_a_file_is_not_noticed() -> None:
    class Shaky(io.BytesIO):
        """Loses its connection before every other read, and its place with it."""

        reads = 0

        def read(self, size: int = -1) -> bytes:
            self.reads += 1
            if self.reads % 2:
                super().read(7)
                raise ConnectionResetError
            return super().read(size)

    content = bytes(range(251)) * 2000

    class System:
        @staticmethod
        def open(path: str, mode: str, block_size: int) -> io.BytesIO:
            return Shaky(content)

    with file_systems.Place("s3://b/a", "s3", System(), "b/a").open() as file:
        assert file.read(5) == content[:5]
        assert file.seek(-100_000, 2) == len(content) - 100_000
        assert file.read() == content[-100_000:]
        file.seek(0)
        assert file.read() == content
    assert file.closed


def test_the_users_own_settings_come_first(monkeypatch) -> None:
    fsspec = pytest.importorskip("fsspec")
    assert set(file_systems._options("s3", fsspec)) == {"use_listings_cache", "config_kwargs"}
    monkeypatch.setitem(fsspec.config.conf, "s3", {"config_kwargs": {"connect_timeout": 100}})
    assert set(file_systems._options("s3", fsspec)) == {"use_listings_cache"}


def test_an_unknown_kind_is_told() -> None:
    pytest.importorskip("fsspec")
    message = r"^xyz://a: no storage of the kind 'xyz' is known; allowed are local paths, s3://, gs://, http://, https"
    with pytest.raises(StorageError, match=message):
        file_systems.place("xyz://a")
