"""Real servers on loopback; what they need is in constraints-remote.txt, and without it these tests skip."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from remote_servers import S3_CREDENTIALS, Web, s3_server, web_server

from keras_i3d import file_systems


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Let no proxy, no credentials and no cache of the machine play a part, and no pause last."""
    fsspec = pytest.importorskip("fsspec")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(file_systems, "PAUSES_S", (0.0, 0.0, 0.0))
    yield
    for name in ("s3", "gs", "http"):
        if name in fsspec.registry:
            fsspec.get_filesystem_class(name).clear_instance_cache()


@pytest.fixture(scope="session")
def s3_address() -> Iterator[str]:
    """Return the address of an S3 server."""
    pytest.importorskip("s3fs")
    pytest.importorskip("moto")
    with s3_server() as address:
        yield address


@pytest.fixture
def s3(s3_address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of a folder of the test's own in a bucket."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_address)
    for name, value in S3_CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return f"s3://clips/{uuid.uuid4().hex}"


@pytest.fixture(scope="session")
def gs_address() -> Iterator[str]:
    """Return the address of an emulator of Google's storage with the bucket ``clips``."""
    pytest.importorskip("gcsfs")
    emulator = pytest.importorskip("gcp_storage_emulator.server")
    server = emulator.create_server("127.0.0.1", 0, in_memory=True, default_bucket="clips")
    server.start()
    yield f"http://127.0.0.1:{server._api._httpd.server_port}"
    server.stop()


@pytest.fixture
def gs(gs_address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of a folder of the test's own in a bucket."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gs_address)
    return f"gs://clips/{uuid.uuid4().hex}"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    """Serve the folder ``served`` of the test."""
    pytest.importorskip("aiohttp")
    (tmp_path / "served").mkdir()
    with web_server(tmp_path / "served") as server:
        yield server
