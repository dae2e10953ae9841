"""Load the runs of an experiment from the tracking store as a table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd

from tagifai.exceptions import ConfigError, suggest_closest
from tagifai.tracking import store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

RUNS_PER_PAGE = 1000
"""Most runs of one page of MLflow's answer."""

INTERVALS_TAG = "test_intervals"
"""Tag of a run: lower and upper bound of its test scores, by their names, as JSON."""

COLUMNS = ("run_id", "name", "status", "parent", "start", "seconds", "digest", "rows", "artifacts")


def load_runs(
    uri: str, experiment: str, *, parent: str | None = None, filter: str | None = None
) -> pd.DataFrame:
    """Return the runs of an experiment that are not deleted, the latest first.

    Args:
        uri: of the tracking store.
        experiment: its name.
        parent: id of a run whose children are wanted; None for all runs.
        filter: in MLflow's language; None for all runs.

    Returns:
        The columns run_id, name, status, parent, start (ms since 1970), seconds, digest and rows
        (of the data), artifacts (their place), and "params.", "tags." and "metrics." with each
        name; None or NaN where a run has no such value.

    Raises:
        DataError: there is no store yet.
        ConfigError: there is no such experiment, or MLflow does not accept the filter.
        TrackingError: the store does not answer, or fails.
    """
    client = store.connect_existing(uri)
    found = search_runs(
        client, _get_experiment_id(client, uri, experiment), _build_filter(parent, filter)
    )
    return make_table(found)


def find_unfinished_children(uri: str, parent: str) -> dict[str, tuple[str, dict[str, str]]]:
    """Return status and tags of the children of a run that are open, or whose trial is.

    Args:
        uri: of the tracking store.
        parent: id of the run.

    Returns:
        Status and tags by the children's ids.

    Raises:
        TrackingError: the store does not answer, or does not have the run.
    """
    # A command that knows nothing of trials may have closed the run of a process that is gone.
    wanted = ("attributes.status = 'RUNNING'", "tags.`trial.state` = 'RUNNING'")
    with store.translate_errors():
        client = store.connect(uri)
        experiment_id = client.get_run(parent).info.experiment_id
        found = [
            run
            for w in wanted
            for run in search_runs(client, experiment_id, _build_filter(parent, w))
        ]
    return {run.info.run_id: (run.info.status, run.data.tags) for run in found}


def _build_filter(parent: str | None, filter: str | None) -> str:
    children = f"tags.mlflow.parentRunId = '{parent}'" if parent is not None else None
    return " AND ".join(part for part in (filter, children) if part)


def _get_experiment_id(client: MlflowClient, uri: str, name: str) -> str:
    with store.translate_errors():
        found = client.get_experiment_by_name(name)
        known = [experiment.name for experiment in client.search_experiments()]
    if found is not None:
        store.refuse_deleted(found, uri, "task.experiment")
        return str(found.experiment_id)
    raise ConfigError(
        f"task.experiment = {name!r}: there is no such experiment in the tracking"
        f" store.{suggest_closest(name, known)} There are: {', '.join(known) or 'none'}."
    )


def search_runs(client: MlflowClient, experiment_id: str, filter: str) -> list[Run]:
    """Return all runs that a filter finds, page by page.

    Args:
        client: of the store.
        experiment_id: of the experiment.
        filter: in MLflow's language; an empty one finds all runs.

    Raises:
        ConfigError: MLflow does not accept the filter.
    """
    found: list[Run] = []
    token: str | None = None
    while True:
        page = _fetch_page(client, experiment_id, filter, token)
        found += page
        token = page.token
        if not token:
            return found


def _fetch_page(client: MlflowClient, experiment_id: str, filter: str, token: str | None) -> Any:
    from mlflow.exceptions import MlflowException

    with store.translate_errors():
        try:
            return client.search_runs(
                [experiment_id], filter, max_results=RUNS_PER_PAGE, page_token=token
            )
        except MlflowException as error:
            if error.error_code != "INVALID_PARAMETER_VALUE":
                raise
            refused = " ".join(str(error).split()).rstrip(".")
    raise ConfigError(
        f"MLflow does not accept the filter {filter} (task.filter): {refused}. A valid one is:"
        " params.model.loss = 'log_loss' AND metrics.val_f1 > 0.5"
    )


def make_table(runs: list[Run]) -> pd.DataFrame:
    """Return runs as a table; columns as in `load_runs`."""
    records = [_make_record(run) for run in runs]
    return pd.DataFrame(records, columns=None if records else list(COLUMNS))


def _make_record(run: Run) -> dict[str, Any]:
    info, data = run.info, run.data
    ended = info.end_time is not None and info.start_time is not None
    inputs = run.inputs.dataset_inputs if run.inputs is not None else []
    return {
        "run_id": info.run_id,
        "name": info.run_name,
        "status": info.status,
        "parent": data.tags.get("mlflow.parentRunId"),
        "start": info.start_time,
        "seconds": (info.end_time - info.start_time) / 1000 if ended else None,
        "digest": inputs[0].dataset.digest if inputs else None,
        "rows": _count_rows(inputs[0].dataset.profile) if inputs else None,
        "artifacts": info.artifact_uri,
        **{f"params.{key}": value for key, value in data.params.items()},
        **{f"tags.{key}": value for key, value in data.tags.items()},
        **{f"metrics.{key}": value for key, value in data.metrics.items()},
        **_read_bounds(data.tags.get(INTERVALS_TAG, "{}")),
    }


def _count_rows(profile: str | None) -> int | None:
    """Return how many rows a data set has, if its profile says so."""
    try:
        return int(json.loads(profile or "")["rows"])
    except (ValueError, TypeError, LookupError):
        return None


def _read_bounds(recorded: str) -> dict[str, float]:
    """Return recorded intervals as columns; a tag that was changed by hand has none."""
    try:
        return {
            f"metrics.test_interval/{name}/{bound}": float(value)
            for name, bounds in json.loads(recorded).items()
            for bound, value in zip(("low", "high"), bounds, strict=True)
        }
    except (ValueError, TypeError, AttributeError):
        return {}
