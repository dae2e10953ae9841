"""What an error of MLflow says about the tracking store: gone for now, damaged, or neither."""

from __future__ import annotations

import re
import sqlite3
import sys

from tagifai.exceptions import StoreUnavailableError, TrackingError
from tagifai.tracking.opening.probes import CHECK, FAILED
from tagifai.utils import program
from tagifai.utils.databases.sqlite import is_locked
from tagifai.utils.secrets import mask
from tagifai.utils.system import errors
from tagifai.utils.system.errors import list_causes

DAMAGED = ("malformed", "not a database", "no such table", "no such column")
"""What SQLite says of a file that is damaged."""

FAILED_ANSWER = re.compile(
    r"error code (429|5\d\d)|too many (429|5\d\d) error|not in a valid JSON format"
)
"""What MLflow says of a server that has failed, or of what answers in its place for a while."""


def may_pass(error: BaseException) -> bool:
    """Return whether an error is about a store that is away, mute or locked."""
    return any(_is_passing(found) for found in list_causes(error))


def advise(error: BaseException) -> str:
    """Return a sentence: the way out of an error of the store."""
    for found in list_causes(error):
        if isinstance(found, sqlite3.Error) and any(word in str(found) for word in DAMAGED):
            repair = program.format_command("task=repair")
            return f"The tracking database is damaged: {repair} tells what is wrong."
    return CHECK


def make_error(error: Exception) -> TrackingError:
    """Return an error of MLflow as one of ours: what failed, and the way out."""
    if limit := errors.describe_limit(error):
        return TrackingError(limit)
    text = _shorten(mask(" ".join(str(error).split())))
    kind = StoreUnavailableError if may_pass(error) else TrackingError
    return kind(f"Tracking failed: {type(error).__name__}: {text}. {advise(error)}")


def _shorten(text: str, length: int = 300) -> str:
    text = errors.strip_codes(text)
    return text.rstrip(".") if len(text) <= length else f"{text[:length]}…"


def _is_passing(error: BaseException) -> bool:
    if isinstance(error, TimeoutError | ConnectionError):
        return True
    if isinstance(error, sqlite3.OperationalError):
        return is_locked(error)
    if _is_of("requests", "ConnectionError", error) or _is_of("requests", "Timeout", error):
        return True
    if _is_of("requests.exceptions", "ChunkedEncodingError", error):
        return True
    if _is_of("psycopg", "OperationalError", error) or _is_of("psycopg", "InterfaceError", error):
        return True
    if _is_of("mlflow.exceptions", "RestException", error):
        return int(getattr(error, "get_http_status_code", int)()) >= FAILED
    return FAILED_ANSWER.search(str(error)) is not None


def _is_of(module: str, name: str, error: BaseException) -> bool:
    """Return whether an error is of a class, whose library has been imported then."""
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(error, kind)
