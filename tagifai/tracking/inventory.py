"""List the runs and models of a tracking store, and delete them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagifai.exceptions import ConfigError, DataError, TrackingError, suggest_closest
from tagifai.tracking import query, store
from tagifai.utils import locks

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun

MODELS_PER_PAGE = 100
VERSIONS_PER_PAGE = 1000
DEFAULT_EXPERIMENT = "Default"
"""The experiment that every store has."""

ENDED = ("FINISHED", "FAILED", "KILLED")
"""Statuses of runs that are not under way any more."""


@dataclass(frozen=True)
class RunInfo:
    """A run as the tracking store has it.

    Args:
        id: of the run.
        experiment: id of its experiment.
        status: RUNNING, FINISHED, FAILED, KILLED or SCHEDULED.
        active: not deleted.
        parent: id of the run that it is a child of, or None.
        state: how it ended as a trial of a search (COMPLETE, PRUNED, FAIL, DIED), or None.
        output: its output folder, or None.
        study: of the search that it is the parent of, or None.
        winner: output folder of the run that this search has trained at its end, or None.
        ended: time of its end in seconds since 1970, or None.
    """

    id: str
    experiment: str
    status: str
    active: bool = True
    parent: str | None = None
    state: str | None = None
    output: str | None = None
    study: str | None = None
    winner: str | None = None
    ended: float | None = None

    @property
    def failure(self) -> str | None:
        """How it failed; None if it did not, is under way, or is deleted."""
        if not self.active or self.status not in ENDED:
            return None
        if self.state in ("PRUNED", "FAIL"):
            return self.state
        return None if self.status == "FINISHED" else self.status


def select_failed_runs(runs: Sequence[RunInfo], protected: Collection[str]) -> list[RunInfo]:
    """Return the failed runs, except those of a search that is under way.

    A parent is kept as long as one of its children is.

    Args:
        runs: all runs of an experiment.
        protected: ids of runs that are kept in any case.
    """
    under_way = {run.id for run in runs if run.status not in ENDED}
    going = {
        run.id
        for run in runs
        if run.failure and run.id not in protected and run.parent not in under_way
    }
    while parents := going & {run.parent for run in runs if run.id not in going}:
        going -= parents
    return [run for run in runs if run.id in going]


def is_model_unused(run: RunInfo, protected: Collection[str], latest_since: float | None) -> bool:
    """Return whether the model of a run is not used.

    Args:
        run: with a model.
        protected: ids of the runs whose models are kept.
        latest_since: when the latest run was named, in seconds since 1970. A run that ended later
            may be about to become the latest.
    """
    if run.id in protected or run.status not in ENDED:
        return False
    return run.ended is not None and latest_since is not None and run.ended < latest_since


class RunInventory:
    """The runs of a tracking store.

    Every failure of the store raises a `TrackingError`.

    Args:
        uri: of the store.
        stores: the folder of stores, with the marks of runs that are under way.

    Raises:
        TrackingError: there is no store yet, or it does not answer.
    """

    def __init__(self, uri: str, stores: Path) -> None:
        try:
            self._client = store.connect_existing(uri)
        except DataError as error:
            raise TrackingError(str(error)) from None
        self._stores = stores

    def list_runs(self, experiment: str) -> list[RunInfo]:
        """Return the runs of an experiment that are not deleted.

        Raises:
            ConfigError: there is no such experiment.
        """
        with store.translate_errors():
            found = self._client.get_experiment_by_name(experiment)
        if found is None:
            self._refuse_experiment(experiment)
            return []
        if found.lifecycle_stage != "active":
            return []
        return [_make_run(run) for run in query.search_runs(self._client, found.experiment_id, "")]

    def _refuse_experiment(self, experiment: str) -> None:
        with store.translate_errors():
            known = {found.name for found in self._client.search_experiments()} - {
                DEFAULT_EXPERIMENT
            }
        if known:
            raise ConfigError(
                f"tracking.experiment = {experiment!r}: there is no such experiment in the tracking"
                f" store.{suggest_closest(experiment, known)}"
                f" There are: {', '.join(sorted(known))}."
            )

    def get_run(self, run_id: str) -> RunInfo | None:
        """Return a run, deleted or not, or None if the store has none of this id."""
        from mlflow.exceptions import MlflowException

        with store.translate_errors():
            try:
                return _make_run(self._client.get_run(run_id))
            except MlflowException as error:
                if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    raise
        return None

    def list_registered_ids(self) -> set[str]:
        """Return the ids of runs and models that versions of registered models refer to."""
        versions = _list_all(self._client.search_model_versions, max_results=VERSIONS_PER_PAGE)
        named = {name for version in versions for name in (version.run_id, version.model_id)}
        # A version that was made from a path or a logged model names its run only there.
        parts = {part for v in versions for part in re.split(r"[/:]+", v.source or "")}
        return {name for name in named | parts if name}

    def list_models(self, experiments: Collection[str], run_id: str = "") -> dict[str, list[str]]:
        """Return the ids of MLflow's logged models by the run that made them.

        Args:
            experiments: ids of the experiments.
            run_id: of the run whose models are wanted; empty for all runs.
        """
        wanted = f"source_run_id = '{run_id}'" if run_id else None
        models = (
            _list_all(
                self._client.search_logged_models,
                experiment_ids=list(experiments),
                filter_string=wanted,
                max_results=MODELS_PER_PAGE,
            )
            if experiments
            else []
        )
        found: dict[str, list[str]] = {}
        for model in models:
            found.setdefault(model.source_run_id or "", []).append(model.model_id)
        return found

    @contextmanager
    def lock_run(self, run_id: str) -> Iterator[RunInfo | None]:
        """Lock a run for a block, and give its present state; None if it is under way.

        No process can create or reopen a run in the meantime.
        """
        with locks.wait_for(self._stores / ".tracking.lock"):
            found = self.get_run(run_id)
            if found is None or found.status not in ENDED:
                yield None
                return
            with locks.hold(self._stores / "running", run_id) as ours:
                yield found if ours else None

    def delete_run(self, run_id: str) -> None:
        """Mark a run as deleted."""
        with store.translate_errors():
            self._client.delete_run(run_id)

    def delete_model(self, model_id: str) -> None:
        """Mark a logged model as deleted."""
        with store.translate_errors():
            self._client.delete_logged_model(model_id)


def _list_all(search: Callable[..., Any], **wanted: Any) -> list[Any]:
    """Return what a search of MLflow's client finds, page by page."""
    found: list[Any] = []
    token = None
    with store.translate_errors():
        while True:
            page = search(**wanted, page_token=token)
            found += page
            token = page.token
            if not token:
                return found


def _make_run(run: MlflowRun) -> RunInfo:
    info, tags = run.info, run.data.tags
    return RunInfo(
        id=info.run_id,
        experiment=info.experiment_id,
        status=info.status,
        active=info.lifecycle_stage == "active",
        parent=tags.get("mlflow.parentRunId"),
        state=tags.get("trial.state"),
        output=tags.get("output_dir") or tags.get("sweep.dir"),
        study=tags.get("study"),
        winner=tags.get("winner.output_dir"),
        ended=None if info.end_time is None else info.end_time / 1000,
    )
