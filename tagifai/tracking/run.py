"""A tracked run: everything that is recorded of a run in the tracking store."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagifai.exceptions import TrackingError
from tagifai.tracking import limits, store
from tagifai.tracking.recording import operations
from tagifai.utils.secrets import mask, mask_all

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun

    from tagifai.tracking.recording.operations import Operation, RunSender
    from tagifai.tracking.recording.recorder import RunRecorder

log = logging.getLogger(__name__)

OWN_TAGS = frozenset(
    {
        *("command", "cwd", "overrides", "output_dir", "versions", "config.rest", "rerun_of"),
        *("content", "epoch", "features", "test_intervals", "error", operations.OWN_ID),
        *("study", "trial.number", "trial.state"),
        *("preset", "storage", "sweep.dir", "sampler", "launcher", "trials", "gain"),
        *("best", "best.trial", "best.run_id", "winner.trial", "winner.output_dir"),
    }
)
"""Tags that this package gives runs; all others but MLflow's are a person's."""


class TrackedRun:
    """An open run. Without a recorder it only has an id, and nothing is recorded.

    What is recorded goes as operations to the recorder, which raises a `TrackingError` if they can
    be neither sent nor kept.

    Args:
        id: letters and digits.
        recorder: of its operations, or None.

    Attributes:
        status: the run's status when its block ends without an error.
        is_ours: whether this process closes the run when its block fails.
    """

    is_ours = True

    def __init__(self, id: str, recorder: RunRecorder | RunSender | None = None) -> None:
        self.id = id
        self.status = "FINISHED"
        self._recorder = recorder
        self._held: Operation | None = None

    def __str__(self) -> str:
        return self.id

    @property
    def is_kept(self) -> bool:
        """Whether the store could not take it, so that it is recorded later."""
        return self._recorder is not None and self._recorder.is_kept

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record parameters, which cannot be changed afterwards."""
        accepted = limits.sanitize_names(params)
        self._log(
            params={
                accepted[key]: mask(str(value))[: limits.MAX_PARAM_LENGTH]
                for key, value in params.items()
            }
        )

    def log_tags(self, tags: Mapping[str, Any]) -> None:
        """Record or change tags."""
        self._log(
            tags={key: mask(str(value))[: limits.MAX_TAG_LENGTH] for key, value in tags.items()}
        )

    def log_metrics(self, metrics: Mapping[str, float], *, of_model: bool = False) -> None:
        """Record one value of each metric for the run and, if that is said, for its model."""
        self.log_epochs({name: [value] for name, value in metrics.items()}, of_model=of_model)

    def log_epochs(
        self, losses: Mapping[str, list[float] | dict[int, float]], *, of_model: bool = False
    ) -> None:
        """Record values of each metric by epoch, in as few calls as possible.

        Args:
            losses: by metric, a value for each epoch from 0 on, or values by epoch.
            of_model: whether they belong to the run's MLflow model, too.
        """
        now = operations.get_time()
        accepted = limits.sanitize_names(losses)
        self._log(
            metrics=[
                [accepted[name], float(value), now, step, of_model]
                for name, values in losses.items()
                for step, value in (
                    values.items() if isinstance(values, dict) else enumerate(values)
                )
            ]
        )

    @contextmanager
    def batch_logging(self) -> Iterator[None]:
        """Collect what a block logs, and send it in as few calls as possible at its end."""
        held: Operation = {"params": {}, "tags": {}, "metrics": []}
        self._held = held
        try:
            yield
        except BaseException:
            self._held = None
            with suppress(TrackingError):  # the first error is the one to raise
                self._log(**held)
            raise
        self._held = None
        # Those by epoch last: MLflow compares runs by the metric that was recorded first.
        held["metrics"].sort(key=lambda metric: "/" in metric[0])
        self._log(**held)

    def _log(self, **found: Any) -> None:
        """Log parameters, tags and metrics, or hold them back."""
        if self._held is None:
            if any(found.values()):
                self._send(operations.LOG, **found)
            return
        for kind, items in found.items():
            if isinstance(items, dict):
                self._held[kind] |= items
            else:
                self._held[kind] += items

    def _send(self, kind: str, **content: Any) -> None:
        if self._recorder is not None:
            self._recorder.send({"do": kind, **content})

    def log_dataset(self, name: str, digest: str, source: str, profile: Mapping[str, Any]) -> None:
        """Record the data set as an input of the run.

        Args:
            name: of the data set.
            digest: SHA-256 in hexadecimal; MLflow keeps its first 36 digits.
            source: URL or path.
            profile: of the data, as JSON's types.
        """
        self._send(
            operations.DATASET,
            name=mask(name),
            digest=digest,
            source=mask(source),
            profile=mask_all(dict(profile)),
        )

    def log_file(self, path: Path | None) -> None:
        """Record a file as the run's artifact; a missing file is skipped."""
        if path is not None and path.is_file():
            self._send(operations.FILE, path=str(path))

    def log_folder(self, path: Path) -> None:
        """Record a folder as the run's artifact, under its own name."""
        self._send(operations.FOLDER, path=str(path))

    def log_bundle(self, path: Path) -> None:
        """Record the run's bundle as an artifact, unless it is there already."""
        self._send(operations.BUNDLE, path=str(path))

    def log_model(self, bundle: Path, name: str) -> None:
        """Record the run's bundle as an MLflow model of the run, with a name of its own."""
        self._send(operations.MODEL, path=str(bundle), name=limits.sanitize_model_name(name))

    def get_status(self) -> str | None:
        """Return the status in the store, such as "FINISHED", or None if there is no such run."""
        found = self._find()
        return None if found is None else str(found.info.status)

    def get_model_id(self) -> str | None:
        """Return the id of the run's MLflow model, or None."""
        found = self._find()
        models = found.outputs.model_outputs if found is not None and found.outputs else []
        return str(models[-1].model_id) if models else None

    def _find(self) -> MlflowRun | None:
        client: Any = None if self._recorder is None else self._recorder.client
        if client is None:
            return None
        with store.translate_errors():
            return store.find_run(client, self.id)

    def end(self, status: str, reason: str = "") -> None:
        """Close the run as FINISHED, FAILED or KILLED, with the reason as a tag."""
        reason = mask(reason)[: limits.MAX_TAG_LENGTH]
        self._send(operations.END, status=status, reason=reason, time=operations.get_time())

    def close(self, status: str, reason: str = "") -> None:
        """Close the run, and remove the mark that says it is under way."""
        self.end(status, reason)
