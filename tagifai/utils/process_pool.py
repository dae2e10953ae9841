"""Processes that compute a function, and end with their parent: of many items, or within limits.

The pools of the standard library read all items at once, or wait for ever for a process that was
killed, or outlive their parent.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

from tagifai.exceptions import UserError
from tagifai.utils import signals
from tagifai.utils.processes import descendants

Map = Callable[[Iterable[Any]], Iterator[Any]]
"""Takes items and yields a function's values for them, in the same order."""


class WorkerLostError(UserError):
    """A process ended before its work was done."""

    exit_code = 1


def count_processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class LimitError(Exception):
    """A function took more time or memory than it may have, or ended its process."""


class ProcessPool:
    """Processes that compute a function; used as a context.

    Args:
        function: takes one item. Where processes do not begin as copies of this one, it is pickled.
        number: of processes.
        ahead: items that wait for each process, so that none waits for an item.
        advice: what to do if there is no memory left for one of them.
    """

    def __init__(
        self, function: Callable[[Any], Any], number: int, *, ahead: int, advice: str
    ) -> None:
        self._ahead = ahead
        self._advice = advice
        context = _get_context()
        self._number = number
        self._processes: list[Any] = []
        self._idle: SimpleQueue[Connection] = SimpleQueue()
        share = max(1, count_processors() // number)
        for _ in range(number):
            here, there = context.Pipe()
            process = context.Process(
                target=_serve, args=(function, there, os.getpid(), share), daemon=True
            )
            _start(process)
            there.close()
            self._processes.append(process)
            self._idle.put(here)
        self._threads = ThreadPoolExecutor(number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for process in self._processes:
            process.kill()
        self._threads.shutdown(cancel_futures=True)
        for process in self._processes:
            process.join()

    def map(self, items: Iterable[Any]) -> Iterator[Any]:
        """Yield the function's values in the order of the items, few of which are held at a time.

        An error raised by the items comes after the values of those before it.
        """
        pending: deque[Future[Any]] = deque()
        iterator, failure = iter(items), None
        while failure is None:
            try:
                pending.append(self._threads.submit(self._ask, next(iterator)))
            except StopIteration:
                break
            except Exception as error:
                failure = error
            if len(pending) > self._number * self._ahead:
                yield pending.popleft().result()
        for future in pending:
            yield future.result()
        if failure is not None:
            raise failure

    def _ask(self, item: Any) -> Any:
        connection = self._idle.get()
        try:
            connection.send(item)
            value, error = connection.recv()
        except (EOFError, OSError):
            raise WorkerLostError(
                "A worker process was ended from outside, perhaps because memory ran out;"
                f" {self._advice}."
            ) from None
        finally:
            # Also one that is lost, so that whoever takes it next finds out at once.
            self._idle.put(connection)
        if error is not None:
            raise error
        return value


def call_limited(
    function: Callable[..., Any], *arguments: Any, seconds: float, megabytes: int
) -> Any:
    """Return a function's value, computed in a process that is ended past its limits.

    Args:
        function: as of `ProcessPool`.
        arguments: its own.
        seconds: that it may take.
        megabytes: of memory beside what this process has; limited on Linux only.

    Raises:
        LimitError: it took more, or ended its process; and whatever the function raises.
    """
    context = _get_context()
    here, there = context.Pipe()
    limits = (os.getpid(), seconds, megabytes)
    process = context.Process(target=_answer_once, args=(function, arguments, there, limits))
    try:
        _start(process)
        there.close()
        if not here.poll(seconds):
            raise LimitError(f"took longer than {seconds:g} seconds")
        value, error = here.recv()
    except (EOFError, OSError):
        raise LimitError("ended the process that it was given") from None
    finally:
        if process.pid is not None:
            process.kill()
            process.join()
    if isinstance(error, MemoryError):
        raise LimitError(f"took more memory than {megabytes} MB")
    if error is not None:
        raise error
    return value


def _answer_once(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    connection: Connection,
    limits: tuple[int, float, int],
) -> None:
    parent, seconds, megabytes = limits
    _begin_worker(parent)
    with suppress(ImportError):
        import resource  # where there is none, the parent still ends it by the clock

        # A thread cannot end what holds Python's lock, such as a regular expression.
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(seconds) + 2,) * 2)
        used = Path("/proc/self/statm")
        if used.exists():
            pages = int(used.read_text().split()[5])
            most = pages * resource.getpagesize() + megabytes * 10**6
            resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    value, error = _answer(lambda given: function(*given), arguments)
    # The error of an array that has no room is not always one that can be sent.
    connection.send((value, MemoryError() if isinstance(error, MemoryError) else error))


def _get_context() -> Any:
    # Forked copies start at once and share the model's memory. Outside of Linux, libraries of the
    # system do not survive a fork.
    return multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")


def _start(process: Any) -> None:
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        # Newer Pythons warn of forking a process with threads; the only threads here are NumPy's
        # idle ones.
        process.start()


def _begin_worker(parent: int) -> None:
    signals.leave_to_parent()
    descendants.end_with(parent, grace=0.0)


def _serve(
    function: Callable[[Any], Any], connection: Connection, parent: int, threads: int
) -> None:
    """Answer items with the function's values, until the other end is closed.

    Numeric libraries take a thread for each processor, in each process.
    """
    from threadpoolctl import threadpool_limits  # late: a command without processes needs none

    _begin_worker(parent)
    threadpool_limits(threads)
    with suppress(EOFError, OSError):
        while True:
            connection.send(_answer(function, connection.recv()))


def _answer(function: Callable[[Any], Any], item: Any) -> tuple[Any, Exception | None]:
    try:
        return function(item), None
    except Exception as error:
        return None, error
