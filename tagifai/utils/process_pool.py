"""A pool of processes that compute one function of many items, and end with their parent.

The pools of the standard library read all items at once, or wait for ever for a process that was
killed, or outlive their parent.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

from tagifai.exceptions import UserError

Map = Callable[[Iterable[Any]], Iterator[Any]]
"""Takes items and yields a function's values for them, in the same order."""

WATCH_SECONDS = 1.0


class WorkerLostError(UserError):
    """A process ended before its work was done."""

    exit_code = 1


def count_processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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
        # Forked copies start at once and share the model's memory. Outside of Linux, libraries of
        # the system do not survive a fork.
        context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
        self._number = number
        self._processes: list[Any] = []
        self._idle: SimpleQueue[Connection] = SimpleQueue()
        for _ in range(number):
            here, there = context.Pipe()
            process = context.Process(
                target=_serve, args=(function, there, os.getpid()), daemon=True
            )
            with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
                # Newer Pythons warn of forking a process with threads; the only threads here are
                # NumPy's idle ones.
                process.start()
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


def _serve(function: Callable[[Any], Any], connection: Connection, parent: int) -> None:
    """Answer items with the function's values, until the other end is closed."""
    # Ctrl-C reaches all processes of a terminal; the parent ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_exit_with_parent, args=(parent,), daemon=True).start()
    with suppress(EOFError, OSError):
        while True:
            connection.send(_answer(function, connection.recv()))


def _answer(function: Callable[[Any], Any], item: Any) -> tuple[Any, Exception | None]:
    try:
        return function(item), None
    except Exception as error:
        return None, error


def _exit_with_parent(parent: int) -> None:
    """End this process when its parent has ended, however that was."""
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os._exit(1)
