"""Streams: whether one takes control sequences, paths to be read there, and no secrets."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TextIO, cast

from tagifai.utils.secrets import mask
from tagifai.utils.system.errors import STANDARD_OUTPUT


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


def open_missing_streams() -> None:
    """Give output somewhere to go where the shell closed it (`>&-`)."""
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115


def discard_output() -> None:
    """Send standard output nowhere, whose reader is gone."""
    # Python would complain once more when it flushes at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class MaskedStream:
    """A stream of texts that hides secrets in what is written to it.

    Args:
        stream: that the texts go to.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write a text without its secrets, and return its length."""
        with self._name_errors():
            self.stream.write(mask(text))
        return len(text)

    def flush(self) -> None:
        """Write what is held back."""
        with self._name_errors():
            self.stream.flush()

    @contextmanager
    def _name_errors(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            if error.filename is None and self.stream is get_raw(sys.stdout):
                error.filename = STANDARD_OUTPUT
            raise

    def writelines(self, lines: Any) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def wrap_stream(stream: TextIO) -> TextIO:
    """Return a stream that hides secrets, which is the same one if it does so already."""
    return stream if isinstance(stream, MaskedStream) else cast(TextIO, MaskedStream(stream))


def get_raw(stream: TextIO) -> TextIO:
    """Return the stream below one that hides secrets, for data that must stay as they are."""
    return stream.stream if isinstance(stream, MaskedStream) else stream
