"""A tracked run: everything that is recorded of a run in the tracking store."""

from __future__ import annotations

import json
import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagifai.exceptions import TrackingError
from tagifai.tracking import store
from tagifai.utils.secrets import mask, mask_all
from tagifai.utils.urls import is_url

if TYPE_CHECKING:
    from mlflow import MlflowClient

MODEL_NAME = "tagger"
"""Name of a run's MLflow model."""

log = logging.getLogger(__name__)


class TrackedRun:
    """An open run. Without a client it only has an id, and nothing is recorded.

    Every failure of the tracking store raises a `TrackingError`.

    Args:
        id: letters and digits.
        client: of the tracking store, or None.
        artifacts: path or URI of the run's files in the store.

    Attributes:
        status: the run's status when its block ends without an error.
        is_ours: whether this process closes the run when its block fails.
    """

    is_ours = True

    def __init__(self, id: str, client: MlflowClient | None = None, artifacts: str = "") -> None:
        self.id = id
        self.status = "FINISHED"
        self._client = client
        self._artifacts = artifacts
        self._held: dict[str, list[Any]] | None = None

    def __str__(self) -> str:
        return self.id

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record parameters, which cannot be changed afterwards."""
        if self._client is None:
            return
        from mlflow.entities import Param

        accepted = store.sanitize_names(params)
        kept = [
            Param(accepted[key], mask(str(value))[: store.MAX_PARAM_LENGTH])
            for key, value in params.items()
        ]
        self._send(params=kept)

    def log_tags(self, tags: Mapping[str, Any]) -> None:
        """Record or change tags."""
        if self._client is None:
            return
        from mlflow.entities import RunTag

        self._send(
            tags=[
                RunTag(key, mask(str(value))[: store.MAX_TAG_LENGTH]) for key, value in tags.items()
            ]
        )

    def get_status(self) -> str | None:
        """Return the status in the store, such as "FINISHED", or None if there is no such run."""
        if self._client is None:
            return None
        with store.translate_errors():
            found = store.find_run(self._client, self.id)
        return None if found is None else str(found.info.status)

    def get_tag(self, name: str) -> str | None:
        """Return a tag, or None if there is no such tag or run."""
        if self._client is None:
            return None
        try:
            with store.translate_errors():
                found = self._client.get_run(self.id)
        except TrackingError as error:
            log.info("Run %s: %s", self.id, error)
            return None
        return found.data.tags.get(name) if found.info.lifecycle_stage == "active" else None

    def log_metrics(self, metrics: Mapping[str, float], model_id: str | None = None) -> None:
        """Record one value of each metric for the run and, if it is given, for its model."""
        self.log_epochs({name: [value] for name, value in metrics.items()}, model_id)

    def log_epochs(
        self, losses: Mapping[str, list[float] | dict[int, float]], model_id: str | None = None
    ) -> None:
        """Record values of each metric by epoch, in as few calls as possible.

        Args:
            losses: by metric, a value for each epoch from 0 on, or values by epoch.
            model_id: of the MLflow model that they belong to, or None.
        """
        if self._client is None:
            return
        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        accepted = store.sanitize_names(losses)
        points = [
            Metric(accepted[name], value, now, step, model_id=model_id)
            for name, values in losses.items()
            for step, value in (values.items() if isinstance(values, dict) else enumerate(values))
        ]
        self._send(metrics=points)

    @contextmanager
    def batch_logging(self) -> Iterator[None]:
        """Collect what a block logs, and send it in as few calls as possible at its end."""
        held = self._held = {"params": [], "tags": [], "metrics": []}
        try:
            yield
        except BaseException:
            self._held = None
            with suppress(TrackingError):  # the first error is the one to raise
                self._send(**held)
            raise
        self._held = None
        self._send(**held)

    def _send(self, **found: list[Any]) -> None:
        """Log parameters, tags and metrics, or hold them back."""
        if self._held is not None:
            for kind, items in found.items():
                self._held[kind] += items
            return
        if self._client is None:
            return
        batches = {k: [*store.split(items, store.BATCH_SIZES[k])] for k, items in found.items()}
        with store.translate_errors():
            for number in range(max(map(len, batches.values()))):
                now: dict[str, Any] = {
                    kind: b[number] for kind, b in batches.items() if number < len(b)
                }
                self._client.log_batch(self.id, **now)

    def log_dataset(self, name: str, digest: str, source: str, profile: Mapping[str, Any]) -> None:
        """Record the data set as an input of the run.

        Args:
            name: of the data set.
            digest: SHA-256 in hexadecimal; MLflow keeps its first 36 digits.
            source: URL or path.
            profile: of the data, as JSON's types.
        """
        if self._client is None:
            return
        from mlflow.entities import Dataset, DatasetInput, InputTag
        from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

        dataset = Dataset(
            name=mask(name),
            digest=digest[: store.MAX_DIGEST_LENGTH],
            source_type="http" if is_url(source) else "local",
            source=json.dumps({"uri": mask(source)}),
            profile=json.dumps(mask_all(dict(profile))),
        )
        tags = [InputTag(MLFLOW_DATASET_CONTEXT, "training")]
        with store.translate_errors():
            self._client.log_inputs(self.id, [DatasetInput(dataset, tags)])

    def log_file(self, path: Path | None) -> None:
        """Record a file as the run's artifact; a missing file is skipped."""
        if self._client is not None and path is not None and path.is_file():
            with store.translate_errors():
                self._client.log_artifact(self.id, str(path))

    def log_bundle(self, path: Path) -> None:
        """Record the run's bundle as an artifact, unless it is there already."""
        is_there = self._artifacts.removeprefix("file://") == str(path.parent)
        if self._client is not None and not is_there:
            with store.translate_errors():
                self._client.log_artifacts(self.id, str(path), path.name)

    def log_folder(self, path: Path) -> None:
        """Record a folder as the run's artifact, under its own name."""
        if self._client is not None:
            with store.translate_errors():
                self._client.log_artifacts(self.id, str(path), path.name)

    def get_model_id(self) -> str | None:
        """Return the id of the run's MLflow model, or None."""
        if self._client is None:
            return None
        with store.translate_errors():
            outputs = self._client.get_run(self.id).outputs
        models = outputs.model_outputs if outputs is not None else []
        return str(models[-1].model_id) if models else None

    def log_model(self, save: Callable[[Path, str], None]) -> str | None:
        """Record an MLflow model of the run, and return its id.

        Args:
            save: called with a folder that does not exist yet, and the model's id; it writes the
                model.
        """
        if self._client is None:
            return None
        from mlflow.entities import LoggedModelOutput, LoggedModelStatus

        with store.translate_errors(), tempfile.TemporaryDirectory() as scratch:
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
        with store.translate_errors():
            self._client.set_terminated(self.id, status)

    def close(self, status: str, reason: str = "") -> None:
        """Close the run, and remove the mark that says it is under way."""
        self.end(status, reason)

    def wait_until_open(self) -> None:
        """Wait until the run is open, where another process opens it.

        Raises:
            TrackingError: it cannot be opened.
        """
