"""What goes wrong between here and a bucket, and is told in one line or repeated."""

import logging
import socket

import pytest
from remote_servers import S3_CREDENTIALS, Web

from keras_i3d import file_systems, storage
from keras_i3d.errors import StorageError
from keras_i3d.run_folder import claim

NO_S3_CREDENTIALS = (
    r"no valid credentials \(Unable to locate credentials\); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
    r"or AWS_PROFILE; FSSPEC_S3_ANON=true for a public bucket$"
)


@pytest.fixture
def closed_port() -> int:
    """Return a port at which nobody answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_missing_credentials_are_told(s3: str, monkeypatch) -> None:
    for name in S3_CREDENTIALS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for attempt in (storage.exists, storage.read_bytes, storage.listing, lambda url: storage.write_text(url, "x")):
        with pytest.raises(StorageError, match=rf"^{s3}/a: {NO_S3_CREDENTIALS}"):
            attempt(f"{s3}/a")
    with pytest.raises(StorageError, match=NO_S3_CREDENTIALS), claim(s3, "train", {}, may_be_remote=True):
        pytest.fail("the block must not run")


def test_a_bucket_that_is_not_there_is_told(s3: str) -> None:
    url = "s3://no-such-place/a"
    assert storage.exists(url) is False
    for attempt in (storage.read_bytes, storage.listing, lambda path: storage.write_text(path, "x")):
        with pytest.raises(StorageError, match=r"^s3://no-such-place/a: no such bucket$"):
            attempt(url)
    storage.make_folder(url)  # which must not make the bucket
    with pytest.raises(StorageError, match=r"no such bucket$"):
        list(storage.walk(url))


def test_a_url_without_a_bucket_is_refused(s3: str) -> None:
    with pytest.raises(StorageError, match=r"^s3://: names no bucket; write s3://BUCKET/PATH$"):
        storage.exists("s3://")


def test_an_endpoint_that_does_not_answer_is_told(s3: str, closed_port: int, monkeypatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed_port}")
    message = rf"^{s3}/a: cannot be reached \(.*{closed_port}.*\); check the network and the address of the endpoint$"
    for attempt in (storage.exists, storage.read_bytes, lambda url: storage.write_text(url, "x")):
        with pytest.raises(StorageError, match=message):
            attempt(f"{s3}/a")


def test_a_web_server_that_does_not_answer_is_told(web: Web, closed_port: int) -> None:
    for url in (f"http://127.0.0.1:{closed_port}/a", "http://nowhere.invalid/a"):
        for attempt in (storage.exists, storage.size, storage.read_bytes, storage.cached_copy):
            with pytest.raises(StorageError, match=rf"^{url}: cannot be reached \(.+\); check the network"):
                attempt(url)


def test_refused_access_is_told_with_what_helps(web: Web) -> None:
    web.answers = [403, 403]
    with pytest.raises(StorageError, match=rf"^{web.address}/a: access denied \(403, message='Forbidden'"):
        storage.exists(f"{web.address}/a")
    web.answers = [401]
    with pytest.raises(StorageError, match=rf"^{web.address}/a: no valid credentials \(401, message='Unauthorized'"):
        storage.read_bytes(f"{web.address}/a")
    denied = file_systems.explain("gs://b/a", OSError("Forbidden: b/a\nno access"))
    assert denied.startswith("gs://b/a: access denied (Forbidden: b/a); set GOOGLE_APPLICATION_CREDENTIALS, or run ")


def test_a_busy_server_is_asked_again_until_it_is_enough(web: Web, caplog) -> None:
    caplog.set_level(logging.INFO, "keras_i3d")
    (web.folder / "a").write_bytes(b"content")
    web.answers = [503, 429]
    assert storage.read_bytes(f"{web.address}/a") == b"content"
    assert len(web.asked) == 3
    assert next(record.getMessage() for record in caplog.records).endswith("; trying again in 0.0 s")
    web.answers = [503] * 4
    with pytest.raises(StorageError, match=rf"^{web.address}/a: failed \(503, message='Service Unavailable'"):
        storage.read_bytes(f"{web.address}/a")
    assert web.answers == []


def test_a_refusal_is_not_repeated(web: Web) -> None:
    with pytest.raises(StorageError, match=r"/absent: no such file or folder$"):
        storage.read_bytes(f"{web.address}/absent")
    assert len(web.asked) == 1


def test_a_cut_connection_is_tried_again(web: Web) -> None:
    content = bytes(range(251)) * 4000
    (web.folder / "a").write_bytes(content)
    web.drops = [300_000, 0]
    assert storage.read_bytes(f"{web.address}/a") == content
    web.drops = [300_000]
    assert storage.cached_copy(f"{web.address}/a").read_bytes() == content
    with storage.open_reading(f"{web.address}/a") as file:
        web.drops = [10]
        assert file.read() == content


def test_what_is_cut_off_for_good_leaves_no_copy(web: Web) -> None:
    (web.folder / "a").write_bytes(b"content")
    web.drops = [3] * 4
    with pytest.raises(StorageError, match=rf"^{web.address}/a: failed \("):
        storage.cached_copy(f"{web.address}/a")
    web.drops = []
    copy = storage.cached_copy(f"{web.address}/a")
    assert copy.read_bytes() == b"content" and list(copy.parent.iterdir()) == [copy]
