"""Open a tracking store: it is asked first, made if it is missing, and never waited for long."""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tagifai.exceptions import TrackingError
from tagifai.tracking.databases import make_database
from tagifai.tracking.databases.making import LOCK_SECONDS
from tagifai.tracking.opening.probes import CHECK, WHAT, check_store
from tagifai.utils.databases import servers, sqlite
from tagifai.utils.databases.waiting import call_within
from tagifai.utils.environment import keep_variables
from tagifai.utils.secrets import mask

if TYPE_CHECKING:
    from mlflow import MlflowClient

VARIABLES = {
    # Telemetry is off unless the user turns it on.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # A server that goes away is an error after seconds, also if it says when to come back.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    "MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT": "300",
}
"""MLflow's own settings, where the user has none."""

LOADING_SECONDS = 60
"""Seconds more for what MLflow does by itself when it opens a database, after that has answered."""

_limits = {"seconds": 10.0}


def limit_opening(seconds: float) -> None:
    """Set for how long this process waits for a tracking store to open (tracking.timeout)."""
    _limits["seconds"] = seconds


def open_client(uri: str) -> MlflowClient:
    """Return a client of a tracking store that answers; its database is made if it is missing.

    Raises:
        StoreUnavailableError: the store is away, mute or locked; it may come back.
        TrackingError: it is damaged, of another MLflow, or none.
    """
    for name, value in VARIABLES.items():
        os.environ.setdefault(name, value)
    seconds = _limits["seconds"]
    ends = time.monotonic() + seconds
    check_store(uri, seconds)
    begun = time.monotonic()
    import mlflow

    sqlite.enable_wal()
    servers.limit_waits()
    # It logs tracebacks of what is told in one sentence here.
    logging.getLogger("mlflow.store").setLevel(logging.CRITICAL)
    make_database(uri)
    # To import and to make are no waits for the store.
    left = max(1.0, ends - begun)
    if urlsplit(uri).scheme in ("http", "https"):
        request = "MLFLOW_HTTP_REQUEST_"
        limits = {f"{request}MAX_RETRIES": "0", f"{request}TIMEOUT": f"{left:.0f}"}
        with keep_variables(limits):
            os.environ.update(limits)
            return call_within(left, lambda: _ask_server(uri), WHAT)
    # MLflow loads its migrations, which takes longer than the store does where much is going on.
    left += LOADING_SECONDS
    if urlsplit(uri).scheme.partition("+")[0] not in servers.PORTS:
        return call_within(left, lambda: mlflow.MlflowClient(uri, uri), WHAT)
    # It makes missing tables in the database of a server, one process at a time.
    with servers.hold_lock(uri, LOCK_SECONDS):
        return call_within(left, lambda: mlflow.MlflowClient(uri, uri), WHAT)


def _ask_server(uri: str) -> MlflowClient:
    """Return a client whose first request a server has answered, as MLflow sends it."""
    import mlflow

    client = mlflow.MlflowClient(uri, uri)
    try:
        client.search_experiments(max_results=1)
    except mlflow.MlflowException as error:
        # Later it may be a proxy that has another page for a while.
        if "JSON" in str(error):
            raise TrackingError(
                f"The tracking store {mask(uri)} cannot be used: what it answers is not of MLflow."
                f" {CHECK}"
            ) from error
        raise
    return client
