"""The tracking store: its URI, its creation, its client, and its errors."""

from __future__ import annotations

import hashlib
import logging
import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from tagifai.exceptions import DataError, StoreUnavailableError, TrackingError
from tagifai.tracking import opening
from tagifai.tracking.opening import failures, probes
from tagifai.utils import program
from tagifai.utils.databases.waiting import mention_wait
from tagifai.utils.secrets import mask
from tagifai.utils.system import errors
from tagifai.utils.urls import format_place, get_sqlite_path, is_url, locate_file

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from tagifai.config.schema import Config

log = logging.getLogger(__name__)


def get_tracking_uri(configured: str) -> str:
    """Return the URI of the tracking store: MLFLOW_TRACKING_URI wins over the configured one."""
    return os.environ.get("MLFLOW_TRACKING_URI") or configured


def complete_uri(recorded: str, present: str) -> str:
    """Return a URI that was recorded, with its secret if the present one is the same.

    Args:
        recorded: without its secret.
        present: of the present command's store; empty for none.
    """
    return present if mask(present) == recorded else recorded


def connect(uri: str) -> MlflowClient:
    """Return a client of a tracking store that answers; its database is made if it is missing.

    No other function makes a client: MLflow would wait for minutes, or migrate what stands there.

    Raises:
        StoreUnavailableError: the store is away, mute or locked; it may come back.
        TrackingError: it is damaged, of another MLflow, or none.
    """
    with translate_errors():
        return opening.open_client(uri)


def connect_existing(uri: str) -> MlflowClient:
    """Return a client of a tracking store that exists and answers.

    Raises:
        DataError: there is no store yet.
        TrackingError: as `connect`.
    """
    path = get_sqlite_path(uri)
    if path is not None and not os.path.lexists(path):
        raise DataError(
            f"There are no tracked runs yet: no {path}. Train some: {program.get_name()}"
        )
    return connect(uri)


def find_run(client: MlflowClient, run_id: str) -> Run | None:
    """Return a run, deleted or not, or None if the store has none of this id."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


@dataclass(frozen=True)
class Experiment:
    """An experiment of a tracking store that runs are recorded in.

    Args:
        uri: of the store.
        name: of the experiment.
        stores: the folder of stores, for artifacts and for the marks of running runs.
    """

    uri: str
    name: str
    stores: Path

    @classmethod
    def from_config(cls, config: Config) -> Experiment:
        """Return the experiment that a configuration names."""
        tracking = config.tracking
        return cls(get_tracking_uri(tracking.uri), tracking.experiment, Path(config.paths.stores))

    def ensure(self, client: MlflowClient) -> str:
        """Return the id of the experiment, which is created if it does not exist.

        Args:
            client: of the store.

        Raises:
            TrackingError: the experiment was deleted, or its folder of artifacts has moved.
        """
        found = client.get_experiment_by_name(self.name)
        if found is None:
            # A server knows where to put artifacts; a database does not.
            where = None if self.uri.startswith("http") else format_place(self.stores / "artifacts")
            return str(client.create_experiment(self.name, artifact_location=where))
        if found.lifecycle_stage != "active":
            raise TrackingError(
                f"tracking.experiment = {self.name!r} was deleted in {mask(self.uri)}."
                f" Restore it (mlflow experiments restore -x {found.experiment_id}) or use another"
                " name."
            )
        where = found.artifact_location
        is_ours = is_url(where) or locate_file(where) == self.stores / "artifacts"
        if self.uri.startswith("sqlite:") and not is_ours and not locate_file(where).is_dir():
            # MLflow would create the old folder again, wherever that was.
            raise TrackingError(
                f"tracking.experiment = {self.name!r} has its artifacts in {where}, which does not"
                " exist any more. Restore the folder, or use another tracking.experiment."
            )
        return str(found.experiment_id)


def is_reachable(uri: str, seconds: float = 2) -> bool:
    """Return whether a tracking store answers within seconds; how else it is, is not asked."""
    try:
        probes.check_store(uri, seconds)
    except StoreUnavailableError:
        return False
    except TrackingError:
        return True
    return True


@contextmanager
def translate_errors() -> Iterator[None]:
    """Turn any error of a tracking store into a `TrackingError`, and say so if it is slow.

    Raises:
        StoreUnavailableError: the store is away, mute or locked; it may come back.
    """
    try:
        with mention_wait("The tracking store"):
            yield
    except (TrackingError, MemoryError):
        raise
    except Exception as error:
        if limit := errors.describe_limit(error):
            raise TrackingError(limit) from error
        text = _shorten(mask(" ".join(str(error).split())))
        kind = StoreUnavailableError if failures.may_pass(error) else TrackingError
        raise kind(
            f"Tracking failed: {type(error).__name__}: {text}. {failures.advise(error)}"
        ) from error


def _shorten(text: str, length: int = 300) -> str:
    text = errors.strip_codes(text)
    return text.rstrip(".") if len(text) <= length else f"{text[:length]}…"


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


BATCH_SIZES = {"metrics": 800, "params": 100, "tags": 100}
"""Most items of each kind in one call of MLflow; a thousand in all."""

MAX_PARAM_LENGTH = 6000
MAX_NAME_LENGTH = 250
MAX_TAG_LENGTH = 5000
MAX_DIGEST_LENGTH = 36

T = TypeVar("T")


def split(items: list[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))


def sanitize_names(names: Iterable[str]) -> dict[str, str]:
    """Return for each name a unique one that MLflow accepts.

    Class names, for one, may have any characters, and may be long.
    """
    accepted: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^\w .:/-]", "_", mask(name))
        is_path = posixpath.normpath(plain) == plain and not plain.startswith("..")
        if not is_path or len(plain) > MAX_NAME_LENGTH or plain in accepted.values():
            digest = hashlib.sha256(name.encode()).hexdigest()[:8]
            plain = (
                re.sub(r"[^\w -]", "_", plain)[: MAX_NAME_LENGTH - len(digest) - 1] + "-" + digest
            )
        accepted[name] = plain
    return accepted
