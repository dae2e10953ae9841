"""Outlets: what a process of ours shows and logs, without secrets."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tagifai.utils.secrets import mask, mask_all
from tagifai.utils.terminal import wrap_stream


@contextmanager
def mask_output() -> Iterator[None]:
    """Hide secrets in all that a block shows and logs: in a process of our own, for its end."""
    stdout, stderr, make = sys.stdout, sys.stderr, logging.getLogRecordFactory()

    def make_masked(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        mask_record(record)
        return record

    sys.stdout, sys.stderr = wrap_stream(stdout), wrap_stream(stderr)
    logging.setLogRecordFactory(make_masked)
    try:
        yield
    finally:
        logging.setLogRecordFactory(make)
        sys.stdout, sys.stderr = stdout, stderr


def mask_record(record: logging.LogRecord) -> bool:
    """Hide the secrets of a log's record, in place; usable as a filter of logging."""
    if record.args:
        record.args = _mask_arguments(record.args)
    text = record.getMessage()
    masked = mask(text)
    if masked != text:
        record.msg, record.args = masked, ()
    if record.exc_info and not record.exc_text:
        record.exc_text = logging.Formatter().formatException(record.exc_info)
    if record.exc_text:
        record.exc_text = mask(record.exc_text)
    return True


def _mask_arguments(arguments: Any) -> Any:
    """Return what a record is formatted with, of the same form: some formatters count on it."""
    if isinstance(arguments, Mapping):
        return mask_all(dict(arguments))
    return tuple(mask(item) if isinstance(item, str) else item for item in arguments)
