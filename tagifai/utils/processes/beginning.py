"""The first moments of a command; this module imports next to nothing, so that they are few."""

from __future__ import annotations

import atexit
import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

NUMBERS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""Signals that end a command: Ctrl-C, from a process manager, and of a terminal that is closed."""


def guard_start() -> None:
    """End a command that has not begun anything with one line; call it before all imports."""
    if find_parent() is not None:
        return
    try:
        for number in NUMBERS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, exit_early)
    except ValueError:
        return  # not the first thread, which has the signals
    atexit.register(_ignore)  # the last of them: Python itself is ended then


def find_parent() -> int | None:
    """Return the process that began this one as a worker, or None."""
    process = sys.modules.get("multiprocessing.process")  # whoever has a parent has loaded it
    parent = process.parent_process() if process is not None else None
    return None if parent is None else int(parent.pid)


def exit_early(number: int, _frame: FrameType | None) -> None:
    """End this process with one line; as the handler of a signal."""
    write(f"{get_word(number)}.")
    os._exit(128 + number)


def get_word(number: int) -> str:
    """Return what has become of a command that a signal ends."""
    return "Interrupted" if number == signal.SIGINT else "Terminated"


def write(line: str) -> None:
    """Write a line to standard error, whatever the state of Python's stream; show the cursor."""
    try:  # noqa: SIM105 - contextlib would take a moment more
        os.write(2, (f"\033[?25h\n{line}\n" if os.isatty(2) else f"{line}\n").encode())
    except OSError:
        pass  # nobody reads it


def _ignore() -> None:
    for number in NUMBERS:
        signal.signal(number, signal.SIG_IGN)
