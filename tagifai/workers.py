"""Workers: processes that do tasks ahead of whoever needs their results, which come in order."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from tagifai.errors import UserError

MOST = 3
"""More would have to wait for the one process that fits the model, and each takes memory."""

CODE = "import sys; sys.path[:] = {path!r}; from tagifai import workers; workers.serve()"

Map = Callable[[Sequence[Any]], Iterator[Any]]
"""From tasks to their results, in the same order."""


def available() -> int:
    """Return how many workers this process may keep busy; 1 is itself."""
    processors = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    )
    return min(processors or 1, MOST)


@contextmanager
def mapping(
    work: Callable[[Any], Any], processes: int, modules: Sequence[str] = ()
) -> Iterator[Map]:
    """Give a function that does tasks in other processes.

    They hold one result each until it is asked for. They end with the block, or with this process
    however that ends: what they read from it is at an end then.

    Args:
        work: does a task; it is sent to the processes, and so are tasks and results.
        processes: how many; with 1 the tasks are done here, when their results are asked for.
        modules: to import there first.
    """
    if processes < 2:
        yield lambda tasks: map(work, tasks)
        return
    with ExitStack() as stack:
        started = [stack.enter_context(_started(work, modules)) for _ in range(processes)]
        yield lambda tasks: _map(started, tasks)


@contextmanager
def _started(
    work: Callable[[Any], Any], modules: Sequence[str]
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(  # noqa: S603 (ourselves)
        [sys.executable, "-c", CODE.format(path=sys.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Ctrl-C is for this process, which ends the others.
        start_new_session=True,
        pipesize=2**20,
    )
    try:
        _send(process, list(modules))
        _send(process, work)
        yield process
    finally:
        process.kill()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        process.wait()


def _map(processes: Sequence[subprocess.Popen[bytes]], tasks: Sequence[Any]) -> Iterator[Any]:
    for place, process in enumerate(processes):
        for task in tasks[place :: len(processes)][:1]:
            _send(process, task)
    for place in range(len(tasks)):
        process = processes[place % len(processes)]
        # One more, so that it need not wait when it has handed over its result.
        for task in tasks[place + len(processes) : place + len(processes) + 1]:
            _send(process, task)
        yield _received(process)


def _send(process: subprocess.Popen[bytes], content: Any) -> None:
    try:
        pickle.dump(content, process.stdin, protocol=5)  # type: ignore[arg-type]
        process.stdin.flush()  # type: ignore[union-attr]
    except BrokenPipeError:
        raise _ended(process) from None


def _received(process: subprocess.Popen[bytes]) -> Any:
    try:
        result, error = _read(process.stdout)
    except (EOFError, pickle.UnpicklingError):
        raise _ended(process) from None
    if error is not None:
        raise error
    return result


def _read(stream: Any) -> Any:
    return pickle.load(stream)  # noqa: S301 (from ourselves, by a pipe that nobody else has)


def _ended(process: subprocess.Popen[bytes]) -> UserError:
    return UserError(
        f"A process that prepared rows has ended (exit code {process.wait()}). If there was no"
        " memory left for it, lower data.chunk_rows."
    )


def serve() -> None:
    """Do the tasks that come by standard input until there are no more, as a worker."""
    given, results = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # Whatever is printed is no result.
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(EOFError, BrokenPipeError):
        for module in _read(given):
            __import__(module)
        work = _read(given)
        while True:
            pickle.dump(_done(work, _read(given)), results, protocol=5)
            results.flush()
    # Without the end of an interpreter, which would look for somebody to read the last result.
    os._exit(0)


def _done(work: Callable[[Any], Any], task: Any) -> tuple[Any, Exception | None]:
    try:
        return work(task), None
    except Exception as error:
        return None, error
