"""The signals of a process: the first one is raised, and a second one ends everything at once."""

from __future__ import annotations

import os
import signal
import stat
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import Any

from tagifai.utils.processes import descendants
from tagifai.utils.processes.beginning import NUMBERS, exit_early, get_word, write

SECOND_SECONDS = 0.1
"""Seconds after which a signal is a second one: terminals and process managers repeat theirs."""

IMPORT_SECONDS = 1.5
"""Seconds that a signal waits for an import to end, or for a destructor."""

AGAIN = 0
"""Byte in the pipe of signals that asks for the first one once more, a moment later."""

AGAIN_SECONDS = 0.02


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP, raised so that `with` and `finally` are honoured; no error for anybody.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int = signal.SIGTERM) -> None:
        super().__init__(number)
        self.number = number


class Guard:
    """The signals of this process, from the beginning of its command."""

    def __init__(self) -> None:
        self.writer: int | None = None
        self._reader = -1
        self._clear()

    def _clear(self) -> None:
        self.has_begun = False
        self.received: int | None = None
        self.code: int | None = None
        self._raised = False
        self._since = 0.0
        self._counted: float | None = None
        self._repeats = 0

    def listen(self, *, deadly: bool) -> None:
        """Begin anew, and count signals in a thread; a second one is ignored where none can be.

        Args:
            deadly: whether a second one ends everything.
        """
        self.forget()
        self._clear()
        if os.name != "posix":
            return  # the pipe of signals is a socket there
        self._reader, self.writer = os.pipe()
        os.set_blocking(self.writer, False)
        signal.set_wakeup_fd(self.writer, warn_on_full_buffer=False)
        threading.Thread(
            target=self._count, args=(self._reader, deadly), name="signals", daemon=True
        ).start()

    def forget(self, *, is_copy: bool = False) -> None:
        """Stop listening.

        Args:
            is_copy: whether this is a forked copy, whose signals are not those of the original.
        """
        if self.writer is None:
            return
        with suppress(ValueError):  # not the first thread: whoever is it takes over
            signal.set_wakeup_fd(-1)
        os.close(self.writer)
        self.writer = None
        if is_copy:  # otherwise by the thread that reads it
            os.close(self._reader)

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Raise the first signal, as soon as it does no harm."""
        if self.received is None:
            self.received, self._since = number, time.monotonic()
            leave_closed_terminal(number)
        if self._raised or self.code is not None:
            return
        waited = time.monotonic() - self._since
        if self.writer is not None and waited < IMPORT_SECONDS and _is_delicate(frame):
            if not self.has_begun:
                descendants.kill()
                exit_early(number, frame)
            self._ask_again()
            return
        self._raised = True
        raise Terminated(self.received) if self.received != signal.SIGINT else KeyboardInterrupt

    def take_back(self, swallowed: Any) -> bool:
        """Raise the first signal again that Python has swallowed; return whether it was that."""
        found = isinstance(swallowed.exc_value, KeyboardInterrupt) and self.writer is not None
        if found:
            self._raised = False
            self._ask_again()
        return found

    def _ask_again(self) -> None:
        if self.writer is not None:
            with suppress(OSError):
                os.write(self.writer, bytes([AGAIN]))

    def _count(self, reader: int, deadly: bool) -> None:
        while data := os.read(reader, 64):
            for number in data:
                if number == AGAIN and self.received is not None:
                    time.sleep(AGAIN_SECONDS)
                    self._repeats += 1
                    signal.pthread_kill(threading.main_thread().ident or 0, self.received)
                elif number in NUMBERS and self._repeats:
                    self._repeats -= 1
                elif number in NUMBERS and self._is_second() and deadly:
                    self._end_everything(number)
        os.close(reader)

    def _is_second(self) -> bool:
        now = time.monotonic()
        if self._counted is None:
            self._counted = now
        return now - self._counted >= SECOND_SECONDS

    def _end_everything(self, number: int) -> None:
        try:
            if self.code is None:
                write(f"{get_word(number)} at once: the next command closes what was open.")
            _close_streams()  # the first thread may notice that its workers end
            descendants.kill()
        finally:
            os._exit(128 + number if self.code is None else self.code)


def _close_streams() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)


def _is_delicate(frame: FrameType | None) -> bool:
    """Return whether code is under way that an interrupt may be lost in, or leave unusable.

    Libraries written in C take an interrupted import for one that is not there.
    """
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith("<frozen importlib") or code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


def leave_closed_terminal(number: int) -> None:
    """Write nothing more to a terminal that is gone: each such try is an error of its own."""
    if number == signal.SIGINT:
        return
    for stream in (1, 2):
        with suppress(OSError):
            # A terminal that is closed is none any more, and takes nothing.
            if stat.S_ISCHR(os.fstat(stream).st_mode) and not os.isatty(stream):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
