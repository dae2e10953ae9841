"""Bundles of runs that are fetched from a tracking store."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from urllib.parse import urlsplit

from tagifai.exceptions import StoreUnavailableError, TrackingError
from tagifai.tracking.store import connect, translate_errors
from tagifai.utils.urls import get_sqlite_path, locate_file

log = logging.getLogger(__name__)

REMOTE = ("mlflow-artifacts", "http", "https", "s3", "gs", "wasbs", "abfss", "hdfs", "dbfs")
"""Schemes of places of artifacts that are asked; MLflow would wait for others without an end."""


def download_bundle(uri: str, run_id: str, scratch: Path) -> Path | None:
    """Return the bundle of a run of a tracking store, which is downloaded unless it is a folder.

    Args:
        uri: of the store.
        run_id: the run.
        scratch: an empty folder to download into.

    Returns:
        The bundle's folder, or None if the store does not have the run or its bundle. What is in
        a folder of this machine is neither copied nor checked: the store says where it is.
    """
    path = get_sqlite_path(uri)
    if path is not None and not os.path.lexists(path):
        return None
    try:
        client = connect(uri)
    except StoreUnavailableError as error:
        raise StoreUnavailableError(
            f"Run {run_id} has no model on this machine. {error}"
        ) from error
    try:
        with translate_errors():
            where = str(client.get_run(run_id).info.artifact_uri)
            scheme = urlsplit(where).scheme
            if scheme in REMOTE:
                return Path(client.download_artifacts(run_id, "bundle", str(scratch)))
            folder = locate_file(where) / "bundle"
            return folder if folder.is_dir() else None
    except TrackingError as error:
        log.info("No bundle of run %s in %s: %s", run_id, uri, error)
        return None
