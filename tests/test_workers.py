import os
from collections.abc import Iterator
from pathlib import Path

import crew_tasks
import pytest

from keras_i3d.errors import ClusterError
from keras_i3d.workers import TASKS_IN_FLIGHT, DaskCluster, Processes, cores, in_order


def never(task: object) -> None:
    raise AssertionError(f"{task} was given up")


@pytest.fixture(scope="module")
def two() -> Iterator[Processes]:
    with Processes(2) as crew:
        yield crew


def test_results_come_in_the_order_of_the_tasks(two: Processes) -> None:
    assert list(in_order(two, crew_tasks.slow_double, range(20), lost=never)) == list(range(0, 40, 2))


def test_the_work_is_done_elsewhere(two: Processes) -> None:
    assert os.getpid() not in set(in_order(two, crew_tasks.process, range(10), lost=never))


def test_tasks_are_taken_as_workers_become_free(two: Processes) -> None:
    taken = []
    tasks = (taken.append(number) or number for number in range(100))
    results = in_order(two, crew_tasks.double, tasks, lost=never)
    next(results)
    assert len(taken) == 2 * TASKS_IN_FLIGHT
    next(results)
    assert len(taken) == 2 * TASKS_IN_FLIGHT + 1
    results.close()


def test_no_task_is_no_work(two: Processes) -> None:
    assert list(in_order(two, crew_tasks.double, [], lost=never)) == []


def test_an_error_ends_the_work_and_is_the_tasks_own(two: Processes) -> None:
    results = in_order(two, crew_tasks.fail_at_three, range(9), lost=never)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="No space left on device"):
        next(results)
    assert list(in_order(two, crew_tasks.double, [1], lost=never)) == [2]


def test_a_task_that_always_kills_its_process_is_given_up_alone(two: Processes) -> None:
    given_up = []
    results = in_order(two, crew_tasks.die_at_three, range(9), lost=lambda task: given_up.append(task) or -1)
    assert list(results) == [0, 1, 2, -1, 4, 5, 6, 7, 8]
    assert given_up == [3]


def test_a_task_whose_process_was_killed_is_done_again(two: Processes, tmp_path: Path) -> None:
    markers = [tmp_path / str(number) for number in range(4)]
    assert list(in_order(two, crew_tasks.die_the_first_time, markers, lost=never)) == ["0", "1", "2", "3"]


def test_a_process_that_is_silent_for_too_long_ends(two: Processes) -> None:
    results = in_order(two, crew_tasks.be_silent, [0.0, 60.0, 0.1], lost=lambda task: "hung")
    assert list(results) == [0.0, "hung", 0.1]


def test_a_process_that_speaks_goes_on(two: Processes) -> None:
    assert list(in_order(two, crew_tasks.speak_and_sleep, [20], lost=never)) == [20]


def test_each_process_is_prepared_before_its_first_task() -> None:
    with Processes(1, crew_tasks.note_the_start) as crew:
        assert list(in_order(crew, crew_tasks.was_started, [0], lost=never)) == ["yes"]


def test_an_unreachable_scheduler_is_named_with_the_remedy() -> None:
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    with pytest.raises(
        ClusterError,
        match=r"^no Dask scheduler answers at 'tcp://127\.0\.0\.1:1' \(Connection|\[Errno.*`dask scheduler`",
    ):
        DaskCluster("tcp://127.0.0.1:1")


@pytest.mark.parametrize("address", ["nonsense", "tcp://", "http://127.0.0.1:1", "tcp://127.0.0.1:notaport"])
def test_an_address_that_is_none_is_named_too(address: str) -> None:
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    with pytest.raises(ClusterError, match=rf"no Dask scheduler answers at {address!r} "):
        DaskCluster(address)


def test_the_cores_are_those_that_this_process_may_use() -> None:
    assert 1 <= cores() <= os.cpu_count()


def test_processes_that_die_as_they_start_are_told() -> None:
    with pytest.raises(ClusterError, match=r"^worker processes die as they start; in a script .*__main__"):
        Processes(1, crew_tasks.die)
