"""Reading from web servers, good ones and bad ones."""

import logging
import multiprocessing
import os
import threading

import pytest
from remote_servers import Web

from keras_i3d import lock, storage
from keras_i3d.errors import StorageError
from keras_i3d.run_folder import claim

CONTENT = bytes(range(251)) * 40_000


@pytest.fixture
def url(web: Web) -> str:
    (web.folder / "clips").mkdir()
    (web.folder / "clips/a#1 50%?.avi").write_bytes(CONTENT)
    (web.folder / "clips/b.avi").touch()
    return storage.join(web.address, "clips")


def test_names_are_encoded_on_the_way_and_plain_here(web: Web, url: str) -> None:
    assert storage.listing(url) == ["a#1 50%?.avi", "b.avi"]
    path = storage.join(url, "a#1 50%?.avi")
    assert path == f"{web.address}/clips/a%231%2050%25%3F.avi"
    assert storage.exists(path) and not storage.exists(storage.join(url, "a"))
    assert storage.size(path) == len(CONTENT)
    assert storage.read_bytes(path) == CONTENT
    assert storage.size(storage.join(url, "b.avi")) == 0


def test_only_what_is_read_is_fetched(web: Web, url: str) -> None:
    with storage.open_reading(storage.join(url, "a#1 50%?.avi")) as file:
        file.seek(-10, 2)
        assert file.read() == CONTENT[-10:]
    assert all(wanted for method, _, wanted in web.asked if method == "GET")


@pytest.mark.parametrize("spoilt", ["has_ranges", "has_lengths"])
def test_a_server_without_ranges_or_lengths_is_read_whole(web: Web, url: str, spoilt: str) -> None:
    setattr(web, spoilt, False)
    path = storage.join(url, "a#1 50%?.avi")
    with storage.open_reading(path) as file:
        file.seek(-10, 2)
        assert file.read() == CONTENT[-10:]
        file.seek(0)
        assert file.read() == CONTENT
    assert storage.size(path) == len(CONTENT)
    assert storage.cached_copy(path).read_bytes() == CONTENT


def test_an_empty_file_is_read(url: str) -> None:
    with storage.open_reading(storage.join(url, "b.avi")) as file:
        assert file.read() == b""


@pytest.mark.parametrize(
    "write",
    [
        lambda url: storage.write_text(url, "x"),
        storage.remove,
        storage.make_folder,
        lambda url: claim(url, "train", {}, may_be_remote=True).__enter__(),
    ],
)
def test_nothing_is_written_to_a_web_server(web: Web, write) -> None:
    message = rf"^{web.address}/new.*: http:// can only be read; write to a local folder, s3:// or gs://$"
    with pytest.raises(StorageError, match=message):
        write(f"{web.address}/new")


def _copy(address: str, home: str) -> None:
    os.environ["KERAS_HOME"] = home
    storage.cached_copy(address)


def test_processes_that_want_one_file_fetch_it_once(web: Web, tmp_path) -> None:
    (web.folder / "shard").write_bytes(CONTENT)
    context = multiprocessing.get_context("spawn")
    arguments = (f"{web.address}/shard", str(tmp_path / "home"))
    processes = [context.Process(target=_copy, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert sum(method == "GET" for method, _, _ in web.asked) == 1
    (copy,) = (tmp_path / "home/keras_i3d/remote").iterdir()
    assert copy.read_bytes() == CONTENT


def test_who_waits_for_another_says_so(web: Web, tmp_path, caplog) -> None:
    (web.folder / "shard").write_bytes(CONTENT)
    copy = storage.cached_copy(f"{web.address}/shard")
    copy.unlink()
    ready, go = threading.Event(), threading.Event()

    def other() -> None:
        with lock.beside(copy, lambda: None):
            ready.set()
            go.wait(60)

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            go.set()

    thread = threading.Thread(target=other)
    thread.start()
    ready.wait(60)
    listener = Listener()
    logging.getLogger(storage.__name__).addHandler(listener)
    assert storage.cached_copy(f"{web.address}/shard") == copy
    logging.getLogger(storage.__name__).removeHandler(listener)
    thread.join()
    assert [record.getMessage() for record in caplog.records] == [
        f"another process is fetching {web.address}/shard; waiting for it"
    ]
