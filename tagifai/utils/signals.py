"""Signals held off while something must not be cut short, and processes that launchers begin."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

TERMINATION_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Signals that end a run."""

TERMINAL_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
"""Signals that reach all processes of a terminal, or of a service, at once."""


@contextmanager
def ignore_signals() -> Iterator[None]:
    """Ignore signals while a run is closed; an impatient second Ctrl-C is common."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in TERMINATION_SIGNALS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def hold_back_signals() -> Iterator[Callable[[], None]]:
    """Hold a signal back, and give a function that delivers it; the block's end does so at last.

    A second signal is delivered at once: what the first one waits for may never come.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    came: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        if len(came) > 1:
            deliver()

    def deliver() -> None:
        while handlers:
            signal.signal(*handlers.popitem())
        if came:
            number = came[0]
            came.clear()
            signal.raise_signal(number)

    handlers = {number: signal.signal(number, note) for number in TERMINATION_SIGNALS}
    try:
        yield deliver
    finally:
        deliver()


@contextmanager
def block_interrupt() -> Iterator[None]:
    """Keep Ctrl-C from this thread, unless it is the first, and from processes that it begins."""
    if threading.current_thread() is threading.main_thread():
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def block_signals() -> Iterator[None]:
    """Block signals until the block has ended; a process started in it never gets them."""
    numbers = [getattr(signal, name) for name in TERMINAL_SIGNALS]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def is_worker() -> bool:
    """Return whether this process was begun by a launcher, to run jobs."""
    import multiprocessing  # late, as below: only jobs ask

    return multiprocessing.parent_process() is not None or "SUBMITIT_EXECUTOR" in os.environ


def end_orphan() -> None:
    """End the process of a launcher that is gone: it would wait for its next job for minutes."""
    import multiprocessing

    parent = multiprocessing.parent_process()
    if parent is not None and os.getppid() != parent.pid:
        os._exit(0)
