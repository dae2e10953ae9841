from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from threadpoolctl import threadpool_info

from tagifai.exceptions import DataError
from tagifai.utils.process_pool import (
    LimitError,
    ProcessPool,
    WorkerLostError,
    call_limited,
    count_processors,
)

LIMITS: Any = {"ahead": 2, "advice": "try fewer (task.n_jobs)"}

ROOT = Path(__file__).parents[2]

ORPHANS = """
import time
from tagifai.utils.process_pool import ProcessPool

def slow(item):
    time.sleep(600)

with ProcessPool(slow, 2, ahead=2, advice="wait") as workers:
    print(*(process.pid for process in workers._processes), flush=True)
    list(workers.map(range(2)))
"""


def doubled(item: int) -> int:
    time.sleep(0.01 * (item % 3))
    return 2 * item


def pid(_item: object) -> int:
    time.sleep(0.05)
    return os.getpid()


def failing(item: int) -> int:
    if item == 2:
        raise DataError("The second item is refused.")
    return item


def lethal(item: int) -> int:
    if item == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def is_gone(number: int) -> bool:
    """Return whether a process has ended, or is only waiting to be collected."""
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def test_there_is_a_processor() -> None:
    assert 1 <= count_processors() <= (os.cpu_count() or 1)


@pytest.mark.e2e
@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("items", [0, 1, 2, 50])
def test_values_come_in_the_order_of_their_items(number: int, items: int) -> None:
    with ProcessPool(doubled, number, **LIMITS) as workers:
        assert list(workers.map(range(items))) == [2 * item for item in range(items)]


@pytest.mark.e2e
def test_several_processes_work_and_none_of_them_is_this_one() -> None:
    with ProcessPool(pid, 2, **LIMITS) as workers:
        found = set(workers.map(range(8)))
    assert len(found) == 2
    assert os.getpid() not in found
    assert all(map(is_gone, found))


def threads(_item: object) -> list[int]:
    time.sleep(0.05)
    return [pool["num_threads"] for pool in threadpool_info()]


@pytest.mark.e2e
def test_processes_have_no_more_numeric_threads_than_there_are_processors() -> None:
    import numpy  # noqa: F401 - it loads a library with threads

    share = max(1, count_processors() // 2)
    with ProcessPool(threads, 2, **LIMITS) as workers:
        found = [number for numbers in workers.map(range(4)) for number in numbers]
    assert found
    assert max(found) <= share


@pytest.mark.e2e
def test_few_items_are_taken_ahead_of_the_values() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for item in range(100):
            taken += 1
            yield item

    with ProcessPool(doubled, 2, **LIMITS) as workers:
        for number, _ in enumerate(workers.map(items())):
            assert taken <= number + 2 * 2 + 1


@pytest.mark.e2e
def test_large_items_and_values_do_not_block_each_other() -> None:
    large = ["x" * 100_000] * 10
    with ProcessPool(list, 2, **LIMITS) as workers:
        assert list(workers.map([large] * 8)) == [large] * 8


@pytest.mark.e2e
def test_an_error_of_the_items_comes_after_the_values_before_it() -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise DataError("Line 4 is not a text.")

    found: list[int] = []
    with ProcessPool(doubled, 2, **LIMITS) as workers, pytest.raises(DataError, match="Line 4"):
        found.extend(workers.map(items()))
    assert found == [0, 2, 4]


@pytest.mark.e2e
def test_an_error_of_the_function_is_raised_here() -> None:
    with (
        ProcessPool(failing, 2, **LIMITS) as workers,
        pytest.raises(DataError, match="second item"),
    ):
        list(workers.map(range(10)))


@pytest.mark.e2e
def test_a_process_that_is_killed_is_an_error_and_no_wait() -> None:
    with (
        ProcessPool(lethal, 2, **LIMITS) as workers,
        pytest.raises(WorkerLostError, match=r"task\.n_jobs"),
    ):
        list(workers.map(range(20)))


@pytest.mark.e2e
def test_leaving_early_ends_the_processes() -> None:
    with ProcessPool(pid, 2, **LIMITS) as workers:
        first = next(workers.map(range(100)))
    assert is_gone(first)


@pytest.mark.e2e
@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_processes_end_with_their_parent_even_if_it_is_killed() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", ORPHANS], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    numbers = [int(number) for number in process.stdout.readline().split()]
    process.kill()
    process.wait()
    process.stdout.close()
    until = time.monotonic() + 30
    while not all(map(is_gone, numbers)) and time.monotonic() < until:
        time.sleep(0.1)
    assert len(numbers) == 2
    assert all(map(is_gone, numbers))


# --- within limits -----------------------------------------------------------------------------


def fill(megabytes: int) -> int:
    return len(bytearray(megabytes * 10**6))


@pytest.mark.e2e
def test_a_call_within_its_limits_gives_its_value_or_its_error() -> None:
    assert call_limited(doubled, 2, seconds=5, megabytes=100) == 4
    assert call_limited(pid, None, seconds=5, megabytes=100) != os.getpid()
    with pytest.raises(DataError, match="The second item is refused"):
        call_limited(failing, 2, seconds=5, megabytes=100)


@pytest.mark.e2e
def test_a_call_past_its_limits_is_ended() -> None:
    began = time.monotonic()
    with pytest.raises(LimitError, match=r"^took longer than 0\.5 seconds$"):
        call_limited(time.sleep, 60, seconds=0.5, megabytes=100)
    assert time.monotonic() - began < 5
    assert call_limited(fill, 50, seconds=5, megabytes=100) == 50 * 10**6
    with pytest.raises(LimitError, match=r"^took more memory than 100 MB$"):
        call_limited(fill, 200, seconds=5, megabytes=100)
    with pytest.raises(LimitError, match=r"^ended the process that it was given$"):
        call_limited(lethal, 2, seconds=5, megabytes=100)


HANGING = """
import re
from tagifai.utils import process_pool

def hang(text):
    import os
    print(os.getpid(), flush=True)
    re.match(r"(a|a)*$", text)

process_pool.call_limited(hang, "a" * 60 + "b", seconds=2, megabytes=100)
"""


@pytest.mark.e2e
def test_a_call_that_holds_python_s_lock_ends_although_its_parent_was_killed() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HANGING], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    number = int(process.stdout.readline())
    process.kill()
    process.communicate()
    began = time.monotonic()
    while not is_gone(number):
        assert time.monotonic() - began < 30
        time.sleep(0.1)
