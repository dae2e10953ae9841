"""Tracking: a run in MLflow, open while its block is, closed however the block ends."""

from __future__ import annotations

import getpass
import hashlib
import json
import logging
import posixpath
import re
import signal
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from filelock import FileLock

from tagifai import liveness, store
from tagifai.addresses import is_url, sqlite_path
from tagifai.errors import TrackingError, UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

# What MLflow's stores take.
A_BATCH = {"metrics": 800, "params": 100, "tags": 100}
"""Of each kind, and a thousand in all."""

PARAM_LENGTH = 6000
NAME_LENGTH = 250
TAG_LENGTH = 5000
DIGEST_LENGTH = 36

MODEL_NAME = "tagger"
"""Of the MLflow model that a run keeps."""

ABANDONED = "The process ended without a word (killed, or the machine went down)."

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Those that end a run."""

T = TypeVar("T")

log = logging.getLogger(__name__)


class Run:
    """An open run. Without a client it has an id, and what is logged goes nowhere.

    Every failure of the tracking store is a `TrackingError`.

    Args:
        id: letters and digits.
        client: of the tracking store, or None.
        artifacts: where the store keeps the run's files, a path or URI.

    Attributes:
        status: what the run will be closed as when its block ends well.
    """

    def __init__(self, id: str, client: MlflowClient | None = None, artifacts: str = "") -> None:
        self.id = id
        self.status = "FINISHED"
        self._client = client
        self._artifacts = artifacts
        self._held: dict[str, list[Any]] | None = None

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record parameters, which cannot be changed afterwards."""
        if self._client is None:
            return
        from mlflow.entities import Param

        accepted = _names(params)
        kept = [Param(accepted[key], str(value)[:PARAM_LENGTH]) for key, value in params.items()]
        self._send(params=kept)

    def log_tags(self, tags: Mapping[str, Any]) -> None:
        """Record or change tags."""
        if self._client is None:
            return
        from mlflow.entities import RunTag

        self._send(tags=[RunTag(key, str(value)[:TAG_LENGTH]) for key, value in tags.items()])

    def status_now(self) -> str | None:
        """Return the status in the store, such as "FINISHED", or None if there is no such run."""
        if self._client is None:
            return None
        with store.guarded():
            found = store.run_of(self._client, self.id)
        return None if found is None else str(found.info.status)

    def tag(self, name: str) -> str | None:
        """Return a tag, or None if there is no such tag or no such run (any more)."""
        if self._client is None:
            return None
        try:
            with store.guarded():
                found = self._client.get_run(self.id)
        except TrackingError as error:
            log.info("Run %s: %s", self.id, error)
            return None
        return found.data.tags.get(name) if found.info.lifecycle_stage == "active" else None

    def log_metrics(self, metrics: Mapping[str, float], model_id: str | None = None) -> None:
        """Record one value of each metric, as the run's and as those of a model that it keeps."""
        self.log_epochs({name: [value] for name, value in metrics.items()}, model_id)

    def log_epochs(
        self, losses: Mapping[str, list[float] | dict[int, float]], model_id: str | None = None
    ) -> None:
        """Record values of each metric by epoch, in as few calls as can be.

        Args:
            losses: by metric, a value an epoch from epoch 0 on, or values by epoch.
            model_id: of the model that they are of, if they are of one.
        """
        if self._client is None:
            return
        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        accepted = _names(losses)
        points = [
            Metric(accepted[name], value, now, step, model_id=model_id)
            for name, values in losses.items()
            for step, value in (values.items() if isinstance(values, dict) else enumerate(values))
        ]
        self._send(metrics=points)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Hold back what a block logs, and send it in as few calls as can be, however it ends."""
        held = self._held = {"params": [], "tags": [], "metrics": []}
        try:
            yield
        except BaseException:
            self._held = None
            with suppress(TrackingError):  # the first error is the one to tell
                self._send(**held)
            raise
        self._held = None
        self._send(**held)

    def _send(self, **entities: list[Any]) -> None:
        """Log parameters, tags and metrics, or hold them back."""
        if self._held is not None:
            for kind, items in entities.items():
                self._held[kind] += items
            return
        if self._client is None:
            return
        batches = {kind: [*_batches(entities[kind], A_BATCH[kind])] for kind in entities}
        with store.guarded():
            for number in range(max(map(len, batches.values()))):
                now: dict[str, Any] = {
                    kind: b[number] for kind, b in batches.items() if number < len(b)
                }
                self._client.log_batch(self.id, **now)

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
            source_type="http" if is_url(source) else "local",
            source=json.dumps({"uri": source}),
            profile=json.dumps(profile),
        )
        tags = [InputTag(MLFLOW_DATASET_CONTEXT, "training")]
        with store.guarded():
            self._client.log_inputs(self.id, [DatasetInput(dataset, tags)])

    def log_file(self, path: Path | None) -> None:
        """Keep a file with the run; one that does not exist is passed over."""
        if self._client is not None and path is not None and path.is_file():
            with store.guarded():
                self._client.log_artifact(self.id, str(path))

    def log_bundle(self, path: Path) -> None:
        """Keep the folder of the model with the run, unless it is there already."""
        is_there = self._artifacts.removeprefix("file://") == str(path.parent)
        if self._client is not None and not is_there:
            with store.guarded():
                self._client.log_artifacts(self.id, str(path), path.name)

    def model_id(self) -> str | None:
        """Return the id of the MLflow model that the run keeps, or None."""
        if self._client is None:
            return None
        with store.guarded():
            outputs = self._client.get_run(self.id).outputs
        models = outputs.model_outputs if outputs is not None else []
        return str(models[-1].model_id) if models else None

    def log_model(self, save: Callable[[Path, str], None]) -> str | None:
        """Keep an MLflow model with the run, and return its id.

        Args:
            save: writes the model into a folder that is not there yet, given the model's id.
        """
        if self._client is None:
            return None
        from mlflow.entities import LoggedModelOutput, LoggedModelStatus

        with store.guarded(), tempfile.TemporaryDirectory() as scratch:
            experiment = self._client.get_run(self.id).info.experiment_id
            made = self._client.create_logged_model(
                experiment, name=MODEL_NAME, source_run_id=self.id, model_type="text-classifier"
            )
            status = LoggedModelStatus.FAILED
            try:
                save(Path(scratch) / "model", made.model_id)
                self._client.log_model_artifacts(made.model_id, str(Path(scratch) / "model"))
                status = LoggedModelStatus.READY
            finally:
                self._client.finalize_logged_model(made.model_id, status)
            self._client.log_outputs(self.id, [LoggedModelOutput(made.model_id, step=0)])
        return str(made.model_id)

    def end(self, status: str, reason: str = "") -> None:
        """Close the run as FINISHED, FAILED or KILLED, with the reason as a tag."""
        if self._client is None:
            return
        if reason:
            self.log_tags({"error": reason})
        with store.guarded():
            self._client.set_terminated(self.id, status)


@contextmanager
def start(
    *,
    enabled: bool,
    uri: str,
    experiment: str,
    run_name: str | None,
    stores: Path,
    log_file: Path | None = None,
    tags: Mapping[str, str] | None = None,
    resumed: str | None = None,
) -> Iterator[Run]:
    """Open a run for a block; it ends FINISHED, FAILED (with the error) or KILLED (interrupted).

    Args:
        enabled: without it the run is not tracked.
        uri: of the tracking store.
        experiment: made if it does not exist.
        run_name: None lets MLflow make one up.
        stores: the folder of stores, for artifacts and for the mark of running runs.
        log_file: the run's log, kept with it at the end.
        tags: of the new run.
        resumed: id of a run to go on with; one that is not there any more begins anew. If another
            process is at it too, that process closes it.

    Raises:
        TrackingError: the store cannot be used.
    """
    folder = stores / "running"
    if enabled:
        folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as until_the_end:
        # A run that is made and not marked yet is one that nobody would close.
        deliver = until_the_end.enter_context(_held_back())
        run = (
            create(uri, experiment, run_name, stores, tags or {}, resumed)
            if enabled
            else Run(uuid.uuid4().hex)
        )
        marked = liveness.marked(folder, run.id, uri) if enabled else nullcontext(_nothing)
        unmark = until_the_end.enter_context(marked)
        try:
            deliver()
            yield run
            run.log_file(log_file)
            if not enabled or unmark is not None or _left_to_us(folder, run.id):
                run.end(run.status)
        except BaseException as error:
            with _uninterrupted():
                if unmark is None or _close_after_error(run, error, log_file):
                    (unmark or _nothing)()
            raise
        (unmark or _nothing)()


def _left_to_us(folder: Path, run_id: str) -> bool:
    """Return whether the process that was at a run before us is gone; its mark goes with it."""
    with liveness.held(folder, run_id) as ours:
        if ours:
            liveness.unmark(folder, run_id)
        return ours


def _nothing() -> None:
    """Stand in for a mark where there is none."""


def _close_after_error(run: Run, error: BaseException, log_file: Path | None) -> bool:
    """Close a run as KILLED or FAILED, but never let a failing store hide the first error.

    Returns:
        Whether the run is closed.
    """
    killed = isinstance(error, KeyboardInterrupt)
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    reason = "Interrupted." if killed else text
    traceback = None if killed or isinstance(error, UserError) else error
    log.info("The run %s: %s", "was killed" if killed else "failed", reason, exc_info=traceback)
    status = "KILLED" if killed else "FAILED"
    closed = _tried(run, lambda: run.end(status, reason))
    if closed:
        _tried(run, lambda: run.log_file(log_file))
    return closed


def _tried(run: Run, step: Callable[[], None]) -> bool:
    try:
        step()
    except TrackingError as error:
        log.info("Closing run %s: %s", run.id, error)
        return False
    return True


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold off further signals while a run is closed; an impatient second Ctrl-C is common."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def _held_back() -> Iterator[Callable[[], None]]:
    """Hold a signal back, and give a function that lets it through; the block's end does at last.

    A second one comes through at once: the store may not answer.
    """
    if threading.current_thread() is not threading.main_thread():
        yield _nothing
        return
    came: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        if len(came) > 1:
            deliver()

    def deliver() -> None:
        while handlers:
            signal.signal(*handlers.popitem())
        if came:
            number = came[0]
            came.clear()
            signal.raise_signal(number)

    handlers = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield deliver
    finally:
        deliver()


def create(
    uri: str,
    experiment: str,
    run_name: str | None,
    stores: Path,
    tags: Mapping[str, str],
    resumed: str | None = None,
) -> Run:
    """Return a new run that somebody else will close; arguments and errors as in `start`."""
    stores.mkdir(parents=True, exist_ok=True)
    with FileLock(stores / ".tracking.lock"), store.guarded():
        store.make_database(uri)
        client = store.connect(uri)
        found = None if resumed is None else _running_again(client, resumed)
        made = found or client.create_run(
            store.experiment_id(client, experiment, uri, stores),
            tags={**_source_tags(), **tags},
            run_name=run_name,
        )
    return Run(made.info.run_id, client, made.info.artifact_uri)


def reopened(run_id: str, uri: str) -> Run:
    """Return a run that is in a store already."""
    return Run(run_id, store.connect(uri))


def _running_again(client: MlflowClient, run_id: str) -> MlflowRun | None:
    """Return a run, running again, or None if it is not there any more."""
    found = store.run_of(client, run_id)
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
        mlflow_tags.MLFLOW_SOURCE_NAME: "run.py",
    }


def _batches(items: list[T], size: int) -> Iterator[list[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _names(names: Iterable[str]) -> dict[str, str]:
    """Return for each name one that MLflow accepts and that no other name has.

    Class names, for one, may have any characters, and be long.
    """
    accepted: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^\w .:/-]", "_", name)
        is_path = posixpath.normpath(plain) == plain and not plain.startswith("..")
        if not is_path or len(plain) > NAME_LENGTH or plain in accepted.values():
            digest = hashlib.sha256(name.encode()).hexdigest()[:8]
            plain = re.sub(r"[^\w -]", "_", plain)[: NAME_LENGTH - len(digest) - 1] + "-" + digest
        accepted[name] = plain
    return accepted


def close_abandoned(stores: Path) -> list[str]:
    """Close as FAILED the runs whose process is gone, and return their ids.

    Without such runs this is a look into one folder. A store out of reach leaves them for later.
    """
    return liveness.reap(stores / "running", _close)


def _close(run_id: str, uri: str) -> bool:
    """Close one run; return whether it is done with, also because there is no such run."""
    path = sqlite_path(uri)
    if path is not None and not path.exists():
        return True
    if not store.answers(uri):
        return False
    try:
        with store.guarded():
            client = store.connect(uri)
            found = client.get_run(run_id).info
        if (found.status, found.lifecycle_stage) == ("RUNNING", "active"):
            Run(run_id, client).end("FAILED", ABANDONED)
    except TrackingError as error:
        log.info("The abandoned run %s could not be closed: %s", run_id, error)
        return "RESOURCE_DOES_NOT_EXIST" in str(error) or "not found" in str(error)
    return True
