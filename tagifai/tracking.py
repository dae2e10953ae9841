"""Tracking: a run in MLflow, open while its block is, closed however the block ends."""

from __future__ import annotations

import getpass
import json
import logging
import os
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from filelock import FileLock

from tagifai import liveness
from tagifai.errors import TrackingError

if TYPE_CHECKING:
    from mlflow import MlflowClient

# What MLflow's stores take.
METRICS_A_BATCH = 1000
PARAMS_A_BATCH = 100
PARAM_LENGTH = 6000
TAG_LENGTH = 5000
DIGEST_LENGTH = 36

T = TypeVar("T")

log = logging.getLogger(__name__)


class Run:
    """An open run. Without a client it has an id, and what is logged goes nowhere.

    Every failure of the tracking store is a `TrackingError`.

    Args:
        id: letters and digits.
        client: of the tracking store, or None.
        artifacts: where the store keeps the run's files, a path or URI.
    """

    def __init__(self, id: str, client: MlflowClient | None = None, artifacts: str = "") -> None:
        self.id = id
        self._client = client
        self._artifacts = artifacts

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record parameters, which cannot be changed afterwards."""
        if self._client is None:
            return
        from mlflow.entities import Param

        kept = [Param(key, str(value)[:PARAM_LENGTH]) for key, value in params.items()]
        with _guarded():
            for batch in _batches(kept, PARAMS_A_BATCH):
                self._client.log_batch(self.id, params=batch)

    def log_tags(self, tags: Mapping[str, Any]) -> None:
        """Record or change tags."""
        if self._client is None:
            return
        from mlflow.entities import RunTag

        kept = [RunTag(key, str(value)[:TAG_LENGTH]) for key, value in tags.items()]
        with _guarded():
            self._client.log_batch(self.id, tags=kept)

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Record one value of each metric."""
        self.log_epochs({name: [value] for name, value in metrics.items()})

    def log_epochs(self, losses: Mapping[str, list[float]]) -> None:
        """Record a value an epoch of each metric, from epoch 0, in as few calls as can be."""
        if self._client is None:
            return
        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        points = [
            Metric(_metric_name(name), value, now, step)
            for name, values in losses.items()
            for step, value in enumerate(values)
        ]
        with _guarded():
            for batch in _batches(points, METRICS_A_BATCH):
                self._client.log_batch(self.id, metrics=batch)

    def log_data(self, name: str, digest: str, source: str, profile: Mapping[str, Any]) -> None:
        """Record the data set as an input of the run.

        Args:
            name: of the data set.
            digest: SHA-256 in hexadecimal; MLflow keeps its first 36 digits.
            source: URL or path.
            profile: what else there is to say, for JSON.
        """
        if self._client is None:
            return
        from mlflow.entities import Dataset, DatasetInput, InputTag
        from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

        dataset = Dataset(
            name=name,
            digest=digest[:DIGEST_LENGTH],
            source_type="http" if "://" in source else "local",
            source=json.dumps({"uri": source}),
            profile=json.dumps(profile),
        )
        tags = [InputTag(MLFLOW_DATASET_CONTEXT, "training")]
        with _guarded():
            self._client.log_inputs(self.id, [DatasetInput(dataset, tags)])

    def log_file(self, path: Path) -> None:
        """Keep a file with the run; one that does not exist is passed over."""
        if self._client is not None and path.is_file():
            with _guarded():
                self._client.log_artifact(self.id, str(path))

    def log_bundle(self, path: Path) -> None:
        """Keep the folder of the model with the run, unless it is there already."""
        is_there = self._artifacts.removeprefix("file://") == str(path.parent)
        if self._client is not None and not is_there:
            with _guarded():
                self._client.log_artifacts(self.id, str(path), path.name)

    def end(self, status: str, reason: str = "") -> None:
        """Close the run as FINISHED, FAILED or KILLED, with the reason as a tag."""
        if self._client is None:
            return
        if reason:
            self.log_tags({"error": reason})
        with _guarded():
            self._client.set_terminated(self.id, status)


@contextmanager
def start(
    *,
    enabled: bool,
    uri: str,
    experiment: str,
    run_name: str | None,
    stores: Path,
    log_file: Path,
) -> Iterator[Run]:
    """Open a run for a block; it ends FINISHED, FAILED (with the error) or KILLED (interrupted).

    Args:
        enabled: without it the run is not tracked.
        uri: of the tracking store.
        experiment: made if it does not exist.
        run_name: None lets MLflow make one up.
        stores: the folder of stores, for artifacts and for the mark of running runs.
        log_file: the run's log, kept with it at the end.

    Raises:
        TrackingError: the store cannot be used.
    """
    run = _create(uri, experiment, run_name, stores) if enabled else Run(uuid.uuid4().hex)
    mark = liveness.marked(stores / "running", run.id, uri) if enabled else nullcontext()
    with mark:
        try:
            yield run
        except BaseException as error:
            killed = isinstance(error, KeyboardInterrupt)
            reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            log.info("The run %s: %s", "was interrupted" if killed else "failed", reason)
            _end_after_error(run, "KILLED" if killed else "FAILED", reason, log_file)
            raise
        run.log_file(log_file)
        run.end("FINISHED")


def _end_after_error(run: Run, status: str, reason: str, log_file: Path) -> None:
    """Close a run, but never let a failing store hide the first error."""
    try:
        run.log_file(log_file)
        run.end(status, reason)
    except TrackingError as error:
        log.warning("The run could not be closed as %s: %s", status, error)


def tracking_uri(configured: str) -> str:
    """Return the URI of the tracking store: MLFLOW_TRACKING_URI wins over the configured one."""
    return os.environ.get("MLFLOW_TRACKING_URI") or configured


def connect(uri: str) -> MlflowClient:
    """Return a client of a tracking store; MLflow is imported here."""
    # Telemetry is off unless the user turns it on; a server that is gone is found out in seconds.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    with _guarded():
        import mlflow

        return mlflow.MlflowClient(uri)


def _create(uri: str, experiment: str, run_name: str | None, stores: Path) -> Run:
    stores.mkdir(parents=True, exist_ok=True)
    # One process at a time: the first one creates the database, and migrations race.
    with FileLock(stores / ".tracking.lock"), _guarded():
        client = connect(uri)
        made = client.create_run(
            _experiment_id(client, experiment, uri, stores), tags=_source_tags(), run_name=run_name
        )
    return Run(made.info.run_id, client, made.info.artifact_uri)


def _experiment_id(client: MlflowClient, name: str, uri: str, stores: Path) -> str:
    found = client.get_experiment_by_name(name)
    if found is not None:
        if found.lifecycle_stage != "active":
            raise TrackingError(
                f"tracking.experiment = {name!r} was deleted in {uri}. Restore it"
                f" (mlflow experiments restore -x {found.experiment_id}) or use another name."
            )
        return str(found.experiment_id)
    is_local = uri.startswith("sqlite:")
    where = str(stores / "artifacts") if is_local else None
    return str(client.create_experiment(name, artifact_location=where))


def _source_tags() -> dict[str, str]:
    from mlflow.utils import mlflow_tags

    return {
        mlflow_tags.MLFLOW_USER: getpass.getuser(),
        mlflow_tags.MLFLOW_SOURCE_TYPE: "LOCAL",
        mlflow_tags.MLFLOW_SOURCE_NAME: "run.py",
    }


@contextmanager
def _guarded() -> Iterator[None]:
    """Turn whatever a tracking store raises into a `TrackingError` with its first line."""
    try:
        yield
    except TrackingError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        raise TrackingError(
            f"Tracking failed: {type(error).__name__}: {text[:300]}. Check"
            " tracking.uri and MLFLOW_TRACKING_URI, or run with tracking=none."
        ) from error


def _batches(items: list[T], size: int) -> Iterator[list[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _metric_name(name: str) -> str:
    """Return a name that MLflow accepts; class names may have any characters."""
    return re.sub(r"[^\w .:/-]", "_", name, flags=re.ASCII)


def close_abandoned(stores: Path) -> list[str]:
    """Close as FAILED the runs whose process is gone, and return their ids.

    Without such runs this is a look into one folder. A store out of reach leaves them for later.
    """
    return liveness.reap(stores / "running", _close)


def _close(run_id: str, uri: str) -> bool:
    try:
        Run(run_id, connect(uri)).end(
            "FAILED", "The process ended without a word (killed, or the machine went down)."
        )
    except TrackingError as error:
        log.info("The abandoned run %s could not be closed: %s", run_id, error)
        return False
    return True


def download_bundle(uri: str, run_id: str, scratch: Path) -> Path | None:
    """Fetch the bundle of a run from its tracking store.

    Args:
        uri: of the store.
        run_id: the run.
        scratch: an empty folder to fetch into.

    Returns:
        The bundle's folder, or None if the store has no such run, or no bundle of it.
    """
    try:
        with _guarded():
            return Path(connect(uri).download_artifacts(run_id, "bundle", str(scratch)))
    except TrackingError as error:
        log.info("No bundle of run %s in %s: %s", run_id, uri, error)
        return None
