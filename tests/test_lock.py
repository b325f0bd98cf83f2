import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from keras_i3d import lock

HOLD = """
import os, sys
from pathlib import Path
from keras_i3d import lock
lock.acquire(Path(sys.argv[1]), os.O_RDWR | os.O_CREAT, lambda: None)
print("held", flush=True)
sys.stdin.read()
"""


class Taken(Exception):
    """Another holds the lock."""


def refuse() -> None:
    raise Taken


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


@pytest.fixture
def other(path: Path):
    """Return a process that holds the lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_process_is_told_and_the_first_is_named(path: Path, other: subprocess.Popen) -> None:
    with pytest.raises(Taken):
        lock.acquire(path, os.O_RDWR, refuse)
    if Path("/proc/locks").exists():
        assert lock.holder(path) == other.pid


def test_a_killed_process_sets_its_lock_free(path: Path, other: subprocess.Popen) -> None:
    other.kill()
    other.wait()
    lock.release(lock.acquire(path, os.O_RDWR, refuse))
    assert lock.holder(path) is None


def test_the_same_process_does_not_get_a_lock_twice(path: Path) -> None:
    descriptor = lock.acquire(path, os.O_RDWR | os.O_CREAT, refuse)
    with pytest.raises(Taken):
        lock.acquire(path, os.O_RDWR, refuse)
    lock.release(descriptor)
    lock.release(lock.acquire(path, os.O_RDWR, refuse))


def test_a_program_that_was_started_meanwhile_does_not_hold_the_lock(path: Path) -> None:
    descriptor = lock.acquire(path, os.O_RDWR | os.O_CREAT, refuse)
    with subprocess.Popen(
        [sys.executable, "-c", "print('up', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        close_fds=False,
    ) as child:
        assert child.stdout.readline() == b"up\n"  # inherited descriptors are closed some time after Popen returns
        os.close(descriptor)  # as the system does when the process is killed
        lock.release(lock.acquire(path, os.O_RDWR, refuse))
        child.communicate(b"\n")


def test_the_end_of_a_lock_frees_it_of_forked_children_too(path: Path) -> None:
    descriptor = lock.acquire(path, os.O_RDWR | os.O_CREAT, refuse)
    copy = os.dup(descriptor)  # what a forked child has
    lock.release(descriptor)
    lock.release(lock.acquire(path, os.O_RDWR, refuse))
    os.close(copy)


def test_a_file_that_its_holder_has_removed_is_not_locked_but_a_new_one(path: Path) -> None:
    first = lock.acquire(path, os.O_RDWR | os.O_CREAT, refuse)

    def holder_ends() -> None:
        path.unlink()
        lock.release(first)

    second = lock.acquire(path, os.O_RDWR | os.O_CREAT, holder_ends)
    assert os.path.samestat(path.stat(), os.fstat(second))
    lock.release(second)


def test_a_file_system_without_locks_lets_all_pass(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    for descriptor in [lock.acquire(path, os.O_RDWR | os.O_CREAT, refuse) for _ in range(2)]:
        lock.release(descriptor)


def test_the_lock_file_beside_a_file_is_gone_afterwards(path: Path) -> None:
    with pytest.raises(Taken), lock.beside(path, refuse):
        assert [found.name for found in path.parent.iterdir()] == [".file.lock"]
        with lock.beside(path, refuse):
            pytest.fail("it is taken")
    assert list(path.parent.iterdir()) == []


def test_a_file_that_cannot_be_opened_is_told(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        lock.acquire(path, os.O_RDWR, refuse)
    assert lock.holder(path) is None
