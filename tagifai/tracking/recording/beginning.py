"""Open the recorder of a run: of a new one, or of one that is there already."""

from __future__ import annotations

import getpass
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tagifai.exceptions import StoreUnavailableError
from tagifai.tracking import store
from tagifai.tracking.recording import operations, outcome, records
from tagifai.tracking.recording.operations import Operation, RunSender
from tagifai.tracking.recording.recorder import NotAskedError, RunRecorder
from tagifai.tracking.recording.records import PendingRecord
from tagifai.tracking.store import Experiment
from tagifai.utils import locks, program
from tagifai.utils.secrets import mask, mask_all

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun


def make_recorder(
    experiment: Experiment,
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
    resumed: str | None = None,
    lock: str | None = None,
) -> RunRecorder:
    """Return the recorder of a new run, or of one that is gone on with.

    Args:
        experiment: where it is recorded.
        name: of the run; None for a random name of MLflow.
        tags: of the new run.
        resumed: id of a run to go on with; if it was deleted, a new run begins.
        lock: key of the lock that is held for as long as it is under way, if it is not its id.

    Raises:
        TrackingError: the store cannot be used. One that only does not answer is no error: what is
            recorded is kept.
    """
    stores = experiment.stores
    stores.mkdir(parents=True, exist_ok=True)
    create = _describe_run(experiment, name, tags, resumed, lock)

    def reach() -> RunSender:
        _refuse_unsent(stores, create["tags"].get(operations.PARENT_ID), resumed)
        if outcome.is_away(experiment.uri):
            raise NotAskedError(f"{mask(experiment.uri)} did not answer a short while ago.")
        client = store.connect(experiment.uri)
        with locks.wait_for(stores / ".tracking.lock"), operations.ask_once():
            found = None if resumed is None else _resume_run(client, resumed)
            if found is None and resumed is not None:
                create.update(id=uuid.uuid4().hex, run_id=None)
            made = found or _create_in_store(client, experiment, create)
        return RunSender(client, made.info.run_id, made.info.artifact_uri)

    return _reach_or_keep(experiment, create, reach)


def adopt_run(experiment: Experiment, run_id: str) -> RunRecorder:
    """Return the recorder of a run that another process has created; errors as before."""

    def reach() -> RunSender:
        _refuse_unsent(experiment.stores, None, run_id)
        return RunSender(store.connect(experiment.uri), run_id)

    return _reach_or_keep(experiment, _describe_run(experiment, known=run_id), reach)


def _reach_or_keep(
    experiment: Experiment, create: Operation, reach: Callable[[], RunSender]
) -> RunRecorder:
    """Return a recorder that sends, or one that keeps what is recorded if the store is away."""
    try:
        sender = reach()
    except StoreUnavailableError as error:
        recorder = RunRecorder(experiment.stores, experiment.uri, create)
        recorder.keep(error)
        return recorder
    outcome.note_back(experiment.uri)
    return RunRecorder(experiment.stores, experiment.uri, create, sender)


def _describe_run(
    experiment: Experiment,
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
    known: str | None = None,
    lock: str | None = None,
) -> Operation:
    """Return the operation that makes a run, or finds one that is known by an id."""
    return {
        "do": operations.CREATE,
        "format": records.FORMAT,
        "id": known or uuid.uuid4().hex,
        "run_id": known,
        "time": operations.get_time(),
        "name": name and mask(name),
        "tags": {**_source_tags(), **mask_all(dict(tags or {}))},
        "uri": mask(experiment.uri),
        "experiment": experiment.name,
        "lock": lock,
    }


def _refuse_unsent(stores: Path, parent: str | None, resumed: str | None) -> None:
    """Refuse to reach the store for what belongs to a run that is not in it yet.

    Raises:
        NotAskedError: its record comes first.
    """
    for run_id in (parent, resumed):
        record = PendingRecord(stores, run_id or "-")
        if record.exists() and (run_id == resumed or not record.is_begun()):
            raise NotAskedError(f"Run {run_id}, which it belongs to, is kept, too.")


def _create_in_store(client: MlflowClient, experiment: Experiment, create: Operation) -> MlflowRun:
    experiment_id = experiment.ensure(client)
    try:
        return operations.create_run(client, experiment_id, create)
    except StoreUnavailableError:
        # The answer alone may have been lost.
        found = operations.find_run(client, create["id"])
        if found is None:
            raise
        return found


def _resume_run(client: MlflowClient, run_id: str) -> MlflowRun | None:
    """Return a run with the status RUNNING again, or None if it was deleted."""
    found = operations.find_run(client, run_id)
    if found is None or found.info.lifecycle_stage != "active":
        return None
    client.update_run(found.info.run_id, status="RUNNING")
    if "error" in found.data.tags:
        client.delete_tag(found.info.run_id, "error")
    return found


def _source_tags() -> dict[str, str]:
    from mlflow.utils import mlflow_tags

    return {
        mlflow_tags.MLFLOW_USER: getpass.getuser(),
        mlflow_tags.MLFLOW_SOURCE_TYPE: "LOCAL",
        mlflow_tags.MLFLOW_SOURCE_NAME: program.get_name(),
    }
