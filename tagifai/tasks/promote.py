"""task=promote: make the best training run the champion, if it beats the present one."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tagifai import promotion, registry, runs, serving, store, tracking
from tagifai.console import Display
from tagifai.errors import BundleError, ConfigError, UserError
from tagifai.registry import PREVIOUS, ROLLED_BACK
from tagifai.schema import Config

if TYPE_CHECKING:
    from tagifai.promotion import Contender, Decision
    from tagifai.registry import Registry, Version


def run(config: Config) -> float:
    """Register a run and decide whether it is the champion from now on; return its test F1."""
    with promotion.deciding(config) as models:
        return _promote(config, models, store.tracking_uri(config.tracking.uri))


def _promote(config: Config, models: Registry, uri: str) -> float:
    display, stores = Display.of(config.console), Path(config.paths.stores)
    with display.waiting("Looking runs up"):
        config.task.run_id = _challenger(config, models, uri)
        present = models.champion()
        run_id, bundle = runs.chosen(config)
    if present is not None and present.run_id == run_id:
        display.result(f"Run {run_id} is the champion already, version {present.number}.")
        return promotion.Contender.of(run_id, bundle, stores).f1()
    with display.waiting("Scoring and registering"):
        tracked = _finished(run_id, uri)
        challenger = promotion.Contender.of(run_id, bundle, stores)
        champion = None if present is None else _contender(present, stores, uri)
        decision = promotion.decide(challenger, champion, force=config.task.force)
        made = models.of_run(run_id) or _registered(models, tracked, bundle)
    models.tag(made, _tags(challenger, champion, decision, config.task.force))
    if decision.promoted:
        _crown(models, made, present)
    _show(display, models.name, (made, challenger), (present, champion), decision)
    return decision.f1


def _challenger(config: Config, models: Registry, uri: str) -> str:
    """Return the id of the run that was asked for, or of the best that was not rolled back."""
    task = config.task
    if task.run_id not in (None, runs.BEST):
        return str(task.run_id)
    without = [version.run_id for version in models.versions() if ROLLED_BACK in version.tags]
    return runs.best(
        uri,
        config,
        metric=task.metric,
        direction=task.direction,
        experiment=task.experiment,
        filter=task.filter,
        without=without,
    )


def _finished(run_id: str, uri: str) -> tracking.Run:
    """Return the run in the store.

    Raises:
        ConfigError: it is not there, did not finish, or is the trial of a search.
    """
    tracked = tracking.reopened(run_id, uri)
    status = tracked.status_now()
    if status != "FINISHED":
        known = "is not in the tracking store" if status is None else f"is {status}"
        raise ConfigError(f"Run {run_id} {known}; only a finished training run can be promoted.")
    return tracked


def _contender(present: Version, stores: Path, uri: str) -> Contender:
    try:
        run_id, bundle = runs.find(stores, present.run_id, uri)
        return promotion.Contender.of(run_id, bundle, stores)
    except UserError as error:
        raise type(error)(
            f"The champion (version {present.number}, run {present.run_id}) cannot be scored again:"
            f" {error}"
        ) from error


def _registered(models: Registry, tracked: tracking.Run, bundle: Path) -> Version:
    """Make a version of a run's MLflow model; a run from before there were such gets one now."""
    model_id = tracked.model_id() or tracked.log_model(
        partial(serving.save, bundle=bundle, run_id=tracked.id)
    )
    if model_id is None:
        raise BundleError(f"Run {tracked.id} keeps no model.")
    return models.register(tracked.id, model_id)


def _tags(
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


def _crown(models: Registry, made: Version, present: Version | None) -> None:
    # First the way back, so that it is there as soon as the alias has moved.
    previous = None if present is None else present.number
    models.tag(made, {PREVIOUS: previous, ROLLED_BACK: None})
    models.crown(made)


def _show(
    display: Display,
    name: str,
    made: tuple[Version, Contender],
    before: tuple[Version | None, Contender | None],
    decision: Decision,
) -> None:
    rows = [_row(*made, decision.f1, "challenger")]
    if before[0] is not None and before[1] is not None and decision.champion_f1 is not None:
        rows.append(_row(before[0], before[1], decision.champion_f1, "champion"))
    columns = ["", "version", "test f1", "rows", "test rows", "data"]
    display.table(f"Registered model {name}", columns, rows)
    verb = "is the champion now" if decision.promoted else "is registered, and not the champion"
    display.result(f"Version {made[0].number} {verb}. {decision.reason}")
    for (version, contender), role in ((made, "Challenger"), (before, "Champion")):
        if version is not None and contender is not None:
            display.fact(role, f"version {version.number}, run {contender.run_id}", result=True)
    display.fact("Use it", f"models:/{name}@{registry.CHAMPION}, task.run_id=champion")


def _row(version: Version, contender: Contender, f1: float, role: str) -> list[str]:
    digests = (contender.test_rows[:8], contender.data[:8])
    count = str(len(contender.labels))
    return [role, str(version.number), f"{f1:.4f}", count, *digests]
