"""Whether a stream takes control sequences, and paths in the form that is best to read there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol


class TerminalStream(Protocol):
    """Standard output or standard error."""

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        ...


def is_ansi_enabled(stream: TerminalStream) -> bool:
    """Return whether bars and colours may be written: the terminal has them, and they are allowed.

    Args:
        stream: standard output or standard error. NO_COLOR counts if it is not empty, as in
            https://no-color.org.
    """
    able = os.environ.get("TERM", "").lower() not in ("dumb", "unknown")
    return stream.isatty() and able and not os.environ.get("NO_COLOR")


def format_path(path: str | Path) -> str:
    """Return a path as it can be typed here: relative if it is in the working directory."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return str(path)
