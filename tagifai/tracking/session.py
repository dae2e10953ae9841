"""Open a run in MLflow for a block, and close it however the block ends."""

from __future__ import annotations

import getpass
import logging
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from tagifai.exceptions import TrackingError, UserError
from tagifai.tracking import recorder, store
from tagifai.tracking.run import TrackedRun
from tagifai.tracking.store import Experiment
from tagifai.utils import locks, program
from tagifai.utils.secrets import HIDDEN, mask, mask_all
from tagifai.utils.signals import hold_back_signals, ignore_signals
from tagifai.utils.urls import get_sqlite_path

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

__all__ = [
    "TrackedRun",
    "close_abandoned_runs",
    "create_run",
    "open_run",
    "reopen_run",
    "start_run",
]

ABANDONED_REASON = "The process ended unexpectedly (it was killed, or the machine went down)."

log = logging.getLogger(__name__)


class MarkedRun(TrackedRun):
    """An open run with the mark that says that it is under way.

    Args:
        run: without a mark.
        folder: of the marks.
        unmark: removes the mark, or None if another process has set it.
    """

    def __init__(self, run: TrackedRun, folder: Path, unmark: Callable[[], None] | None) -> None:
        super().__init__(run.id, run._client, run._artifacts)
        self.is_ours = unmark is not None
        self._folder = folder
        self._unmark = unmark or _do_nothing

    def close(self, status: str, reason: str = "") -> None:
        """Close the run, unless another process has it open, which then closes it."""
        if self.is_ours or _take_over(self._folder, self.id):
            super().close(status, reason)
            self._unmark()


def _do_nothing() -> None:
    """Stand in for a mark where there is none."""


def _take_over(folder: Path, run_id: str) -> bool:
    """Return whether the process that had a run open is gone; then its mark is removed."""
    with locks.hold(folder, run_id) as ours:
        if ours:
            locks.remove_mark(folder, run_id)
        return ours


@contextmanager
def start_run(
    experiment: Experiment | None,
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
    *,
    log_file: Path | None = None,
    resumed: str | None = None,
) -> Iterator[TrackedRun]:
    """Open a run for a block; it ends FINISHED, FAILED (with the error) or KILLED (interrupted).

    If there is a recorder, the recorder opens the run, and this process does not wait for it:
    errors are raised by later calls for the run.

    Args:
        experiment: where it is recorded; without one, the run is not tracked.
        name: of the run; None for a random name of MLflow.
        tags: of the new run.
        log_file: the run's log, which is recorded with it at the end.
        resumed: id of a run to go on with; if it was deleted, a new run begins. If another process
            has it open, too, that process closes it.

    Raises:
        TrackingError: the store cannot be used.
    """
    helper = recorder.get_active()
    if experiment is None:
        opening: AbstractContextManager[TrackedRun] = nullcontext(TrackedRun(uuid.uuid4().hex))
    elif helper is None or resumed is not None:
        opening = open_run(experiment, name, tags, resumed)
    else:
        opening = helper.open_run(experiment, name, dict(tags or {}))
    with ExitStack() as until_the_end:
        # A run that is created but not marked yet would never be closed.
        deliver = until_the_end.enter_context(hold_back_signals())
        run = until_the_end.enter_context(opening)
        try:
            deliver()
            yield run
            run.log_file(log_file)
            run.close(run.status)
        except BaseException as error:
            with ignore_signals():
                if run.is_ours:
                    _close_after_error(run, error, log_file)
            raise


@contextmanager
def open_run(
    experiment: Experiment,
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
    resumed: str | None = None,
) -> Iterator[TrackedRun]:
    """Open a run and mark it; the block closes it. Arguments and errors as in `start_run`."""
    folder = experiment.stores / "running"
    folder.mkdir(parents=True, exist_ok=True)
    run = _create_run(experiment, name, tags, resumed)
    with locks.hold_mark(folder, run.id, experiment.uri) as unmark:
        yield MarkedRun(run, folder, unmark)


def _close_after_error(run: TrackedRun, error: BaseException, log_file: Path | None) -> None:
    """Close a run as KILLED or FAILED; an error of the store does not hide the first one."""
    killed = isinstance(error, KeyboardInterrupt)
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    reason = "Interrupted." if killed else text
    traceback = None if killed or isinstance(error, UserError) else error
    log.info("The run %s: %s", "was killed" if killed else "failed", reason, exc_info=traceback)
    status = "KILLED" if killed else "FAILED"
    if _try_step(run, lambda: run.close(status, reason)):
        _try_step(run, lambda: run.log_file(log_file))


def _try_step(run: TrackedRun, step: Callable[[], None]) -> bool:
    try:
        step()
    except TrackingError as error:
        log.info("Closing run %s: %s", run, error)
        return False
    return True


def create_run(
    experiment: Experiment,
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
    resumed: str | None = None,
) -> TrackedRun:
    """Return a new run that the caller closes; arguments and errors as in `start_run`."""
    helper = recorder.get_active()
    if helper is None or resumed is not None:
        return _create_run(experiment, name, tags, resumed)
    return helper.create_run(experiment, name, dict(tags or {}))


def _create_run(
    experiment: Experiment,
    name: str | None,
    tags: Mapping[str, str] | None,
    resumed: str | None,
) -> TrackedRun:
    stores = experiment.stores
    stores.mkdir(parents=True, exist_ok=True)
    with FileLock(stores / ".tracking.lock"), store.translate_errors():
        store.make_database(experiment.uri)
        client = store.connect(experiment.uri)
        found = None if resumed is None else _resume_run(client, resumed)
        made = found or client.create_run(
            experiment.ensure(client),
            tags={**_source_tags(), **mask_all(dict(tags or {}))},
            run_name=name and mask(name),
        )
    return TrackedRun(made.info.run_id, client, made.info.artifact_uri)


def reopen_run(run_id: str, uri: str) -> TrackedRun:
    """Return a run that is in a store already."""
    helper = recorder.get_active()
    return (
        TrackedRun(run_id, store.connect(uri)) if helper is None else helper.reopen_run(run_id, uri)
    )


def _resume_run(client: MlflowClient, run_id: str) -> MlflowRun | None:
    """Return a run with the status RUNNING again, or None if it was deleted."""
    found = store.find_run(client, run_id)
    if found is None or found.info.lifecycle_stage != "active":
        return None
    client.update_run(run_id, status="RUNNING")
    if "error" in found.data.tags:
        client.delete_tag(run_id, "error")
    return found


def _source_tags() -> dict[str, str]:
    from mlflow.utils import mlflow_tags

    return {
        mlflow_tags.MLFLOW_USER: getpass.getuser(),
        mlflow_tags.MLFLOW_SOURCE_TYPE: "LOCAL",
        mlflow_tags.MLFLOW_SOURCE_NAME: program.get_name(),
    }


def close_abandoned_runs(stores: Path, present: str = "") -> list[str]:
    """Close as FAILED the runs whose process is gone, and return their ids.

    Without such runs it only lists a folder. If a store cannot be reached, a later command closes
    its runs.

    Args:
        stores: the folder of stores.
        present: URI of the configured store, for what is kept without its secret.
    """
    present = store.get_tracking_uri(present)
    return locks.close_orphaned(
        stores / "running",
        lambda run_id, uri: _close_abandoned_run(run_id, store.complete_uri(uri, present)),
    )


def _close_abandoned_run(run_id: str, uri: str) -> bool:
    """Close one run; return whether nothing is left to do, also because there is no such run."""
    if HIDDEN in uri:
        return False
    path = get_sqlite_path(uri)
    if path is not None and not path.exists():
        return True
    if not store.is_reachable(uri):
        return False
    try:
        with store.translate_errors():
            client = store.connect(uri)
            found = client.get_run(run_id).info
        if (found.status, found.lifecycle_stage) == ("RUNNING", "active"):
            TrackedRun(run_id, client).end("FAILED", ABANDONED_REASON)
    except TrackingError as error:
        log.info("The abandoned run %s could not be closed: %s", run_id, error)
        return "RESOURCE_DOES_NOT_EXIST" in str(error) or "not found" in str(error)
    return True
