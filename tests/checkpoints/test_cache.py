import logging
import multiprocessing
import threading
from pathlib import Path

import pytest

from keras_i3d.checkpoints import cache as cache_module
from keras_i3d.errors import WeightsUnavailable


def test_digests_are_those_of_git_and_sha256sum(tmp_path) -> None:
    (tmp_path / "hello").write_bytes(b"hello\n")
    assert cache_module.git_blob_id(tmp_path / "hello") == "ce013625030ba8dba906f756967f9e9ca394464a"
    digest = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
    assert cache_module.sha256(tmp_path / "hello") == digest


def _count_up(target: Path, times: int) -> None:
    for _ in range(times):
        with cache_module.lock(target):
            target.write_text(str(int(target.read_text()) + 1))


def test_no_two_processes_hold_a_lock_at_once(tmp_path) -> None:
    target = tmp_path / "new folder" / "counter"
    with cache_module.lock(target):
        target.write_text("0")
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_count_up, args=(target, 200)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert target.read_text() == "600"
    assert list(target.parent.iterdir()) == [target]


def test_who_waits_says_so_once(tmp_path, caplog) -> None:
    order, waits = [], threading.Event()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            waits.set()

    def second() -> None:
        with cache_module.lock(tmp_path / "file"):
            order.append("second")

    logger, listener = logging.getLogger(cache_module.__name__), Listener()
    logger.addHandler(listener)
    thread = threading.Thread(target=second)
    with cache_module.lock(tmp_path / "file"):
        thread.start()
        assert waits.wait(30)
        order.append("first")
    thread.join()
    logger.removeHandler(listener)
    assert order == ["first", "second"]
    assert [record.message for record in caplog.records] == [
        f"another process is at work on {tmp_path / 'file'}; waiting for it"
    ]


def test_a_lock_that_a_killed_process_left_is_free(tmp_path) -> None:
    (tmp_path / ".file.lock").touch()
    with cache_module.lock(tmp_path / "file"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told(open_folder, as_nobody, monkeypatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(open_folder))
    message = (
        rf"file could not be written \(Permission denied\); .* set KERAS_HOME .*\(the cache is {open_folder}/keras_i3d"
    )
    with as_nobody(), pytest.raises(WeightsUnavailable, match=message), cache_module.lock(open_folder / "a" / "file"):
        pass
