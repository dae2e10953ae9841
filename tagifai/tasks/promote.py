"""task=promote: make the best training run the champion, if it beats the present one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from tagifai.config.job import get_job, select_places
from tagifai.config.schema import Config
from tagifai.console.display import Display
from tagifai.exceptions import BundleError, ConfigError, UserError
from tagifai.runs import promotion, resolve
from tagifai.tracking import query, registry, selection, session, store
from tagifai.tracking.registry import PREVIOUS_TAG, ROLLED_BACK_TAG
from tagifai.utils import program
from tagifai.utils.board_cells import format_number
from tagifai.utils.excerpts import shorten_id

if TYPE_CHECKING:
    from tagifai.runs.promotion import Contender, Decision
    from tagifai.tracking.registry import ModelRegistry, ModelVersion

SHOWN = 5
"""Most candidates that are shown."""


def run(config: Config) -> float:
    """Register a run, make it the champion if it is better, and return its test F1."""
    with promotion.lock_registry(config) as models:
        return _promote(config, models, store.get_tracking_uri(config.tracking.uri))


def _promote(config: Config, models: ModelRegistry, uri: str) -> float:
    display, stores = Display.from_config(config.console), Path(config.paths.stores)
    with display.show_spinner("Loading runs"):
        present = models.get_champion()
        ranked = _rank_candidates(config, models, present, uri)
        if ranked is not None:
            config.task.run_id = str(ranked["run_id"].iloc[0])
        run_id, bundle = resolve.choose_run(config)
    if ranked is not None:
        _show_candidates(display, config, ranked, present)
    if present is not None and present.run_id == run_id:
        number = present.number
        display.show_result(f"Run {shorten_id(run_id)} is the champion already, version {number}.")
        return promotion.Contender.from_bundle(run_id, bundle, stores).compute_f1()
    with display.show_spinner("Scoring and registering"):
        tracked = _open_finished_run(run_id, uri)
        challenger = promotion.Contender.from_bundle(run_id, bundle, stores)
        champion = None if present is None else _load_champion(present, stores, uri)
        decision = promotion.decide(challenger, champion, force=config.task.force)
        made = models.find_by_run(run_id) or _register_run(models, tracked)
    models.set_tags(made, _build_tags(challenger, champion, decision, config.task.force))
    if decision.promoted:
        _set_champion(models, made, present)
    _show(display, models.name, (made, challenger), (present, champion), decision)
    return decision.f1


def _rank_candidates(
    config: Config, models: ModelRegistry, present: ModelVersion | None, uri: str
) -> pd.DataFrame | None:
    """Return the runs that may be promoted, the best first; None where `task.run_id` names one.

    Those that were rolled back are left out. Only runs on the champion's data are ranked.
    """
    task = config.task
    if task.run_id not in (None, resolve.BEST):
        return None
    without = [
        version.run_id for version in models.list_versions() if ROLLED_BACK_TAG in version.tags
    ]
    runs = query.load_runs(
        uri, task.experiment or store.get_experiment_name(config), filter=task.filter
    )
    champion = None if present is None else present.tags.get("data")
    runs = resolve.select_configured_data(runs, config, champion)
    metric, maximize = _get_metric(config)
    return selection.rank_runs(runs, metric, maximize=maximize, without=without)


def _get_metric(config: Config) -> tuple[str, bool]:
    """Return the metric that chooses the challenger, and whether more of it is better."""
    metric = config.task.metric or config.objective.metrics[0]
    direction = config.task.direction or config.objective.get_direction(metric)
    return metric, direction == "maximize"


def _show_candidates(
    display: Display, config: Config, ranked: pd.DataFrame, present: ModelVersion | None
) -> None:
    """Show the best runs, and by what they are the best."""
    metric, maximize = _get_metric(config)
    best = ranked.head(SHOWN)
    test = selection.get_column(best, "metrics.test_f1")
    champion = None if present is None else present.run_id
    cells = {
        "run": [shorten_id(run_id) for run_id in best["run_id"]],
        "name": [*best["name"].fillna("")],
        metric: [format_number(value) for value in best[f"metrics.{metric}"]],
        "test_f1": [*map(format_number, pd.to_numeric(test))],
        "is": ["champion" if run_id == champion else "" for run_id in best["run_id"]],
    }
    rows_of = " (validation rows)" if metric.startswith("val_") else ""
    title = f"Candidates by {metric}{rows_of}, the {'highest' if maximize else 'lowest'} first"
    rows = [*zip(*cells.values(), strict=True)]
    display.show_table(title, [*cells], rows, texts=(0, 1, 4), optional=("name",))
    if len(ranked) > SHOWN:
        display.show_line(f"... and {len(ranked) - SHOWN} more")
    data = selection.get_column(ranked, "params.data.name").dropna()
    count = len(ranked)
    which = f"the best of {count} finished runs" if count > 1 else "the only finished run"
    of_data = f" on {data.iloc[0]}" if len(data) else ""
    display.show_fact("Chosen", f"{which}{of_data}, by {metric}")


def _open_finished_run(run_id: str, uri: str) -> session.TrackedRun:
    """Return the run in the store.

    Raises:
        ConfigError: it is not there, did not finish, or is the trial of a search.
    """
    tracked = session.reopen_run(run_id, uri)
    status = tracked.get_status()
    if status != "FINISHED":
        known = "is not in the tracking store" if status is None else f"is {status}"
        raise ConfigError(f"Run {run_id} {known}; only a finished training run can be promoted.")
    return tracked


def _load_champion(present: ModelVersion, stores: Path, uri: str) -> Contender:
    try:
        run_id, bundle = resolve.find(stores, present.run_id, uri)
        return promotion.Contender.from_bundle(run_id, bundle, stores)
    except UserError as error:
        raise type(error)(
            f"The champion (version {present.number}, run {present.run_id}) cannot be scored again:"
            f" {error}"
        ) from error


def _register_run(models: ModelRegistry, tracked: session.TrackedRun) -> ModelVersion:
    """Make a version of a run's MLflow model."""
    model_id = tracked.get_model_id()
    if model_id is None:
        raise BundleError(
            f"Run {tracked.id} has no MLflow model: train it again with task=rerun"
            f" task.run_id={tracked.id}"
        )
    return models.register(tracked.id, model_id)


def _build_tags(
    challenger: Contender, champion: Contender | None, decision: Decision, force: bool
) -> dict[str, object]:
    return {
        "decision": "promoted" if decision.promoted else "not promoted",
        "reason": decision.reason,
        "forced": str(force).lower(),
        "test_f1": decision.f1,
        "compared_with": None if champion is None else champion.run_id,
        "champion_test_f1": decision.champion_f1,
        "data": challenger.data,
        "test_rows": challenger.test_rows,
    }


def _set_champion(models: ModelRegistry, made: ModelVersion, present: ModelVersion | None) -> None:
    # First the way back, so that a rollback is possible as soon as the alias has moved.
    previous = None if present is None else present.number
    models.set_tags(made, {PREVIOUS_TAG: previous, ROLLED_BACK_TAG: None})
    models.set_champion(made)


def _show(
    display: Display,
    name: str,
    made: tuple[ModelVersion, Contender],
    before: tuple[ModelVersion | None, Contender | None],
    decision: Decision,
) -> None:
    version, challenger = made
    present, champion = before
    role = "champion" if present is None and decision.promoted else "challenger"
    rows = [[role, str(version.number), shorten_id(challenger.run_id), f"{decision.f1:.4f}"]]
    said = f"{len(challenger.labels)}"
    if present is not None and champion is not None and decision.champion_f1 is not None:
        of_champion = [
            str(present.number),
            shorten_id(champion.run_id),
            f"{decision.champion_f1:.4f}",
        ]
        rows.append(["champion", *of_champion])
        same = decision.difference is not None
        others = f" and {len(champion.labels)} others: these scores cannot be compared"
        said += ", the same for both" if same else others
    columns = ["is", "version", "run", "test_f1"]
    display.show_table(f"Registered model {name}", columns, rows, texts=(0, 2))
    verb = "is the champion now" if decision.promoted else "is registered, but not the champion"
    display.show_result(f"Version {version.number} {verb}. {decision.reason}")
    display.show_fact("Test rows", said, result=True)
    if decision.difference is not None:
        display.show_fact("Difference", decision.difference, result=True)
    places = select_places(get_job().overrides)
    if not decision.promoted:
        forced = ("task=promote", f"task.run_id={shorten_id(challenger.run_id)}", "task.force=true")
        display.show_copyable("Anyway", program.format_call(*forced, *places))
        return
    use = program.format_call("task=predict", "task.run_id=champion", *places)
    display.show_copyable("Use it", f'{use} task.text="..."')
    display.show_copyable("In MLflow", f"models:/{name}@{registry.CHAMPION}")
    if present is not None:
        display.show_copyable("Undo it", program.format_call("task=rollback", *places))
