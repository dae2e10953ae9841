"""Open a run in MLflow for a block, and close it however the block ends."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from tagifai.exceptions import DataError, TrackingError, UserError
from tagifai.tracking import store
from tagifai.tracking.recording import beginning, operations
from tagifai.tracking.recording.operations import RunSender
from tagifai.tracking.recording.recorder import RunRecorder
from tagifai.tracking.run import TrackedRun
from tagifai.tracking.store import Experiment
from tagifai.utils import locks
from tagifai.utils.secrets import HIDDEN
from tagifai.utils.signals import hold_back
from tagifai.utils.system.errors import describe_limit
from tagifai.utils.urls import get_sqlite_path

__all__ = [
    "TrackedRun",
    "close_abandoned_runs",
    "create_run",
    "end_run",
    "reopen_run",
    "start_run",
]

log = logging.getLogger(__name__)


class MarkedRun(TrackedRun):
    """An open run with the mark that says that it is under way.

    Args:
        recorder: of its operations.
        folder: of the marks.
        unmark: removes the mark, or None if another process has set it.
    """

    def __init__(
        self, recorder: RunRecorder, folder: Path, unmark: Callable[[], None] | None
    ) -> None:
        super().__init__(recorder.run_id, recorder)
        self.is_ours = unmark is not None
        self._folder = folder
        self._unmark = unmark or _do_nothing
        # What is kept is closed by who sends it.
        recorder.on_kept = self._unmark
        if recorder.is_kept:
            self._unmark()

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
    if experiment is None:
        opening: AbstractContextManager[TrackedRun] = nullcontext(TrackedRun(uuid.uuid4().hex))
    else:
        opening = _open_run(experiment, name, tags, resumed)
    with ExitStack() as until_the_end:
        # A run that is created but not marked yet would never be closed.
        deliver = until_the_end.enter_context(hold_back())
        run = until_the_end.enter_context(opening)
        try:
            deliver()
            yield run
            run.log_file(log_file)
            run.close(run.status)
        except BaseException as error:
            with hold_back():
                if run.is_ours:
                    _close_after_error(run, error, log_file)
            raise


@contextmanager
def _open_run(
    experiment: Experiment,
    name: str | None,
    tags: Mapping[str, str] | None,
    resumed: str | None,
) -> Iterator[TrackedRun]:
    """Open a run and mark it; the block closes it. Arguments and errors as in `start_run`."""
    folder = experiment.stores / "running"
    folder.mkdir(parents=True, exist_ok=True)
    recorder = beginning.make_recorder(experiment, name, tags, resumed)
    with locks.hold_mark(folder, recorder.run_id, experiment.uri) as unmark:
        yield MarkedRun(recorder, folder, unmark)


def _close_after_error(run: TrackedRun, error: BaseException, log_file: Path | None) -> None:
    """Close a run as KILLED or FAILED; an error of the store does not hide the first one."""
    killed = isinstance(error, KeyboardInterrupt)
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    reason = "Interrupted." if killed else text
    foreseen = isinstance(error, UserError | OSError | MemoryError) or describe_limit(error)
    traceback = None if killed or foreseen else error
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
    lock: str | None = None,
) -> TrackedRun:
    """Return a new run that the caller closes; arguments and errors as of `make_recorder`."""
    recorder = beginning.make_recorder(experiment, name, tags, resumed, lock)
    return TrackedRun(recorder.run_id, recorder)


def reopen_run(run_id: str, uri: str) -> TrackedRun:
    """Return a run that is in a store already; nothing of it is kept if the store fails."""
    return TrackedRun(run_id, RunSender(store.connect(uri), run_id))


def end_run(
    experiment: Experiment,
    run_id: str,
    status: str,
    reason: str = "",
    metrics: Mapping[str, float] | None = None,
    tags: Mapping[str, Any] | None = None,
) -> None:
    """Close a run that another process has created.

    Args:
        experiment: where it is recorded.
        run_id: of the run.
        status: as of `TrackedRun.end`.
        reason: likewise.
        metrics: that are recorded before.
        tags: likewise.
    """
    run = TrackedRun(run_id, beginning.adopt_run(experiment, run_id))
    with run.batch_logging():
        run.log_metrics(metrics or {})
        run.log_tags(tags or {})
    run.end(status, reason)


def find_id(run_id: str, uri: str) -> str:
    """Return MLflow's id of a run, which had another one if it was recorded later.

    Args:
        run_id: either id.
        uri: of the tracking store.

    Returns:
        The id as it was given if the store does not know it, or does not answer.
    """
    try:
        found = operations.find_run(store.connect_existing(uri), run_id)
    except (TrackingError, DataError) as error:
        log.info("Run %s was not looked for in the tracking store: %s", run_id, error)
        return run_id
    return run_id if found is None else str(found.info.run_id)


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
            TrackedRun(run_id, RunSender(client, run_id)).end("FAILED", operations.ABANDONED_REASON)
    except TrackingError as error:
        log.info("The abandoned run %s could not be closed: %s", run_id, error)
        return "RESOURCE_DOES_NOT_EXIST" in str(error) or "not found" in str(error)
    return True
