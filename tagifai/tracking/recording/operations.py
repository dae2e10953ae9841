"""The operations that make up a run's record, and how each is sent to a tracking store.

An operation is an object of JSON's types; "do" says what it is. Each may be sent again: what is
there already stays as it is. So a run that was sent in part is completed by sending all of it.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagifai.tracking import limits, store
from tagifai.utils.environment import keep_variables
from tagifai.utils.urls import is_url, locate_file

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.entities import Run as MlflowRun

Operation = dict[str, Any]

CREATE, LOG, DATASET, FILE = "create", "log", "dataset", "file"
FOLDER, BUNDLE, MODEL, END = "folder", "bundle", "model", "end"

OWN_ID = "tagifai.id"
"""Tag that every run has from its beginning; by it a run is found that may have been made."""

PARENT_ID = "mlflow.parentRunId"

ABANDONED_REASON = "The process ended unexpectedly (it was killed, or the machine went down)."

ONCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""Variables of MLflow while it sends."""


def get_time() -> int:
    """Return the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@contextmanager
def ask_once() -> Iterator[None]:
    """Have MLflow send no request of a block twice, and translate errors.

    Not all of its requests may be sent again, and it would wait for minutes. Nor does it print.
    """
    with keep_variables(ONCE), store.translate_errors():
        os.environ.update(ONCE)
        yield


def create_run(client: MlflowClient, experiment_id: str, create: Mapping[str, Any]) -> MlflowRun:
    """Return a new run.

    Args:
        client: of the store.
        experiment_id: of the experiment.
        create: the operation: own id, time, name and tags.
    """
    with ask_once():
        return client.create_run(
            experiment_id,
            start_time=create["time"],
            tags={**create["tags"], OWN_ID: create["id"]},
            run_name=create["name"],
        )


def find_run(client: MlflowClient, run_id: str) -> MlflowRun | None:
    """Return a run by MLflow's id or by its own, deleted or not; None if the store has none."""
    with ask_once():
        return store.find_run(client, run_id) or _find_by_tag(client, run_id)


def _find_by_tag(client: MlflowClient, own_id: str) -> MlflowRun | None:
    from mlflow.entities import ViewType

    experiments = client.search_experiments(view_type=ViewType.ALL)
    found = client.search_runs(
        [experiment.experiment_id for experiment in experiments],
        f"tags.`{OWN_ID}` = '{own_id}'",
        ViewType.ALL,
        order_by=["attributes.start_time ASC"],
    )
    # A server that was slow to make it may have made two; the one that is not deleted counts.
    active = [run for run in found if run.info.lifecycle_stage == "active"]
    for other in active[1:]:
        client.delete_run(other.info.run_id)
    return next(iter([*active, *found]), None)


class RunSender:
    """Sends operations to a run of a tracking store.

    Args:
        client: of the store.
        run_id: of the run.
        artifacts: path or URI of the run's files in the store, if that is known.
        again: whether some may have been sent before, so that it has to be looked.

    Attributes:
        model_id: of the run's MLflow model, as soon as it has one.
    """

    is_kept = False

    def __init__(
        self, client: MlflowClient, run_id: str, artifacts: str = "", *, again: bool = False
    ) -> None:
        self.client = client
        self.run_id = run_id
        self.again = again
        self.model_id: str | None = None
        self._artifacts = artifacts

    def send(self, operation: Operation) -> None:
        """Send an operation.

        Raises:
            TrackingError: the store does not answer, or refuses it.
        """
        with ask_once():
            getattr(self, f"_send_{operation['do']}")(operation)

    def _send_log(self, operation: Operation) -> None:
        from mlflow.entities import Metric, Param, RunTag

        found: dict[str, list[Any]] = {
            "params": [Param(*item) for item in operation.get("params", {}).items()],
            "tags": [RunTag(*item) for item in operation.get("tags", {}).items()],
            "metrics": [
                Metric(name, value, at, step, model_id=self.model_id if of_model else None)
                for name, value, at, step, of_model in operation.get("metrics", ())
            ],
        }
        batches = {k: [*limits.split(items, limits.BATCH_SIZES[k])] for k, items in found.items()}
        for number in range(max(map(len, batches.values()))):
            now: dict[str, Any] = {k: b[number] for k, b in batches.items() if number < len(b)}
            self.client.log_batch(self.run_id, **now)

    def _send_dataset(self, operation: Operation) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag
        from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

        source = operation["source"]
        dataset = Dataset(
            name=operation["name"],
            digest=operation["digest"][: limits.MAX_DIGEST_LENGTH],
            source_type="http" if is_url(source) else "local",
            source=json.dumps({"uri": source}),
            profile=json.dumps(operation["profile"]),
        )
        tags = [InputTag(MLFLOW_DATASET_CONTEXT, "training")]
        self.client.log_inputs(self.run_id, [DatasetInput(dataset, tags)])

    def _send_file(self, operation: Operation) -> None:
        if Path(operation["path"]).is_file():
            self.client.log_artifact(self.run_id, operation["path"])

    def _send_folder(self, operation: Operation) -> None:
        path = Path(operation["path"])
        if path.is_dir():
            self.client.log_artifacts(self.run_id, str(path), path.name)

    def _send_bundle(self, operation: Operation) -> None:
        # In a folder of this machine it may be where the store keeps it.
        if locate_file(self._artifacts) != Path(operation["path"]).parent:
            self._send_folder(operation)

    def _send_model(self, operation: Operation) -> None:
        from mlflow.entities import LoggedModelOutput, LoggedModelStatus

        from tagifai.serving import saving

        bundle = Path(operation["path"])
        if not bundle.is_dir():
            return
        run = self.client.get_run(self.run_id)
        found = self._find_model(run.info.experiment_id) if self.again else None
        made = found or self.client.create_logged_model(
            run.info.experiment_id,
            name=operation["name"],
            source_run_id=self.run_id,
            model_type="text-classifier",
        )
        if made.status != LoggedModelStatus.READY:
            status = LoggedModelStatus.FAILED
            with tempfile.TemporaryDirectory() as scratch:
                try:
                    folder = Path(scratch) / "model"
                    saving.save(folder, made.model_id, bundle=bundle, run_id=self.run_id)
                    self.client.log_model_artifacts(made.model_id, str(folder))
                    status = LoggedModelStatus.READY
                finally:
                    self.client.finalize_logged_model(made.model_id, status)
        known = run.outputs.model_outputs if run.outputs is not None else []
        if made.model_id not in [output.model_id for output in known]:
            self.client.log_outputs(self.run_id, [LoggedModelOutput(made.model_id, step=0)])
        self.model_id = str(made.model_id)

    def _find_model(self, experiment_id: str) -> LoggedModel | None:
        found = self.client.search_logged_models(
            [experiment_id], f"source_run_id = '{self.run_id}'", max_results=1
        )
        return next(iter(found), None)

    def _send_end(self, operation: Operation) -> None:
        if operation["reason"]:
            self._send_log({"tags": {"error": operation["reason"]}})
        self.client.set_terminated(self.run_id, operation["status"], operation["time"])
