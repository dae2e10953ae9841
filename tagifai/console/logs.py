"""Lines of logs and warnings, which nothing from data can steer or forge."""

from __future__ import annotations

import logging
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from io import FileIO
from pathlib import Path
from typing import Any

from tagifai.utils.excerpts import make_lines_visible, make_visible
from tagifai.utils.system.errors import describe


class LineFormatter(logging.Formatter):
    """Formats a message as one line; a traceback follows it in lines of its own, indented."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record."""
        # Other handlers keep the traceback in their own form there.
        kept, record.exc_text = record.exc_text, None
        try:
            return super().format(record)
        finally:
            record.exc_text = kept

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Return the line of a record."""
        # Hydra indents its jobs by tabs.
        record.message = make_visible(record.message.expandtabs(4))
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """Return the lines of a traceback."""
        return "    " + make_lines_visible(super().formatException(ei))


class RunLog(logging.Handler):
    """The file of a run's log; a run goes on without it where it cannot be written.

    Args:
        filename: of the log; the file is made with the first record.
    """

    def __init__(self, filename: str) -> None:
        super().__init__()
        self.path = Path(filename).absolute()
        self._file: FileIO | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, unless one could not be written before."""
        if self.path in _lost:
            return
        try:
            line = self.format(record) + "\n"
            # Without a buffer: Python would try to write what is left in one once more at exit.
            self._file = self._file or FileIO(self.path, "a")
            self._file.write(line.encode(errors="backslashreplace"))
        except OSError as error:
            error.filename = error.filename or str(self.path)
            _lost[self.path] = describe(error)
        except Exception:
            self.handleError(record)

    def move(self, path: Path) -> None:
        """Write to another file from now on."""
        with self.lock or nullcontext():
            if self._file is not None:
                self._file.close()
            self.path, self._file = path, None

    def begin(self) -> None:
        """Begin the file anew: what an earlier run has left in it is not of this one."""
        try:
            if self._file is not None:
                self._file.truncate(0)
            else:
                self.path.unlink(missing_ok=True)
        except OSError as error:
            error.filename = error.filename or str(self.path)
            _lost[self.path] = describe(error)

    @property
    def is_written(self) -> bool:
        """Whether there is something in the file."""
        return self._file is not None and self.path not in _lost

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        super().close()


def _list_logs(*loggers: str) -> list[RunLog]:
    """Return the logs of runs that loggers write to; the root's has an empty name."""
    handlers = (item for name in loggers for item in logging.getLogger(name).handlers)
    return [item for item in handlers if isinstance(item, RunLog)]


def move(folder: Path) -> None:
    """Let the logs of runs go on in files of the same names in another folder."""
    for handler in _list_logs(""):
        handler.move(folder / handler.path.name)


@contextmanager
def redirect(folder: Path) -> Iterator[None]:
    """Let the logs of runs go on in files of the same names in another folder, for a block."""
    before = [(handler, handler.path) for handler in _list_logs("")]
    move(folder)
    try:
        yield
    finally:
        for handler, path in before:
            handler.move(path)


_lost: dict[Path, str] = {}
"""Logs that could not be written, with the reason."""


def begin_logs() -> None:
    """Begin the log of the present run anew."""
    for handler in _list_logs("", "tagifai"):
        handler.begin()


def find_log() -> Path | None:
    """Return the log of the present run, or None if nothing could be written to one."""
    return next((item.path for item in _list_logs("") if item.is_written), None)


def warn_of_lost_logs() -> None:
    """Say which logs are not complete, and why; a command that has failed has more to say."""
    for reason in _lost.values():
        sys.stderr.write(f"WARNING: The log is not complete. {make_visible(reason)}\n")
    _lost.clear()


_format = warnings.formatwarning


def secure_hooks() -> None:
    """Let what Python itself shows, warnings and tracebacks, have nothing that could steer."""
    warnings.formatwarning = _format_warning
    sys.excepthook = _show_traceback


def _show_traceback(*error: Any) -> None:
    lines = "".join(traceback.format_exception(*error))
    sys.stderr.write(make_lines_visible(lines, "  ") + "\n")


def _format_warning(*what: Any, **more: Any) -> str:
    return make_lines_visible(_format(*what, **more), "  ") + "\n"
