"""Waits with an end: a call that may hang, with a word to the user before the wait is long."""

from __future__ import annotations

import contextvars
import itertools
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

QUIET_SECONDS = 5
"""Seconds of waiting before a line says what for."""

LONG_SECONDS = 8
"""Seconds of a call after each of which a line says that it goes on."""

T = TypeVar("T")

_mentioned = threading.Lock()
"""Held by the outermost block that mentions its wait."""

log = logging.getLogger(__name__)


def call_within(seconds: float, function: Callable[[], T], what: str) -> T:
    """Return what a function returns, unless that takes too long.

    The function runs in a thread that ends with the process, hung or not: neither a name server
    nor a file system that does not answer can be interrupted otherwise.

    Args:
        seconds: to wait at most.
        function: called once.
        what: for people, such as "Opening the database": shown if it takes a while.

    Raises:
        TimeoutError: the time is over; what the function does then is of no consequence.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(context.run(function))
        except BaseException as error:
            errors.append(error)

    context = contextvars.copy_context()
    thread = threading.Thread(target=work, daemon=True, name=what)
    thread.start()
    thread.join(min(seconds, QUIET_SECONDS))
    if thread.is_alive() and seconds > QUIET_SECONDS:
        log.warning("%s takes a while: at most %.0f s.", what, seconds)
        thread.join(seconds - QUIET_SECONDS)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"no answer within {seconds:.0f} s")
    return results[0]


@contextmanager
def mention_wait(what: str) -> Iterator[None]:
    """Show a line if a block takes long, and again as long as it does.

    Args:
        what: for people, who or what is waited for.
    """
    ended = threading.Event()

    def mention() -> None:
        for times in itertools.count(1):
            if ended.wait(LONG_SECONDS):
                return
            text = "%s has not answered for %d s; it is waited for."
            log.warning(text, what, times * LONG_SECONDS)

    is_outer = _mentioned.acquire(blocking=False)
    thread = threading.Thread(target=mention, daemon=True)
    if is_outer:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        if is_outer:
            thread.join()
            _mentioned.release()
