"""Signals: the first one interrupts, and a second one ends everything at once.

The first is raised where it is harmless, or held back while something must not be cut short. For
the second nothing is waited for: a thread of its own counts, whatever the first thread hangs in.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import FrameType
from typing import Any

from tagifai.utils.processes import descendants
from tagifai.utils.processes.beginning import NUMBERS, find_parent, get_word
from tagifai.utils.processes.interrupts import (
    SECOND_SECONDS,
    Guard,
    Terminated,
    leave_closed_terminal,
)

__all__ = [
    "LAUNCHER_VARIABLE",
    "NUMBERS",
    "THREAD_VARIABLES",
    "Terminated",
    "describe",
    "find_interrupt",
    "guard_command",
    "guard_end",
    "guard_job",
    "hold_back",
    "ignore_time_limit",
    "is_worker",
    "keep_from_children",
    "leave_to_parent",
    "prefer_interrupt",
]

LAUNCHER_VARIABLE = "TAGIFAI_LAUNCHER"
"""Holds the number of the process that has begun the jobs of submitit on this machine."""

THREAD_VARIABLES = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"),
    *("VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS"),
)
"""Variables that bound the threads of numeric libraries; each process has one per processor."""

_guard = Guard()

_guarded: list[int] = []
"""Who launched the present job, while it is guarded."""


def guard_command() -> None:
    """Raise the first signal in the first thread from now on, and end everything at a second."""
    if threading.current_thread() is not threading.main_thread():
        return
    _begin_guard(deadly=True)
    theirs = sys.unraisablehook
    if theirs is not _report_swallowed:
        _hooks.append(theirs)
        sys.unraisablehook = _report_swallowed


def guard_end(code: int) -> None:
    """Keep to an exit code from now on, while the interpreter ends.

    Args:
        code: of the command, which has ended.
    """
    _guard.code = code


@contextmanager
def guard_job() -> Iterator[None]:
    """Let SIGTERM interrupt a launcher's process in a block, which has a job; no other process.

    A job inside of a job is guarded by the outer one.
    """
    if not is_worker() or _guarded:
        yield
        return
    launcher = _get_launcher()
    descendants.end_with(launcher)
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    leave_to_parent()
    _begin_guard(deadly=False)
    _guarded.append(launcher)
    try:
        yield
    finally:
        _guarded.pop()
        _guard.forget()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if descendants.has_ended(launcher):
            os._exit(1)  # nobody waits for the rest, and Python takes seconds to end


def ignore_time_limit() -> None:
    """Ignore the signal before the end of a cluster job's time, by which submitit fails the job.

    It comes minutes before; whoever calls this keeps to the time. At the end there is SIGTERM.
    """
    if "SUBMITIT_EXECUTOR" in os.environ and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def leave_to_parent() -> None:
    """Leave Ctrl-C and SIGHUP, which reach all processes of a terminal, to the one that began us.

    It ends the others, by SIGTERM or outright.
    """
    for number in NUMBERS:
        signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.SIG_IGN)


@contextmanager
def keep_from_children() -> Iterator[None]:
    """Keep Ctrl-C and SIGHUP from this thread and from the processes that it begins in a block."""
    numbers = {number for number in NUMBERS if number != signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def hold_back(noticed: Callable[[int], None] = lambda _: None) -> Iterator[Callable[[], None]]:
    """Hold a signal back, and give a function that delivers it; the block's end does so at last.

    Where nobody counts signals, a second one is delivered at once: what the first one waits for
    may never come.

    Args:
        noticed: called with the signal that is held back.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    _guard.has_begun = True
    came: list[tuple[int, float]] = []

    def note(number: int, _frame: FrameType | None) -> None:
        came.append((number, time.monotonic()))
        if len(came) == 1:
            leave_closed_terminal(number)
            noticed(number)
        elif _guard.writer is None and came[-1][1] - came[0][1] >= SECOND_SECONDS:
            deliver()

    def deliver() -> None:
        while handlers:
            signal.signal(*handlers.popitem())
        if came:
            number, _ = came[0]
            came.clear()
            if callable(before[number]):
                before[number](number, None)
            else:
                signal.raise_signal(number)

    before: dict[int, Any] = {n: h for n in NUMBERS if (h := _get_handler(n)) is not None}
    handlers = dict(before)
    for number in before:
        signal.signal(number, note)
    try:
        yield deliver
    finally:
        deliver()


def describe(interrupt: KeyboardInterrupt) -> tuple[str, int]:
    """Return what a person is told of an interrupt, and the exit code."""
    number = interrupt.number if isinstance(interrupt, Terminated) else signal.SIGINT
    return f"{get_word(number)}.", 128 + number


def find_interrupt() -> KeyboardInterrupt | None:
    """Return the interrupt of a signal that has come, whatever has become of it."""
    if _guard.received is None:
        return None
    return Terminated(_guard.received) if _guard.received != signal.SIGINT else KeyboardInterrupt()


def is_worker() -> bool:
    """Return whether this process was begun by a launcher, to run jobs."""
    return find_parent() is not None or "SUBMITIT_EXECUTOR" in os.environ


@contextmanager
def prefer_interrupt() -> Iterator[None]:
    """Raise the interrupt that has come in a block, where it has become an error on its way.

    A library that is cut short while it puts something back raises an error of its own.
    """
    try:
        yield
    except Exception:
        if (interrupt := find_interrupt()) is not None:
            raise interrupt from None
        raise


def _get_launcher() -> int:
    """Return the process that launched this one; of submitit's, the one that began the search."""
    if os.environ.get("SUBMITIT_EXECUTOR") == "local" and LAUNCHER_VARIABLE in os.environ:
        return int(os.environ[LAUNCHER_VARIABLE])
    return find_parent() or os.getppid()


def _begin_guard(*, deadly: bool) -> None:
    _guard.listen(deadly=deadly)
    _set_handlers(_guard.handle)
    _watch_forks()


@cache
def _watch_forks() -> None:
    if hasattr(os, "register_at_fork"):  # not all systems copy processes
        os.register_at_fork(after_in_child=lambda: _guard.forget(is_copy=True))


_hooks: list[Callable[[Any], Any]] = []


def _report_swallowed(swallowed: Any) -> None:
    if not _guard.take_back(swallowed):
        _hooks[0](swallowed)


def _set_handlers(handler: Callable[[int, FrameType | None], None]) -> None:
    """Set a handler for all signals but those that whoever began this process has switched off."""
    for number in NUMBERS:
        if _get_handler(number) is not None:
            signal.signal(number, handler)


def _get_handler(number: int) -> Any:
    """Return the handler of a signal, or None if it is ignored, as SIGHUP is by nohup."""
    found = signal.getsignal(number)
    return None if found is signal.SIG_IGN else found
