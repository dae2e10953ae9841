"""task=promote: make the best training run the champion, if it beats the present one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tagifai.config.schema import Config
from tagifai.console.display import Display
from tagifai.exceptions import BundleError, ConfigError, UserError
from tagifai.runs import promotion, resolve
from tagifai.tracking import query, registry, selection, session, store
from tagifai.tracking.registry import PREVIOUS_TAG, ROLLED_BACK_TAG

if TYPE_CHECKING:
    from tagifai.runs.promotion import Contender, Decision
    from tagifai.tracking.registry import ModelRegistry, ModelVersion


def run(config: Config) -> float:
    """Register a run, make it the champion if it is better, and return its test F1."""
    with promotion.lock_registry(config) as models:
        return _promote(config, models, store.get_tracking_uri(config.tracking.uri))


def _promote(config: Config, models: ModelRegistry, uri: str) -> float:
    display, stores = Display.from_config(config.console), Path(config.paths.stores)
    with display.show_spinner("Loading runs"):
        present = models.get_champion()
        config.task.run_id = _choose_challenger(config, models, present, uri)
        run_id, bundle = resolve.choose_run(config)
    if present is not None and present.run_id == run_id:
        display.show_result(f"Run {run_id} is the champion already, version {present.number}.")
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


def _choose_challenger(
    config: Config, models: ModelRegistry, present: ModelVersion | None, uri: str
) -> str:
    """Return the id of the run that `task.run_id` names, or of the best one not rolled back.

    Without a name, only runs on the champion's data are ranked.
    """
    task = config.task
    if task.run_id not in (None, resolve.BEST):
        return str(task.run_id)
    without = [
        version.run_id for version in models.list_versions() if ROLLED_BACK_TAG in version.tags
    ]
    runs = query.load_runs(
        uri, task.experiment or store.get_experiment_name(config), filter=task.filter
    )
    champion = None if present is None else present.tags.get("data")
    runs = resolve.select_configured_data(runs, config, champion)
    metric = task.metric or config.objective.metrics[0]
    direction = task.direction or config.objective.get_direction(metric)
    return selection.find_best(runs, metric, maximize=direction == "maximize", without=without)


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
    rows = [_build_row(*made, decision.f1, "challenger")]
    if before[0] is not None and before[1] is not None and decision.champion_f1 is not None:
        rows.append(_build_row(before[0], before[1], decision.champion_f1, "champion"))
    columns = ["", "version", "test f1", "rows", "test rows", "data"]
    display.show_table(f"Registered model {name}", columns, rows)
    verb = "is the champion now" if decision.promoted else "is registered, but not the champion"
    display.show_result(f"Version {made[0].number} {verb}. {decision.reason}")
    for (version, contender), role in ((made, "Challenger"), (before, "Champion")):
        if version is not None and contender is not None:
            display.show_fact(
                role, f"version {version.number}, run {contender.run_id}", result=True
            )
    display.show_fact("Use it", f"models:/{name}@{registry.CHAMPION}, task.run_id=champion")


def _build_row(version: ModelVersion, contender: Contender, f1: float, role: str) -> list[str]:
    digests = (contender.test_rows[:8], contender.data[:8])
    count = str(len(contender.labels))
    return [role, str(version.number), f"{f1:.4f}", count, *digests]
