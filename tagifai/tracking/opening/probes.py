"""Short questions to a tracking store, before MLflow asks it: is it there, whole, and its own?"""

from __future__ import annotations

import os
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tagifai.exceptions import StoreUnavailableError, TrackingError, TrackingSettingError
from tagifai.tracking.databases import DatabaseFault, inspect_database
from tagifai.tracking.databases.faults import judge_tables
from tagifai.utils.databases import servers
from tagifai.utils.databases.waiting import call_within
from tagifai.utils.secrets import mask
from tagifai.utils.system import errors
from tagifai.utils.urls import get_sqlite_path, locate_file

if TYPE_CHECKING:
    from sqlalchemy import Connection

WHAT = "Opening the tracking store"

ANSWER_BYTES = 2**16
"""Most bytes of a server's answer to the first question."""

FAILED = 500
"""Status of an answer from which on the server itself has failed."""

CHECK = "Check tracking.uri and MLFLOW_TRACKING_URI, or run with tracking=none."


def check_store(uri: str, seconds: float) -> None:
    """Ask a tracking store whether it can be opened.

    Args:
        uri: of the store.
        seconds: for all of it.

    Raises:
        StoreUnavailableError: it is away, mute or locked, or it has an error of its own.
        TrackingError: it is damaged, of another MLflow, or no tracking store.
        TrackingSettingError: it is a folder of files, which MLflow does not take any more.
    """
    scheme = urlsplit(uri).scheme.partition("+")[0]
    if scheme == "sqlite" and (":memory:" in uri or get_sqlite_path(uri) in (None, Path())):
        raise TrackingError(
            f"The tracking store {mask(uri)} would be gone with the process. Give tracking.uri a"
            " file, such as sqlite:////folder/mlflow.db, or run with tracking=none."
        )
    if scheme in ("", "file") and not _allows_files():
        _refuse_files(uri)
    try:
        if get_sqlite_path(uri) is not None:
            # Later than the lock's own time: a file system may hang, too.
            fault = call_within(seconds + 1, lambda: inspect_database(uri, seconds), WHAT)
        elif scheme in ("http", "https"):
            fault = None
            _check_http(uri, seconds)
        elif scheme in servers.PORTS:
            fault = servers.ask(uri, seconds, lambda found: _inspect_server(found, uri), WHAT)
        else:
            return
    except (TimeoutError, ConnectionError) as error:
        raise StoreUnavailableError(
            f"The tracking store {mask(uri)} does not answer: {mask(str(error))}. {CHECK}"
        ) from error
    except (PermissionError, ValueError, ImportError) as error:
        text = " ".join(str(error).split()).rstrip(".")
        raise TrackingError(
            f"The tracking store {mask(uri)} cannot be used: {mask(text)}. {CHECK}"
        ) from error
    if fault is not None:
        raise TrackingError(str(fault))


def _allows_files() -> bool:
    """Return whether a person has told MLflow to take a folder of files all the same."""
    return os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() in ("true", "1")


def _refuse_files(uri: str) -> None:
    """Refuse a folder of files, with what it becomes a database by.

    Raises:
        TrackingSettingError: with the way out.
    """
    folder = locate_file(uri).absolute()
    database = f"sqlite:///{folder.parent / 'mlflow.db'}"
    given = os.environ.get("MLFLOW_TRACKING_URI") == uri
    key = "MLFLOW_TRACKING_URI" if given else "tracking.uri"
    moved = f"mlflow migrate-filestore --source {shlex.quote(str(folder))} --target {database}"
    also = f" What is in it comes along by: {moved}" if folder.is_dir() else ""
    raise TrackingSettingError(
        f"{key} = {mask(uri)!r} is a folder of files, which MLflow does not take any more. Give a"
        f" database ({key}={database}).{also}"
    )


def _check_http(uri: str, seconds: float) -> None:
    from urllib.request import getproxies, proxy_bypass

    ends = time.monotonic() + seconds
    scheme = urlsplit(uri).scheme
    if scheme not in getproxies() or proxy_bypass(urlsplit(uri).hostname or ""):
        servers.check_port(uri, seconds, WHAT)
    left = max(0.1, ends - time.monotonic())
    call_within(left, lambda: _ask_http(uri, left), WHAT)


def _ask_http(uri: str, seconds: float) -> None:
    """Send a small request to a server, and read no more than a small answer.

    Raises:
        ConnectionError: it is away, or fails.
        TimeoutError: it is mute.
        ValueError: it is no server of MLflow.
    """
    from http.client import BadStatusLine, UnknownProtocol

    import requests

    insecure = os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1")
    try:
        with requests.get(
            f"{uri.rstrip('/')}/api/2.0/mlflow/experiments/get-by-name",
            {"experiment_name": "Default"},
            stream=True,
            timeout=seconds,
            verify=not insecure and (os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or True),
            cert=os.environ.get("MLFLOW_TRACKING_CLIENT_CERT_PATH") or None,
        ) as response:
            if response.status_code >= FAILED:
                raise ConnectionError(f"it fails ({response.status_code} {response.reason})")
            if len(next(response.iter_content(ANSWER_BYTES), b"")) >= ANSWER_BYTES:
                raise ValueError("its answer is too long for a server of MLflow")
    except requests.Timeout as error:
        raise TimeoutError(f"no answer within {seconds:.0f} s") from error
    except requests.TooManyRedirects as error:
        raise ValueError("it sends requests round in a circle") from error
    except (requests.exceptions.SSLError, requests.exceptions.InvalidURL) as error:
        raise ValueError(str(error)) from error
    except requests.RequestException as error:
        found = _get_last(error)
        if isinstance(found, BadStatusLine | UnknownProtocol) and not isinstance(found, OSError):
            raise ValueError("what it answers is not HTTP") from error
        reason = errors.strip_codes(str(found))
        raise ConnectionError(f"the connection is cut ({reason})") from error


def _get_last(error: BaseException) -> BaseException:
    """Return the error that an error of a library carries as its reason."""
    reasons = list(error.args)
    reasons += [arg for reason in error.args if isinstance(reason, tuple) for arg in reason]
    nested = [reason for reason in reasons if isinstance(reason, BaseException)]
    return _get_last(nested[-1]) if nested else error


def _inspect_server(connection: Connection, uri: str) -> DatabaseFault | None:
    """Return why MLflow could not use the tables of a server's database; it may make them."""
    from sqlalchemy import inspect, text

    tables = set(inspect(connection).get_table_names())
    revision, is_used = None, False
    if "alembic_version" in tables:
        revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if "experiments" in tables:
        is_used = connection.execute(text("SELECT 1 FROM experiments LIMIT 1")).scalar() is not None
    fault = judge_tables(mask(uri), uri, tables, revision, is_used) if revision else None
    return fault if fault is not None and fault.remedy is None else None
