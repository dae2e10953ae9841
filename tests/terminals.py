"""Runs a command in a pseudo-terminal, and what is then to be seen there."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyte

SECONDS = 240

LINES = 400
"""Of the screen that is rendered: all that was ever written is to be seen."""


@dataclass(frozen=True)
class Session:
    """What a command left on a terminal.

    Args:
        code: it ended with.
        written: all that it wrote, with control sequences.
        screen: as it looks at the end.
    """

    code: int
    written: str
    screen: pyte.Screen

    @property
    def lines(self) -> list[str]:
        """The lines that are to be seen."""
        return shown(self.screen)


def run(
    command: Sequence[str], columns: int, cwd: Path, env: Mapping[str, str] | None = None
) -> Session:
    """Run a command in a terminal of so many columns.

    Args:
        command: and its arguments.
        columns: of the terminal.
        cwd: working directory.
        env: variables in place of these here.
    """
    unwanted = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "MLFLOW_TRACKING_URI")
    base = {name: value for name, value in os.environ.items() if name not in unwanted}
    variables = {**base, "TERM": "xterm-256color", **(env or {})}
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    with subprocess.Popen(
        command, cwd=cwd, env=variables, stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True,
    ) as process:  # fmt: skip
        os.close(theirs)
        try:
            written = _read(ours)
            code = process.wait(timeout=10)
        finally:
            process.kill()
            os.close(ours)
    return Session(code, written, rendered(written, columns))


def _read(terminal: int) -> str:
    """Return all that is written until the other side is closed."""
    end, parts = time.monotonic() + SECONDS, []
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            part = os.read(terminal, 65536)
        except OSError:  # Linux's way of saying that nobody has it open any more
            break
        if not part:
            break
        parts.append(part)
    return b"".join(parts).decode()


def shown(screen: pyte.Screen) -> list[str]:
    """Return the lines of a screen, without the blanks at their ends and the lines below."""
    return "\n".join(line.rstrip() for line in screen.display).rstrip().split("\n")


def rendered(written: str, columns: int) -> pyte.Screen:
    """Return the screen that control sequences make."""
    screen = pyte.Screen(columns, LINES)
    pyte.Stream(screen).feed(written)
    return screen
