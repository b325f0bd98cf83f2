"""Many processes, or many machines, for work that falls into tasks: results in order, and no task lost or done twice.

All of it goes through one interface, `concurrent.futures.Executor`: a pool of processes on this machine, or a
Dask cluster. A process that dies in the middle of a task (a crash in a decoder, the kernel short of memory) costs
that task a second try, alone; one that has killed two processes is given up.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any, Protocol, TypeVar

from keras_i3d.errors import ClusterError, first_line
from keras_i3d.extras import import_extra

TASKS_IN_FLIGHT = 4  # for each worker, so that none waits for the slowest
DEATHS = 2  # processes that a task may kill before it is given up
_CONNECT_TIMEOUT_S = 15

_log = logging.getLogger(__name__)
Task = TypeVar("Task")
Result = TypeVar("Result")


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers(Protocol):
    """What `in_order` wants of those who do the work."""

    def count(self) -> int:
        """Return how many tasks are worked on at once."""

    def submit(self, function: Callable[[Task], Result], task: Task) -> Future[Result]:
        """Begin a task."""

    def restart(self) -> None:
        """Begin anew after an executor broke."""

    def has_given_up(self, error: Exception) -> bool:
        """Tell whether an error of a future says that its task killed one worker after another."""


class Processes:
    """A pool of fresh processes (TensorFlow does not survive a fork), made anew when one of them dies.

    Args:
        count: Processes.
        start: Called in each process before its first task.

    Raises:
        ClusterError: The processes die as they start.
    """

    def __init__(self, count: int, start: Callable[[], None] | None = None) -> None:
        self._count, self._start = count, start
        self._executor = self._fresh()

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:  # nobody waits for what is under way
            for process in list((getattr(self._executor, "_processes", None) or {}).values()):
                process.terminate()
        self._executor.shutdown(cancel_futures=True)

    def count(self) -> int:
        """Return the number of processes."""
        return self._count

    def submit(self, function: Callable[[Task], Result], task: Task) -> Future[Result]:
        """Begin a task."""
        try:
            return self._executor.submit(function, task)
        except BrokenExecutor as error:
            failed: Future = Future()
            failed.set_exception(error)
            return failed

    def restart(self) -> None:
        """Replace a pool that a dead process broke."""
        self._executor.shutdown(cancel_futures=True)
        self._executor = self._fresh()

    def has_given_up(self, error: Exception) -> bool:
        """Return False: a pool does not try again by itself."""
        return False

    def _fresh(self) -> Executor:
        context = multiprocessing.get_context("spawn")
        executor = ProcessPoolExecutor(self._count, mp_context=context, initializer=_begin, initargs=(self._start,))
        try:
            with _unheard_interrupts():  # nor do processes hear them that start meanwhile, and would complain
                starting = [executor.submit(os.getpid) for _ in range(self._count)]
            for started in starting:
                started.result()
        except BrokenExecutor as error:
            raise ClusterError(
                "worker processes die as they start; in a script the call must stand under "
                "`if __name__ == '__main__':`, for each process imports the script"
            ) from error
        return executor


@contextmanager
def _unheard_interrupts() -> Iterator[None]:
    """Put Ctrl-C off to the end of the block; processes that are started in it never hear of it."""
    if not hasattr(signal, "pthread_sigmask"):  # as on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(start: Callable[[], None] | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent answers Ctrl-C for all
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if start is not None:
        start()


def _end_with_parent() -> None:
    """Wait for the parent's end, however it comes, and end this process too."""
    multiprocessing.parent_process().join()
    os._exit(1)


class DaskCluster:
    """The workers of a Dask cluster, which may come and go.

    Args:
        address: Of the scheduler, such as ``tcp://host:8786``.

    Raises:
        ClusterError: There is no scheduler at the address, or it cannot be spoken to.
        MissingDependency: The package distributed is not installed.
    """

    def __init__(self, address: str) -> None:
        distributed = import_extra("distributed")
        self.address = address
        try:
            # A client that cannot connect goes on trying in the background, so somebody must be there first.
            place = distributed.comm.get_address_host_port(address, strict=True)
            socket.create_connection(place, timeout=_CONNECT_TIMEOUT_S).close()
            self._client = distributed.Client(address, timeout=_CONNECT_TIMEOUT_S, set_as_default=False)
        except (OSError, ValueError, RuntimeError) as error:
            raise ClusterError(
                f"no Dask scheduler answers at {address!r} ({first_line(error)}); start one with `dask scheduler` and "
                "name the address that it prints, such as tcp://host:8786"
            ) from error
        self._executor = self._client.get_executor(retries=DEATHS)
        self._killed = distributed.scheduler.KilledWorker
        if not self._client.nthreads():
            _log.warning("the Dask cluster at %s has no worker yet; waiting for one", address)

    def __enter__(self) -> DaskCluster:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown(wait=False)
        self._client.close()

    def count(self) -> int:
        """Return the number of threads that the workers have now, at least one."""
        return max(1, sum(self._client.nthreads().values()))

    def submit(self, function: Callable[[Task], Result], task: Task) -> Future[Result]:
        """Begin a task."""
        return self._executor.submit(function, task)

    def restart(self) -> None:
        """Say that the cluster is gone.

        Raises:
            ClusterError: Always.
        """
        raise ClusterError(
            f"the Dask scheduler at {self.address} is gone; what is finished stays, and the same command goes on "
            "from there"
        )

    def has_given_up(self, error: Exception) -> bool:
        """Tell whether a task killed as many workers as the cluster allows."""
        return isinstance(error, self._killed)


def in_order(
    workers: Workers,
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    *,
    lost: Callable[[Task], Result],
) -> Iterator[Result]:
    """Yield ``function(task)`` for each task, in the order of the tasks.

    Args:
        workers: Who does it.
        function: Importable by the workers.
        tasks: Taken one by one, as workers become free.
        lost: Gives the result of a task that was given up because the processes that worked on it died.

    Raises:
        Exception: What the function raised.
    """
    tasks = iter(tasks)
    running: deque[tuple[Task, Future[Result]]] = deque()
    try:
        while True:
            room = workers.count() * TASKS_IN_FLIGHT - len(running)
            running.extend((task, workers.submit(function, task)) for task in islice(tasks, max(0, room)))
            if not running:
                return
            task, future = running[0]
            try:
                result = future.result()
            except (BrokenExecutor, CancelledError):
                workers.restart()
                interrupted, running = list(running), deque()
                yield from (_again(workers, function, lost, *one) for one in interrupted)
                continue
            except Exception as error:
                if not workers.has_given_up(error):
                    raise
                result = lost(task)
            running.popleft()
            yield result
    finally:
        for _, future in running:
            future.cancel()


def _again(
    workers: Workers,
    function: Callable[[Task], Result],
    lost: Callable[[Task], Result],
    task: Task,
    future: Future[Result],
) -> Result:
    """Return the result of a task whose pool broke: its own if it was done by then, or that of another try, alone."""
    tries = 0
    while True:
        try:
            return future.result()
        except (BrokenExecutor, CancelledError):
            if tries:  # this try broke a pool; the first only shared one that another may have broken
                workers.restart()
            if tries == DEATHS:
                return lost(task)
            tries += 1
            future = workers.submit(function, task)


class Watchdog:
    """Ends this process when it has been silent for too long: a decoder that hangs can be stopped in no other way.

    Args:
        seconds: The longest silence.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._heard = time.monotonic()
        self._over = threading.Event()

    def __enter__(self) -> Watchdog:
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def hear(self, *_: Any) -> None:
        """Note that the work goes on."""
        self._heard = time.monotonic()

    def _watch(self) -> None:
        while not self._over.wait(min(1.0, self._seconds / 4)):
            if time.monotonic() - self._heard > self._seconds:
                os._exit(1)
