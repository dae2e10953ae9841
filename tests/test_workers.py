from __future__ import annotations

import operator
import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from tagifai import workers
from tagifai.errors import DataError, UserError


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("processes", [0, 1, 2, 3])
@pytest.mark.parametrize("tasks", [0, 1, 2, 7])
def test_results_come_in_the_order_of_the_tasks(processes: int, tasks: int) -> None:
    with workers.mapping(partial(operator.mul, 2), processes) as made:
        for _ in range(2):
            assert list(made(range(tasks))) == [2 * task for task in range(tasks)]


def test_the_work_is_done_elsewhere_and_the_processes_end_with_the_block() -> None:
    with workers.mapping(operator.call, 2) as made:
        pids = list(made([os.getpid] * 4))
        assert len({*pids, os.getpid()}) == 3
        assert pids[:2] == pids[2:]
    assert all(gone(pid) for pid in pids)


def test_the_processes_end_where_results_are_not_asked_for() -> None:
    with workers.mapping(operator.call, 2) as made:
        pid = next(made([os.getpid, partial(bytes, 2**24), os.getpid]))
    assert gone(pid)


def test_an_error_of_the_work_is_raised_here_in_its_turn() -> None:
    with workers.mapping(partial(operator.truediv, 1), 2) as made:
        results = made([1, 2, 0, 4])
        assert [next(results), next(results)] == [1, 0.5]
        with pytest.raises(ZeroDivisionError):
            next(results)


def test_a_user_s_error_keeps_its_words() -> None:
    with workers.mapping(refuse, 2) as made, pytest.raises(DataError, match="data are bad: 1"):
        list(made([1, 2]))


def refuse(task: int) -> None:
    raise DataError(f"data are bad: {task}")


def test_a_process_that_is_killed_is_said() -> None:
    with workers.mapping(operator.call, 2) as made:
        (pid,) = made([os.getpid])
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(UserError, match=r"has ended \(exit code -9\).*lower data.chunk_rows"):
            list(made([partial(time.sleep, 0)] * 4))


def test_what_the_work_prints_is_no_result() -> None:
    with workers.mapping(print, 2) as made:
        assert list(made(["a", "b"])) == [None, None]


def test_at_least_one_process_is_available_and_at_most_as_many_as_can_be_busy() -> None:
    assert 1 <= workers.available() <= workers.MOST
