"""Lines of logs and warnings, which nothing from data can steer or forge."""

from __future__ import annotations

import logging
import sys
import traceback
import warnings
from typing import Any

from tagifai.utils.excerpts import make_lines_visible, make_visible


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
