"""Streams: whether one takes control sequences, paths to be read there, and no secrets."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO, cast

from tagifai.utils.secrets import mask
from tagifai.utils.system.errors import STANDARD_OUTPUT


def is_ansi_enabled(stream: TextIO) -> bool:
    """Return whether bars and colours may be written: the terminal has them, and nobody minds."""
    # NO_COLOR counts if it is not empty, as in https://no-color.org.
    able = os.environ.get("TERM", "").lower() not in ("dumb", "unknown")
    return stream.isatty() and able and not os.environ.get("NO_COLOR")


def format_path(path: str | Path) -> str:
    """Return a path as it can be typed here: relative if it is in the working directory."""
    inside = Path(path).is_relative_to(Path.cwd())
    return str(Path(path).relative_to(Path.cwd()) if inside else path)


def open_missing_streams() -> None:
    """Give output somewhere to go where the shell closed it (`>&-`)."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115


def mention(what: str) -> None:
    """Say on standard error what is being done, if that is a terminal.

    Args:
        what: such as "Loading libraries".
    """
    if sys.stderr.isatty():
        sys.stderr.write(f"{what}\n")
        sys.stderr.flush()


def discard_output() -> None:
    """Send standard output nowhere, whose reader is gone."""
    # Python would complain once more when it flushes at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class MaskedStream:
    """A stream of texts that hides secrets in what is written to it."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write a text without its secrets, and return its length."""
        self._call(self.stream.write, mask(text))
        return len(text)

    def flush(self) -> None:
        """Write what is held back."""
        self._call(self.stream.flush)

    def writelines(self, lines: Any) -> None:
        """Write several texts."""
        self.write("".join(lines))

    def _call(self, function: Callable[..., Any], *arguments: str) -> None:
        try:
            function(*arguments)
        except OSError as error:
            named = isinstance(error, BrokenPipeError) or error.filename is not None
            if not named and self.stream is get_raw(sys.stdout):
                error.filename = STANDARD_OUTPUT
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def wrap_stream(stream: TextIO) -> TextIO:
    """Return a stream that hides secrets, which is the same one if it does so already."""
    return stream if isinstance(stream, MaskedStream) else cast(TextIO, MaskedStream(stream))


def get_raw(stream: TextIO) -> TextIO:
    """Return the stream below one that hides secrets, for data that must stay as they are."""
    return stream.stream if isinstance(stream, MaskedStream) else stream
